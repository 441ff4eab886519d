//! What the gateway keeps on disk, so that it serves on after its own restart with nobody else there; and the store that
//! gateways share, as it is used on the path of a request.

mod files;
mod identity;
mod kept;
mod shared;

pub use files::Files;
pub use shared::Shared;
