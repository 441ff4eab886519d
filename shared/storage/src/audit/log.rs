//! Appending to the audit log inside a unit's transaction, and reading it.

use super::{
    AuditEntry, Effect, Signer,
    key::{head_holds, head_message},
    merkle::{Frontier, Hash, Node, leaf_hash},
};
use crate::{
    Cause, Database, Digest, Error, Record,
    entity::{audit_entry, audit_frontier, audit_head, audit_node},
    time::{from_micros, to_micros},
};
use ed25519_dalek::VerifyingKey;
use sea_orm::{
    ActiveValue::Set, ColumnTrait, DatabaseTransaction, DbBackend, EntityTrait, QueryFilter, QueryOrder,
    QuerySelect,
};
use std::{sync::Arc, time::SystemTime};
use tokio::sync::watch;

/// The one row of the frontier table.
const FRONTIER: i32 = 1;
/// Most rows per INSERT: SQLite and PostgreSQL both bound the parameters of a statement.
const CHUNK: usize = 1000;

/// The root of the log at one size, signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedHead {
    /// Number of entries.
    pub size: u64,
    /// Merkle tree hash over them.
    pub root: Hash,
    /// Time of the last of them.
    pub time: SystemTime,
    /// Ed25519 over `wlp-audit-head-v1`, size, root in hex and time in microseconds, one line each.
    pub signature: [u8; 64],
}

impl SignedHead {
    /// Whether the signature is by this key.
    pub fn holds(&self, key: &VerifyingKey) -> bool {
        head_holds(key, &head_message(self.size, &self.root, to_micros(self.time)), &self.signature)
    }
}

/// An entry as it is stored: its canonical bytes and the head right after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logged {
    /// Where the database keeps it; must equal the entry's own sequence.
    pub sequence: u64,
    /// Canonical bytes: what is hashed.
    pub bytes: Vec<u8>,
    /// The head with this entry as the last. `None` only if it was removed from the database.
    pub head: Option<SignedHead>,
    /// The body of a note; empty for changes of records.
    pub note: Vec<u8>,
}

impl Logged {
    /// The decoded entry.
    ///
    /// # Errors
    /// [`Error::Damaged`].
    pub fn entry(&self) -> Result<AuditEntry, Error> {
        AuditEntry::decode(&self.bytes)
            .map_err(|error| Error::Damaged(format!("audit entry {}: {error}", self.sequence)))
    }
}

/// What a unit will append, before it has its place and its cause.
pub(crate) struct Pending {
    kind: String,
    name: String,
    action: String,
    effect: Effect,
    revision: u64,
    body_digest: Digest,
    previous_state: String,
    state: String,
    note: Option<Vec<u8>>,
}

impl Pending {
    pub(crate) fn change(record: &Record, action: &str, previous_state: String) -> Self {
        Self {
            kind: record.kind.clone(),
            name: record.name.clone(),
            action: action.to_owned(),
            effect: Effect::Stored,
            revision: record.revision.unsigned_abs(),
            body_digest: Digest::of(&record.body),
            previous_state,
            state: record.state.clone(),
            note: None,
        }
    }

    pub(crate) fn removal(record: &Record, action: &str) -> Self {
        let gone = Record { revision: 0, body: Vec::new(), state: String::new(), ..record.clone() };
        Self { effect: Effect::Deleted, ..Self::change(&gone, action, record.state.clone()) }
    }

    pub(crate) fn note(kind: &str, name: &str, action: &str, body: Vec<u8>) -> Self {
        Self {
            kind: kind.to_owned(),
            name: name.to_owned(),
            action: action.to_owned(),
            effect: Effect::Noted,
            revision: 0,
            body_digest: Digest::of(&body),
            previous_state: String::new(),
            state: String::new(),
            note: Some(body),
        }
    }

