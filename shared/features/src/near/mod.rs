//! Near-duplicates: rows whose sets of tokens overlap by a Jaccard index of at least a threshold.
//!
//! [`TokenSets`] turns rows into sets, [`find`] joins them into clusters. Every pair that joins two clusters was verified by
//! its exact index, so no cluster rests on a sketch.

pub mod find;
mod minhash;
pub mod tokens;

pub use find::{Found, Options, find};
pub use tokens::{Shingles, TokenSets};
