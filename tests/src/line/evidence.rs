//! Evidence and judgement: test reports, an evaluation as the evaluator reports it, reviews, gates (§7, §8.1).

use contracts::common::v1::Measurement;
use contracts::registry::v1::*;

use super::Line;
use crate::made::{digest_of, junit};
use crate::refusal::Answered;

/// What an evaluation measured of §7.3, each with a narrow interval around it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Numbers {
    /// Share.
    pub accuracy: f64,
    /// Milliseconds.
    pub latency_p95_ms: f64,
    /// 1 - largest difference.
    pub parity: f64,
    /// Share of attacked rows.
    pub adversarial: f64,
    /// Rows.
    pub samples: u64,
    /// Half of the interval's width, as a share of the value's own scale.
    pub width: f64,
}

impl Numbers {
    /// Numbers that meet every threshold.
    pub fn good() -> Self {
        Self {
            accuracy: 0.97,
            latency_p95_ms: 12.0,
            parity: 0.98,
            adversarial: 0.01,
            samples: 1000,
            width: 0.005,
        }
    }
}

/// The fifteen slots of §7.1: those that were measured, with their metrics.
const MEASURED: [(&str, &str, &str); 4] = [
    ("performance", "task-metrics", "accuracy"),
    ("performance", "latency", "latency_p95_ms"),
    ("fairness", "demographic-parity", "demographic_parity"),
    ("robustness", "adversarial", "adversarial_success"),
];
const NOT_MEASURED: [(&str, &str); 11] = [
    ("performance", "throughput"),
    ("fairness", "equal-opportunity"),
    ("fairness", "calibration"),
    ("robustness", "edge-cases"),
    ("robustness", "out-of-distribution"),
    ("safety", "harmful-content"),
    ("safety", "hallucination"),
    ("safety", "information-leakage"),
    ("explainability", "feature-attribution"),
    ("explainability", "decision-explanation"),
    ("explainability", "uncertainty"),
];

/// An evaluation report over those things, as the evaluator hands it in.
pub fn evaluation(version: &ModelVersion, data: &DatasetVersion, numbers: Numbers) -> Evaluation {
    let measured = |metric: &str, value: f64, unit: &str, convention: &str, scale: f64| Measurement {
        metric: metric.into(),
        value,
        sample_size: numbers.samples,
        lower: Some((value - numbers.width * scale).max(0.0)),
        upper: Some(if scale > 1.0 {
            value + numbers.width * scale
        } else {
            (value + numbers.width).min(1.0)
        }),
        confidence: 0.9,
        unit: unit.into(),
        convention: convention.into(),
        ..Measurement::default()
    };
    let slot = |dimension: &str, slot: &str, metric: Option<&str>| EvaluationSlot {
        dimension: dimension.into(),
        slot: slot.into(),
        measured: metric.is_some(),
        reason: if metric.is_some() { String::new() } else { "nothing of the kind in this task".into() },
        metrics: metric.map(str::to_owned).into_iter().collect(),
    };
    let excuse = |metric: &str, reason: &str| NotApplicable { metric: metric.into(), reason: reason.into() };
    Evaluation {
        dataset_version: data.name.clone(),
        dataset_digest: data.manifest_digest.clone(),
        artifact_digest: version.artifact_digest.clone(),
        split: "test".into(),
        rows: numbers.samples,
        measurements: vec![
            measured("accuracy", numbers.accuracy, "", "wilson", 1.0),
            measured(
                "latency_p95_ms",
                numbers.latency_p95_ms,
                "ms",
                "order statistics",
                numbers.latency_p95_ms.max(1.1),
            ),
            measured("latency_p50_ms", 1.0, "ms", "order statistics", 1.1),
            measured("demographic_parity", numbers.parity, "", "1 - largest difference", 1.0),
            measured("adversarial_success", numbers.adversarial, "", "square/linf/0.02/500", 1.0),
        ],
        not_applicable: vec![
            excuse("hallucination-rate", "the model asserts nothing of its own"),
            excuse("harmful-content-rate", "the model writes no content"),
        ],
        slots: MEASURED
            .iter()
            .map(|(dimension, name, metric)| slot(dimension, name, Some(metric)))
            .chain(NOT_MEASURED.iter().map(|(dimension, name)| slot(dimension, name, None)))
            .collect(),
        group_columns: vec!["region".into()],
        favourable_labels: vec!["1".into()],
        seed: 7,
        evaluator_version: "0.1.0".into(),
        engine: "fake".into(),
        provider: "cpu".into(),
        requested_by: "qa-engineer".into(),
        plan_digest: digest_of("plan"),
        ..Evaluation::default()
    }
}

