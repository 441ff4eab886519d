//! The Open Inference Protocol v2 over HTTP/REST, with Triton's extensions.
//!
//! A request becomes the protobuf message of the same meaning and goes through the service's own gRPC stack in this process
//! (`call.rs`); the answer becomes JSON, or JSON and the tensors' bytes behind it. Nothing is decided here.
//!
//! - `infer.rs` infers: `request.rs` reads, `response.rs` writes, `raw.rs` takes a lone tensor without any JSON.
//! - `stated.rs`, `repository.rs`, `settings.rs`, `memory.rs`: the rest of the protocol.
//! - `scan.rs`, `fields.rs`, `elements.rs` read JSON; `shown.rs` and `data.rs` write it; `body.rs` takes bodies in.
//!
//! Answers are not compressed, whatever a client says that it could unpack: most are small, and it may not want to wait.

mod answer;
mod body;
mod call;
mod data;
mod elements;
mod fields;
mod infer;
mod memory;
mod raw;
mod repository;
mod request;
mod response;
mod scan;
mod settings;
mod shown;
mod stated;

use axum::Router;
use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use axum::routing::{MethodRouter, get, post};
use runtime::{FieldViolation, Peer};
use serde::Deserialize;

use answer::Refused;

use crate::incoming::Incoming;

/// What every handler has.
#[derive(Clone)]
pub struct Rest {
    /// The service itself, called without a key of its own.
    peer: Peer,
    /// Bytes of a body at most.
    most: usize,
    /// Where bodies count while they come.
    incoming: Incoming,
}

/// The routes of the protocol over `peer`, which is the service itself; bodies have at most `most` bytes.
pub fn router(peer: Peer, most: usize, incoming: &Incoming) -> Router {
    let routes = Router::new()
        .route("/v2", get(stated::server))
        .route("/v2/", get(stated::server))
        .route("/v2/health/live", get(stated::live))
        .route("/v2/health/ready", get(stated::ready))
        .route("/v2/models/stats", get(stated::statistics))
        .route("/v2/models/{model}/trace/setting", get(settings::trace).post(settings::set_trace))
        .route("/v2/trace/setting", get(settings::trace).post(settings::set_trace))
        .route("/v2/logging", get(settings::log).post(settings::set_log));
    let routes = of_model(routes, "", &get(stated::metadata));
    let routes = of_model(routes, "/ready", &get(stated::model_ready));
    let routes = of_model(routes, "/config", &get(stated::config));
    let routes = of_model(routes, "/stats", &get(stated::statistics));
    let routes = of_model(routes, "/infer", &post(infer::infer));
    let routes = of_repository(routes, "/index", &post(repository::index));
    let routes = of_repository(routes, "/models/{model}/load", &post(repository::load));
    let routes = of_repository(routes, "/models/{model}/unload", &post(repository::unload));
    routes
        .route("/v2/systemsharedmemory/status", get(memory::system_status))
        .route("/v2/systemsharedmemory/unregister", post(memory::system_unregister))
        .route("/v2/systemsharedmemory/region/{region}/status", get(memory::system_status))
        .route("/v2/systemsharedmemory/region/{region}/register", post(memory::system_register))
        .route("/v2/systemsharedmemory/region/{region}/unregister", post(memory::system_unregister))
        .route("/v2/cudasharedmemory/status", get(memory::cuda_status))
        .route("/v2/cudasharedmemory/unregister", post(memory::cuda_unregister))
        .route("/v2/cudasharedmemory/region/{region}/status", get(memory::cuda_status))
        .route("/v2/cudasharedmemory/region/{region}/register", post(memory::cuda_register))
        .route("/v2/cudasharedmemory/region/{region}/unregister", post(memory::cuda_unregister))
        .fallback(answer::not_found)
        .method_not_allowed_fallback(answer::not_allowed)
        .with_state(Rest { peer, most, incoming: incoming.clone() })
}

/// A path below a model, and below one of its versions.
fn of_model(routes: Router<Rest>, tail: &str, method: &MethodRouter<Rest>) -> Router<Rest> {
    routes
        .route(&format!("/v2/models/{{model}}{tail}"), method.clone())
        .route(&format!("/v2/models/{{model}}/versions/{{version}}{tail}"), method.clone())
}

/// A path below the repository, and below a named one.
fn of_repository(routes: Router<Rest>, tail: &str, method: &MethodRouter<Rest>) -> Router<Rest> {
    routes
        .route(&format!("/v2/repository{tail}"), method.clone())
        .route(&format!("/v2/repository/{{repository}}{tail}"), method.clone())
}

/// The names in a path; those that its route does not have are empty.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Names {
    model: String,
    version: String,
    repository: String,
    region: String,
}

impl<S: Send + Sync> FromRequestParts<S> for Names {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refused> {
        let names = Path::<Self>::from_request_parts(parts, state).await;
        names.map(|Path(names)| names).map_err(|error| {
            Refused(runtime::bad_request(vec![FieldViolation::new("the path", error.body_text())]))
        })
    }
}
