//! Loaded versions: verified, loaded, warmed up, swapped in, drained.

mod assemble;
mod backend;
mod gates;
mod load;
mod reconcile;
mod report;
mod reshape;
mod serving;
mod stats;

pub use backend::Backend;
pub use load::{LoadError, Loaded, bytes};
pub use reconcile::Reconciler;
pub use report::{Board, Shown, State};
pub use serving::{Place, QueuePolicy, Serving, Stated, Waiting};
pub use stats::{Outcome, Stats};
