//! The tables of WLP-MLDEV-001 §3 and §8 to §11 as literals, against the default policy.

use std::time::Duration;

use lifecycle::Policy;
use lifecycle::duty::Frequency;
use lifecycle::policy::Span;

const HOUR: u64 = 3_600;

fn seconds(span: Span) -> u64 {
    span.get().as_secs()
}

#[test]
fn section_3_the_forward_arrows() {
    let arrows: Vec<(&str, &str)> =
        Policy::builtin().phases.transitions.iter().map(|t| (t.from.as_str(), t.to.as_str())).collect();
    for arrow in [
        ("PLAN", "DATA"),
        ("DATA", "MODEL"),
        ("MODEL", "EVAL"),
        ("EVAL", "DEPLOY"),
        ("DEPLOY", "MONITOR"),
        ("MONITOR", "ITERATE"),
        ("MONITOR", "RETIRE"),
    ] {
        assert!(arrows.contains(&arrow), "{arrow:?}");
    }
    assert!(arrows.iter().all(|(_, to)| *to != "DEPLOY" || arrows.contains(&("EVAL", "DEPLOY"))));
    assert_eq!(arrows.iter().filter(|(_, to)| *to == "DEPLOY").count(), 1);
}

#[test]
fn section_8_1_stages_and_activities() {
    let stages: Vec<(&str, Vec<&str>)> = Policy::builtin()
        .deployment
        .stages
        .iter()
        .map(|row| (row.stage.as_str(), row.activities.iter().map(|a| a.as_str()).collect()))
        .collect();
    assert_eq!(
        stages,
        [
            ("BUILD", vec!["package", "containerize", "version", "scan"]),
            ("TEST", vec!["unit-tests", "integration", "benchmark", "security"]),
            ("STAGE", vec!["deploy-to-staging", "smoke-tests", "load-tests", "manual-qa"]),
            ("PROD", vec!["canary", "gradual-rollout", "full-deployment", "monitor"]),
        ]
    );
}

#[test]
fn section_8_2_checklists_and_ladder() {
    let policy = Policy::builtin();
    let pre: Vec<&str> = policy.deployment.pre.iter().map(|item| item.as_str()).collect();
    assert_eq!(
        pre,
        [
            "tests-passing",
            "benchmarks-meeting-thresholds",
            "ethics-review-approved",
            "security-scan-completed",
            "documentation-updated",
            "rollback-plan-verified",
            "on-call-notified",
        ]
    );
    let deploy: Vec<&str> = policy.deployment.deploy.iter().map(|item| item.as_str()).collect();
    assert_eq!(
        deploy,
        [
            "deploy-to-staging",
            "run-smoke-tests",
            "verify-metrics",
            "deploy-canary",
            "monitor-canary",
            "gradual-rollout",
            "full-deployment",
        ]
    );
    let post: Vec<&str> = policy.deployment.post.iter().map(|item| item.as_str()).collect();
    assert_eq!(post, ["verify-all-metrics", "update-status-page", "notify-stakeholders", "close-ticket"]);
    assert_eq!(seconds(policy.deployment.canary_watch), HOUR);
    let steps: Vec<(u32, u64, u64)> = policy
        .rollout
        .steps
        .iter()
        .map(|step| (step.traffic_percent, seconds(step.dwell), step.min_requests))
        .collect();
    assert_eq!(steps, [(5, 3_600, 100), (25, 900, 100), (50, 900, 100), (100, 0, 100)]);
}

#[test]
fn section_8_3_triggers() {
    let rollout = &Policy::builtin().rollout;
    let rows: Vec<(&str, f64, &str, u64)> = rollout
        .triggers
        .iter()
        .map(|row| (row.trigger.as_str(), row.above, row.action.as_str(), seconds(row.within)))
        .collect();
    assert_eq!(
        rows,
        [
            ("error-rate", 0.05, "automatic-rollback", 0),
            ("latency-p95", 5_000.0, "manual-assessment", 300),
            ("user-complaints", 0.0, "investigation", 900),
            ("security-issue", 0.0, "immediate-rollback", 0),
        ]
    );
    assert!((rollout.breaker.max_error_rate.value - 0.05).abs() < 1e-12);
    assert!((rollout.breaker.healthy_error_rate.value - 0.01).abs() < 1e-12);
    assert!((rollout.breaker.error_budget.value - 0.001).abs() < 1e-12);
}

