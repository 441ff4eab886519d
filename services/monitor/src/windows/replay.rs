//! The gateway's breaker, replayed over windows (reading 5).

use lifecycle::policy::rollout::BreakerPolicy;
use lifecycle::rollback::{Fault, counts};
use statistics::CanaryTest;
use std::time::SystemTime;

use super::Window;
use crate::Error;
use contracts::monitor::v1::VersionObservation;

/// Natural logarithm of the largest evidence against the canary over the whole ladder: what the gateway's breaker reported,
/// or its test replayed over the windows of the canary and of the stable version in the order of time, stable first as
/// there. It repeats that verdict where the gateway's own word was lost, and spends no error budget of its own. `steps` are
/// the times at which the canary's share of the traffic changed, ascending.
///
/// # Errors
/// If the policy's numbers make no test, or a window has more faults than requests.
pub fn evidence(
    canary: &[Window],
    stable: &[Window],
    steps: &[SystemTime],
    policy: &BreakerPolicy,
) -> Result<f64, Error> {
    let mut test = CanaryTest::new(policy.max_error_rate.value, policy.healthy_error_rate.value)?;
    let mut all: Vec<(&Window, bool)> = stable.iter().map(|window| (window, false)).collect();
    all.extend(canary.iter().map(|window| (window, true)));
    all.sort_by_key(|(window, is_canary)| (window.start, *is_canary));
    let mut steps = steps.iter().peekable();
    for (window, is_canary) in all {
        while steps.next_if(|step| **step <= window.start).is_some() {
            test.step();
        }
        let (errors, requests) = counted(&window.seen, policy);
        if is_canary {
            test.observe_canary(errors, requests)?;
        } else {
            test.observe_stable(errors, requests)?;
        }
    }
    let reported = canary.iter().map(|window| window.seen.breaker_log_e).fold(0.0, f64::max);
    Ok(test.peak_log_e().max(reported))
}

