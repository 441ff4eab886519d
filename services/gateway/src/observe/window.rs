//! How the requests of one second ended.

use std::collections::BTreeMap;
use std::time::{Duration, UNIX_EPOCH};

use contracts::common::v1 as common;
use contracts::monitor::v1::{CallerCount, VersionObservation};
use contracts::time::to_wire;
use statistics::LatencySketch;

use super::Seen;
use super::reference::Reference;
use crate::backends::{Backend, Outcome};
use crate::breaker::Fault;

/// Callers that are told apart within a second; the others are one, without a name.
const MOST_CALLERS: usize = 64;
/// Shorter latencies than this, in milliseconds, are not told apart.
const SHORTEST: f64 = 1e-5;

/// Counts and latencies; two of the same second add up to one.
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

    /// The observation of a second since the epoch, with what its rows looked like.
    pub fn wire(
        self,
        seen: Seen,
        backend: &Backend,
        canary: bool,
        second: u64,
        reference: Option<&Reference>,
    ) -> VersionObservation {
        let (features, predictions, groups) = seen.wire(reference);
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
            features,
            predictions,
            groups,
            callers: self
                .callers
                .into_iter()
                .map(|(principal, requests)| CallerCount { principal, requests })
                .collect(),
            breaker_log_e: 0.0,
        }
    }
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
