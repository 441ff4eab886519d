//! What a repository needs: databases, records with their audit log, idempotency, operations, leases,
//! outbox; key-value stores, observation logs and content-addressed blobs.
//!
//! Imports nothing of ours: what belongs to the procedure arrives as names, bytes and times.

pub mod audit;
pub mod blobs;
pub mod bucket;
pub mod database;
pub mod digest;
pub mod entity;
pub mod error;
pub mod kv;
pub mod lease;
pub mod migration;
pub mod observation_log;
pub mod operations;
pub mod outbox;
pub mod records;
pub mod time;
pub mod unit;

pub use audit::{AuditEntry, AuditLog, Logged, SignedHead, Signer};
pub use blobs::{BlobError, Blobs, Upload};
pub use bucket::{Bucket, Taken, Wanted};
pub use database::{Database, connect, migrate};
pub use digest::Digest;
pub use error::{Error, Transient, with_retry};
pub use kv::{Kv, KvError};
pub use lease::{Lease, Leases};
pub use observation_log::ObservationLog;
pub use operations::{Operation, Operations, Outcome};
pub use outbox::Outbox;
pub use records::{Draft, Query, Record, Records, etag, parse_etag};
pub use sea_orm;
pub use sea_orm_migration;
pub use unit::{Cause, Unit};
