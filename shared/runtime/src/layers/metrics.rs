//! Counts RPCs and their durations for Prometheus.

use std::collections::HashSet;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Instant;

use http::{Request, Response};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use tonic::Code;
use tonic::body::Body;
use tower::Service;
use tracing::Span;

use super::{Answer, Inner};
use crate::observe::{name, observe};

/// Upper bounds of the duration histogram in seconds.
const BUCKETS: [f64; 14] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 30.0];

/// The metrics of one service; clones share it. Names are whole: `wlp_gateway_infer_duration_seconds`.
#[derive(Clone, Debug, Default)]
pub struct Metrics(Arc<Mutex<Registry>>);

impl Metrics {
    /// Nothing registered yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Registers with the registry inside.
    pub fn register<T>(&self, work: impl FnOnce(&mut Registry) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// OpenMetrics text.
    ///
    /// # Errors
    /// If a metric of the service cannot be written.
    pub fn encode(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        let registry = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        prometheus_client::encoding::text::encode(&mut text, &registry)?;
        Ok(text)
    }
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Handled {
    service: &'static str,
    method: String,
    code: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Called {
    service: &'static str,
    method: String,
}

/// `wlp_rpc_handled_total{service,method,code}` and `wlp_rpc_duration_seconds{service,method}`.
#[derive(Clone)]
pub struct RpcMetrics<S> {
    inner: S,
    service: &'static str,
    known: Arc<HashSet<String>>,
    handled: Family<Handled, Counter>,
    duration: Family<Called, Histogram>,
}

impl<S> RpcMetrics<S> {
    /// Only paths in `known` become labels; a caller cannot invent any.
    pub fn new(inner: S, service: &'static str, known: Arc<HashSet<String>>, metrics: &Metrics) -> Self {
        let handled = Family::<Handled, Counter>::default();
        let duration = Family::<Called, Histogram>::new_with_constructor(|| Histogram::new(BUCKETS));
        metrics.register(|registry| {
            registry.register("wlp_rpc_handled", "RPCs answered, by code", handled.clone());
            registry.register("wlp_rpc_duration_seconds", "Time to the end of the answer", duration.clone());
        });
        Self { inner, service, known, handled, duration }
    }
}

impl<S: Inner> Service<Request<Body>> for RpcMetrics<S> {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answer;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Answer {
        let path = request.uri().path();
        let method = if self.known.contains(path) {
            path.trim_start_matches('/').to_owned()
        } else {
            "unknown".into()
        };
        let (service, start) = (self.service, Instant::now());
        let (handled, duration) = (self.handled.clone(), self.duration.clone());
        let answer = self.inner.call(request);
        Box::pin(async move {
            let response = answer.await?;
            Ok(observe(response, Span::current(), move |code: Code| {
                duration
                    .get_or_create(&Called { service, method: method.clone() })
                    .observe(start.elapsed().as_secs_f64());
                handled.get_or_create(&Handled { service, method, code: name(code) }).inc();
            }))
        })
    }
}
