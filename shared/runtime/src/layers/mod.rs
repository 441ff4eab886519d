//! Tower layers of a service, one concern each. They are put on the service and not on the server, so that in-process
//! calls pass through them too.
//!
//! From the outside in: [`crate::trace`], metrics, access log, catch panic, wire codes, access, deadline, known fields,
//! handlers.

pub mod access_log;
pub mod auth;
pub mod catch_panic;
pub mod codes;
pub mod deadline;
pub(crate) mod known_fields;
pub mod metrics;

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;

use http::{Request, Response};
use tonic::body::Body;
use tower::Service;

/// The future of every layer.
pub(crate) type Answer = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

/// What a layer wraps: a clonable service of whole gRPC calls that never fails below gRPC.
pub trait Inner:
    Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send>
    + Clone
    + Send
    + Sync
    + 'static
{
}

impl<S> Inner for S where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send>
        + Clone
        + Send
        + Sync
        + 'static
{
}
