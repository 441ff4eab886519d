//! Since when a canary fails: what an incident calls its detection.

use std::time::SystemTime;

use lifecycle::policy::rollout::BreakerPolicy;
use serde::{Deserialize, Serialize};

/// The newest run of outcomes that speak against the canary.
///
/// The breaker's test says that a canary has failed, not since when. That is Page's test of a change from the error rate
/// that is healthy to the one that is the limit: a fault adds weight, an answer takes some off, and a canary without weight
/// is calm. The run begins with the first fault after the last calm, the most likely moment of the change. With 1 % and 5 %
/// a fault is forgotten after forty answers. Source: Page, *Continuous inspection schemes*, 1954.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Run {
    weight: f64,
    since: Option<SystemTime>,
}

impl Run {
    /// Counts outcomes that came to be known at `now`. Among several at a time the answers count first: of their order
    /// nothing is known, and a run that goes on must not be taken for one that is over.
    pub(super) fn count(&mut self, errors: u64, requests: u64, limits: &BreakerPolicy, now: SystemTime) {
        let (healthy, limit) = (limits.healthy_error_rate.value, limits.max_error_rate.value);
        let (fault, answer) = ((limit / healthy).ln(), ((1.0 - limit) / (1.0 - healthy)).ln());
        self.weight = (self.weight + requests.saturating_sub(errors) as f64 * answer).max(0.0);
        if self.weight <= 0.0 {
            self.since = None;
        }
        if errors > 0 {
            self.since.get_or_insert(now);
            self.weight += errors as f64 * fault;
        }
    }

    /// The first fault of the run; none while the canary is calm.
    pub(super) fn since(&self) -> Option<SystemTime> {
        self.since
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    fn at(second: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(second)
    }

    #[test]
    fn it_begins_with_the_first_fault_after_a_calm() {
        let limits = &lifecycle::Policy::builtin().rollout.breaker;
        let mut run = Run::default();
        run.count(0, 1_000, limits, at(0));
        assert_eq!(run.since(), None);
        run.count(1, 1, limits, at(10));
        // One answer between faults ends no run, forty in a row do.
        run.count(0, 1, limits, at(11));
        run.count(1, 1, limits, at(12));
        assert_eq!(run.since(), Some(at(10)));
        for second in 20..120 {
            run.count(0, 1, limits, at(second));
        }
        assert_eq!(run.since(), None);
        run.count(3, 9, limits, at(200));
        run.count(1, 1, limits, at(201));
        assert_eq!(run.since(), Some(at(200)));
    }

    /// At twice the limit ten of a hundred fail, often with more than twenty answers in between.
    #[test]
    fn a_canary_that_fails_now_and_then_is_in_one_run() {
        let limits = &lifecycle::Policy::builtin().rollout.breaker;
        let mut run = Run::default();
        for second in 0..1_000 {
            run.count(
                u64::from([3, 28, 31, 36, 60, 64, 89, 91, 94, 99].contains(&(second % 100))),
                1,
                limits,
                at(second),
            );
        }
        assert_eq!(run.since(), Some(at(3)));
    }
}
