//! Checking a copy of the audit log offline, and the records against it.

use super::{
    AuditEntry, Effect, Logged, SignedHead,
    merkle::{Frontier, Hash, leaf_hash},
};
use crate::{Digest, Record};
use ed25519_dalek::VerifyingKey;
use std::{collections::BTreeMap, fmt};

/// A log that holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Number of entries.
    pub size: u64,
    /// Root over them.
    pub root: Hash,
    /// The last entry of every subject, by kind and name, notes left out.
    last: BTreeMap<(String, String), (u64, u64, Digest, String)>,
}

/// Why a log or its records do not hold, and where that shows first.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("audit entry {index}: {kind}")]
pub struct Breach {
    /// Sequence number of the first bad entry.
    pub index: u64,
    /// What is wrong with it.
    pub kind: BreachKind,
}

/// What is wrong with an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BreachKind {
    /// It is not there, others after it are.
    Missing,
    /// Its bytes are not those that were signed.
    Altered,
    /// Another entry stands in its place.
    Reordered {
        /// The sequence number that the entry itself says.
        says: u64,
    },
    /// Its head is not there.
    HeadMissing,
    /// Its head is not signed by the given key.
    HeadSignature,
    /// Its head is signed and names another root (or size): the log was rewritten and signed anew.
    RootMismatch,
    /// The log ends before a head that is known from elsewhere.
    TailCut {
        /// Size of the trusted head.
        trusted: u64,
    },
    /// The note kept beside it is not the one that was digested.
    NoteAltered,
    /// The record it speaks of is not there.
    RecordMissing(String),
    /// The record it speaks of has another body, revision or state.
    RecordAltered(String),
    /// A record stands in the table that no entry speaks of (the index is the size of the log).
    RecordUnknown(String),
}

impl fmt::Display for BreachKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => write!(f, "missing"),
            Self::Altered => write!(f, "altered"),
            Self::Reordered { says } => write!(f, "reordered: entry {says} stands here"),
            Self::HeadMissing => write!(f, "its signed head is missing"),
            Self::HeadSignature => write!(f, "head signature wrong"),
            Self::RootMismatch => write!(f, "root mismatch"),
            Self::TailCut { trusted } => write!(f, "the tail is cut, a trusted head has {trusted} entries"),
            Self::NoteAltered => write!(f, "its note was altered"),
            Self::RecordMissing(name) => write!(f, "record {name} is missing"),
            Self::RecordAltered(name) => write!(f, "record {name} was altered"),
            Self::RecordUnknown(name) => write!(f, "record {name} was never audited"),
        }
    }
}

/// Checks all entries from the first on: order, hashes, every head's signature and root; and that
/// every `trusted` head (known from elsewhere, any sizes) is a head of this log.
///
/// # Errors
/// The first [`Breach`].
pub fn verify(
    entries: impl IntoIterator<Item = Logged>,
    key: &VerifyingKey,
    trusted: &[SignedHead],
) -> Result<Verified, Breach> {
    let mut state = Verified { size: 0, root: Frontier::default().root(), last: BTreeMap::new() };
    let mut frontier = Frontier::default();
    for logged in entries {
        let index = frontier.size();
        let breach = |kind| Breach { index, kind };
        let entry = check_place(&logged, index).map_err(breach)?;
        frontier.append(leaf_hash(&logged.bytes));
        check_head(&logged, &frontier, key).map_err(breach)?;
        let known = trusted.iter().find(|head| head.size == frontier.size());
        if known.is_some_and(|head| head.root != frontier.root()) {
            return Err(breach(BreachKind::RootMismatch));
        }
        if entry.effect == Effect::Noted {
            if Digest::of(&logged.note) != entry.body_digest {
                return Err(breach(BreachKind::NoteAltered));
            }
            continue;
        }
        let last = (index, entry.revision, entry.body_digest, entry.state);
        state.last.insert((entry.kind, entry.name), last);
    }
    if let Some(head) = trusted.iter().find(|head| head.size > frontier.size()) {
        let kind = BreachKind::TailCut { trusted: head.size };
        return Err(Breach { index: frontier.size(), kind });
    }
    Ok(Verified { size: frontier.size(), root: frontier.root(), ..state })
}

fn check_place(logged: &Logged, index: u64) -> Result<AuditEntry, BreachKind> {
    if logged.sequence > index {
        return Err(BreachKind::Missing);
    }
    if logged.sequence < index {
        return Err(BreachKind::Reordered { says: logged.sequence });
    }
    let entry = AuditEntry::decode(&logged.bytes).map_err(|_| BreachKind::Altered)?;
    if entry.sequence != index {
        return Err(BreachKind::Reordered { says: entry.sequence });
    }
    Ok(entry)
}

fn check_head(logged: &Logged, frontier: &Frontier, key: &VerifyingKey) -> Result<(), BreachKind> {
    let head = logged.head.as_ref().ok_or(BreachKind::HeadMissing)?;
    let same = head.size == frontier.size() && head.root == frontier.root();
    match (head.holds(key), same) {
        (true, true) => Ok(()),
        // A good signature over another root: what was signed is not what is stored.
        (true, false) => Err(BreachKind::Altered),
        (false, true) => Err(BreachKind::HeadSignature),
        (false, false) => Err(BreachKind::RootMismatch),
    }
}

/// Checks that the records are exactly what the log says last of each: all of them, none else.
///
/// # Errors
/// The [`Breach`] with the lowest entry.
pub fn verify_records(log: &Verified, records: impl IntoIterator<Item = Record>) -> Result<(), Breach> {
    let mut expected = log.last.clone();
    let mut first: Option<Breach> = None;
    let mut note = |index, kind| {
        if first.as_ref().is_none_or(|known| index < known.index) {
            first = Some(Breach { index, kind });
        }
    };
    for record in records {
        match expected.remove(&(record.kind, record.name.clone())) {
            None => note(log.size, BreachKind::RecordUnknown(record.name)),
            Some((index, 0, ..)) => note(index, BreachKind::RecordUnknown(record.name)),
            Some((index, revision, digest, state)) => {
                let same = record.revision.unsigned_abs() == revision
                    && Digest::of(&record.body) == digest
                    && record.state == state;
                if !same {
                    note(index, BreachKind::RecordAltered(record.name));
                }
            }
        }
    }
    for ((_, name), (index, revision, ..)) in expected {
        if revision > 0 {
            note(index, BreachKind::RecordMissing(name));
        }
    }
    first.map_or(Ok(()), Err)
}
