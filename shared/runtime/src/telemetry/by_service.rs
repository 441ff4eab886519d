//! Whose a span is: of the service named by its `service.name`, or else by its parent's.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use opentelemetry::trace::{Span as _, SpanBuilder, TraceContextExt, Tracer};
use opentelemetry::{Context, SpanId};
use opentelemetry_otlp::{SpanExporter, WithTonicConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{BatchSpanProcessor, SdkTracer, Span, SpanData, SpanProcessor};
use tokio::runtime::Handle;
use tonic::transport::{Channel, Endpoint};

use super::SERVICE;

/// The attribute that tells whose a span is.
const SERVICE_NAME: &str = "service.name";
/// More services than this in one process are a mistake; the rest share the process's exporter.
const MOST_SERVICES: usize = 16;
/// Parts of the table of open spans: threads that begin and end spans at the same time seldom want the same one.
const PARTS: usize = 64;
/// Spans remembered at a time in one part, to know whose their children are.
const MOST_OPEN: usize = 2_000;

/// The services of the spans that have begun and not ended.
#[derive(Debug)]
pub(crate) struct Owners {
    fallback: Arc<str>,
    parts: [Mutex<HashMap<SpanId, Arc<str>>>; PARTS],
    hasher: RandomState,
}

impl Owners {
    /// `fallback` names the spans that say nothing else.
    pub(super) fn new(fallback: &str) -> Arc<Self> {
        let parts = std::array::from_fn(|_| Mutex::default());
        Arc::new(Self { fallback: fallback.into(), parts, hasher: RandomState::new() })
    }

    fn part(&self, id: SpanId) -> MutexGuard<'_, HashMap<SpanId, Arc<str>>> {
        let place = self.hasher.hash_one(id) as usize % PARTS;
        self.parts[place].lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn of(&self, id: SpanId) -> Option<Arc<str>> {
        self.part(id).get(&id).cloned()
    }

    fn begins(&self, id: SpanId, service: Arc<str>) {
        let mut part = self.part(id);
        if part.len() < MOST_OPEN {
            part.insert(id, service);
        }
    }

    fn ends(&self, id: SpanId) -> Arc<str> {
        self.part(id).remove(&id).unwrap_or_else(|| self.fallback.clone())
    }
}

/// Begins spans and notes whose they are, before anything of them is copied.
#[derive(Debug, Clone)]
pub(crate) struct Owned {
    pub(super) tracer: SdkTracer,
    pub(super) owners: Arc<Owners>,
}

impl Tracer for Owned {
    type Span = Span;

    fn build_with_context(&self, builder: SpanBuilder, parent: &Context) -> Span {
        let mut attributes = builder.attributes.iter().flatten();
        let named = attributes.find(|attribute| attribute.key.as_str() == SERVICE_NAME);
        let named = named.map(|attribute| Arc::<str>::from(attribute.value.as_str().as_ref()));
        let span = self.tracer.build_with_context(builder, parent);
        if span.is_recording() {
            let service = named
                .or_else(|| self.owners.of(parent.span().span_context().span_id()))
                .or_else(|| SERVICE.try_with(|service| Arc::from(*service)).ok())
                .unwrap_or_else(|| self.owners.fallback.clone());
            self.owners.begins(span.span_context().span_id(), service);
        }
        span
    }
}

/// Sends each span to the batch of its service.
#[derive(Debug)]
pub(super) struct ByService {
    owners: Arc<Owners>,
    channel: Channel,
    handle: Handle,
    batches: RwLock<HashMap<Arc<str>, Arc<BatchSpanProcessor>>>,
}

impl ByService {
    /// Sends to an OTLP endpoint; must be made inside a tokio runtime.
    ///
    /// # Errors
    /// If the endpoint is no address.
    pub(super) fn new(owners: Arc<Owners>, endpoint: &str) -> anyhow::Result<Self> {
        let channel = Endpoint::from_shared(endpoint.to_owned())
            .map_err(|cause| anyhow::anyhow!("telemetry.otlp_endpoint {endpoint:?}: {cause}"))?
            .connect_timeout(Duration::from_secs(2))
            .connect_lazy();
        Ok(Self { owners, channel, handle: Handle::try_current()?, batches: RwLock::default() })
    }

    fn batch(&self, service: &Arc<str>) -> Option<Arc<BatchSpanProcessor>> {
        if let Some(batch) = self.batches.read().unwrap_or_else(PoisonError::into_inner).get(service) {
            return Some(batch.clone());
        }
        let mut batches = self.batches.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(batch) = batches.get(service) {
            return Some(batch.clone());
        }
        if MOST_SERVICES <= batches.len() {
            return batches.get(&self.owners.fallback).cloned();
        }
        let _entered = self.handle.enter();
        let exporter =
            SpanExporter::builder().with_tonic().with_channel(self.channel.clone()).build().ok()?;
        let mut batch = BatchSpanProcessor::builder(exporter).build();
        batch.set_resource(&resource(service));
        let batch = Arc::new(batch);
        batches.insert(service.clone(), batch.clone());
        Some(batch)
    }

    fn each(&self, work: impl Fn(&BatchSpanProcessor) -> OTelSdkResult) -> OTelSdkResult {
        let batches: Vec<_> =
            self.batches.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect();
        batches.iter().map(|batch| work(batch)).fold(Ok(()), OTelSdkResult::and)
    }
}

impl SpanProcessor for ByService {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        let service = self.owners.ends(span.span_context.span_id());
        if let Some(batch) = self.batch(&service) {
            batch.on_end(span);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.each(SpanProcessor::force_flush)
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.each(|batch| batch.shutdown_with_timeout(timeout))
    }
}

pub(super) fn resource(service: &str) -> Resource {
    Resource::builder().with_service_name(service.to_owned()).build()
}

#[cfg(test)]
mod tests {
    use opentelemetry::KeyValue;
    use opentelemetry::trace::TracerProvider;
    use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};

    use super::*;

    fn owned(sampler: Sampler) -> Owned {
        let provider = SdkTracerProvider::builder().with_sampler(sampler).build();
        Owned { tracer: provider.tracer("test"), owners: Owners::new("process") }
    }

    fn begin(by: &Owned, name: Option<&'static str>, parent: &Context) -> (SpanId, Context) {
        let attributes = name.map(|name| KeyValue::new(SERVICE_NAME, name));
        let span = by.build_with_context(SpanBuilder::from_name("span").with_attributes(attributes), parent);
        (span.span_context().span_id(), parent.with_span(span))
    }

    #[test]
    fn a_span_is_its_parents_unless_it_is_named() {
        let by = owned(Sampler::AlwaysOn);
        let (root, outer) = begin(&by, None, &Context::new());
        let (server, served) = begin(&by, Some("registry"), &outer);
        let (child, inner) = begin(&by, None, &served);
        let (grandchild, _kept) = begin(&by, None, &inner);
        let of = |id| by.owners.of(id).map(|service| service.to_string());
        assert_eq!(of(root).as_deref(), Some("process"));
        for id in [server, child, grandchild] {
            assert_eq!(of(id).as_deref(), Some("registry"));
        }
        assert_eq!(&*by.owners.ends(child), "registry");
        assert_eq!(of(child), None, "what has ended is forgotten");
    }

    #[test]
    fn a_span_that_is_not_recorded_takes_no_room() {
        let by = owned(Sampler::AlwaysOff);
        let (id, _kept) = begin(&by, Some("registry"), &Context::new());
        assert_eq!(by.owners.of(id), None);
    }

    /// Spans that begin at the same time are spread over the table.
    #[test]
    fn spans_do_not_share_one_lock() {
        let owners = Owners::new("process");
        for number in 1..=6_400_u64 {
            owners.begins(SpanId::from(number), owners.fallback.clone());
        }
        let fullest = owners.parts.iter().map(|part| part.lock().map_or(0, |part| part.len())).max();
        assert!(fullest.is_some_and(|most| most < 200), "{fullest:?}");
    }
}
