//! What was seen of one arm.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use statistics::{LatencySketch, Moments};

use crate::backends::Outcome;
use crate::breaker::Fault;

/// Counts of one arm within one step.
#[derive(Debug, Default)]
pub struct Arm(Mutex<Seen>);

/// A copy of the numbers.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// Requests that were answered or failed by the model.
    pub requests: u64,
    /// Failed by the model.
    pub model_faults: u64,
    /// Milliseconds from admission to the answer, of those that were answered.
    pub latency: Moments,
    /// The same, for quantiles.
    pub sketch: LatencySketch,
}

impl Arm {
    /// Counts how a request ended. What its caller or this host broke says nothing about the version.
    pub fn note(&self, outcome: Outcome, took: Duration) {
        let mut seen = self.lock();
        match outcome {
            Outcome::Answered => {
                seen.requests += 1;
                let ms = took.as_secs_f64() * 1e3;
                seen.latency.add(ms);
                // Times are never negative and never infinite.
                let _ = seen.sketch.add(ms);
            }
            Outcome::Failed(Fault::Model) => {
                seen.requests += 1;
                seen.model_faults += 1;
            }
            Outcome::Failed(Fault::Client | Fault::Deadline | Fault::Platform) => {}
        }
    }

    /// The numbers as they are.
    pub fn seen(&self) -> Seen {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
