//! What the gateway keeps on disk, so that it serves on after its own restart with nobody else there.

mod files;
mod identity;
mod kept;

pub use files::Files;