impl Line {
    /// Imports a JUnit report for both categories that G1 asks for.
    pub async fn tests(&self, number: &str, passed: usize, failed: usize) {
        for category in ["unit", "integration"] {
            let request = ImportTestReportRequest {
                parent: self.version(number),
                test_report_id: format!("{category}-{passed}-{failed}"),
                category: category.into(),
                tool: "pytest".into(),
                tool_version: "9.2.0".into(),
                format: "junit-xml".into(),
                content: junit(passed, failed).into_bytes(),
                request_id: String::new(),
            };
            self.by("qa-engineer").evaluations().import_test_report(request).await.told();
        }
    }

    /// Hands an evaluation in as the evaluator does, and has it signed off.
    pub async fn evaluate(&self, number: &str, numbers: Numbers) -> Evaluation {
        self.evaluate_as(number, "first", numbers).await
    }

    /// As [`Line::evaluate`], under another id.
    pub async fn evaluate_as(&self, number: &str, id: &str, numbers: Numbers) -> Evaluation {
        let version = self.get(number).await;
        let request = GetDatasetVersionRequest { name: self.data() };
        let data = self.by("auditor").datasets().get_dataset_version(request).await.told();
        let request = CreateEvaluationRequest {
            parent: version.name.clone(),
            evaluation_id: id.into(),
            evaluation: Some(evaluation(&version, &data, numbers)),
            request_id: String::new(),
        };
        let made = self.by("evaluator").evaluations().create_evaluation(request).await.told();
        let request = SignOffEvaluationRequest {
            name: made.name,
            note: "nothing of the kind applies".into(),
            ..SignOffEvaluationRequest::default()
        };
        self.by("qa-engineer").evaluations().sign_off_evaluation(request).await.told()
    }

    /// Opens a review of that kind.
    pub async fn open_review(&self, number: &str, id: &str, kind: ReviewKind) -> Review {
        let request = CreateReviewRequest {
            parent: self.version(number),
            review_id: id.into(),
            kind: kind.into(),
            request_id: String::new(),
        };
        self.by("qa-engineer").reviews().create_review(request).await.told()
    }

    /// The ethics review: five items, then two members of the board.
    pub async fn ethics(&self, number: &str) -> Review {
        let review = self.open_review(number, "ethics", ReviewKind::Ethics).await;
        for item in ["bias-assessment", "privacy-impact", "use-case-risk", "stakeholder-impact", "mitigation"]
        {
            let request = RecordReviewItemRequest {
                name: review.name.clone(),
                item: item.into(),
                evidence_digest: digest_of(item),
                ..RecordReviewItemRequest::default()
            };
            self.by("ethics-reviewer").reviews().record_review_item(request).await.told();
        }
        self.approve_review(&review.name, "ethics-board", "ethics-board").await;
        let review = self.approve_review(&review.name, "ethics-board-2", "ethics-board").await;
        assert_eq!(review.state(), review::State::Approved, "{review:?}");
        review
    }

    /// The quality assurance approval.
    pub async fn qa(&self, number: &str) -> Review {
        let review = self.open_review(number, "qa", ReviewKind::Qa).await;
        let review = self.approve_review(&review.name, "qa-engineer", "qa-engineer").await;
        assert_eq!(review.state(), review::State::Approved, "{review:?}");
        review
    }

    /// One approval of a review.
    pub async fn approve_review(&self, name: &str, who: &str, role: &str) -> Review {
        let request =
            ApproveReviewRequest { name: name.into(), role: role.into(), ..ApproveReviewRequest::default() };
        self.by(who).reviews().approve_review(request).await.told()
    }

    /// Decides a gate, whatever comes out.
    pub async fn gate(&self, number: &str, gate: Gate) -> GateDecision {
        let request = DecideGateRequest {
            parent: self.version(number),
            gate: gate.into(),
            ..DecideGateRequest::default()
        };
        self.by("qa-engineer").gates().decide_gate(request).await.told()
    }

    /// Decides G1, G2 and G3, which must pass.
    pub async fn gates(&self, number: &str) {
        for gate in [Gate::G1TestsPass, Gate::G2BenchmarksMet, Gate::G3QaApproved] {
            let decision = self.gate(number, gate).await;
            assert!(decision.passed, "{gate:?}: {:?}", decision.findings);
        }
    }
}
