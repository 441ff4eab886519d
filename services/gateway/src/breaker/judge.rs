//! The test of one rollout and its verdict.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use lifecycle::policy::rollout::BreakerPolicy;
use lifecycle::rollback::{self, Breaker as Verdict, Fault};
use runtime::Clock;
use serde::{Deserialize, Serialize};
use statistics::CanaryTest;
use tokio::sync::Notify;

use super::Counts;
use super::heard::Heard;
use super::keep::Kept;
use super::run::Run;
use crate::store::Files;

/// A canary taken off traffic, until the registry knows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trip {
    /// The first model fault of the run of faults that ended in the trip (`run.rs`): the earliest moment at which anybody
    /// could have seen what the canary does. "Immediate" (§8.3, reading 5) counts from there, and so does the report of the
    /// incident (§11, TPL-INC): counted from the verdict it would say nothing about how long requests failed. Faults that
    /// another gateway counted are seen here when it tells of them.
    pub detect_time: SystemTime,
    /// Read from the clock after the canary's share was taken off: a request that is routed later finds stable. Those that
    /// the canary had by then go on to their end.
    pub off_traffic_time: SystemTime,
    /// Names the rollback, so that the registry sees it once.
    pub request_id: String,
    /// Outcomes of all gateways that were counted.
    pub counts: Counts,
    /// Natural logarithm of the evidence.
    pub log_e: f64,
    /// `traceparent` of the request that sufficed: the rollback is told in its trace. Empty without one.
    #[serde(default)]
    pub traceparent: String,
    /// The registry has it.
    pub acknowledged: bool,
}

/// Judges one rollout's canary. Its error budget is spent once over the whole ladder.
#[derive(Debug)]
pub struct Breaker {
    rollout: String,
    version: String,
    policy: BreakerPolicy,
    off: AtomicBool,
    dirty: AtomicBool,
    stable_errors: AtomicU64,
    stable_requests: AtomicU64,
    state: Mutex<Inner>,
    tripped: Arc<Notify>,
    clock: Clock,
}

#[derive(Debug)]
struct Inner {
    test: CanaryTest,
    run: Run,
    own: Counts,
    heard: Heard,
    trip: Option<Trip>,
    /// The canary's share of the traffic.
    percent: u32,
}

impl Breaker {
    /// The breaker on disk, or a new one.
    ///
    /// # Errors
    /// If the policy's numbers make no test.
    pub(super) fn restore(
        rollout: &str,
        version: &str,
        policy: &BreakerPolicy,
        files: &Files,
        (tripped, clock): (Arc<Notify>, Clock),
    ) -> statistics::Result<Self> {
        let test = CanaryTest::new(policy.max_error_rate.value, policy.healthy_error_rate.value)?;
        let new = Kept::new(rollout, version, test);
        let kept = super::keep::read(files, rollout).filter(|kept| kept.version == version).unwrap_or(new);
        Ok(Self::of_kept(kept, policy, tripped, clock))
    }

    /// A breaker as it was written down.
    pub(super) fn of_kept(kept: Kept, policy: &BreakerPolicy, tripped: Arc<Notify>, clock: Clock) -> Self {
        Self {
            rollout: kept.rollout,
            version: kept.version,
            policy: policy.clone(),
            off: AtomicBool::new(kept.trip.is_some()),
            dirty: AtomicBool::new(true),
            stable_errors: AtomicU64::new(0),
            stable_requests: AtomicU64::new(0),
            state: Mutex::new(Inner {
                test: kept.test,
                run: kept.run,
                own: kept.own,
                heard: Heard::restore(kept.others, kept.heard),
                trip: kept.trip,
                percent: kept.percent,
            }),
            tripped,
            clock,
        }
    }

    /// `deployments/{d}/rollouts/{r}`
    pub fn rollout(&self) -> &str {
        &self.rollout
    }

    /// The canary.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Whether the canary is off traffic.
    pub fn is_tripped(&self) -> bool {
        self.off.load(Ordering::Acquire)
    }

    /// Natural logarithm of the evidence so far, and where it trips.
    pub fn evidence(&self) -> (f64, f64) {
        (self.lock().test.peak_log_e(), -self.policy.error_budget.value.ln())
    }

    /// The canary's share of the traffic from now on; another one begins a new step of the test.
    pub fn at(&self, percent: u32) {
        let mut state = self.lock();
        if state.percent == percent {
            return;
        }
        self.take_stable(&mut state);
        state.test.step();
        state.percent = percent;
        self.dirty.store(true, Ordering::Relaxed);
    }

