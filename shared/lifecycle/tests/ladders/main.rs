//! What reading 5 promises of the gateway's breaker, over simulated rollouts by the ladder of the policy. The example
//! `canary_ladders` prints the same for ten thousand rollouts and more traffic.
#![allow(missing_docs, clippy::expect_used)]

mod simulate;

use lifecycle::Policy;
use simulate::{Traffic, delays, false_abort, quantile};
use statistics::interval::{Share, clopper_pearson_lower};

/// Rollouts that keep a healthy canary: at the healthy rate beside a stable version without a failure, beside one that
/// fails as much, without one, and, as good as stable, above the healthy rate.
#[test]
fn one_healthy_canary_in_a_thousand_is_taken_off_at_most() {
    let policy = Policy::builtin();
    let rules = &policy.rollout.breaker;
    let (healthy, budget) = (rules.healthy_error_rate.value, rules.error_budget.value);
    for (canary, stable) in [
        (healthy, Some(0.0)),
        (healthy, Some(healthy)),
        (healthy, None),
        (3.0 * healthy, Some(3.0 * healthy)),
    ] {
        let traffic = Traffic { per_second: 2.0, canary, stable };
        let ladders = 2_000;
        let aborts = (0..ladders).filter(|seed| false_abort(&policy.rollout, traffic, *seed)).count() as u64;
        let share = Share::new(aborts, ladders).expect("no more aborts than ladders");
        let at_least = clopper_pearson_lower(share, 0.95).expect("a confidence");
        assert!(share.value() <= budget && at_least <= budget, "{aborts} of {ladders}: {traffic:?}");
    }
}

/// The simulation can tell: a canary above the limit does not get through.
#[test]
fn a_canary_above_the_limit_is_taken_off() {
    let policy = Policy::builtin();
    let traffic = Traffic { per_second: 20.0, canary: 0.08, stable: Some(0.002) };
    assert!((0..100).all(|seed| false_abort(&policy.rollout, traffic, seed)));
}

/// Half a second and five failed requests where all fail, three seconds where 30 % do: from the start, after a calm, and at
/// later steps. Late, and where stable failed twice within its last requests, one or two more fail: H0 then allows more.
#[test]
fn a_canary_that_breaks_is_off_in_time() {
    let policy = Policy::builtin();
    let second = simulate::CANARY_PER_SECOND;
    let settings = [(0, 0, 400), (0, 60, 400), (0, 10_000, 60), (1, 0, 60), (1, 9_000, 30), (2, 0, 30)];
    for (step, calm, runs) in settings {
        let found = delays(&policy.rollout, (step, calm), (0.002, Some(0.002)), &[1.0, 0.3], 0..runs);
        let (all, some) = (&found[0], &found[1]);
        assert_eq!((all.other, some.other), (0, 0), "not found at step {step} after {calm}");
        let of = |values: &[u64], share| quantile(values, share).expect("all were found");
        let (median, most) = (of(&all.failed, 0.5), of(&all.failed, 1.0));
        let third = of(&some.requests, 0.5) as f64 / second;
        let at = format!("step {step}, {calm} before: {median} and {most} failed, {third} s");
        assert!(median <= 5 && of(&all.requests, 0.5) as f64 / second <= 0.5, "{at}");
        assert!(most <= if step == 0 && calm < 100 { 5 } else { 7 }, "{at}");
        assert!(third <= 3.0, "{at}");
    }
}

/// A first canary has nothing beside it: only the limit itself stands against it, so a late storm costs more.
#[test]
fn without_a_stable_version_a_late_storm_costs_seven_requests() {
    let policy = Policy::builtin();
    for (calm, most) in [(0, 4), (100, 6), (10_000, 7)] {
        let found = delays(&policy.rollout, (0, calm), (0.0, None), &[1.0], 0..20);
        assert!(
            found[0].other == 0 && found[0].failed.iter().all(|failed| *failed <= most),
            "{calm}: {found:?}"
        );
    }
    let found = delays(&policy.rollout, (0, 0), (0.0, None), &[0.3], 0..400);
    assert!(quantile(&found[0].requests, 0.5).is_some_and(|requests| requests <= 30));
}