    fn into_entry(self, sequence: u64, cause: &Cause) -> (AuditEntry, Option<Vec<u8>>) {
        let entry = AuditEntry {
            sequence,
            time: from_micros(to_micros(cause.time)),
            principal: cause.principal.clone(),
            roles: cause.roles.clone(),
            method: cause.method.clone(),
            request_id: cause.request_id.clone(),
            kind: self.kind,
            name: self.name,
            action: self.action,
            effect: self.effect,
            revision: self.revision,
            body_digest: self.body_digest,
            previous_state: self.previous_state,
            state: self.state,
            reason: cause.reason.clone(),
            trace_id: cause.trace_id.clone(),
        };
        (entry, self.note)
    }
}

/// Reads the frontier; on PostgreSQL locks its row until the transaction ends, so that units follow
/// each other and sequence numbers become visible in order.
pub(crate) async fn lock_frontier(tx: &DatabaseTransaction, backend: DbBackend) -> Result<Frontier, Error> {
    let mut find = audit_frontier::Entity::find_by_id(FRONTIER);
    if backend == DbBackend::Postgres {
        find = find.lock_exclusive();
    }
    let row =
        find.one(tx).await?.ok_or_else(|| Error::Damaged("the audit log has no frontier".to_owned()))?;
    let (peaks, rest) = row.peaks.as_chunks::<32>();
    Frontier::from_parts(row.size.unsigned_abs(), peaks.to_vec())
        .filter(|_| rest.is_empty())
        .ok_or_else(|| Error::Damaged("the frontier of the audit log".to_owned()))
}

/// The audit log of one database. Clones are cheap and hear of each other's commits.
#[derive(Clone)]
pub struct AuditLog {
    pub(super) db: Database,
    signer: Arc<Signer>,
    /// Size after the last commit of this process.
    pub(super) grown: Arc<watch::Sender<u64>>,
}

impl AuditLog {
    pub(crate) async fn open(db: Database, signer: Arc<Signer>) -> Result<Self, Error> {
        let first = audit_frontier::ActiveModel { id: Set(FRONTIER), size: Set(0), peaks: Set(Vec::new()) };
        audit_frontier::Entity::insert(first)
            .on_conflict_do_nothing_on([audit_frontier::Column::Id])
            .exec_without_returning(db.connection())
            .await?;
        Ok(Self { db, signer, grown: Arc::new(watch::Sender::new(0)) })
    }

    /// The key that its heads are signed with.
    pub fn public_key(&self) -> VerifyingKey {
        self.signer.public_key()
    }

    pub(crate) async fn append(
        &self,
        tx: &DatabaseTransaction,
        mut frontier: Frontier,
        cause: &Cause,
        pending: Vec<Pending>,
    ) -> Result<Vec<AuditEntry>, Error> {
        if pending.is_empty() {
            return Ok(Vec::new());
        }
        let (mut entries, mut rows, mut heads, mut nodes) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for pending in pending {
            let (entry, note) = pending.into_entry(frontier.size(), cause);
            let bytes = entry.encode();
            nodes.extend(frontier.append(leaf_hash(&bytes)).into_iter().map(node_row));
            heads.push(self.sign_head(&frontier, to_micros(cause.time)));
            rows.push(audit_entry::ActiveModel {
                sequence: Set(entry.sequence as i64),
                kind: Set(entry.kind.clone()),
                name: Set(entry.name.clone()),
                time: Set(to_micros(entry.time)),
                entry: Set(bytes),
                note: Set(note),
            });
            entries.push(entry);
        }
        for rows in rows.chunks(CHUNK) {
            audit_entry::Entity::insert_many(rows.to_vec()).exec_without_returning(tx).await?;
        }
        for heads in heads.chunks(CHUNK) {
            audit_head::Entity::insert_many(heads.to_vec()).exec_without_returning(tx).await?;
        }
        for nodes in nodes.chunks(CHUNK) {
            audit_node::Entity::insert_many(nodes.to_vec()).exec_without_returning(tx).await?;
        }
        let next = audit_frontier::ActiveModel {
            id: Set(FRONTIER),
            size: Set(frontier.size() as i64),
            peaks: Set(frontier.peaks().concat()),
        };
        audit_frontier::Entity::update(next).exec(tx).await?;
        Ok(entries)
    }