    /// Counts the end of a request: `None` for an answer, else whose fault it was. Faults that the policy does not count
    /// are not evidence at all, neither for nor against. Returns true if this outcome tripped it.
    pub fn note(&self, canary: bool, fault: Option<Fault>, now: SystemTime) -> bool {
        let error = match fault {
            None => 0,
            Some(fault) if rollback::counts(fault, &self.policy) => 1,
            Some(_) => return false,
        };
        self.dirty.store(true, Ordering::Relaxed);
        if !canary {
            // Counted now, looked at with the next outcome of the canary: only that can bring a verdict about.
            self.stable_errors.fetch_add(error, Ordering::Relaxed);
            self.stable_requests.fetch_add(1, Ordering::Relaxed);
            return false;
        }
        let mut state = self.lock();
        self.take_stable(&mut state);
        let new = Counts { canary_errors: error, canary_requests: 1, ..Counts::default() };
        state.own = state.own.plus(new);
        state.count(new);
        state.run.count(error, 1, &self.policy, now);
        self.look(&mut state, now)
    }

    /// Takes in what each of the other gateways has counted in all; a trip of theirs counts as ours.
    pub(super) fn hear(&self, told: &[(&str, Counts)], off: bool, now: SystemTime) {
        let mut state = self.lock();
        self.take_stable(&mut state);
        let new = told
            .iter()
            .fold(Counts::default(), |new, (gateway, counts)| new.plus(state.heard.news(gateway, *counts)));
        state.count(new);
        state.run.count(new.canary_errors, new.canary_requests, &self.policy, now);
        if new != Counts::default() {
            self.dirty.store(true, Ordering::Relaxed);
        }
        if off && state.trip.is_none() {
            self.trip(&mut state, now);
        } else {
            self.look(&mut state, now);
        }
    }

    /// What this gateway alone has counted.
    pub(super) fn own(&self) -> Counts {
        let mut state = self.lock();
        self.take_stable(&mut state);
        state.own
    }

    /// The trip, if it tripped.
    pub fn trip_of(&self) -> Option<Trip> {
        self.lock().trip.clone()
    }

    /// Whether a rollback is still to be acknowledged.
    pub fn owes_rollback(&self) -> bool {
        self.lock().trip.as_ref().is_some_and(|trip| !trip.acknowledged)
    }

    /// The registry has the rollback.
    pub(super) fn acknowledge(&self) {
        if let Some(trip) = &mut self.lock().trip {
            trip.acknowledged = true;
        }
        self.dirty.store(true, Ordering::Relaxed);
    }

    /// What is to be written down, if anything changed since the last time.
    pub(super) fn changed(&self) -> Option<Kept> {
        if !self.dirty.swap(false, Ordering::Relaxed) {
            return None;
        }
        let mut state = self.lock();
        self.take_stable(&mut state);
        Some(Kept {
            rollout: self.rollout.clone(),
            version: self.version.clone(),
            test: state.test.clone(),
            run: state.run,
            own: state.own,
            others: state.heard.total(),
            heard: state.heard.by_gateway().clone(),
            trip: state.trip.clone(),
            percent: state.percent,
        })
    }

    /// Writing failed: there is still something to write.
    pub(super) fn not_kept(&self) {
        self.dirty.store(true, Ordering::Relaxed);
    }

    fn take_stable(&self, state: &mut Inner) {
        // Requests first: an error without its request would be refused.
        let errors = self.stable_errors.swap(0, Ordering::Relaxed);
        let requests = self.stable_requests.swap(0, Ordering::Relaxed).max(errors);
        let new = Counts { stable_errors: errors, stable_requests: requests, ..Counts::default() };
        state.own = state.own.plus(new);
        state.count(new);
    }

    fn look(&self, state: &mut Inner, now: SystemTime) -> bool {
        let verdict = rollback::breaker(state.test.peak_log_e(), &self.policy);
        let trips = verdict == Verdict::Trip && state.trip.is_none();
        if trips {
            self.trip(state, now);
        }
        trips
    }

    fn trip(&self, state: &mut Inner, now: SystemTime) {
        // In this order: what is routed after the time that is told must not meet the canary.
        self.off.store(true, Ordering::SeqCst);
        let detected = state.run.since().unwrap_or(now);
        let off_traffic = self.clock.now().max(detected);
        let log_e = state.test.peak_log_e();
        let counts = state.own.plus(state.heard.total());
        state.trip = Some(Trip {
            detect_time: detected,
            off_traffic_time: off_traffic,
            request_id: uuid::Uuid::new_v4().to_string(),
            counts,
            log_e,
            traceparent: runtime::trace::traceparent().unwrap_or_default(),
            acknowledged: false,
        });
        self.dirty.store(true, Ordering::Relaxed);
        tracing::error!(
            rollout = %self.rollout, version = %self.version, log_e,
            errors = counts.canary_errors, requests = counts.canary_requests,
            failed_for_ms = off_traffic.duration_since(detected).unwrap_or_default().as_millis(),
            "canary is off traffic"
        );
        self.tripped.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Counts that contradict themselves (more errors than requests) come from damaged shared state and are left out.
    fn count(&mut self, new: Counts) {
        let stable = self.test.observe_stable(new.stable_errors, new.stable_requests);
        let canary = self.test.observe_canary(new.canary_errors, new.canary_requests);
        if let Err(error) = stable.and(canary) {
            tracing::warn!(%error, "counts of a breaker were left out");
        }
    }
}
