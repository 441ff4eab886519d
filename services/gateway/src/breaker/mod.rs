//! The gateway's own breaker: one sequential test per rollout (ARCHITECTURE, reading 5).
//!
//! The mathematics is in `statistics`, the verdict in `lifecycle`. A trip takes the canary off traffic in this process at
//! once; only then it is written down and the registry is told.

mod counts;
mod heard;
mod judge;
mod keep;
mod run;
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
    /// Held while breakers are written down.
    keeping: tokio::sync::Mutex<()>,
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
            (self.tripped.clone(), gateway.clock().clone()),
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
                let (tripped, clock) = (self.tripped.clone(), gateway.clock().clone());
                let breaker = Breaker::of_kept(kept, &policy.rollout.breaker, tripped, clock);
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

    /// Natural logarithm of the largest evidence against that version as a canary of that deployment; 0 without a breaker.
    pub fn evidence(&self, deployment: &str, version: &str) -> f64 {
        let of = |breaker: &&Arc<Breaker>| {
            let rollout = breaker.rollout().strip_prefix(deployment);
            breaker.version() == version && rollout.is_some_and(|rest| rest.starts_with("/rollouts/"))
        };
        self.lock().values().filter(of).map(|breaker| breaker.evidence().0).fold(0.0, f64::max)
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

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use runtime::Clock;
    use statistics::CanaryTest;

    use super::*;

    fn breaker() -> Breaker {
        breaker_by(Clock::real())
    }

    fn breaker_by(clock: Clock) -> Breaker {
        let limits = &lifecycle::Policy::builtin().rollout.breaker;
        let test = CanaryTest::new(limits.max_error_rate.value, limits.healthy_error_rate.value).unwrap();
        let kept = keep::Kept::new("deployments/d/rollouts/r", "models/m/versions/1.1.0", test);
        Breaker::of_kept(kept, limits, Arc::default(), clock)
    }

    /// `each` requests of the canary and `beside` of stable for each of them; every `every`th of both fails.
    fn serve(breaker: &Breaker, each: u32, beside: u32, every: u32) {
        let mut seen = 0;
        let mut note = |canary| {
            seen += 1;
            let fault = (seen % every == 0).then_some(Fault::Model);
            breaker.note(canary, fault, SystemTime::now());
        };
        for _ in 0..each {
            note(true);
            (0..beside).for_each(|_| note(false));
        }
    }

    /// Both fail more when the canary takes half of the traffic: it is as good as stable at every moment.
    #[test]
    fn trouble_of_both_at_a_later_step_takes_no_canary_off() {
        let judged = |steps: bool| {
            let breaker = breaker();
            breaker.at(5);
            serve(&breaker, 1_000, 19, 501);
            if steps {
                breaker.at(50);
            }
            serve(&breaker, 6_000, 1, 33);
            breaker
        };
        let breaker = judged(true);
        assert!(!breaker.is_tripped(), "{:?}", breaker.evidence());
        assert!(judged(false).is_tripped(), "counted as one step it looks worse");
        let kept = breaker.changed().unwrap();
        let text = serde_json::to_string(&kept).unwrap();
        let again: keep::Kept = serde_json::from_str(&text.replacen('{', r#"{"newer":1,"#, 1)).unwrap();
        assert_eq!(again.percent, 50, "a restart goes on in the same step");
        breaker.at(50);
        assert!(breaker.changed().is_none(), "the same share is the same step");
    }

    /// Detected with the first fault, off when its flag is set: the four requests of a storm lie in between.
    #[test]
    fn an_incident_lasts_from_the_first_fault_until_the_canary_is_off() {
        let clock = Clock::manual(SystemTime::UNIX_EPOCH + Duration::from_hours(1));
        let breaker = breaker_by(clock.clone());
        breaker.at(5);
        serve(&breaker, 100, 19, u32::MAX);
        let (first, mut noted) = (clock.now(), Vec::new());
        while !breaker.is_tripped() {
            noted.push(clock.now());
            let now = clock.now();
            clock.advance(Duration::from_millis(30));
            breaker.note(true, Some(Fault::Model), now);
            clock.advance(Duration::from_millis(70));
        }
        let trip = breaker.trip_of().unwrap();
        assert!((2..=5).contains(&noted.len()), "{noted:?}");
        assert_eq!(trip.detect_time, first);
        assert_eq!(trip.off_traffic_time, noted[noted.len() - 1] + Duration::from_millis(30));
        let kept = serde_json::to_string(&breaker.changed().unwrap()).unwrap();
        let again: keep::Kept = serde_json::from_str(&kept).unwrap();
        assert_eq!(
            (again.trip.unwrap(), again.run.since()),
            (trip, Some(first)),
            "a restart changes neither"
        );
    }

    /// The store tells of faults that another gateway met; a trip by their sum was detected when the first was heard of.
    #[test]
    fn faults_that_another_gateway_met_begin_a_run_too() {
        let clock = Clock::manual(SystemTime::UNIX_EPOCH + Duration::from_hours(1));
        let breaker = breaker_by(clock.clone());
        let heard = clock.now();
        let others = Counts { canary_errors: 2, canary_requests: 2, ..Counts::default() };
        breaker.hear(&[("another", others)], false, heard);
        assert!(!breaker.is_tripped());
        while !breaker.is_tripped() {
            clock.advance(Duration::from_millis(100));
            breaker.note(true, Some(Fault::Model), clock.now());
        }
        let trip = breaker.trip_of().unwrap();
        assert_eq!((trip.detect_time, trip.off_traffic_time), (heard, clock.now()));
    }
}
