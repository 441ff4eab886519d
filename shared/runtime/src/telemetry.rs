//! Logs and traces of a process. One process may hold five services: each span goes to the exporter of the service
//! named by its `service.name`, or by its parent's, so that a trace viewer shows five.

mod by_service;
mod sampled;
mod unrecorded;

use std::sync::OnceLock;
use std::time::Duration;

use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
use tracing::Metadata;
use tracing_opentelemetry::OpenTelemetryLayer;
use tracing_subscriber::filter::{EnvFilter, FilterExt, LevelFilter, Targets, filter_fn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry, fmt};

use crate::config::{LogFormat, Telemetry};
use crate::logs::JsonLines;
use by_service::{ByService, Owned, Owners};
use sampled::Share;
use unrecorded::Unrecorded;

tokio::task_local! {
    /// The service that a background task belongs to, for spans that have no parent to inherit it from.
    pub(crate) static SERVICE: &'static str;
}

static RECORDER: OnceLock<(Owned, Share)> = OnceLock::new();

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

/// Starts logs and traces for the process; `service` names the spans that say nothing else. Without an endpoint nothing is
/// recorded: spans have ids, for the log and for the services that are called, and nothing else. Must run inside a tokio
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
    let (spans, provider) = if config.otlp_endpoint.is_empty() {
        let spans = layer(Unrecorded::new(config.sample_ratio));
        (
            spans
                .with_filter(traced().and(filter_fn(is_span).with_max_level_hint(LevelFilter::INFO)))
                .boxed(),
            None,
        )
    } else {
        let (owners, share) = (Owners::new(service), Share::new(config.sample_ratio));
        let provider = SdkTracerProvider::builder()
            .with_sampler(Sampler::ParentBased(Box::new(share.clone())))
            .with_resource(by_service::resource(service))
            .with_span_processor(ByService::new(owners.clone(), &config.otlp_endpoint)?)
            .build();
        let tracer = Owned { tracer: provider.tracer("wlp"), owners };
        let _ = RECORDER.set((tracer.clone(), share));
        let spans = layer(tracer);
        (spans.with_filter(traced()).boxed(), Some(provider))
    };
    let subscriber = tracing_subscriber::registry().with(spans);
    let started = match config.log {
        LogFormat::Json => subscriber.with(JsonLines::default().with_filter(filter)).try_init(),
        LogFormat::Text => {
            let lines = fmt::layer().with_writer(std::io::stderr).compact();
            subscriber.with(lines.with_filter(filter)).try_init()
        }
    };
    Ok(Guard { provider: provider.filter(|_| started.is_ok()) })
}

/// What records spans that have already ended; none where nothing is recorded.
pub(crate) fn recorder() -> Option<&'static Owned> {
    RECORDER.get().map(|(tracer, _)| tracer)
}

/// Whether a call that no recorded caller made is recorded: a draw by `telemetry.sample_ratio`.
pub(crate) fn draw() -> bool {
    RECORDER.get().is_some_and(|(_, share)| share.draw())
}

fn layer<T>(tracer: T) -> OpenTelemetryLayer<Registry, T>
where
    T: opentelemetry::trace::Tracer<Span: Send + Sync> + 'static,
{
    tracing_opentelemetry::layer()
        .with_tracer(tracer)
        .with_location(false)
        .with_threads(false)
        .with_tracked_inactivity(false)
}

/// Not an event: of those a span without a record keeps none.
fn is_span(about: &Metadata<'_>) -> bool {
    about.is_span()
}

/// Our own spans; those of the transport would trace the export of traces.
fn traced() -> Targets {
    let quiet = ["h2", "hyper", "hyper_util", "tonic", "tower", "sqlx", "datafusion", "opentelemetry"];
    let off = quiet.map(|target| (target, LevelFilter::OFF));
    Targets::new().with_default(LevelFilter::INFO).with_targets(off)
}
