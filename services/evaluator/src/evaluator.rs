//! What handlers and tasks share.

use crate::{Deps, Limits, store::jobs::Jobs};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::{counter::Counter, family::Family, gauge::Gauge};
use runtime::{Clock, Metrics};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use storage::Records;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// The handlers' state. Clones are cheap.
#[derive(Clone)]
pub struct Evaluator(Arc<Parts>);

struct Parts {
    limits: Limits,
    deps: Deps,
    jobs: Jobs,
    running: Mutex<HashMap<String, CancellationToken>>,
    changed: Notify,
    queued: Notify,
    counts: Counts,
}

/// What Prometheus sees beside the calls.
#[derive(Default)]
pub struct Counts {
    /// Evaluations that ended, by how.
    pub ended: Family<Ended, Counter>,
    /// Evaluations that run now.
    pub running: Gauge,
}

/// How an evaluation ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Ended {
    /// `succeeded`, `failed`, `cancelled`.
    pub outcome: &'static str,
}

impl Evaluator {
    /// Over an open database.
    pub fn new(limits: Limits, deps: Deps, records: Records, metrics: &Metrics) -> Self {
        let counts = Counts::default();
        metrics.register(|registry| {
            registry.register("wlp_evaluator_evaluations", "Evaluations that ended", counts.ended.clone());
            registry.register("wlp_evaluator_running", "Evaluations that run now", counts.running.clone());
        });
        Self(Arc::new(Parts {
            limits,
            deps,
            jobs: Jobs::new(records),
            running: Mutex::default(),
            changed: Notify::new(),
            queued: Notify::new(),
            counts,
        }))
    }

    /// What one evaluation may take.
    pub fn limits(&self) -> &Limits {
        &self.0.limits
    }

    /// Other services, engine, clock.
    pub fn deps(&self) -> &Deps {
        &self.0.deps
    }

    /// Virtual time.
    pub fn clock(&self) -> &Clock {
        &self.0.deps.clock
    }

    /// Operations.
    pub fn jobs(&self) -> &Jobs {
        &self.0.jobs
    }

    /// Counters.
    pub fn counts(&self) -> &Counts {
        &self.0.counts
    }

    /// Woken when an operation was added.
    pub fn queued(&self) -> &Notify {
        &self.0.queued
    }

    /// Woken when an operation ended.
    pub fn changed(&self) -> &Notify {
        &self.0.changed
    }

    /// The switch of an evaluation that starts here.
    pub fn start(&self, operation: &str) -> CancellationToken {
        let token = CancellationToken::new();
        self.running().insert(operation.to_owned(), token.clone());
        token
    }

    /// Forgets the switch of an evaluation that ended.
    pub fn end(&self, operation: &str) {
        self.running().remove(operation);
        self.0.changed.notify_waiters();
    }

    /// Stops an evaluation at once if it runs in this process; elsewhere it stops at its next step.
    pub fn interrupt(&self, operation: &str) {
        if let Some(token) = self.running().get(operation) {
            token.cancel();
        }
    }

    fn running(&self) -> std::sync::MutexGuard<'_, HashMap<String, CancellationToken>> {
        self.0.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
