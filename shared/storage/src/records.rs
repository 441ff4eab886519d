//! Every resource of a service is a row of one table: kind, name, parent, state, revision, body.

use crate::{
    AuditLog, Cause, Database, Error, Signer, Unit,
    entity::record::{Column, Entity, Model},
    time::from_micros,
};
use sea_orm::{ColumnTrait, Condition, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use std::{collections::BTreeMap, sync::Arc, time::SystemTime};

/// A stored resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// What it is, for example `modelVersion`. Part of the key.
    pub kind: String,
    /// Full resource name. Part of the key.
    pub name: String,
    /// Resource name of the parent; empty at the top.
    pub parent: String,
    /// State of its life cycle, as in the contract; empty where there is none.
    pub state: String,
    /// 1 when inserted, plus one with every update.
    pub revision: i64,
    /// When it was inserted.
    pub create_time: SystemTime,
    /// When it was last changed.
    pub update_time: SystemTime,
    /// The resource as protobuf bytes.
    pub body: Vec<u8>,
}

/// A resource to be inserted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Draft {
    /// See [`Record::kind`].
    pub kind: String,
    /// See [`Record::name`].
    pub name: String,
    /// See [`Record::parent`].
    pub parent: String,
    /// See [`Record::state`].
    pub state: String,
    /// See [`Record::body`].
    pub body: Vec<u8>,
}

/// The etag of a revision: `W/<revision>`.
pub fn etag(revision: i64) -> String {
    format!("W/{revision}")
}

/// The revision of an etag; `None` if it is not one of ours.
pub fn parse_etag(etag: &str) -> Option<i64> {
    etag.strip_prefix("W/")?.parse().ok().filter(|revision| *revision > 0)
}

impl Record {
    /// The etag to serve.
    pub fn etag(&self) -> String {
        etag(self.revision)
    }

    /// Compares with the etag of a request; an empty one means "whatever is there" (AIP-154).
    ///
    /// # Errors
    /// [`Error::Stale`] on any difference, also for an etag that was never served.
    pub fn expect_etag(&self, given: &str) -> Result<(), Error> {
        if given.is_empty() || parse_etag(given) == Some(self.revision) {
            return Ok(());
        }
        Err(Error::Stale { name: self.name.clone(), seen: given.to_owned(), current: self.etag() })
    }
}

impl From<Model> for Record {
    fn from(row: Model) -> Self {
        Self {
            kind: row.kind,
            name: row.name,
            parent: row.parent,
            state: row.state,
            revision: row.revision,
            create_time: from_micros(row.create_time),
            update_time: from_micros(row.update_time),
            body: row.body,
        }
    }
}

/// Most rows of one page.
pub const MAX_PAGE: u64 = 1000;

/// One page of records of a kind, ascending by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    kind: String,
    parent: Option<String>,
    below: Option<String>,
    states: Vec<String>,
    after: Option<String>,
    limit: Option<u64>,
}

impl Query {
    /// All records of a kind.
    pub fn kind(kind: impl Into<String>) -> Self {
        Self { kind: kind.into(), ..Self::default() }
    }

    /// Only direct children of `parent`.
    #[must_use]
    pub fn parent(mut self, parent: impl Into<String>) -> Self {
        self.parent = Some(parent.into());
        self
    }

    /// Only records whose parent is `ancestor` or lies below it.
    #[must_use]
    pub fn below(mut self, ancestor: impl Into<String>) -> Self {
        self.below = Some(ancestor.into());
        self
    }

    /// Only records in this state; called again, in either.
    #[must_use]
    pub fn state(mut self, state: impl Into<String>) -> Self {
        self.states.push(state.into());
        self
    }

    /// Only names after this one: the last name of the page before. Empty means from the start.
    #[must_use]
    pub fn after(mut self, name: impl Into<String>) -> Self {
        self.after = Some(name.into()).filter(|name: &String| !name.is_empty());
        self
    }

    /// At most this many, 1 to [`MAX_PAGE`]; without it, [`MAX_PAGE`].
    #[must_use]
    pub fn limit(mut self, limit: u64) -> Self {
        self.limit = Some(limit.clamp(1, MAX_PAGE));
        self
    }

