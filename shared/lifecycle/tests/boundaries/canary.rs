//! G4 and the ladder: one hour at 5 %, 15 minutes at 25 % and 50 %, 100 requests, no trigger, no alert, no silence.

use lifecycle::health::CanaryHealth;
use lifecycle::rollout::Rollout;

use super::*;

fn healthy(percent: u32) -> CanaryHealth {
    CanaryHealth {
        requests: 1_000,
        model_faults: 0,
        latency_p95_ms: Some(10.0),
        soaked: Duration::from_hours(2),
        windows: 60,
        windows_with_trigger: 0,
        windows_with_alert: 0,
        open_alerts: Vec::new(),
        traffic_percent: percent,
        longest_silence: Some(Duration::ZERO),
    }
}

fn sound(health: &CanaryHealth) -> bool {
    health.flaws(policy()).is_empty()
}

proptest! {
    /// Errors of at most 1 % of the requests; one request more is an alert.
    #[test]
    fn errors_from_both_sides(hundreds in 1u64..10_000) {
        let with = |model_faults| CanaryHealth { requests: 100 * hundreds, model_faults, ..healthy(5) };
        prop_assert!(sound(&with(hundreds - 1)) && sound(&with(hundreds)));
        prop_assert!(!sound(&with(hundreds + 1)));
        prop_assert!(!sound(&with(5 * hundreds + 1)) && !sound(&with(100 * hundreds + 1)));
    }

    /// P95 of at most 2000 ms; no number, or none at all, is no health.
    #[test]
    fn latency_from_both_sides(distance in distance()) {
        let with = |p95| sound(&CanaryHealth { latency_p95_ms: p95, ..healthy(5) });
        prop_assert!(with(Some(2000.0)) && with(Some(inside(2000.0, Strict::Below, distance))));
        prop_assert!(!with(Some(inside(2000.0, Strict::Above, distance))) && !with(None));
        prop_assert!(NO_NUMBERS.iter().all(|bad| !with(Some(*bad))) && !with(Some(-1.0)));
    }

    /// Five minutes without a request are the longest that count as watched.
    #[test]
    fn silence_from_both_sides(nanos in nanos()) {
        let with = |longest_silence| sound(&CanaryHealth { longest_silence, ..healthy(5) });
        prop_assert_eq!(with(Some(around(300, nanos))), nanos <= 0);
        prop_assert!(!with(None));
    }

    /// Each step lasts its time by the rollout's own clock and by the monitor's, and needs its hundred requests.
    #[test]
    fn each_step_from_both_sides(step in 1usize..4, own in nanos(), monitors in nanos(), requests in 95u64..105) {
        let (percent, dwell) = [(5, 3_600), (25, 900), (50, 900), (100, 0)][step];
        let own = if dwell == 0 { own.abs() } else { own };
        let running = Rollout::Running { step, since: at(0) };
        let health = CanaryHealth { soaked: around(dwell, monitors), requests, ..healthy(percent) };
        let answer = running.advance(&health, None, at(0) + around(dwell, own), policy());
        let long = (own >= 0 && monitors >= 0) || dwell == 0;
        prop_assert_eq!(answer.is_ok(), long && requests >= 100, "{:?}", answer);
    }
}
