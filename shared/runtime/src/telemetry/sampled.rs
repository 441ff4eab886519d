//! Which calls are recorded: those of a recorded caller, and a share of the others.

use opentelemetry::trace::{Link, SpanKind, TraceId};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::{
    IdGenerator, RandomIdGenerator, Sampler, SamplingDecision, SamplingResult, ShouldSample,
};

/// The attribute of a span that was drawn before it was made, as OpenTracing names it.
const DRAWN: &str = "sampling.priority";

/// A share of the roots.
#[derive(Debug, Clone)]
pub(super) struct Share(Sampler);

impl Share {
    /// `ratio` is 0..=1.
    pub(super) fn new(ratio: f64) -> Self {
        Self(Sampler::TraceIdRatioBased(ratio))
    }

    /// Decides for a call before there is a span of it.
    pub(super) fn draw(&self) -> bool {
        let trace = RandomIdGenerator::default().new_trace_id();
        let sampling = self.0.should_sample(None, trace, "", &SpanKind::Server, &[], &[]);
        sampling.decision == SamplingDecision::RecordAndSample
    }
}

impl ShouldSample for Share {
    fn should_sample(
        &self,
        parent: Option<&Context>,
        trace: TraceId,
        name: &str,
        kind: &SpanKind,
        attributes: &[KeyValue],
        links: &[Link],
    ) -> SamplingResult {
        let drawn = attributes.iter().any(|attribute| attribute.key.as_str() == DRAWN);
        let sampler = if drawn { &Sampler::AlwaysOn } else { &self.0 };
        sampler.should_sample(parent, trace, name, kind, attributes, links)
    }
}
