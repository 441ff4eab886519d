//! One error for everything that is kept in a database, and the bounded retry of a whole unit of work.

use sea_orm::{DbErr, RuntimeErr};
use std::{future::Future, time::Duration};

/// What can go wrong with records, units, operations, leases and the audit log.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No such record. Serve as `NOT_FOUND`.
    #[error("{name} does not exist")]
    NotFound {
        /// Kind of the record.
        kind: String,
        /// Full resource name.
        name: String,
    },
    /// A record of that kind and name is there already. Serve as `ALREADY_EXISTS`.
    #[error("{name} already exists")]
    AlreadyExists {
        /// Kind of the record.
        kind: String,
        /// Full resource name.
        name: String,
    },
    /// The record changed since it was read (or the caller's etag is old). Serve as `ABORTED`.
    #[error("{name} was changed by someone else: etag {seen} is not the current {current}")]
    Stale {
        /// Full resource name.
        name: String,
        /// The etag that was given.
        seen: String,
        /// The etag that is stored.
        current: String,
    },
    /// The request id was used before with another payload. Serve as `ALREADY_EXISTS`.
    #[error("request id {request_id} was used before with another request")]
    RequestReused {
        /// The request id.
        request_id: String,
    },
    /// A long-running operation is over and cannot change any more. Serve as `FAILED_PRECONDITION`.
    #[error("operation {name} is already over")]
    OperationOver {
        /// Name of the operation.
        name: String,
    },
    /// Contention that lasted: try the whole unit again ([`with_retry`]), then `ABORTED`.
    #[error("the database is busy: {0}")]
    Busy(String),
    /// The database cannot be reached. Serve as `UNAVAILABLE`.
    #[error("the database cannot be reached: {0}")]
    Unavailable(String),
    /// No room left. Serve as `RESOURCE_EXHAUSTED`.
    #[error("the database is full: {0}")]
    Full(String),
    /// Stored bytes are not what they must be. Serve as `DATA_LOSS`.
    #[error("stored data is damaged: {0}")]
    Damaged(String),
    /// A setting (database address, key file) cannot be used.
    #[error("{0}")]
    Setting(String),
    /// Anything else the database said. Serve as `INTERNAL`, log the cause.
    #[error("storage failed: {0}")]
    Database(DbErr),
}

/// Whether the same work may succeed when it is done again from the start.
pub trait Transient {
    /// True for contention only; a lost connection may have committed, so it is not retried blindly.
    fn is_transient(&self) -> bool;
}

impl Transient for Error {
    fn is_transient(&self) -> bool {
        matches!(self, Self::Busy(_))
    }
}

impl From<DbErr> for Error {
    fn from(error: DbErr) -> Self {
        let text = error.to_string();
        if let DbErr::ConnectionAcquire(_) | DbErr::Conn(_) = &error {
            return Self::Unavailable(text);
        }
        let (DbErr::Exec(RuntimeErr::SqlxError(inner)) | DbErr::Query(RuntimeErr::SqlxError(inner))) = &error
        else {
            return Self::Database(error);
        };
        if let sea_orm::SqlxError::Database(said) = inner.as_ref() {
            return match said.code().unwrap_or_default().as_ref() {
                // SQLITE_BUSY, SQLITE_LOCKED and their extended codes; PostgreSQL serialization
                // failure, deadlock, lock not available.
                "5" | "6" | "261" | "262" | "517" | "518" | "773" | "40001" | "40P01" | "55P03" => {
                    Self::Busy(text)
                }
                // SQLITE_FULL, PostgreSQL disk full.
                "13" | "53100" => Self::Full(text),
                // PostgreSQL: shutting down, crashing, starting, too many connections.
                "57P01" | "57P02" | "57P03" | "53300" => Self::Unavailable(text),
                _ => Self::Database(error),
            };
        }
        match inner.as_ref() {
            sea_orm::SqlxError::Io(_)
            | sea_orm::SqlxError::PoolTimedOut
            | sea_orm::SqlxError::PoolClosed
            | sea_orm::SqlxError::WorkerCrashed => Self::Unavailable(text),
            _ => Self::Database(error),
        }
    }
}

/// How often [`with_retry`] tries before it lets the last error through.
pub const MAX_TRIES: u32 = 10;

/// Does `work` (a whole unit, from `begin` to `commit`) again while it fails for contention only,
/// at most [`MAX_TRIES`] times with growing, jittered pauses of real time (5 ms to 250 ms).
pub async fn with_retry<T, E, F, W>(mut work: W) -> Result<T, E>
where
    E: Transient,
    F: Future<Output = Result<T, E>>,
    W: FnMut() -> F,
{
    let mut ceiling = 5_u64;
    for _ in 1..MAX_TRIES {
        match work().await {
            Err(error) if error.is_transient() => {
                tokio::time::sleep(Duration::from_millis(jitter(ceiling))).await;
                ceiling = (ceiling * 2).min(250);
            }
            done => return done,
        }
    }
    work().await
}

/// Uniform in `1..=ceiling`; without entropy the full ceiling.
fn jitter(ceiling: u64) -> u64 {
    let mut bytes = [0; 8];
    match getrandom::fill(&mut bytes) {
        Ok(()) => 1 + u64::from_le_bytes(bytes) % ceiling.max(1),
        Err(_) => ceiling,
    }
}
