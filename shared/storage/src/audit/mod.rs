//! The audit log: an append-only Merkle tree (RFC 9162) over canonical entries, its heads signed.

mod entry;
mod key;
mod log;
pub mod merkle;
mod proofs;
mod verify;
mod watch;

pub use entry::{AuditEntry, Effect, MalformedEntry};
pub use key::{Signer, VerifyingKey, public_key_from_pem};
pub use log::{AuditLog, Logged, SignedHead};
pub(crate) use log::{Pending, lock_frontier};
pub use merkle::{Frontier, Hash};
pub use verify::{Breach, BreachKind, Verified, verify, verify_records};
