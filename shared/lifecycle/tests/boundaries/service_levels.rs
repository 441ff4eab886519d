//! §4.1: latency < 2 s, 99.9 % availability; a plan may promise more, never less.

use lifecycle::slo::Objective;

use super::*;

fn objective() -> Objective {
    Objective::of(&policy().monitoring.service_levels)
}

proptest! {
    /// A plan promises at most 2000 ms and at least 99.9 %, below certainty.
    #[test]
    fn a_plan_promises_no_less(distance in distance(), slower in any::<bool>(), weaker in any::<bool>()) {
        let levels = &policy().monitoring.service_levels;
        let latency = if slower { inside(2000.0, Strict::Above, distance) } else { 2000.0 * (1.0 - distance) };
        let share = if weaker { inside(0.999, Strict::Below, distance) } else { 0.999 + distance.min(0.0009) };
        prop_assert_eq!(Objective::planned(latency, share, levels).is_ok(), !slower && !weaker);
        for (latency, share) in [(0.0, 0.999), (f64::NAN, 0.999), (2000.0, 1.0), (2000.0, f64::NAN), (-1.0, 0.999)] {
            prop_assert!(Objective::planned(latency, share, levels).is_err(), "{} ms, {}", latency, share);
        }
    }

    /// An answer is good when it came in less than 2 s.
    #[test]
    fn an_answer_is_good_below_two_seconds(distance in distance(), answered in any::<bool>()) {
        let good = |latency| objective().is_good(answered, latency);
        prop_assert_eq!(good(inside(2000.0, Strict::Below, distance)), answered);
        prop_assert!(!good(2000.0) && !good(inside(2000.0, Strict::Above, distance)) && !good(f64::NAN));
    }

    /// 43.2 minutes of 30 days: a release waits once they are spent.
    #[test]
    fn a_release_waits_for_its_budget(bad in prop_oneof![2_580u64..2_604, 0u64..10_000]) {
        let spent = Duration::from_secs(bad);
        prop_assert_eq!(objective().require_budget(spent).is_err(), bad >= 2_592);
        prop_assert_eq!(objective().is_spent(spent), bad >= 2_592);
        let left = objective().remaining(spent).as_secs_f64();
        prop_assert!((left - 2_592u64.saturating_sub(bad) as f64).abs() < 1e-3, "{} s left", left);
    }

    /// One bad answer in a thousand burns the budget at its own speed.
    #[test]
    fn the_budget_burns_in_proportion(requests in 1u64..1_000_000, times in 0u64..20) {
        let rate = objective().burn_rate(times * requests, 1_000 * requests).expect("a rate");
        prop_assert!((rate - times as f64).abs() < 1e-9, "{} times", rate);
        prop_assert_eq!(objective().burn_rate(0, 0), None);
        prop_assert_eq!(objective().burn_rate(requests + 1, requests), None);
    }
}

/// The strictest latency and availability that a plan names, in whatever unit; what it does not name is the policy's.
#[test]
fn a_plan_states_its_promise() {
    let floor = objective();
    let stated = |criteria: &[(&str, f64, &str)]| {
        let one = Objective::stated(criteria.iter().copied(), floor);
        (one.latency_ms, one.availability)
    };
    assert_eq!(stated(&[]), (2_000.0, 0.999));
    assert_eq!(stated(&[("latency_p95_ms", 300.0, "ms"), ("latency", 0.2, "s")]), (200.0, 0.999));
    assert_eq!(stated(&[("availability", 0.9995, ""), ("throughput", 50.0, "rows/s")]), (2_000.0, 0.9995));
}

/// A promise is never weakened by another, and what is no promise changes nothing.
#[test]
fn the_stricter_promise_counts() {
    let floor = objective();
    let with = |latency_ms, availability| {
        let one = floor.stricter(Objective { latency_ms, availability, ..floor });
        (one.latency_ms, one.availability)
    };
    assert_eq!(with(300.0, 0.9995), (300.0, 0.9995));
    assert_eq!(with(9_000.0, 0.5), (2_000.0, 0.999));
    for (latency, share) in [(0.0, 1.0), (f64::NAN, f64::NAN), (-1.0, 2.0)] {
        assert_eq!(with(latency, share), (2_000.0, 0.999), "{latency} ms, {share}");
    }
}
