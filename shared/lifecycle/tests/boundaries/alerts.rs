//! §9.1 alerts and §8.3 triggers: strictly beyond the number, in a full window, on enough samples.

use lifecycle::alert::{Judgement, Measurement, Metric, judge};
use lifecycle::rollback::{Breaker, Fault, Observed, Trigger, breaker, counts, fired};

use super::*;

/// Metric, the side on which it fires, the number, the window in seconds, the samples.
const ALERTS: &[(Metric, Strict, f64, u64, u64)] = &[
    (Metric::LatencyP95, Strict::Above, 2000.0, 60, 100),
    (Metric::ErrorRate, Strict::Above, 0.01, 60, 100),
    (Metric::Accuracy, Strict::Below, 0.9, 60, 100),
    (Metric::HallucinationRate, Strict::Above, 0.05, 60, 100),
    (Metric::Disparity, Strict::Above, 0.1, 60, 100),
    (Metric::GpuUtilization, Strict::Above, 0.9, 60, 1),
    (Metric::OomEvents, Strict::Above, 0.0, 60, 1),
    (Metric::VolumeDrop, Strict::Above, 0.2, 3_600, 100),
];

fn judged(metric: Metric, value: Option<f64>, samples: u64, window: Duration) -> Judgement {
    let rule = policy().monitoring.alerts.iter().find(|rule| rule.metric == metric).expect("a rule");
    judge(rule, &Measurement { value, samples, window })
}

proptest! {
    /// Beyond the number fires; the number itself and the other side raise nothing (reading 2).
    #[test]
    fn each_alert_from_both_sides((metric, side, number, window, samples) in select(ALERTS), distance in distance()) {
        let window = Duration::from_secs(window);
        let at = |value| judged(metric, Some(value), samples, window);
        prop_assert_eq!(at(inside(number, side, distance)), Judgement::Firing);
        prop_assert_eq!(at(number), Judgement::Quiet);
        prop_assert_eq!(at(outside(number, side, distance)), Judgement::Quiet);
        prop_assert_eq!(at(f64::NAN), Judgement::Undefined);
        prop_assert_eq!(judged(metric, None, samples, window), Judgement::Undefined);
    }

    /// Too few samples or too short a window say nothing, however bad they are.
    #[test]
    fn each_window_must_be_full(
        (metric, side, number, window, least) in select(ALERTS), nanos in nanos(), samples in 0u64..200,
    ) {
        let value = Some(inside(number, side, 0.1));
        let seen = judged(metric, value, samples, around(window, nanos));
        let enough = samples >= least && nanos >= 0;
        let want = if enough { Judgement::Firing } else { Judgement::Inconclusive { needed: least } };
        prop_assert_eq!(seen, want);
    }

    /// §8.3: errors > 5 %, P95 > 5000 ms, one complaint, one security issue; what is unknown fires nothing.
    #[test]
    fn each_trigger_from_both_sides(
        distance in distance(), errors in select(vec![-1i8, 0, 1, 2]), latency in select(vec![-1i8, 0, 1, 2]),
        complaints in 0u64..3, issues in 0u64..3,
    ) {
        let value = |number: f64, place: i8| match place {
            -1 => Some(inside(number, Strict::Below, distance)),
            0 => Some(number),
            1 => Some(inside(number, Strict::Above, distance)),
            _ => if distance > 0.0 { None } else { Some(f64::NAN) },
        };
        let observed = Observed {
            error_rate: value(0.05, errors),
            latency_p95_ms: value(5000.0, latency),
            user_complaints: complaints,
            security_issues: issues,
        };
        let seen: Vec<Trigger> = fired(&observed, &policy().rollout).iter().map(|row| row.trigger).collect();
        let want = [
            (Trigger::ErrorRate, errors == 1),
            (Trigger::LatencyP95, latency == 1),
            (Trigger::UserComplaints, complaints > 0),
            (Trigger::SecurityIssue, issues > 0),
        ];
        let want: Vec<Trigger> = want.into_iter().filter(|(_, fires)| *fires).map(|(trigger, _)| trigger).collect();
        prop_assert_eq!(seen, want);
    }

    /// Reading 5: an e-value of a thousand takes the canary off, less holds, no number never advances it.
    #[test]
    fn the_breaker_from_both_sides(distance in distance()) {
        let rules = &policy().rollout.breaker;
        prop_assert_eq!(breaker((1_000.0 * (1.0 + distance)).ln() + 1e-12, rules), Breaker::Trip);
        prop_assert_eq!(breaker((1_000.0 * (1.0 - distance)).ln() - 1e-12, rules), Breaker::Hold);
        prop_assert_eq!(breaker(f64::INFINITY, rules), Breaker::Trip);
        prop_assert_eq!(breaker(f64::NAN, rules), Breaker::Undefined);
    }

    /// A drop is counted against the median of the same hour: one request less than four fifths fires.
    #[test]
    fn the_volume_from_both_sides(baseline in 20u64..1_000_000, spread in vec(0u64..1_000, 0..4)) {
        let baseline = baseline * 5;
        let mut weeks = vec![baseline];
        for off in spread { weeks.extend([baseline + off, baseline.saturating_sub(off)]); }
        let drop = |requests| lifecycle::alert::volume_drop(requests, &weeks);
        let hour = Duration::from_hours(1);
        let at = |requests| judged(Metric::VolumeDrop, drop(requests), baseline, hour);
        prop_assert_eq!(at(baseline / 5 * 4), Judgement::Quiet);
        prop_assert_eq!(at(baseline / 5 * 4 - 1), Judgement::Firing);
        prop_assert_eq!(lifecycle::alert::volume_drop(1, &[0, 0, 0]), None);
    }
}

/// Only the model's own faults count against it.
#[test]
fn whose_fault_counts() {
    for fault in Fault::ALL {
        assert_eq!(counts(*fault, &policy().rollout.breaker), *fault == Fault::Model, "{fault}");
    }
}

/// Every row of the policy, the two triggers with a number, and the breaker.
#[test]
fn thresholds_are_strict() {
    for rule in &policy().monitoring.alerts {
        let measured = |value| Measurement { value, samples: rule.min_samples, window: rule.window.get() };
        assert_eq!(judge(rule, &measured(Some(rule.threshold))), Judgement::Quiet, "{}", rule.metric);
        let beyond = if rule.fires == Strict::Above { 1e-9 } else { -1e-9 };
        let value = Some(rule.threshold + beyond * rule.threshold.max(1.0));
        assert_eq!(judge(rule, &measured(value)), Judgement::Firing, "{}", rule.metric);
        assert_eq!(judge(rule, &measured(Some(f64::NAN))), Judgement::Undefined);
        let few = Measurement { samples: rule.min_samples - 1, ..measured(value) };
        assert!(matches!(judge(rule, &few), Judgement::Inconclusive { .. }));
    }
    let rollout = &policy().rollout;
    let seen =
        |errors, p95| Observed { error_rate: Some(errors), latency_p95_ms: Some(p95), ..Observed::default() };
    assert!(fired(&seen(0.05, 5_000.0), rollout).is_empty());
    assert_eq!(fired(&seen(0.0501, 5_000.1), rollout).len(), 2);
    assert_eq!(breaker(1_000.0_f64.ln() + 1e-9, &rollout.breaker), Breaker::Trip);
    assert_eq!(breaker(999.0_f64.ln(), &rollout.breaker), Breaker::Hold);
    assert_eq!(breaker(f64::NAN, &rollout.breaker), Breaker::Undefined);
}
