//! What Prometheus sees of the gateway.

use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, NativeHistogramConfig};
use runtime::Metrics;

/// Upper bounds in seconds, from 20 µs to 10 s, for who reads the text form; the protobuf form has [`native`] buckets.
const BUCKETS: [f64; 18] = [
    0.000_02, 0.000_05, 0.000_1, 0.000_2, 0.000_5, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5,
    1.0, 2.0, 5.0, 10.0,
];

/// Upper bounds of rows that run together.
const ROWS: [f64; 10] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 1024.0];

/// Native buckets of durations in seconds: eight to each doubling, so that a quantile is within 9 % of the truth wherever it
/// lies. A series that would have more than 160 of them takes wider ones.
fn native() -> NativeHistogramConfig {
    NativeHistogramConfig::with_schema(3).max_buckets(160)
}

/// An endpoint's version.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct Of {
    /// Endpoint.
    pub endpoint: String,
    /// Version number.
    pub version: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Ended {
    endpoint: String,
    version: String,
    outcome: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Stands {
    endpoint: String,
    version: String,
    state: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RunsOn {
    endpoint: String,
    version: String,
    provider: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Rollout {
    rollout: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Reason {
    reason: &'static str,
}

type Durations = Family<Of, Histogram, fn() -> Histogram>;

/// What is shown of one backend.
#[derive(Clone, Debug)]
pub struct Shown {
    /// Endpoint.
    pub endpoint: String,
    /// Version number.
    pub version: String,
    /// Share of the endpoint's traffic.
    pub percent: u32,
    /// The state it is in.
    pub state: &'static str,
    /// The execution provider that it runs on; empty before it is loaded.
    pub provider: String,
}

/// All families of the gateway; clones share them.
#[derive(Clone, Debug)]
pub struct Meters {
    total: Durations,
    queue: Durations,
    batch: Durations,
    compute: Durations,
    rows: Durations,
    requests: Family<Ended, Counter>,
    refused: Family<Reason, Counter>,
    traffic: Family<Of, Gauge>,
    states: Family<Stands, Gauge>,
    providers: Family<RunsOn, Gauge>,
    evidence: Family<Rollout, Gauge<f64, AtomicU64>>,
    trips: Family<Rollout, Counter>,
    /// Observations that were dropped at the spool's bound, or looked at without their features.
    pub dropped: Counter,
    /// 1 while the registry answers.
    pub registry_reachable: Gauge,
}

/// The handles of one backend, looked up once.
#[derive(Clone, Debug)]
pub struct BackendMeters {
    /// From admission to the answer.
    pub total: Histogram,
    /// Waiting.
    pub queue: Histogram,
    /// Laying out.
    pub batch: Histogram,
    /// In the model.
    pub compute: Histogram,
    /// Rows of a run.
    pub rows: Histogram,
    /// Answered.
    pub ok: Counter,
    /// Failed by the model.
    pub model: Counter,
    /// Failed by the caller, its deadline and cancellation included.
    pub client: Counter,
    /// Failed by this server.
    pub server: Counter,
}

impl Meters {
    /// Registers the families.
    pub fn new(metrics: &Metrics) -> Self {
        let durations =
            || Durations::new_with_constructor(|| Histogram::new_classic_and_native(BUCKETS, native()));
        let meters = Self {
            total: durations(),
            queue: durations(),
            batch: durations(),
            compute: durations(),
            rows: Durations::new_with_constructor(|| Histogram::new(ROWS)),
            requests: Family::default(),
            refused: Family::default(),
            traffic: Family::default(),
            states: Family::default(),
            providers: Family::default(),
            evidence: Family::default(),
            trips: Family::default(),
            dropped: Counter::default(),
            registry_reachable: Gauge::default(),
        };
        metrics.register(|to| {
            let m = &meters;
            to.register(
                "wlp_gateway_infer_duration_seconds",
                "From admission to the answer",
                m.total.clone(),
            );
            to.register("wlp_gateway_queue_duration_seconds", "Waiting for the model", m.queue.clone());
            to.register("wlp_gateway_batch_duration_seconds", "Laying out the batch", m.batch.clone());
            to.register("wlp_gateway_compute_duration_seconds", "In the model", m.compute.clone());
            to.register("wlp_gateway_batch_rows", "Rows that ran together", m.rows.clone());
            to.register(
                "wlp_gateway_requests",
                "Routed requests by whose fault they failed",
                m.requests.clone(),
            );
            to.register(
                "wlp_gateway_refused",
                "Requests refused before a version was chosen",
                m.refused.clone(),
            );
            to.register(
                "wlp_gateway_traffic_percent",
                "Share of an endpoint's traffic now",
                m.traffic.clone(),
            );
            to.register("wlp_gateway_backend_state", "1 for the state a backend is in", m.states.clone());
            let help = "1 for the execution provider that a version really runs on";
            to.register("wlp_gateway_provider", help, m.providers.clone());
            let help = "Logarithm of the evidence against a rollout's canary";
            to.register("wlp_gateway_breaker_log_evidence", help, m.evidence.clone());
            to.register("wlp_gateway_breaker_trips", "Canaries taken off traffic", m.trips.clone());
            to.register(
                "wlp_gateway_observations_dropped",
                "Observations lost at a bound",
                m.dropped.clone(),
            );
            let help = "1 while the registry answers";
            to.register("wlp_gateway_registry_reachable", help, m.registry_reachable.clone());
        });
        meters
    }

    /// The handles of one backend.
    pub fn backend(&self, endpoint: &str, version: &str) -> BackendMeters {
        let of = Of { endpoint: endpoint.to_owned(), version: version.to_owned() };
        let outcome = |outcome| {
            let labels = Ended { endpoint: endpoint.to_owned(), version: version.to_owned(), outcome };
            self.requests.get_or_create(&labels).clone()
        };
        BackendMeters {
            total: self.total.get_or_create(&of).clone(),
            queue: self.queue.get_or_create(&of).clone(),
            batch: self.batch.get_or_create(&of).clone(),
            compute: self.compute.get_or_create(&of).clone(),
            rows: self.rows.get_or_create(&of).clone(),
            ok: outcome("ok"),
            model: outcome("model_fault"),
            client: outcome("client_fault"),
            server: outcome("server_fault"),
        }
    }

    /// Counts a request that reached no version.
    pub fn refused(&self, reason: &'static str) {
        self.refused.get_or_create(&Reason { reason }).inc();
    }

    /// Replaces what is shown of traffic, states and providers by these rows.
    pub fn show(&self, rows: &[Shown]) {
        self.traffic.clear();
        self.states.clear();
        self.providers.clear();
        for Shown { endpoint, version, percent, state, provider } in rows.iter().cloned() {
            let of = Of { endpoint: endpoint.clone(), version: version.clone() };
            self.traffic.get_or_create(&of).set(percent.into());
            if !provider.is_empty() {
                let (endpoint, version) = (endpoint.clone(), version.clone());
                self.providers.get_or_create(&RunsOn { endpoint, version, provider }).set(1);
            }
            self.states.get_or_create(&Stands { endpoint, version, state }).set(1);
        }
    }

    /// Shows a breaker's evidence.
    pub fn evidence(&self, rollout: &str, log_e: f64) {
        self.evidence.get_or_create(&Rollout { rollout: rollout.to_owned() }).set(log_e);
    }

    /// Counts a trip.
    pub fn tripped(&self, rollout: &str) {
        self.trips.get_or_create(&Rollout { rollout: rollout.to_owned() }).inc();
    }
}
