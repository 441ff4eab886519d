//! A collector of traces: takes OTLP over gRPC and keeps the spans of the traces that a test asked for.

use std::collections::{BTreeSet, HashSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use tonic::{Request, Response, Status};

/// One span, and whose it is.
#[derive(Debug, Clone)]
pub struct Seen {
    /// `service.name` of the resource.
    pub service: String,
    /// Its name.
    pub name: String,
    /// 16 hexadecimal digits.
    pub id: String,
    /// Of the parent; empty for a root.
    pub parent: String,
    /// 32 hexadecimal digits.
    pub trace: String,
    /// Traces that it links to.
    pub links: Vec<String>,
}

/// The receiver; clones share what was received.
#[derive(Clone, Default)]
pub struct Collector {
    kept: Arc<Mutex<Vec<Seen>>>,
    wanted: Arc<Mutex<HashSet<String>>>,
    all: bool,
}

impl Collector {
    /// Listens on a free port; keeps only wanted traces, or all of them.
    ///
    /// # Panics
    /// If no port can be had.
    pub async fn start(all: bool) -> (Self, SocketAddr) {
        let collector = Self { all, ..Self::default() };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("its address");
        let server =
            tonic::transport::Server::builder().add_service(TraceServiceServer::new(collector.clone()));
        tokio::spawn(server.serve_with_incoming(tokio_stream::wrappers::TcpListenerStream::new(listener)));
        (collector, address)
    }

    /// Keeps the spans of this trace from now on.
    pub fn want(&self, trace: &str) {
        lock(&self.wanted).insert(trace.to_owned());
    }

    /// What came of a trace so far.
    pub fn trace(&self, trace: &str) -> Vec<Seen> {
        lock(&self.kept).iter().filter(|span| span.trace == trace).cloned().collect()
    }

    /// Every trace that has a span of that name.
    pub fn traces_with(&self, name: &str) -> BTreeSet<String> {
        lock(&self.kept).iter().filter(|span| span.name == name).map(|span| span.trace.clone()).collect()
    }

    /// What came of a trace, once it satisfies `enough`.
    ///
    /// # Panics
    /// With what came, if it never does.
    pub async fn trace_with(&self, trace: &str, enough: impl Fn(&[Seen]) -> bool) -> Vec<Seen> {
        let begun = std::time::Instant::now();
        loop {
            let spans = self.trace(trace);
            if enough(&spans) {
                return spans;
            }
            let shown: Vec<_> = spans.iter().map(|span| format!("{} {}", span.service, span.name)).collect();
            assert!(begun.elapsed().as_secs() < 60, "trace {trace} has only {shown:#?}");
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    }
}

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        for resource in request.into_inner().resource_spans {
            let attributes = resource.resource.map(|it| it.attributes).unwrap_or_default();
            let named = attributes.into_iter().find(|it| it.key == "service.name");
            let service = match named.and_then(|it| it.value).and_then(|it| it.value) {
                Some(Value::StringValue(name)) => name,
                _ => String::new(),
            };
            for span in resource.scope_spans.into_iter().flat_map(|scope| scope.spans) {
                let seen = seen(&service, span);
                if self.all || lock(&self.wanted).contains(&seen.trace) {
                    lock(&self.kept).push(seen);
                }
            }
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

fn seen(service: &str, span: Span) -> Seen {
    Seen {
        service: service.to_owned(),
        name: span.name,
        id: hex::encode(span.span_id),
        parent: hex::encode(span.parent_span_id),
        trace: hex::encode(span.trace_id),
        links: span.links.into_iter().map(|link| hex::encode(link.trace_id)).collect(),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
