//! Rows of a table as inputs of a model.

mod fill;
mod layout;
mod resolve;

pub use fill::fill;
pub use layout::{Kind, Layout, Sample, Slot, is_whole};
pub use resolve::resolve;
