//! What one version did within one second.

use std::collections::BTreeMap;
use std::time::{Duration, UNIX_EPOCH};

use contracts::common::v1 as common;
use contracts::monitor::v1::{CallerCount, GroupOutcome, VersionObservation};
use contracts::time::to_wire;
use statistics::LatencySketch;

use super::profile;
use super::reference::{Predictions, Reference};
use crate::backends::{Backend, Outcome};
use crate::breaker::Fault;
use statistics::profile::FeatureProfile;

/// Callers that are told apart within a second; the others are one, without a name.
const MOST_CALLERS: usize = 64;
/// Shorter latencies than this, in milliseconds, are not told apart.
const SHORTEST: f64 = 1e-5;

/// Counts and sketches; two of the same second add up to one.
#[derive(Debug, Default)]
pub struct Window {
    requests: u64,
    rows: u64,
    model_faults: u64,
    client_faults: u64,
    server_faults: u64,
    latency: LatencySketch,
    latency_sum: f64,
    callers: BTreeMap<String, u64>,
    features: Vec<FeatureProfile>,
    feature_rows: u64,
    predictions: Option<Predictions>,
    /// Rows and favourable predictions by sensitive column and value.
    groups: BTreeMap<(String, String), (u64, u64)>,
}

impl Window {
    /// Counts the end of a request; `ran` if the model had it.
    pub fn note(&mut self, outcome: Outcome, ran: bool, rows: usize, took: Duration, caller: Option<&str>) {
        self.requests += 1;
        self.rows += rows as u64;
        match outcome {
            Outcome::Answered => {}
            Outcome::Failed(Fault::Model) => self.model_faults += 1,
            Outcome::Failed(Fault::Client | Fault::Deadline) => self.client_faults += 1,
            Outcome::Failed(Fault::Platform) => self.server_faults += 1,
        }
        // What a client's mistake took says nothing about the version. Neither does its impatience, unless the model was at
        // work: it would have taken that long at least, so a version that hangs is seen, and P95 is at most too low.
        let late = ran && outcome == Outcome::Failed(Fault::Deadline);
        if late || matches!(outcome, Outcome::Answered | Outcome::Failed(Fault::Model)) {
            let millis = (took.as_secs_f64() * 1e3).max(SHORTEST);
            if self.latency.add(millis).is_ok() {
                self.latency_sum += millis;
            }
        }
        let caller = caller.unwrap_or_default();
        if let Some(count) = self.callers.get_mut(caller) {
            *count += 1;
        } else {
            let name = if self.callers.len() < MOST_CALLERS { caller } else { "" };
            *self.callers.entry(name.to_owned()).or_default() += 1;
        }
    }

    /// The profiles of features and predictions, made empty from the reference at first use.
    pub(super) fn profiles(
        &mut self,
        reference: &Reference,
    ) -> (&mut [FeatureProfile], &mut u64, &mut Predictions) {
        if self.features.len() != reference.columns().len() {
            self.features = reference.empty();
        }
        let predictions = self.predictions.get_or_insert_with(|| reference.no_predictions());
        (&mut self.features, &mut self.feature_rows, predictions)
    }

    /// Counts a row of a group, and whether its prediction is the favourable one.
    pub(super) fn group(&mut self, column: &str, value: &str, favourable: bool) {
        let sum = self.groups.entry((column.to_owned(), value.to_owned())).or_default();
        sum.0 += 1;
        sum.1 += u64::from(favourable);
    }

    /// The observation of a second since the epoch.
    pub fn wire(
        self,
        backend: &Backend,
        canary: bool,
        second: u64,
        reference: Option<&Reference>,
    ) -> VersionObservation {
        let rows = self.feature_rows;
        let features = reference.map(|reference| {
            let pairs = reference.columns().iter().zip(&self.features);
            pairs.map(|(column, feature)| profile::wire(column, rows, feature)).collect()
        });
        let label = reference.map_or("", Reference::label);
        VersionObservation {
            deployment: backend.deployment.clone(),
            version: backend.version.clone(),
            canary,
            start_time: Some(to_wire(UNIX_EPOCH + Duration::from_secs(second))),
            requests: self.requests,
            rows: self.rows,
            model_faults: self.model_faults,
            client_faults: self.client_faults,
            server_faults: self.server_faults,
            latency: Some(sketch(&self.latency, self.latency_sum)),
            features: features.unwrap_or_default(),
            predictions: self.predictions.and_then(|predictions| predictions.wire(label)),
            groups: self.groups.into_iter().map(group_outcome).collect(),
            callers: self
                .callers
                .into_iter()
                .map(|(principal, requests)| CallerCount { principal, requests })
                .collect(),
            breaker_log_e: 0.0,
        }
    }
}

fn group_outcome(of: ((String, String), (u64, u64))) -> GroupOutcome {
    let ((column, value), (rows, favourable)) = of;
    GroupOutcome { group: format!("{column}={value}"), rows, favourable }
}

fn sketch(latency: &LatencySketch, sum: f64) -> common::LatencySketch {
    let (min_ms, max_ms) = latency.range().unwrap_or_default();
    let (indexes, counts) = latency.to_pairs().into_iter().unzip();
    common::LatencySketch {
        indexes,
        counts,
        relative_accuracy: latency.accuracy(),
        min_ms,
        max_ms,
        sum_ms: sum,
    }
}
