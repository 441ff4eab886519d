//! JSON log lines that carry the ids of the trace they belong to.

use std::fmt::Debug;
use std::io::Write;
use std::sync::OnceLock;
use std::time::SystemTime;

use opentelemetry::trace::TraceContextExt;
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Dispatch, Event, Subscriber, dispatcher::WeakDispatch};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

/// Writes each event as one object on stderr: `timestamp`, `level`, `target`, its fields, `trace_id`, `span_id`.
#[derive(Default)]
pub(crate) struct JsonLines {
    dispatch: OnceLock<WeakDispatch>,
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for JsonLines {
    fn on_register_dispatch(&self, dispatch: &Dispatch) {
        let _ = self.dispatch.set(dispatch.downgrade());
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut line = Fields(Map::new());
        let now = prost_types::Timestamp::from(SystemTime::now());
        line.put("timestamp", now.to_string());
        line.put("level", event.metadata().level().as_str());
        line.put("target", event.metadata().target());
        event.record(&mut line);
        if let (Some(span), Some(dispatch)) =
            (context.event_span(event), self.dispatch.get().and_then(WeakDispatch::upgrade))
            && let Some(trace) = tracing_opentelemetry::get_otel_context(&span.id(), &dispatch)
        {
            let ids = trace.span().span_context().clone();
            if ids.is_valid() {
                line.put("trace_id", ids.trace_id().to_string());
                line.put("span_id", ids.span_id().to_string());
            }
        }
        let mut text = Value::Object(line.0).to_string();
        text.push('\n');
        let _ = std::io::stderr().write_all(text.as_bytes()); // there is nowhere else to complain
    }
}

struct Fields(Map<String, Value>);

impl Fields {
    fn put(&mut self, name: &str, value: impl Into<Value>) {
        self.0.insert(name.to_owned(), value.into());
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.put(field.name(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field.name(), value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field.name(), value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field.name(), value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field.name(), value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field.name(), value);
    }
}
