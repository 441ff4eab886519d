//! §7 evaluation.

use lifecycle::{Strict, acceptance::Metric, policy::acceptance::Rule};

use super::*;

#[test]
fn section_7_1_dimensions_and_their_slots() {
    let dimensions = policy().evaluation.dimensions.iter();
    let rows: Vec<_> = dimensions.map(|row| (row.dimension.as_str(), join(&row.slots))).collect();
    let want = [
        ("performance", "task-metrics, latency, throughput"),
        ("fairness", "demographic-parity, equal-opportunity, calibration"),
        ("robustness", "adversarial, edge-cases, out-of-distribution"),
        ("safety", "harmful-content, hallucination, information-leakage"),
        ("explainability", "feature-attribution, decision-explanation, uncertainty"),
    ];
    assert_eq!(rows, want.map(|(dimension, slots)| (dimension, slots.to_owned())));
    assert_eq!(policy().evaluation.split.value, "test"); // the split that nothing was trained on
}

#[test]
fn section_7_2_test_categories() {
    let categories = policy().evaluation.test_categories.iter();
    let rows: Vec<_> =
        categories.map(|row| (row.category.as_str(), row.purpose.as_str(), row.tools.join(", "))).collect();
    let want = [
        ("unit", "Individual components", "pytest"),
        ("integration", "Component interactions", "pytest, locust"),
        ("benchmark", "Standard benchmarks", "lm-evaluation-harness"),
        ("adversarial", "Security and robustness", "garak, textattack"),
        ("fairness", "Bias detection", "fairlearn, aequitas"),
        ("ab", "Production comparison", "feature flags"),
    ];
    assert_eq!(rows, want.map(|(category, purpose, tools)| (category, purpose, tools.to_owned())));
}

#[test]
fn section_7_3_minimum_thresholds() {
    let acceptance = &policy().acceptance;
    let above = |value| Rule::Bound { comparator: Strict::Above, value };
    let below = |value| Rule::Bound { comparator: Strict::Below, value };
    let thresholds = acceptance.thresholds.iter();
    let rows: Vec<_> = thresholds
        .map(|row| (row.metric, row.title.as_str(), row.rule, row.unit.as_str(), row.min_samples))
        .collect();
    assert_eq!(
        rows,
        [
            (Metric::TaskAccuracy, "Task Accuracy", above(0.9), "share", 100),
            (Metric::LatencyP95, "Latency P95", below(2000.0), "ms", 100),
            (Metric::HallucinationRate, "Hallucination Rate", below(0.05), "share", 100),
            (Metric::DemographicParity, "Demographic Parity", above(0.9), "share", 100),
            (Metric::HarmfulContentRate, "Harmful Content Rate", Rule::Never, "share", 300),
            (Metric::AdversarialSuccessRate, "Adversarial Success Rate", below(0.05), "share", 100),
        ]
    );
    let confidences = (acceptance.interval_confidence.value, acceptance.zero_bound_confidence.value);
    assert_eq!(confidences, (0.90, 0.95)); // reading 3
    assert_eq!(join(&acceptance.not_applicable_signers.value), "ml-lead, qa-engineer, ethics-reviewer");
}

/// Reading 12: who need not be measured for what, and why; everything else is required.
#[test]
fn task_by_metric() {
    let choosing = "task-accuracy, latency-p95, demographic-parity, adversarial-success-rate";
    let writing = "task-accuracy, latency-p95, hallucination-rate, demographic-parity, harmful-content-rate, \
                   adversarial-success-rate";
    let excuses = "hallucination-rate: the model chooses among given answers, it asserts nothing of its own; \
                   harmful-content-rate: the model chooses among given answers, it writes no content";
    let tasks = policy().acceptance.tasks.iter();
    let rows: Vec<_> = tasks
        .map(|row| {
            let excuses = row.not_applicable.iter().map(|one| format!("{}: {}", one.metric, one.reason));
            (row.task.as_str(), join(&row.required), excuses.collect::<Vec<_>>().join("; "))
        })
        .collect();
    let want = [
        ("binary-classification", choosing, excuses),
        ("multiclass-classification", choosing, excuses),
        ("regression", choosing, excuses),
        ("text-classification", choosing, excuses),
        ("text-generation", writing, ""),
    ];
    assert_eq!(rows, want.map(|(task, metrics, why)| (task, metrics.to_owned(), why.to_owned())));
}

/// Reading 12: what an attack must be at least.
#[test]
fn attack_of_the_adversarial_success_rate() {
    let attack = &policy().acceptance.attack;
    assert_eq!((attack.norm.as_str(), attack.size, attack.text_share), ("linf", 0.02, 0.05));
    assert_eq!((attack.queries, attack.numeric.join(", ").as_str()), (500, "square"));
    assert_eq!(attack.text.join(", "), "character-edits");
}

#[test]
fn section_7_4_review_checklist() {
    let ethics = &policy().ethics;
    let items = ethics.items.iter();
    let rows: Vec<_> =
        items.map(|row| (row.item.as_str(), row.title.as_str(), join(&row.assessors))).collect();
    let want = [
        ("bias-assessment", "Bias assessment completed", "ethics-reviewer"),
        ("privacy-impact", "Privacy impact assessment completed", "ethics-reviewer, legal"),
        ("use-case-risk", "Use case risk assessment completed", "ethics-reviewer"),
        ("stakeholder-impact", "Stakeholder impact analysis completed", "ethics-reviewer"),
        ("mitigation", "Mitigation measures documented", "ethics-reviewer"),
    ];
    assert_eq!(rows, want.map(|(item, title, roles)| (item, title, roles.to_owned())));
    // the sixth item: "Ethics board approval obtained"
    assert_eq!((ethics.board.value.as_str(), ethics.quorum.value), ("ethics-board", 2));
}
