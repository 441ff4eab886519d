//! A request on its way through a version, and where its end is noted.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::Error;
use crate::backends::{Backend, Outcome};
use crate::breaker::{Breaker, Fault};
use crate::experiment::Running;
use crate::gateway::Gateway;
use crate::shadow::{Copied, Shadow};

/// A request on its way through a version; noted when it ends, also when its caller goes away in the middle.
pub struct Flight {
    /// Where it is noted.
    pub gateway: Gateway,
    /// The version.
    pub backend: Arc<Backend>,
    /// Judges the endpoint's canary.
    pub breaker: Option<Arc<Breaker>>,
    /// The version is the canary.
    pub canary: bool,
    /// Who calls.
    pub principal: Option<String>,
    /// When it was admitted.
    pub began: Instant,
    /// Its rows; 1 until they are known.
    pub rows: usize,
    /// The model had it.
    pub ran: Arc<AtomicBool>,
    /// It is noted.
    pub ended: bool,
    /// It was answered from the cache: it shows nothing of the version.
    pub recalled: bool,
    /// Counts the arms of the endpoint's experiment.
    pub experiment: Option<Arc<Running>>,
    /// Gets copies of a share of the endpoint's requests.
    pub shadow: Option<Arc<Shadow>>,
    /// What it gets of this one.
    pub copied: Option<Copied>,
}

impl Flight {
    /// Notes how it ended.
    pub fn end<T>(&mut self, result: &Result<T, Error>) {
        self.ended = true;
        let outcome = match result {
            Ok(_) => Outcome::Answered,
            Err(error) => Outcome::Failed(error.fault()),
        };
        self.note(outcome, self.began.elapsed());
    }

    fn note(&self, outcome: Outcome, took: Duration) {
        let (backend, now) = (&self.backend, self.gateway.clock().now());
        let (fault, counter) = match outcome {
            Outcome::Answered => (None, &backend.meters.ok),
            Outcome::Failed(fault @ Fault::Model) => (Some(fault), &backend.meters.model),
            Outcome::Failed(fault @ (Fault::Client | Fault::Deadline)) => {
                (Some(fault), &backend.meters.client)
            }
            Outcome::Failed(fault @ Fault::Platform) => (Some(fault), &backend.meters.server),
        };
        // The breaker first: the next request must already be routed by what this one showed.
        if let Some(breaker) = self.breaker.as_ref().filter(|_| !self.recalled)
            && breaker.note(self.canary, fault, now)
        {
            self.gateway.meters().tripped(breaker.rollout());
            self.gateway.note_change();
        }
        counter.inc();
        backend.meters.total.observe(took.as_secs_f64());
        backend.stats.ended(outcome, took, now);
        if self.recalled {
            return;
        }
        if let Some(experiment) = &self.experiment {
            experiment.arm(self.canary).note(outcome, took);
        }
        backend.observer.note(
            now,
            outcome,
            self.ran.load(Ordering::Acquire),
            self.rows,
            took,
            self.principal.as_deref(),
        );
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        if !self.ended {
            self.note(Outcome::Failed(Fault::Deadline), self.began.elapsed());
        }
    }
}
