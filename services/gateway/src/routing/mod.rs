//! From a request to a version: the table in force, the split, sticky keys.

mod endpoint;
mod key;
mod live;
mod split;
mod table;

pub use endpoint::{Endpoint, Target};
pub use live::Live;
pub use split::Split;
pub(crate) use table::holds;
pub use table::{BadTable, open};
