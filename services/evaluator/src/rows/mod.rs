//! Rows of a table as inputs of a model.

mod fill;
mod layout;
mod resolve;

pub use fill::{empty_texts, fill};
pub use layout::{Kind, Layout, Sample, Slot, is_whole, whole_range};
pub use resolve::resolve;