    pub(crate) async fn all(&self, connection: &impl ConnectionTrait) -> Result<Vec<Record>, Error> {
        let mut wanted = Condition::all().add(Column::Kind.eq(&self.kind));
        if let Some(parent) = &self.parent {
            wanted = wanted.add(Column::Parent.eq(parent));
        }
        if let Some(ancestor) = &self.below {
            // '0' follows '/' in ASCII: the half-open range holds exactly the names below the ancestor.
            let inside = Condition::all()
                .add(Column::Parent.gte(format!("{ancestor}/")))
                .add(Column::Parent.lt(format!("{ancestor}0")));
            wanted = wanted.add(Condition::any().add(Column::Parent.eq(ancestor)).add(inside));
        }
        if !self.states.is_empty() {
            wanted = wanted.add(Column::State.is_in(&self.states));
        }
        if let Some(after) = &self.after {
            wanted = wanted.add(Column::Name.gt(after));
        }
        let rows = Entity::find()
            .filter(wanted)
            .order_by_asc(Column::Name)
            .limit(self.limit.unwrap_or(MAX_PAGE))
            .all(connection)
            .await?;
        Ok(rows.into_iter().map(Record::from).collect())
    }
}

/// The records of one service and their audit log. Clones are cheap.
#[derive(Clone)]
pub struct Records {
    db: Database,
    audit: AuditLog,
}

impl Records {
    /// Over a migrated database ([`crate::migrate`]). Heads of the audit log are signed with `signer`.
    pub async fn open(db: Database, signer: Arc<Signer>) -> Result<Self, Error> {
        let audit = AuditLog::open(db.clone(), signer).await?;
        Ok(Self { db, audit })
    }

    /// Starts a unit of work; every change in it is recorded under `cause`. Dropped, it rolls back.
    pub async fn begin(&self, cause: Cause) -> Result<Unit, Error> {
        Unit::begin(&self.db, self.audit.clone(), cause).await
    }

    /// The record.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn get(&self, kind: &str, name: &str) -> Result<Record, Error> {
        self.find(kind, name).await?.ok_or_else(|| missing(kind, name))
    }

    /// The record, if there is one.
    pub async fn find(&self, kind: &str, name: &str) -> Result<Option<Record>, Error> {
        find(self.db.connection(), kind, name).await
    }

    /// One page, ascending by name.
    pub async fn list(&self, query: &Query) -> Result<Vec<Record>, Error> {
        query.all(self.db.connection()).await
    }

    /// All records a query matches, page by page (from its `after` on; its limit is the page size).
    pub async fn list_all(&self, query: &Query) -> Result<Vec<Record>, Error> {
        let mut all = Vec::new();
        let mut query = query.clone();
        loop {
            let page = self.list(&query).await?;
            let Some(last) = page.last() else { return Ok(all) };
            query = query.after(last.name.clone());
            all.extend(page);
        }
    }

    /// The audit log that every unit of these records writes.
    pub fn audit(&self) -> &AuditLog {
        &self.audit
    }

    /// The database, for operations, leases, outbox and tables of the service's own.
    pub fn database(&self) -> &Database {
        &self.db
    }

    /// Forgets answers given before `time`: their request ids count as new. Returns how many.
    pub async fn forget_answers(&self, time: SystemTime) -> Result<u64, Error> {
        use crate::entity::idempotency;
        let done = idempotency::Entity::delete_many()
            .filter(idempotency::Column::CreateTime.lt(crate::time::to_micros(time)))
            .exec(self.db.connection())
            .await?;
        Ok(done.rows_affected)
    }

    /// How many records of a kind are in each state.
    pub async fn count_by_state(&self, kind: &str) -> Result<BTreeMap<String, u64>, Error> {
        let counts: Vec<(String, i64)> = Entity::find()
            .select_only()
            .column(Column::State)
            .column_as(Column::Name.count(), "count")
            .filter(Column::Kind.eq(kind))
            .group_by(Column::State)
            .into_tuple()
            .all(self.db.connection())
            .await?;
        Ok(counts.into_iter().map(|(state, count)| (state, count.unsigned_abs())).collect())
    }
}

pub(crate) async fn find(
    connection: &impl ConnectionTrait,
    kind: &str,
    name: &str,
) -> Result<Option<Record>, Error> {
    let row = Entity::find_by_id((kind.to_owned(), name.to_owned())).one(connection).await?;
    Ok(row.map(Record::from))
}

pub(crate) fn missing(kind: &str, name: &str) -> Error {
    Error::NotFound { kind: kind.to_owned(), name: name.to_owned() }
}
