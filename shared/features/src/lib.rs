//! Schemas, fitted transforms and column sketches as kernels over Arrow arrays: fitted by the data-pipeline, replayed by
//! the evaluator and the gateway, compared by the monitor.
//!
//! Pure: no input or output, no clock, no threads. The same values give the same bytes on every machine, whether rows come
//! one by one or in batches.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod column;
pub mod diff;
pub mod digest;
pub mod error;
pub mod hash;
pub mod leakage;
pub mod missing;
pub mod near;
pub mod preprocessing;
pub mod profile;
pub mod schema;
pub mod split;
pub mod transform;

pub use column::Values;
pub use error::{Error, Result};
pub use missing::MissingMarkers;
pub use preprocessing::Preprocessing;
pub use profile::ColumnProfile;
pub use schema::{Column, Kind, Schema};
pub use transform::{Fitted, Operation};
