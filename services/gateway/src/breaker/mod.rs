//! The gateway's own breaker: one sequential test per rollout (MISSION, reading 5).
//!
//! The mathematics is in `statistics`, the verdict in `lifecycle`. A trip takes the canary off traffic in this process at
//! once; only then it is written down and the registry is told.

mod counts;
mod judge;
mod keep;
mod share;
mod told;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

pub use counts::Counts;
pub use judge::{Breaker, Trip};
pub use lifecycle::rollback::Fault;
use tokio::sync::Notify;

use crate::gateway::Gateway;
use crate::routing::Endpoint;

/// The breakers of all rollouts under way, and those whose rollback is not acknowledged yet.
#[derive(Debug, Default)]
pub struct Breakers {
    open: Mutex<HashMap<String, Arc<Breaker>>>,
    /// Rung when a breaker tripped.
    tripped: Arc<Notify>,
}

impl Breakers {
    /// The breaker of a rollout: the one that runs, the one on disk, or a new one. `None` if the policy's numbers cannot
    /// make a test; then the canary is judged by the monitor alone.
    pub fn open(&self, rollout: &str, version: &str, gateway: &Gateway) -> Option<Arc<Breaker>> {
        let mut open = self.lock();
        if let Some(breaker) = open.get(rollout) {
            return Some(breaker.clone());
        }
        let policy = gateway.policy();
        let made = Breaker::restore(
            rollout,
            version,
            &policy.rollout.breaker,
            gateway.files(),
            self.tripped.clone(),
        );
        match made {
            Ok(breaker) => {
                let breaker = Arc::new(breaker);
                open.insert(rollout.to_owned(), breaker.clone());
                Some(breaker)
            }
            Err(error) => {
                tracing::error!(%rollout, %error, "no breaker for this rollout");
                None
            }
        }
    }

    /// Takes in what a crash left behind: trips that the registry has not acknowledged.
    pub fn restore_unacknowledged(&self, gateway: &Gateway) {
        let policy = gateway.policy();
        for kept in keep::all(gateway.files()) {
            if kept.trip.as_ref().is_some_and(|trip| !trip.acknowledged) {
                let (rollout, version) = (kept.rollout.clone(), kept.version.clone());
                let breaker = Breaker::of_kept(kept, &policy.rollout.breaker, self.tripped.clone());
                tracing::info!(%rollout, %version, "a rollback is still to be acknowledged");
                self.lock().insert(rollout, Arc::new(breaker));
            }
        }
    }

    /// Forgets breakers of rollouts that are over and told.
    pub fn keep_only(&self, endpoints: &BTreeMap<String, Arc<Endpoint>>) {
        let under_way = |rollout: &str| endpoints.values().any(|endpoint| endpoint.rollout == rollout);
        self.lock().retain(|rollout, breaker| under_way(rollout) || breaker.owes_rollback());
    }

    /// All breakers.
    pub fn all(&self) -> Vec<Arc<Breaker>> {
        self.lock().values().cloned().collect()
    }

    /// Completes when a breaker has tripped.
    pub async fn tripped(&self) {
        self.tripped.notified().await;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Arc<Breaker>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