    fn sign_head(&self, frontier: &Frontier, time: i64) -> audit_head::ActiveModel {
        let (size, root) = (frontier.size(), frontier.root());
        audit_head::ActiveModel {
            size: Set(size as i64),
            root: Set(root.to_vec()),
            time: Set(time),
            signature: Set(self.signer.sign(&head_message(size, &root, time)).to_vec()),
        }
    }

    /// Tells this process's watchers of a commit.
    pub(crate) fn announce(&self, entries: &[AuditEntry]) {
        if let Some(last) = entries.last() {
            self.grown.send_if_modified(|size| {
                let newer = *size <= last.sequence;
                *size = (*size).max(last.sequence + 1);
                newer
            });
        }
    }

    /// Up to `limit` entries from `sequence` on, in order.
    pub async fn read(&self, sequence: u64, limit: u64) -> Result<Vec<Logged>, Error> {
        let rows = audit_entry::Entity::find()
            .filter(audit_entry::Column::Sequence.gte(place(sequence)))
            .order_by_asc(audit_entry::Column::Sequence)
            .limit(limit)
            .all(self.db.connection())
            .await?;
        self.with_heads(rows).await
    }

    /// Up to `limit` entries about one subject from `sequence` on, in order: its history.
    pub async fn history(
        &self,
        kind: &str,
        name: &str,
        sequence: u64,
        limit: u64,
    ) -> Result<Vec<Logged>, Error> {
        let rows = audit_entry::Entity::find()
            .filter(audit_entry::Column::Kind.eq(kind))
            .filter(audit_entry::Column::Name.eq(name))
            .filter(audit_entry::Column::Sequence.gte(place(sequence)))
            .order_by_asc(audit_entry::Column::Sequence)
            .limit(limit)
            .all(self.db.connection())
            .await?;
        self.with_heads(rows).await
    }

    /// The newest head; `None` while the log is empty.
    pub async fn head(&self) -> Result<Option<SignedHead>, Error> {
        let row = audit_head::Entity::find()
            .order_by_desc(audit_head::Column::Size)
            .one(self.db.connection())
            .await?;
        row.map(head).transpose()
    }

    /// The head at a size from 1 on, if the log has been that long.
    pub async fn head_at(&self, size: u64) -> Result<Option<SignedHead>, Error> {
        audit_head::Entity::find_by_id(size as i64).one(self.db.connection()).await?.map(head).transpose()
    }

    async fn with_heads(&self, rows: Vec<audit_entry::Model>) -> Result<Vec<Logged>, Error> {
        let sizes: Vec<i64> = rows.iter().map(|row| row.sequence + 1).collect();
        let mut heads = std::collections::BTreeMap::new();
        for sizes in sizes.chunks(CHUNK) {
            let found = audit_head::Entity::find()
                .filter(audit_head::Column::Size.is_in(sizes.iter().copied()))
                .all(self.db.connection())
                .await?;
            heads.extend(found.into_iter().map(|row| (row.size, row)));
        }
        rows.into_iter()
            .map(|row| {
                let head = heads.remove(&(row.sequence + 1)).map(head).transpose()?;
                let note = row.note.unwrap_or_default();
                Ok(Logged { sequence: row.sequence.unsigned_abs(), bytes: row.entry, head, note })
            })
            .collect()
    }
}

fn node_row(((level, position), hash): (Node, Hash)) -> audit_node::ActiveModel {
    audit_node::ActiveModel {
        level: Set(level as i32),
        position: Set(position as i64),
        hash: Set(hash.to_vec()),
    }
}

fn head(row: audit_head::Model) -> Result<SignedHead, Error> {
    let damaged = || Error::Damaged(format!("audit head {}", row.size));
    Ok(SignedHead {
        size: row.size.unsigned_abs(),
        root: row.root.as_slice().try_into().map_err(|_| damaged())?,
        time: from_micros(row.time),
        signature: row.signature.as_slice().try_into().map_err(|_| damaged())?,
    })
}

/// A sequence number as the database keeps it; what no log will ever reach stays beyond its end.
fn place(sequence: u64) -> i64 {
    i64::try_from(sequence).unwrap_or(i64::MAX)
}
