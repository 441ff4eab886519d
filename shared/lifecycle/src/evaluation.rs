//! What an evaluation report must list (§7.1) and what a test report must say (§7.2).

use serde::{Deserialize, Serialize};

use crate::{
    approval::{Approval, NotApplicable},
    kinds::kinds,
    policy::{Cited, Evaluation},
    rejection::{Finding, Findings},
    role::Role,
};

kinds! {
    /// The five dimensions of §7.1.
    EvaluationDimension {
        /// Accuracy, latency, throughput.
        Performance = "performance",
        /// Parity, opportunity, calibration.
        Fairness = "fairness",
        /// Adversarial, edge cases, out-of-distribution.
        Robustness = "robustness",
        /// Harmful content, hallucination, leakage.
        Safety = "safety",
        /// Attribution, explanation, uncertainty.
        Explainability = "explainability",
    }
}

kinds! {
    /// The fifteen slots of §7.1.
    Slot {
        /// Accuracy/F1/BLEU/ROUGE.
        TaskMetrics = "task-metrics",
        /// Latency.
        Latency = "latency",
        /// Throughput.
        Throughput = "throughput",
        /// Demographic parity.
        DemographicParity = "demographic-parity",
        /// Equal opportunity.
        EqualOpportunity = "equal-opportunity",
        /// Calibration.
        Calibration = "calibration",
        /// Adversarial testing.
        Adversarial = "adversarial",
        /// Edge cases.
        EdgeCases = "edge-cases",
        /// Out-of-distribution.
        OutOfDistribution = "out-of-distribution",
        /// Harmful content.
        HarmfulContent = "harmful-content",
        /// Hallucination.
        Hallucination = "hallucination",
        /// Information leakage.
        InformationLeakage = "information-leakage",
        /// Feature attribution.
        FeatureAttribution = "feature-attribution",
        /// Decision explanation.
        DecisionExplanation = "decision-explanation",
        /// Uncertainty.
        Uncertainty = "uncertainty",
    }
}

kinds! {
    /// The six test categories of §7.2.
    TestCategory {
        /// Individual components.
        Unit = "unit",
        /// Component interactions.
        Integration = "integration",
        /// Standard benchmarks.
        Benchmark = "benchmark",
        /// Security and robustness.
        Adversarial = "adversarial",
        /// Bias detection.
        Fairness = "fairness",
        /// Production comparison.
        Ab = "ab",
    }
}

/// One slot of a report: measured, or a reason why not with somebody's signature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlotRecord {
    /// Which slot.
    pub slot: Slot,
    /// Names of the metrics that fill it; empty where it is not measured.
    pub metrics: Vec<String>,
    /// Why it is not measured.
    pub reason: String,
    /// Who signed that it is not measured; absent until someone did.
    pub sign_off: Option<Approval>,
}

/// Slots that the report does not list, or leaves empty without a reason that one of `signers` signed who is none of the
/// `contributors` (§7.1, reading 10).
pub fn missing_slots(
    records: &[SlotRecord],
    contributors: &[String],
    signers: &Cited<Vec<Role>>,
    policy: &Evaluation,
) -> Vec<Finding> {
    let mut found = Findings::new();
    for row in &policy.dimensions {
        for slot in &row.slots {
            let subject = format!("{} slot {slot}", row.dimension);
            match records.iter().filter(|record| record.slot == *slot).collect::<Vec<_>>()[..] {
                [] => found.missing(row.clause.clone(), subject),
                [record] if !record.metrics.is_empty() => {}
                [record] => {
                    let why =
                        NotApplicable { reason: record.reason.clone(), sign_off: record.sign_off.clone() };
                    why.check(&mut found, &row.clause, &subject, &signers.value, contributors);
                }
                _ => found.add(row.clause.clone(), subject, "listed once", "listed more than once"),
            }
        }
    }
    found.into_vec()
}

/// A test report, counted by the registry from the tool's own file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestReport {
    /// Category.
    pub category: TestCategory,
    /// Tool that wrote it, lower case.
    pub tool: String,
    /// `sha256:` digest of the file.
    pub digest: String,
    /// Tests that passed.
    pub passed: u64,
    /// Tests that failed or ended in an error.
    pub failed: u64,
    /// Tests that did not run.
    pub skipped: u64,
    /// `sha256:` digest of the artifact that was tested.
    pub artifact_digest: String,
}

/// What keeps a report from showing that the tests of its category pass for `artifact_digest`.
pub fn report_flaws(report: &TestReport, artifact_digest: &str, policy: &Evaluation) -> Vec<Finding> {
    let mut found = Findings::new();
    let Some(row) = policy.test_categories.iter().find(|row| row.category == report.category) else {
        found.missing("§7.2", format!("test category {}", report.category));
        return found.into_vec();
    };
    let clause = row.clause.as_str();
    let category = report.category;
    let known = row.tools.contains(&report.tool.to_lowercase());
    found.require(
        known,
        clause,
        &format!("{category} test tool"),
        row.tools.join(" or "),
        format!("{:?}", report.tool),
    );
    found.need_digest(clause, &format!("{category} test report digest"), &report.digest);
    found.require(
        report.artifact_digest == artifact_digest,
        clause,
        &format!("artifact of the {category} tests"),
        artifact_digest,
        report.artifact_digest.clone(),
    );
    found.require(
        report.failed == 0,
        clause,
        &format!("failed {category} tests"),
        "0",
        report.failed.to_string(),
    );
    found.require(report.passed > 0, clause, &format!("passed {category} tests"), "at least 1", "0");
    found.into_vec()
}
