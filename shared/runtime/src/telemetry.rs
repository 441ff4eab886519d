//! Logs and traces of a process. One process may hold five services: each span goes to the exporter of the service
//! named by its `service.name`, or by its parent's, so that a trace viewer shows five.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use opentelemetry::trace::{Span as _, TraceContextExt, TracerProvider};
use opentelemetry::{Context, SpanId};
use opentelemetry_otlp::{SpanExporter, WithTonicConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{
    BatchSpanProcessor, Sampler, SdkTracerProvider, Span, SpanData, SpanProcessor,
};
use tokio::runtime::Handle;
use tonic::transport::{Channel, Endpoint};
use tracing_subscriber::filter::{EnvFilter, LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

use crate::config::{LogFormat, Telemetry};
use crate::logs::JsonLines;

/// The attribute that tells whose a span is.
const SERVICE_NAME: &str = "service.name";
/// More services than this in one process are a mistake; the rest share the process's exporter.
const MOST_SERVICES: usize = 16;
/// Spans remembered at a time, to know whose their children are.
const MOST_OPEN_SPANS: usize = 100_000;

tokio::task_local! {
    /// The service that a background task belongs to, for spans that have no parent to inherit it from.
    pub(crate) static SERVICE: &'static str;
}

/// Flushes what is left when dropped, so keep it until the end of `main`.
#[derive(Debug)]
#[must_use = "spans are flushed when this is dropped"]
pub struct Guard {
    provider: Option<SdkTracerProvider>,
}

impl Guard {
    /// Sends what has ended so far. Blocks; call it outside the runtime's threads or on a runtime with several.
    pub fn flush(&self) {
        if let Some(Err(error)) = self.provider.as_ref().map(SdkTracerProvider::force_flush) {
            tracing::warn!(%error, "spans could not be flushed");
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(provider) = self.provider.take() {
            let _ = provider.shutdown_with_timeout(Duration::from_secs(3)); // the process ends either way
        }
    }
}

/// Starts logs and traces for the process; `service` names the spans that say nothing else. Must run inside a tokio
/// runtime. A second call leaves the first in force and returns a guard that does nothing.
///
/// # Errors
/// If the filter or the endpoint cannot be understood.
pub fn init(service: &'static str, config: &Telemetry) -> anyhow::Result<Guard> {
    let filter = EnvFilter::try_new(&config.filter)
        .map_err(|cause| anyhow::anyhow!("telemetry.filter {:?}: {cause}", config.filter))?;
    if !(0.0..=1.0).contains(&config.sample_ratio) {
        anyhow::bail!("telemetry.sample_ratio {}: required 0..=1", config.sample_ratio);
    }
    let router = ByService::new(service, &config.otlp_endpoint)?;
    let provider = SdkTracerProvider::builder()
        .with_sampler(Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(config.sample_ratio))))
        .with_resource(resource(service))
        .with_span_processor(router)
        .build();
    // For spans that are recorded after they ended.
    opentelemetry::global::set_tracer_provider(provider.clone());
    let spans = tracing_opentelemetry::layer()
        .with_tracer(provider.tracer("wlp"))
        .with_location(false)
        .with_threads(false)
        .with_tracked_inactivity(false)
        .with_filter(traced());
    let subscriber = tracing_subscriber::registry().with(spans);
    let started = match config.log {
        LogFormat::Json => subscriber.with(JsonLines::default().with_filter(filter)).try_init(),
        LogFormat::Text => {
            let lines = fmt::layer().with_writer(std::io::stderr).compact();
            subscriber.with(lines.with_filter(filter)).try_init()
        }
    };
    Ok(Guard { provider: started.is_ok().then_some(provider) })
}

/// Our own spans; those of the transport would trace the export of traces.
fn traced() -> Targets {
    let quiet = ["h2", "hyper", "hyper_util", "tonic", "tower", "sqlx", "datafusion", "opentelemetry"];
    let off = quiet.map(|target| (target, LevelFilter::OFF));
    Targets::new().with_default(LevelFilter::INFO).with_targets(off)
}

fn resource(service: &str) -> Resource {
    Resource::builder().with_service_name(service.to_owned()).build()
}

/// Sends each span to the batch of its service.
#[derive(Debug)]
struct ByService {
    fallback: Arc<str>,
    to: Option<(Channel, Handle)>,
    batches: RwLock<HashMap<Arc<str>, Arc<BatchSpanProcessor>>>,
    open: Mutex<HashMap<SpanId, Arc<str>>>,
}

impl ByService {
    fn new(fallback: &str, endpoint: &str) -> anyhow::Result<Self> {
        let to = if endpoint.is_empty() {
            None
        } else {
            let channel = Endpoint::from_shared(endpoint.to_owned())
                .map_err(|cause| anyhow::anyhow!("telemetry.otlp_endpoint {endpoint:?}: {cause}"))?
                .connect_timeout(Duration::from_secs(2))
                .connect_lazy();
            Some((channel, Handle::try_current()?))
        };
        Ok(Self { fallback: fallback.into(), to, batches: RwLock::default(), open: Mutex::default() })
    }

    fn batch(&self, service: &Arc<str>) -> Option<Arc<BatchSpanProcessor>> {
        let (channel, handle) = self.to.as_ref()?;
        if let Some(batch) = self.batches.read().unwrap_or_else(PoisonError::into_inner).get(service) {
            return Some(batch.clone());
        }
        let mut batches = self.batches.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(batch) = batches.get(service) {
            return Some(batch.clone());
        }
        if MOST_SERVICES <= batches.len() {
            return batches.get(&self.fallback).cloned();
        }
        let _entered = handle.enter();
        let exporter = SpanExporter::builder().with_tonic().with_channel(channel.clone()).build().ok()?;
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
    fn on_start(&self, span: &mut Span, parent: &Context) {
        if self.to.is_none() {
            return;
        }
        let own = span.exported_data().and_then(|data| {
            let named = data.attributes.iter().find(|attribute| attribute.key.as_str() == SERVICE_NAME);
            named.map(|attribute| Arc::<str>::from(attribute.value.as_str().as_ref()))
        });
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let service = own
            .or_else(|| open.get(&parent.span().span_context().span_id()).cloned())
            .or_else(|| SERVICE.try_with(|service| Arc::from(*service)).ok())
            .unwrap_or_else(|| self.fallback.clone());
        if open.len() < MOST_OPEN_SPANS {
            open.insert(span.span_context().span_id(), service);
        }
    }

    fn on_end(&self, span: SpanData) {
        if self.to.is_none() {
            return;
        }
        let id = span.span_context.span_id();
        let service = self.open.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
        if let Some(batch) = self.batch(service.as_ref().unwrap_or(&self.fallback)) {
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
