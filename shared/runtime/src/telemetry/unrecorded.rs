//! Trace ids without traces: where nobody takes spans, none is recorded, but log lines still carry the ids of their trace,
//! and a caller's trace goes on in the services behind this one.

use std::borrow::Cow;
use std::time::SystemTime;

use opentelemetry::trace::{
    Span, SpanBuilder, SpanContext, SpanKind, Status, TraceContextExt, TraceFlags, TraceState, Tracer,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::{IdGenerator, RandomIdGenerator, Sampler, SamplingDecision, ShouldSample};

/// Gives spans an id and nothing else. A span inherits its parent's trace, state and sampling; the first of a trace is
/// sampled by its id, for the services that do record.
#[derive(Debug)]
pub(super) struct Unrecorded {
    ids: RandomIdGenerator,
    roots: Sampler,
}

impl Unrecorded {
    pub(super) fn new(sample_ratio: f64) -> Self {
        Self { ids: RandomIdGenerator::default(), roots: Sampler::TraceIdRatioBased(sample_ratio) }
    }

    fn root(&self) -> SpanContext {
        let trace = self.ids.new_trace_id();
        let sampling = self.roots.should_sample(None, trace, "", &SpanKind::Internal, &[], &[]);
        let sampled = sampling.decision == SamplingDecision::RecordAndSample;
        let flags = TraceFlags::default().with_sampled(sampled);
        SpanContext::new(trace, self.ids.new_span_id(), flags, false, TraceState::default())
    }
}

impl Tracer for Unrecorded {
    type Span = Ids;

    fn build_with_context(&self, _: SpanBuilder, parent: &Context) -> Ids {
        let span = parent.span();
        let parent = span.span_context();
        if !parent.is_valid() {
            return Ids(self.root());
        }
        let (trace, flags, state) = (parent.trace_id(), parent.trace_flags(), parent.trace_state().clone());
        Ids(SpanContext::new(trace, self.ids.new_span_id(), flags, false, state))
    }
}

/// A span of which only the ids are known.
#[derive(Debug)]
pub(super) struct Ids(SpanContext);

impl Span for Ids {
    fn add_event_with_timestamp<T: Into<Cow<'static, str>>>(
        &mut self,
        _: T,
        _: SystemTime,
        _: Vec<KeyValue>,
    ) {
    }

    fn span_context(&self) -> &SpanContext {
        &self.0
    }

    fn is_recording(&self) -> bool {
        false
    }

    fn set_attribute(&mut self, _: KeyValue) {}

    fn set_status(&mut self, _: Status) {}

    fn update_name<T: Into<Cow<'static, str>>>(&mut self, _: T) {}

    fn add_link(&mut self, _: SpanContext, _: Vec<KeyValue>) {}

    fn end_with_timestamp(&mut self, _: SystemTime) {}
}
