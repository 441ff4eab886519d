//! §8.2 the ladder, §8.3 rollback.

use super::*;

#[test]
fn section_8_2_ladder() {
    let steps = policy().rollout.steps.iter();
    let rows: Vec<_> = steps.map(|row| (row.traffic_percent, seconds(row.dwell), row.min_requests)).collect();
    assert_eq!(
        rows,
        [(5, HOUR, 100), (25, 15 * MINUTE, 100), (50, 15 * MINUTE, 100), (100, 0, 100)] // reading 4
    );
}

#[test]
fn section_8_3_rollback_procedure() {
    let triggers = policy().rollout.triggers.iter();
    let rows: Vec<_> = triggers
        .map(|row| (row.trigger.as_str(), row.above, row.action.as_str(), seconds(row.within)))
        .collect();
    assert_eq!(
        rows,
        [
            ("error-rate", 0.05, "automatic-rollback", 0),
            ("latency-p95", 5000.0, "manual-assessment", 5 * MINUTE),
            ("user-complaints", 0.0, "investigation", 15 * MINUTE),
            ("security-issue", 0.0, "immediate-rollback", 0),
        ]
    );
    let severities: Vec<&str> = policy().rollout.triggers.iter().map(|row| row.severity.as_str()).collect();
    assert_eq!(severities, ["high", "medium", "medium", "critical"]);
}

/// Reading 5: errors at most 5 %; a canary of at most 1 % is aborted with a probability of at most 0.1 %.
#[test]
fn breaker_of_the_gateway() {
    let breaker = &policy().rollout.breaker;
    let shares = [&breaker.max_error_rate, &breaker.healthy_error_rate, &breaker.error_budget];
    assert_eq!(shares.map(|cited| cited.value.to_string()), ["0.05", "0.01", "0.001"]);
    assert_eq!(join(&breaker.counted.value), "model");
    assert_eq!(seconds(policy().rollout.max_silence.value), 5 * MINUTE);
}

#[test]
fn incidents_of_the_triggers() {
    let severities = policy().incidents.severities.iter();
    let rows: Vec<_> = severities
        .map(|row| {
            let clocks = [row.acknowledge_within, row.mitigate_within, row.close_within].map(seconds);
            (row.severity.as_str(), clocks)
        })
        .collect();
    assert_eq!(
        rows,
        [
            ("critical", [5 * MINUTE, 15 * MINUTE, 5 * DAY]),
            ("high", [5 * MINUTE, HOUR, 5 * DAY]),
            ("medium", [15 * MINUTE, 4 * HOUR, 10 * DAY]),
            ("low", [DAY, 5 * DAY, 30 * DAY]),
        ]
    );
    assert_eq!(join(&policy().incidents.responders.value), "ml-ops-engineer");
}