#[test]
fn section_9_1_alert_thresholds() {
    let rows: Vec<(&str, &str, String, f64)> = Policy::builtin()
        .monitoring
        .alerts
        .iter()
        .map(|row| (row.category.as_str(), row.metric.as_str(), row.fires.to_string(), row.threshold))
        .collect();
    let expected = [
        ("performance", "latency-p95-ms", ">", 2_000.0),
        ("performance", "error-rate", ">", 0.01),
        ("quality", "accuracy", "<", 0.9),
        ("quality", "hallucination-rate", ">", 0.05),
        ("fairness", "disparity", ">", 0.1),
        ("resources", "gpu-utilization", ">", 0.9),
        ("resources", "oom-events", ">", 0.0),
        ("business", "volume-drop", ">", 0.2),
    ];
    assert_eq!(rows, expected.map(|(c, m, side, t)| (c, m, side.to_owned(), t)));
    let first = &Policy::builtin().monitoring.alerts[0];
    assert_eq!((seconds(first.window), first.min_samples), (60, 100));
}

#[test]
fn section_9_2_and_9_3_kinds() {
    let monitoring = &Policy::builtin().monitoring;
    let kinds: Vec<&str> = monitoring.drift.iter().map(|row| row.kind.as_str()).collect();
    assert_eq!(kinds, ["data", "concept", "prediction"]);
    let decisions: Vec<&str> = monitoring.feedback.deciders.iter().map(|row| row.decision.as_str()).collect();
    assert_eq!(decisions, ["retrain", "adjust", "maintain", "retire"]);
}

#[test]
fn section_4_1_service_levels() {
    let levels = &Policy::builtin().monitoring.service_levels;
    assert!((levels.latency_ms.value - 2_000.0).abs() < 1e-12);
    assert!((levels.availability.value - 0.999).abs() < 1e-12);
    let objective = lifecycle::slo::Objective::of(levels);
    let minutes = objective.budget().as_secs_f64() / 60.0;
    assert!((minutes - 43.2).abs() < 1e-6, "{minutes}");
}

#[test]
fn section_10_1_duties() {
    let rows: Vec<(&str, Frequency, &str)> = Policy::builtin()
        .duties
        .activities
        .iter()
        .map(|row| (row.activity.as_str(), row.frequency, row.role.as_str()))
        .collect();
    assert_eq!(
        rows,
        [
            ("performance-review", Frequency::Weekly, "ml-ops-engineer"),
            ("drift-assessment", Frequency::Monthly, "ml-engineer"),
            ("security-scan", Frequency::Monthly, "security"),
            ("documentation-update", Frequency::PerChange, "developer"),
            ("retraining-evaluation", Frequency::Quarterly, "ml-lead"),
        ]
    );
}

#[test]
fn section_10_2_and_10_3_retirement() {
    let retirement = &Policy::builtin().retirement;
    assert_eq!(retirement.degraded_days.value, 30);
    assert!((retirement.improvement.value - 0.1).abs() < 1e-12);
    assert_eq!(retirement.notice.value.get(), Duration::from_secs(30 * 24 * HOUR));
    let steps: Vec<&str> = retirement.steps.iter().map(|step| step.as_str()).collect();
    assert_eq!(
        steps,
        [
            "announce",
            "migrate-users",
            "traffic-to-zero",
            "archive",
            "update-documentation",
            "delete-deployment",
            "retain-records",
        ]
    );
}

#[test]
fn section_11_documents() {
    let rows: Vec<(&str, &str, &str, &str)> = Policy::builtin()
        .documents
        .iter()
        .map(|row| (row.document.as_str(), row.per.as_str(), row.owner.as_str(), row.template.as_str()))
        .collect();
    assert_eq!(
        rows,
        [
            ("model-card", "model", "ml-engineer", "TPL-MODEL"),
            ("data-card", "dataset", "data-engineer", "TPL-DATA"),
            ("training-report", "training", "ml-engineer", "TPL-TRAIN"),
            ("evaluation-report", "evaluation", "qa-engineer", "TPL-EVAL"),
            ("deployment-record", "deployment", "ml-ops-engineer", "TPL-DEPLOY"),
            ("incident-report", "incident", "on-call", "TPL-INC"),
        ]
    );
    let card = &Policy::builtin().documents[1].parts;
    let sections = [
        "overview",
        "composition",
        "collection",
        "preprocessing",
        "distribution",
        "bias-analysis",
        "ethical-review",
        "maintenance",
    ];
    assert_eq!(card, &sections);
}

#[test]
fn approval_block() {
    let rows: Vec<(&str, &str)> = Policy::builtin()
        .people
        .signatures
        .iter()
        .map(|row| (row.signature.as_str(), row.role.as_str()))
        .collect();
    assert_eq!(rows, [("owner", "ml-lead"), ("reviewer", "qa-lead"), ("approver", "chief-ai-officer")]);
}
