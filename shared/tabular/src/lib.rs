//! Tables of any supported file: recognised, typed, quarantined, profiled in one pass.
//!
//! CSV, TSV, JSON lines, Parquet and Arrow IPC, each also gzip or zstd, found by their content. A file is hostile until it was
//! read: what it may cost is bounded ([`Limits`]), a row that is wrong goes to quarantine with its place and reason, and what
//! cannot be read ends in one [`Error`] that names file, row and column. No clock, no network, no service.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::float_cmp))]

pub mod block;
pub mod columnar;
pub mod csv;
pub mod declared;
pub mod dialect;
pub mod encoding;
pub mod error;
pub mod format;
pub mod jsonl;
pub mod limits;
pub mod profile;
pub mod quarantine;
pub mod raw;
pub mod record;
pub mod show;
pub mod source;
pub mod stream;
pub mod table;
pub mod typing;

pub use declared::Declared;
pub use error::{Cause, Error, Result};
pub use format::Format;
pub use limits::Limits;
pub use table::Table;
