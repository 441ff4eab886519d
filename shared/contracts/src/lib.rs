//! The contracts of the mesh: code generated from `proto/`, the method × role table, names, page tokens, times, and the bytes
//! that are signed.
//!
//! Generated messages are reached as `contracts::registry::v1::Project`. This crate knows none of ours: each service converts
//! messages to and from the domain types itself.

pub mod access;
pub mod name;
pub mod page;
pub mod signed;
pub mod time;

/// File descriptors of every package, for reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

#[allow(missing_docs, clippy::all, clippy::pedantic)]
mod generated {
    pub mod google {
        pub mod api {
            include!(concat!(env!("OUT_DIR"), "/google.api.rs"));
        }
        pub mod rpc {
            include!(concat!(env!("OUT_DIR"), "/google.rpc.rs"));
        }
        pub mod longrunning {
            include!(concat!(env!("OUT_DIR"), "/google.longrunning.rs"));
        }
    }
    pub mod inference {
        include!(concat!(env!("OUT_DIR"), "/inference.rs"));
    }
    pub mod wlp {
        pub mod common {
            pub mod v1 {
                include!(concat!(env!("OUT_DIR"), "/wlp.common.v1.rs"));
            }
        }
        pub mod registry {
            pub mod v1 {
                include!(concat!(env!("OUT_DIR"), "/wlp.registry.v1.rs"));
            }
        }
        pub mod pipeline {
            pub mod v1 {
                include!(concat!(env!("OUT_DIR"), "/wlp.pipeline.v1.rs"));
            }
        }
        pub mod evaluator {
            pub mod v1 {
                include!(concat!(env!("OUT_DIR"), "/wlp.evaluator.v1.rs"));
            }
        }
        pub mod gateway {
            pub mod v1 {
                include!(concat!(env!("OUT_DIR"), "/wlp.gateway.v1.rs"));
            }
        }
        pub mod monitor {
            pub mod v1 {
                include!(concat!(env!("OUT_DIR"), "/wlp.monitor.v1.rs"));
            }
        }
    }
}

pub use generated::google::{longrunning, rpc};
pub use generated::inference;
pub use generated::wlp::{common, evaluator, gateway, monitor, pipeline, registry};
