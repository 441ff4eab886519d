//! A file of any format as text columns: the values as they stand, written as an Arrow file by whoever reads it, with a second
//! file of the rows that cannot be read. Types are for whoever takes the texts up; what the file itself says of them is told.
//!
//! - `job.rs` is what is asked and answered, which may cross a process; `read.rs` reads, `texts.rs` writes what was read,
//!   `rejects.rs` what was not.

mod job;
mod read;
mod rejects;
mod texts;

pub use job::{Answer, Asked, Blame, Fault, Found, Job, line};
pub use read::read;

/// Key of a field's metadata under which the type stands that the file declares.
pub const KIND: &str = "kind";
/// The last column: the row of the file, from 0.
pub const ROW: &str = "__row";
/// What this module is, for a record of the code that read a file.
pub const CODE: &str = concat!(include_str!("read.rs"), include_str!("texts.rs"), include_str!("rejects.rs"));
