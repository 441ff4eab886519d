//! One line for each RPC: method, code, milliseconds, principal.

use std::convert::Infallible;
use std::task::{Context, Poll};
use std::time::Instant;

use http::{Request, Response};
use tonic::Code;
use tonic::body::Body;
use tower::Service;
use tracing::Span;

use super::auth::Principal;
use super::{Answer, Inner};
use crate::observe::{name, observe};

/// Logs the calls of `inner`: errors of ours as warnings, the rest at info; health checks only at debug.
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
                let ms = start.elapsed().as_secs_f64() * 1e3;
                line(service, &method, code, ms, principal.as_deref().unwrap_or("-"));
            }))
        })
    }
}

fn line(service: &str, method: &str, code: Code, ms: f64, principal: &str) {
    let code_name = name(code);
    if matches!(code, Code::Internal | Code::Unknown | Code::DataLoss) {
        tracing::warn!(service, method, code = code_name, ms, principal, "rpc");
    } else if method.starts_with("/grpc.") {
        tracing::debug!(service, method, code = code_name, ms, principal, "rpc");
    } else {
        tracing::info!(service, method, code = code_name, ms, principal, "rpc");
    }
}
