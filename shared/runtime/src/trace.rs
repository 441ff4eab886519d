//! W3C trace context through every call, over TCP and in process alike.

use std::convert::Infallible;
use std::task::{Context, Poll};
use std::time::{Instant, SystemTime};

use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use opentelemetry::KeyValue;
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};
use opentelemetry::trace::{Span as _, TraceContextExt, Tracer as _};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tonic::Code;
use tonic::body::Body;
use tower::Service;
use tracing::{Instrument, Span, field};
use tracing_opentelemetry::OpenTelemetrySpanExt;

use crate::layers::{Answer, Inner};
use crate::observe::observe;
use crate::telemetry;

/// Methods that are called so often that a span which nobody would see costs more than it is worth.
const FREQUENT: &str = "/inference.GRPCInferenceService/";

/// One server span for each RPC, child of the caller's if it sent one. Its `service.name` is inherited by the spans
/// below it, so that one process shows as five services. An inference has a span only where it is recorded.
#[derive(Clone)]
pub struct ServerTrace<S> {
    inner: S,
    service: &'static str,
}

impl<S> ServerTrace<S> {
    /// Spans of `service`.
    pub fn new(inner: S, service: &'static str) -> Self {
        Self { inner, service }
    }
}

impl<S: Inner> Service<Request<Body>> for ServerTrace<S> {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answer;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Answer {
        let span = span_of(self.service, request.uri().path(), request.headers());
        let answer = span.in_scope(|| self.inner.call(request));
        let (recorded, kept) = (span.clone(), span.clone());
        Box::pin(
            async move {
                let response = answer.await?;
                Ok(observe(response, kept, move |code| finish(&recorded, code, true)))
            }
            .instrument(span),
        )
    }
}

/// Puts the trace context of the current span into headers.
pub fn inject(headers: &mut HeaderMap) {
    inject_of(&Span::current(), headers);
}

fn span_of(service: &'static str, path: &str, headers: &HeaderMap) -> Span {
    let caller = extract(headers);
    let mut drawn = false;
    if path.starts_with(FREQUENT) && !caller.span().span_context().is_sampled() {
        // A caller that says "not sampled" has decided for both.
        drawn = !caller.span().span_context().is_valid() && telemetry::draw();
        if !drawn {
            return Span::none();
        }
    }
    let span = server_span(service, path, drawn.then_some(1));
    // Fails only where no telemetry is set up, and then there is nothing to tie together.
    let _ = span.set_parent(caller);
    span
}

/// The trace context in headers; empty if there is none or it is malformed.
pub fn extract(headers: &HeaderMap) -> opentelemetry::Context {
    if !headers.contains_key("traceparent") {
        return opentelemetry::Context::new();
    }
    TraceContextPropagator::new().extract_with_context(&opentelemetry::Context::new(), &Headers(headers))
}

/// The trace id of the current span as 32 hexadecimal digits, if it is part of a trace.
pub fn trace_id() -> Option<String> {
    let context = Span::current().context();
    let span = context.span().span_context().clone();
    span.is_valid().then(|| span.trace_id().to_string())
}

/// The `traceparent` of the current span, to store beside work that goes on later.
pub fn traceparent() -> Option<String> {
    if Span::current().is_disabled() {
        return None;
    }
    let mut headers = HeaderMap::new();
    inject(&mut headers);
    headers.get("traceparent").and_then(|value| value.to_str().ok()).map(str::to_owned)
}

/// Puts `span` under the span whose [`traceparent`] was stored: work that goes on later stays in its trace. A text that is no
/// `traceparent` leaves it as it is.
pub fn resume(span: &Span, traceparent: &str) {
    let mut headers = HeaderMap::new();
    if let Ok(value) = HeaderValue::from_str(traceparent) {
        headers.insert("traceparent", value);
        let _ = span.set_parent(extract(&headers));
    }
}

/// Records stages of the current span after they ended: where the trace is not sampled, a stage costs a comparison.
#[derive(Debug, Clone, Default)]
pub struct Stages(Option<opentelemetry::Context>);

impl Stages {
    /// Children of the span that the caller is in.
    pub fn of_this_span() -> Self {
        let context = telemetry::recorder().map(|_| Span::current().context());
        Self(context.filter(|context| context.span().span_context().is_sampled()))
    }

    /// A stage that lasted from `began` to `ended`, with what is to be said of it.
    pub fn record(
        &self,
        name: &'static str,
        began: Instant,
        ended: Instant,
        facts: impl FnOnce() -> Vec<(&'static str, String)>,
    ) {
        let (Some(context), Some(tracer)) = (&self.0, telemetry::recorder()) else { return };
        let (now, wall) = (Instant::now(), SystemTime::now());
        let at = |instant: Instant| wall - now.saturating_duration_since(instant);
        let facts = facts().into_iter().map(|(key, value)| KeyValue::new(key, value));
        let builder = tracer.span_builder(name).with_start_time(at(began)).with_attributes(facts);
        builder.start_with_context(tracer, context).end_with_timestamp(at(ended));
    }
}

pub(crate) fn inject_of(span: &Span, headers: &mut HeaderMap) {
    headers.remove("traceparent");
    headers.remove("tracestate");
    TraceContextPropagator::new().inject_context(&span.context(), &mut HeadersMut(headers));
}

pub(crate) fn client_span(path: &str) -> Span {
    let (service, method) = split(path);
    tracing::info_span!(
        "rpc.client",
        otel.name = path.trim_start_matches('/'),
        otel.kind = "client",
        otel.status_code = field::Empty,
        rpc.system = "grpc",
        rpc.service = service,
        rpc.method = method,
        rpc.grpc.status_code = field::Empty,
    )
}

fn server_span(name: &'static str, path: &str, drawn: Option<i64>) -> Span {
    let (service, method) = split(path);
    tracing::info_span!(
        parent: None,
        "rpc.server",
        otel.name = path.trim_start_matches('/'),
        otel.kind = "server",
        otel.status_code = field::Empty,
        service.name = name,
        rpc.system = "grpc",
        rpc.service = service,
        rpc.method = method,
        rpc.grpc.status_code = field::Empty,
        enduser.id = field::Empty,
        sampling.priority = drawn,
    )
}

/// Records the outcome. A server span fails only by the server's faults, as the semantic conventions have it.
pub(crate) fn finish(span: &Span, code: Code, server: bool) {
    span.record("rpc.grpc.status_code", i64::from(i32::from(code)));
    let faults =
        [Code::Unknown, Code::DeadlineExceeded, Code::Unimplemented, Code::Internal, Code::Unavailable];
    let failed = if server { faults.contains(&code) || code == Code::DataLoss } else { code != Code::Ok };
    if failed {
        span.record("otel.status_code", "ERROR");
    }
}

fn split(path: &str) -> (&str, &str) {
    path.trim_start_matches('/').split_once('/').unwrap_or((path, ""))
}

struct Headers<'a>(&'a HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).and_then(|value| value.to_str().ok())
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(HeaderName::as_str).collect()
    }
}

struct HeadersMut<'a>(&'a mut HeaderMap);

impl Injector for HeadersMut<'_> {
    fn set(&mut self, key: &str, value: String) {
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(key.as_bytes()), HeaderValue::from_str(&value))
        {
            self.0.insert(name, value);
        }
    }
}