/// Errors that count, and the requests they are among: faults that the policy does not count are no evidence at all.
fn counted(seen: &VersionObservation, policy: &BreakerPolicy) -> (u64, u64) {
    let parts = [
        (Fault::Model, seen.model_faults),
        (Fault::Client, seen.client_faults),
        (Fault::Platform, seen.server_faults),
    ];
    let sum = |wanted: bool| -> u64 {
        parts.iter().filter(|(fault, _)| counts(*fault, policy) == wanted).map(|(_, faults)| faults).sum()
    };
    (sum(true), seen.requests.saturating_sub(sum(false)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::windows::Scope;
    use lifecycle::Policy;
    use lifecycle::rollback::{Breaker, breaker};
    use statistics::random::SplitMix64;
    use std::time::{Duration, UNIX_EPOCH};

    fn window(minute: u64, requests: u64, model_faults: u64) -> Window {
        Window {
            scope: Scope { deployment: "deployments/d".into(), version: "models/m/versions/1.0.0".into() },
            start: UNIX_EPOCH + Duration::from_mins(minute),
            length: Duration::from_mins(1),
            seen: VersionObservation { requests, model_faults, ..VersionObservation::default() },
        }
    }

    fn policy() -> &'static BreakerPolicy {
        &Policy::builtin().rollout.breaker
    }

    fn trips(canary: &[Window], stable: &[Window]) -> bool {
        breaker(evidence(canary, stable, &[], policy()).expect("sound windows"), policy()) == Breaker::Trip
    }

    /// The same windows give the same verdict as the test that the gateway runs.
    #[test]
    fn it_is_the_gateways_own_test() {
        let (canary, stable) = ([window(0, 40, 9), window(2, 30, 1)], [window(0, 500, 3), window(1, 700, 8)]);
        let limits = policy();
        let mut test =
            CanaryTest::new(limits.max_error_rate.value, limits.healthy_error_rate.value).expect("a test");
        test.observe_stable(3, 500).expect("counted");
        test.observe_canary(9, 40).expect("counted");
        test.observe_stable(8, 700).expect("counted");
        test.observe_canary(1, 30).expect("counted");
        let whole = evidence(&canary, &stable, &[], limits).expect("sound windows");
        assert!((whole - test.peak_log_e()).abs() < 1e-9, "{whole} {}", test.peak_log_e());
        assert!(trips(&[window(0, 20, 20)], &[]), "a storm");
        assert!(!trips(&[window(0, 100, 6)], &[]), "six of a hundred prove nothing");
    }

    /// The canary's share changes with the second minute: rates are compared within a step only, as the gateway does.
    #[test]
    fn steps_of_the_ladder_are_steps_of_the_test() {
        let (canary, stable) =
            ([window(0, 50, 0), window(1, 400, 12)], [window(0, 950, 0), window(1, 600, 18)]);
        let limits = policy();
        let mut test =
            CanaryTest::new(limits.max_error_rate.value, limits.healthy_error_rate.value).expect("a test");
        for (at, (mine, theirs)) in canary.iter().zip(&stable).enumerate() {
            if at == 1 {
                test.step();
            }
            test.observe_stable(theirs.seen.model_faults, theirs.seen.requests).expect("counted");
            test.observe_canary(mine.seen.model_faults, mine.seen.requests).expect("counted");
        }
        let steps = [UNIX_EPOCH, UNIX_EPOCH + Duration::from_secs(55)];
        let ours = evidence(&canary, &stable, &steps, limits).expect("sound windows");
        assert!((ours - test.peak_log_e()).abs() < 1e-9, "{ours} {}", test.peak_log_e());
    }

    #[test]
    fn the_gateways_word_is_enough() {
        let mut one = window(0, 100, 0);
        one.seen.breaker_log_e = 6.8;
        assert!(!trips(&[one.clone()], &[]), "below the logarithm of a thousand");
        one.seen.breaker_log_e = 7.0;
        assert!(trips(&[one, window(1, 100, 0)], &[]));
    }

    #[test]
    fn what_the_policy_does_not_count_is_no_evidence() {
        let mut one = window(0, 30, 0);
        one.seen.client_faults = 20;
        one.seen.server_faults = 10;
        assert_eq!(counted(&one.seen, policy()), (0, 0));
        assert!(evidence(&[one], &[], &[], policy()).expect("sound windows").abs() < 1e-9);
    }

    fn failed(rng: &mut SplitMix64, requests: u64, share: f64) -> u64 {
        (0..requests).map(|_| u64::from(rng.next_f64() < share)).sum()
    }

    /// One climb of a canary whose true errors are `share`: 90 minutes, looked at four times in each.
    fn aborted(seed: u64, share: f64) -> bool {
        let (mut rng, limits) = (SplitMix64::new(seed), policy());
        let mut test =
            CanaryTest::new(limits.max_error_rate.value, limits.healthy_error_rate.value).expect("a test");
        for minute in 0..90 {
            let all = 400;
            let mine = match minute {
                0..60 => all / 20,
                60..75 => all / 4,
                _ => all / 2,
            };
            if minute == 60 || minute == 75 {
                test.step();
            }
            let mut looks = Vec::new();
            for quarter in 1..=4_u64 {
                let (requests, before) = (mine * quarter / 4, mine * (quarter - 1) / 4);
                let faults = looks.last().map_or(0, |(faults, _)| *faults)
                    + failed(&mut rng, requests - before, share);
                looks.push((faults, requests));
            }
            test.observe_stable(failed(&mut rng, all - mine, share), all - mine).expect("counted");
            // A look at the open window replays it as far as it is; the next look replays it anew.
            for (faults, requests) in &looks {
                let mut look = test.clone();
                look.observe_canary(*faults, *requests).expect("counted");
                if breaker(look.peak_log_e(), limits) == Breaker::Trip {
                    return true;
                }
            }
            let (faults, requests) = looks[looks.len() - 1];
            test.observe_canary(faults, requests).expect("counted");
        }
        false
    }

    /// Reading 5: of healthy canaries (true errors 1 %) at most one in a thousand is taken off, over the whole ladder.
    #[test]
    fn at_one_percent_true_errors_at_most_one_in_a_thousand_is_aborted() {
        let false_aborts = (0..4_000).filter(|seed| aborted(*seed, 0.01)).count();
        assert!(false_aborts <= 4, "{false_aborts} of 4000");
        assert!((0..50).all(|seed| aborted(seed, 0.15)), "fifteen percent are found every time");
    }
}
