//! What Prometheus sees of shadows.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use runtime::Metrics;

use super::compare::OutputTally;

/// Upper bounds in seconds, from 50 µs to 10 s.
const BUCKETS: [f64; 12] =
    [0.000_05, 0.000_2, 0.000_5, 0.001, 0.002, 0.005, 0.01, 0.05, 0.25, 1.0, 5.0, 10.0];

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Ended {
    endpoint: String,
    version: String,
    outcome: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Took {
    endpoint: String,
    version: String,
    side: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Output {
    endpoint: String,
    version: String,
    output: String,
}

type Shares = Family<Output, Gauge<f64, AtomicU64>>;

/// All families; clones share them.
#[derive(Clone, Debug)]
pub struct Meters {
    requests: Family<Ended, Counter>,
    compute: Family<Took, Histogram, fn() -> Histogram>,
    equal: Shares,
    agreement: Shares,
    mean: Shares,
    max: Shares,
}

/// The handles of one version in the shadow.
#[derive(Clone, Debug)]
pub struct VersionMeters {
    /// Answered by both.
    pub compared: Counter,
    /// Failed by the model.
    pub model_fault: Counter,
    /// Failed by this host.
    pub host_fault: Counter,
    /// Did not fit its signature.
    pub incompatible: Counter,
    /// Had no room.
    pub dropped: Counter,
    /// Time in the model that answered.
    pub production: Histogram,
    /// Time in the model in the shadow.
    pub shadow: Histogram,
    endpoint: String,
    version: String,
    all: Meters,
}

impl Meters {
    /// Registers the families.
    pub fn new(metrics: &Metrics) -> Self {
        let meters = Self {
            requests: Family::default(),
            compute: Family::new_with_constructor(|| Histogram::new(BUCKETS)),
            equal: Shares::default(),
            agreement: Shares::default(),
            mean: Shares::default(),
            max: Shares::default(),
        };
        metrics.register(|to| {
            let m = &meters;
            let help = "Copies of requests to a version in the shadow, by how they ended";
            to.register("wlp_gateway_shadow_requests", help, m.requests.clone());
            let help = "In the model, of the requests that are compared, on either side";
            to.register("wlp_gateway_shadow_compute_duration_seconds", help, m.compute.clone());
            let help = "Share of an output's elements that both versions gave alike, bit for bit";
            to.register("wlp_gateway_shadow_equal_share", help, m.equal.clone());
            let help = "Share of an output's labels that both versions gave alike";
            to.register("wlp_gateway_shadow_label_agreement", help, m.agreement.clone());
            let help = "Mean absolute difference of an output's numbers";
            to.register("wlp_gateway_shadow_difference_mean", help, m.mean.clone());
            let help = "Largest absolute difference of an output's numbers";
            to.register("wlp_gateway_shadow_difference_max", help, m.max.clone());
        });
        meters
    }

    /// The handles of one version.
    pub fn version(&self, endpoint: &str, version: &str) -> VersionMeters {
        let (endpoint, version) = (endpoint.to_owned(), version.to_owned());
        let ended = |outcome| {
            let labels = Ended { endpoint: endpoint.clone(), version: version.clone(), outcome };
            self.requests.get_or_create(&labels).clone()
        };
        let took = |side| {
            let labels = Took { endpoint: endpoint.clone(), version: version.clone(), side };
            self.compute.get_or_create(&labels).clone()
        };
        VersionMeters {
            compared: ended("compared"),
            model_fault: ended("model_fault"),
            host_fault: ended("host_fault"),
            incompatible: ended("incompatible"),
            dropped: ended("dropped"),
            production: took("production"),
            shadow: took("shadow"),
            all: self.clone(),
            endpoint,
            version,
        }
    }
}

impl VersionMeters {
    /// Shows the differences of every output.
    pub fn show(&self, outputs: &BTreeMap<String, OutputTally>) {
        for (output, seen) in outputs {
            let labels = Output {
                endpoint: self.endpoint.clone(),
                version: self.version.clone(),
                output: output.clone(),
            };
            let set = |family: &Shares, value: Option<f64>| {
                if let Some(value) = value {
                    family.get_or_create(&labels).set(value);
                }
            };
            set(&self.all.equal, share(seen.equal_elements, seen.elements));
            set(&self.all.agreement, share(seen.agreed_labels, seen.labels));
            set(&self.all.mean, seen.mean_difference());
            set(&self.all.max, (seen.numbers > 0).then_some(seen.max_difference));
        }
    }
}

/// `part` of `whole`; `None` of nothing.
pub(super) fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}
