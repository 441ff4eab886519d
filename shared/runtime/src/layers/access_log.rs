//! One line for each RPC: method, code, milliseconds, principal.

use std::convert::Infallible;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use http::{Request, Response};
use tonic::Code;
use tonic::body::Body;
use tower::Service;
use tracing::{Level, Span};

use super::auth::Principal;
use super::{Answer, Inner};
use crate::observe::{name, observe};

/// Health checks and reflection: whoever calls them, nothing is to be said of it.
const CHECKS: &str = "/grpc.";
/// A service whose calls are too many for a line each.
const INFERENCE: &str = "/inference.GRPCInferenceService/";
/// An answer that took longer is worth a line all the same.
const SLOW: Duration = Duration::from_secs(1);

/// Logs the calls of `inner`: errors of ours as warnings, the rest at info; at debug only health checks, and inference that
/// was answered in time.
#[derive(Clone)]
pub struct AccessLog<S> {
    inner: S,
    service: &'static str,
}

impl<S> AccessLog<S> {
    /// `service` is named in each line.
    pub fn new(inner: S, service: &'static str) -> Self {
        Self { inner, service }
    }
}

impl<S: Inner> Service<Request<Body>> for AccessLog<S> {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answer;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Answer {
        let (service, method, start) = (self.service, request.uri().path().to_owned(), Instant::now());
        let answer = self.inner.call(request);
        Box::pin(async move {
            let response = answer.await?;
            let principal = response.extensions().get::<Principal>().map(|who| who.0.clone());
            Ok(observe(response, Span::current(), move |code| {
                line(service, &method, code, start.elapsed(), principal.as_deref().unwrap_or("-"));
            }))
        })
    }
}

fn line(service: &str, method: &str, code: Code, took: Duration, principal: &str) {
    let (code_name, ms) = (name(code), took.as_secs_f64() * 1e3);
    match level(method, code, took) {
        Level::WARN => tracing::warn!(service, method, code = code_name, ms, principal, "rpc"),
        Level::DEBUG => tracing::debug!(service, method, code = code_name, ms, principal, "rpc"),
        _ => tracing::info!(service, method, code = code_name, ms, principal, "rpc"),
    }
}

fn level(method: &str, code: Code, took: Duration) -> Level {
    match code {
        Code::Internal | Code::Unknown | Code::DataLoss => Level::WARN,
        _ if method.starts_with(CHECKS) => Level::DEBUG,
        Code::Ok if method.starts_with(INFERENCE) && took < SLOW => Level::DEBUG,
        _ => Level::INFO,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inference_has_a_line_only_where_something_is_to_be_said() {
        let (infer, quick) = ("/inference.GRPCInferenceService/ModelInfer", Duration::from_millis(3));
        assert_eq!(level(infer, Code::Ok, quick), Level::DEBUG);
        assert_eq!(level(infer, Code::Ok, SLOW), Level::INFO);
        for refused in [Code::InvalidArgument, Code::ResourceExhausted, Code::Unavailable] {
            assert_eq!(level(infer, refused, quick), Level::INFO);
        }
        assert_eq!(level(infer, Code::Internal, quick), Level::WARN);
        assert_eq!(level("/wlp.registry.v1.ModelService/GetModel", Code::Ok, quick), Level::INFO);
        assert_eq!(level("/grpc.health.v1.Health/Watch", Code::Cancelled, SLOW), Level::DEBUG);
    }
}
