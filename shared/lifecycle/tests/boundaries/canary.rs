//! G4 and the ladder: one hour at 5 %, 15 minutes at 25 % and 50 %, 100 requests, no trigger, no alert, no silence.

use lifecycle::gate::{Evidence, Gate, decide};
use lifecycle::health::CanaryHealth;
use lifecycle::rollout::Rollout;

use super::given::gates::{quiet_canary, ready_for};
use super::given::rollout::healthy;
use super::*;

fn sound(health: &CanaryHealth) -> bool {
    health.flaws(policy()).is_empty()
}

fn stable(health: CanaryHealth) -> bool {
    decide(Gate::G4, &ready_for(Gate::G4), &Evidence::Canary { health }, policy()).passed
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

#[test]
fn an_unquiet_or_hasty_canary_is_not_stable() {
    let spoils: [fn(&mut CanaryHealth); 19] = [
        |health| health.soaked -= Duration::from_secs(1),
        |health| health.requests = 99,
        |health| health.windows = 0,
        |health| health.windows_with_trigger = 1,
        |health| health.windows_with_alert = 1,
        |health| health.open_alerts.push("latency".into()),
        |health| health.traffic_percent = 25,
        |health| health.latency_p95_ms = Some(f64::NAN),
        |health| health.latency_p95_ms = None,
        |health| health.model_faults = 2,   // 2 %: above the alert of 1 %
        |health| health.model_faults = 100, // and above the trigger of 5 %
        |health| health.model_faults = 101,
        |health| health.latency_p95_ms = Some(2_000.1),
        |health| health.longest_silence = None,
        |health| health.longest_silence = Some(Duration::from_secs(5 * 60 + 1)),
        |health| health.triggers_now = 1,
        |health| health.breaker_log_e = None,
        |health| health.breaker_log_e = Some(f64::NAN),
        |health| health.breaker_log_e = Some(6.908), // a thousandth is -6.9078
    ];
    assert!(stable(quiet_canary()));
    for (place, spoil) in spoils.into_iter().enumerate() {
        let mut health = quiet_canary();
        spoil(&mut health);
        assert!(!stable(health), "spoil {place}");
    }
}

/// The alert's own numbers raise nothing (reading 2), here as there; nor does the longest silence that is allowed.
#[test]
fn a_canary_on_the_thresholds_is_stable() {
    assert!(stable(CanaryHealth {
        model_faults: 1,
        latency_p95_ms: Some(2_000.0),
        longest_silence: Some(Duration::from_mins(5)),
        breaker_log_e: Some(6.907),
        ..quiet_canary()
    }));
}

/// Health that was stored without these fields says no more against the canary than it did.
#[test]
fn stored_health_is_judged_as_it_was() {
    let mut stored = serde_norway::to_value(quiet_canary()).expect("stored");
    let fields = stored.as_mapping_mut().expect("fields");
    fields.remove("triggers_now").and(fields.remove("breaker_log_e")).expect("both were there");
    assert!(stable(serde_norway::from_value(stored).expect("read")));
}

/// Every step looks at the same numbers as G4: 3 % errors and a P95 of 3 s are no health, however quiet the windows.
#[test]
fn no_step_takes_a_canary_that_alerts_would_fire_for() {
    let policy = policy();
    let fine = CanaryHealth { model_faults: 10, soaked: Duration::from_hours(1), ..healthy(25) };
    let spoiled = [
        CanaryHealth { model_faults: 11, ..fine.clone() },
        CanaryHealth { latency_p95_ms: Some(2_000.5), ..fine.clone() },
        CanaryHealth { latency_p95_ms: None, ..fine.clone() },
        CanaryHealth { longest_silence: None, ..fine.clone() },
        CanaryHealth { longest_silence: Some(Duration::from_secs(301)), ..fine.clone() },
    ];
    let second = Rollout::Running { step: 1, since: at(0) };
    assert!(second.advance(&fine, None, at(900), policy).is_ok());
    for health in spoiled {
        let why = second.advance(&health, None, at(900), policy).expect_err("unhealthy");
        assert_eq!(why.reason(), "UNHEALTHY", "{why}");
    }
}
