//! What a main needs: configuration, telemetry, identity layers, peers, tasks, clock, serving.
//!
//! The crate knows nothing of the procedure: what is ours (the method table, descriptors, names) arrives as plain data.
//! A service is [`Service::builder`] plus [`serve`]; everything a caller meets is put on the service as a tower layer, so
//! the in-process mesh ([`Peer::local`]) and TCP ([`Peer::connect`]) pass through the same code.

mod changes;
pub mod clock;
pub mod config;
mod connection;
pub mod credentials;
mod descriptors;
mod exposition;
pub mod layers;
mod limits;
mod logs;
mod messages;
mod observe;
pub mod peer;
mod reach;
pub mod readiness;
pub mod serve;
pub mod service;
pub mod status;
pub mod tasks;
pub mod telemetry;
mod tls;
pub mod trace;
pub mod transport;
pub mod web;
mod wire;

/// A request allocates a hundred times; this allocator takes half the time of the system's for it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

pub use clock::Clock;
pub use config::Listen;
pub use credentials::{Credentials, generate_key};
pub use layers::auth::{Caller, Kind, MethodTable};
pub use layers::metrics::Metrics;
pub use peer::Peer;
pub use readiness::Readiness;
pub use serve::{Bound, bind, serve, shutdown_signal};
pub use service::{Service, ServiceBuilder, Stack};
pub use status::{FieldViolation, PreconditionViolation, bad_request, precondition, retry_later, status};
pub use tasks::Tasks;
pub use transport::{ClientTls, Transport};
