//! §9 monitoring.

use lifecycle::feedback::{ActionKind, Source};

use super::*;

#[test]
fn section_9_1_categories_and_metrics() {
    let dashboard = policy().monitoring.dashboard.iter();
    let rows: Vec<_> = dashboard.map(|row| (row.category.as_str(), row.metrics.join(", "))).collect();
    let want = [
        ("performance", "Latency, throughput, error rate"),
        ("quality", "Accuracy, hallucination rate"),
        ("fairness", "Demographic parity"),
        ("resources", "GPU utilization, memory"),
        ("business", "Request volume, user satisfaction"),
    ];
    assert_eq!(rows, want.map(|(category, metrics)| (category, metrics.to_owned())));
}

/// With the windows and samples of reading 4: a reading of the machine needs no second one.
#[test]
fn section_9_1_alert_thresholds() {
    let alerts = policy().monitoring.alerts.iter();
    let rows: Vec<_> = alerts
        .map(|row| {
            let fires = format!("{} {} {}", row.metric, row.fires, row.threshold);
            (row.category.as_str(), fires, seconds(row.window), row.min_samples)
        })
        .collect();
    let want = [
        ("performance", "latency-p95-ms > 2000", MINUTE, 100),
        ("performance", "error-rate > 0.01", MINUTE, 100),
        ("quality", "accuracy < 0.9", MINUTE, 100),
        ("quality", "hallucination-rate > 0.05", MINUTE, 100),
        ("fairness", "disparity > 0.1", MINUTE, 100),
        ("resources", "gpu-utilization > 0.9", MINUTE, 1),
        ("resources", "oom-events > 0", MINUTE, 1),
        ("business", "volume-drop > 0.2", HOUR, 100),
    ];
    assert_eq!(
        rows,
        want.map(|(category, fires, window, samples)| (category, fires.to_owned(), window, samples))
    );
    assert_eq!(policy().monitoring.quiet_windows.value, 3);
}

/// Data: statistical tests; concept: performance monitoring; prediction: distribution comparison.
#[test]
fn section_9_2_drift_types_and_detection() {
    let drift = policy().monitoring.drift.iter();
    let rows: Vec<_> = drift.map(|row| (row.kind.as_str(), join(&row.tests))).collect();
    let compared = "kolmogorov-smirnov, chi-squared, population-stability, jensen-shannon, wasserstein";
    let tested = format!("{compared}, maximum-mean-discrepancy");
    let want = [("data", tested.as_str()), ("concept", "change-point"), ("prediction", compared)];
    assert_eq!(rows, want.map(|(kind, tests)| (kind, tests.to_owned())));
    let drift = policy().monitoring.drift.iter();
    let rules: Vec<_> = drift
        .map(|row| (row.alpha, row.correction.as_str(), row.min_samples, row.psi_limit, row.effect_limit))
        .collect();
    assert_eq!(
        rules,
        [(0.01, "holm", 500, 0.25, 0.1), (0.01, "holm", 500, 0.25, 0.02), (0.01, "holm", 500, 0.25, 0.1)]
    );
}

#[test]
fn section_9_3_feedback_loop() {
    let feedback = &policy().monitoring.feedback;
    assert_eq!(join(Source::ALL), "user-feedback, error-logs, metrics, annotations"); // COLLECT
    assert_eq!(join(&feedback.analyses.value), "patterns, root-cause, trends, comparison"); // ANALYZE
    let decide: Vec<_> =
        feedback.deciders.iter().map(|row| (row.decision.as_str(), join(&row.roles))).collect();
    let want = [
        ("retrain", "ml-lead"),
        ("adjust", "ml-lead, ml-ops-engineer"),
        ("maintain", "ml-lead, ml-ops-engineer"),
        ("retire", "ml-lead"),
    ];
    assert_eq!(decide, want.map(|(decision, roles)| (decision, roles.to_owned())));
    assert_eq!(join(ActionKind::ALL), "update-model, update-data, update-config, document"); // ACTION
    let waits = [&feedback.analyze_within, &feedback.decide_within, &feedback.act_within];
    assert_eq!(waits.map(|cited| seconds(cited.value)), [7 * DAY, 14 * DAY, 30 * DAY]);
}
