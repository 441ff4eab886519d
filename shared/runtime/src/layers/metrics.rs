//! Counts RPCs and their durations for Prometheus.

use std::collections::{HashMap, HashSet};
use std::convert::Infallible;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
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

    /// `io.prometheus.client.MetricFamily` messages, each with its length before it: with native histograms, which text has
    /// no room for.
    ///
    /// # Errors
    /// If a metric of the service cannot be written.
    pub fn encode_protobuf(&self) -> Result<Vec<u8>, std::fmt::Error> {
        let registry = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        prometheus_client::encoding::prometheus_protobuf::encode_to_vec(&registry)
            .map_err(|_| std::fmt::Error)
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

/// Codes of gRPC, 0 to 16.
const CODES: usize = 17;

#[derive(Clone)]
struct Families {
    service: &'static str,
    handled: Family<Handled, Counter>,
    duration: Family<Called, Histogram>,
}

/// The series of one method: found by its labels once, at its first call (a series that nobody has called is not shown),
/// and counted in from then on without making labels.
struct Series {
    families: Families,
    method: String,
    duration: OnceLock<Histogram>,
    handled: [OnceLock<Counter>; CODES],
}

impl Series {
    fn new(families: &Families, method: &str) -> Arc<Self> {
        let (duration, handled) = (OnceLock::new(), std::array::from_fn(|_| OnceLock::new()));
        Arc::new(Self { families: families.clone(), method: method.to_owned(), duration, handled })
    }

    fn duration(&self) -> &Histogram {
        self.duration.get_or_init(|| {
            let labels = Called { service: self.families.service, method: self.method.clone() };
            self.families.duration.get_or_create(&labels).clone()
        })
    }

    fn handled(&self, code: Code) -> &Counter {
        self.handled[code as usize].get_or_init(|| {
            let (service, method) = (self.families.service, self.method.clone());
            self.families.handled.get_or_create(&Handled { service, method, code: name(code) }).clone()
        })
    }
}

/// `wlp_rpc_handled_total{service,method,code}` and `wlp_rpc_duration_seconds{service,method}`.
#[derive(Clone)]
pub struct RpcMetrics<S> {
    inner: S,
    known: Arc<HashMap<String, Arc<Series>>>,
    unknown: Arc<Series>,
}

impl<S> RpcMetrics<S> {
    /// Only paths in `known` become labels; a caller cannot invent any.
    #[allow(clippy::needless_pass_by_value)] // the builder has no other use for it
    pub fn new(inner: S, service: &'static str, known: Arc<HashSet<String>>, metrics: &Metrics) -> Self {
        let handled = Family::<Handled, Counter>::default();
        let duration = Family::<Called, Histogram>::new_with_constructor(|| Histogram::new(BUCKETS));
        metrics.register(|registry| {
            registry.register("wlp_rpc_handled", "RPCs answered, by code", handled.clone());
            registry.register("wlp_rpc_duration_seconds", "Time to the end of the answer", duration.clone());
        });
        let families = Families { service, handled, duration };
        let series = |path: &String| (path.clone(), Series::new(&families, path.trim_start_matches('/')));
        let known = Arc::new(known.iter().map(series).collect());
        Self { inner, known, unknown: Series::new(&families, "unknown") }
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
        let series = self.known.get(request.uri().path()).unwrap_or(&self.unknown).clone();
        let start = Instant::now();
        let answer = self.inner.call(request);
        Box::pin(async move {
            let response = answer.await?;
            Ok(observe(response, Span::current(), move |code: Code| {
                series.duration().observe(start.elapsed().as_secs_f64());
                series.handled(code).inc();
            }))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_series_is_found_once_and_shown_only_when_it_was_called() {
        let metrics = Metrics::new();
        let known = ["/a.Service/Called", "/a.Service/Silent"].map(String::from);
        let layer = RpcMetrics::new((), "a", Arc::new(known.into()), &metrics);
        let series = |path: &str| layer.known.get(path).unwrap_or(&layer.unknown);
        for code in [Code::Ok, Code::Ok, Code::Unauthenticated] {
            series("/a.Service/Called").handled(code).inc();
        }
        series("/invented").handled(Code::Unimplemented).inc();
        series("/a.Service/Called").duration().observe(0.5);
        let called = series("/a.Service/Called");
        assert!(std::ptr::eq(called.handled(Code::Ok), called.handled(Code::Ok)));
        assert_eq!(called.handled(Code::Ok).get(), 2);
        let text = metrics.encode().expect("text");
        for line in [
            r#"wlp_rpc_handled_total{service="a",method="a.Service/Called",code="OK"} 2"#,
            r#"wlp_rpc_handled_total{service="a",method="a.Service/Called",code="UNAUTHENTICATED"} 1"#,
            r#"wlp_rpc_handled_total{service="a",method="unknown",code="UNIMPLEMENTED"} 1"#,
            r#"wlp_rpc_duration_seconds_count{service="a",method="a.Service/Called"} 1"#,
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
        assert!(!text.contains("Silent") && !text.contains("invented"), "{text}");
        let families = prometheus_client::encoding::prometheus_protobuf::encode;
        let families = metrics.register(|registry| families(registry)).expect("families");
        let names: Vec<&str> = families.iter().map(|family| family.name.as_str()).collect();
        assert_eq!(names, ["wlp_rpc_handled_total", "wlp_rpc_duration_seconds"]);
        let bytes = metrics.encode_protobuf().expect("bytes");
        let mut rest = bytes.as_slice();
        for family in families {
            assert_eq!(prost::Message::decode_length_delimited(&mut rest), Ok(family));
        }
        assert!(rest.is_empty());
    }
}
