//! Evaluations (§7.1, §7.3) and test reports (§7.2).

use contracts::common::v1::{Measurement, Verdict};
use lifecycle::acceptance::{AcceptanceReport, Metric, MetricEvidence};
use lifecycle::approval::{Approval, NotApplicable};
use lifecycle::evaluation::{SlotRecord, TestReport};
use lifecycle::{Measured, Role};
use storage::Digest;

use super::{time, verdict, word};
use crate::Error;
use crate::store::body;
use crate::wire::{self, Evaluation};

/// The metric of §7.3 that a measurement's name stands for; other names are shown, never gated.
pub fn metric(name: &str) -> Option<Metric> {
    Some(match name {
        "accuracy" => Metric::TaskAccuracy,
        "latency_p95_ms" => Metric::LatencyP95,
        "hallucination" => Metric::HallucinationRate,
        "harmful_content" => Metric::HarmfulContentRate,
        "adversarial_success" => Metric::AdversarialSuccessRate,
        other => return other.parse().ok(),
    })
}

/// Whether two names stand for the same metric.
pub fn same_metric(one: &str, other: &str) -> bool {
    one == other || (metric(one).is_some() && metric(one) == metric(other))
}

/// The measurements over all rows and the claims that a metric does not apply, as acceptance looks at them.
pub fn evidence(evaluation: &Evaluation) -> Vec<MetricEvidence> {
    let signed = sign_off(evaluation);
    let whole = evaluation.measurements.iter().filter(|one| one.slice.is_empty());
    let measured = whole.filter_map(|one| {
        let metric = metric(&one.metric)?;
        let attack =
            (metric == Metric::AdversarialSuccessRate).then(|| one.convention.parse().ok()).flatten();
        Some(MetricEvidence { attack, ..MetricEvidence::measured(metric, self::measured(one)) })
    });
    let excused = evaluation.not_applicable.iter().filter_map(|claim| {
        let why = NotApplicable { reason: claim.reason.clone(), sign_off: signed.clone() };
        Some(MetricEvidence::not_applicable(metric(&claim.metric)?, why))
    });
    measured.chain(excused).collect()
}

/// A number with its samples and bounds; bounds that are absent are NaN, which passes nothing.
pub fn measured(one: &Measurement) -> Measured {
    Measured {
        value: one.value,
        samples: one.sample_size,
        low: one.lower.unwrap_or(f64::NAN),
        high: one.upper.unwrap_or(f64::NAN),
        confidence: one.confidence,
    }
}

/// Who signed what does not apply.
pub fn sign_off(evaluation: &Evaluation) -> Option<Approval> {
    let role: Role = evaluation.sign_off_role.parse().ok()?;
    let at = time(evaluation.sign_off_time.as_ref());
    (!evaluation.sign_off_by.is_empty()).then(|| Approval::new(evaluation.sign_off_by.clone(), role, at))
}

/// The fifteen slots.
///
/// # Errors
/// INVALID_ARGUMENT for a slot that the procedure does not have.
pub fn slots(evaluation: &Evaluation) -> Result<Vec<SlotRecord>, Error> {
    let signed = sign_off(evaluation);
    let read = |(at, slot): (usize, &wire::EvaluationSlot)| {
        let metrics = if slot.measured { slot.metrics.clone() } else { Vec::new() };
        let named = word(&format!("evaluation.slots[{at}].slot"), &slot.slot)?;
        Ok(SlotRecord { slot: named, metrics, reason: slot.reason.clone(), sign_off: signed.clone() })
    };
    evaluation.slots.iter().enumerate().map(read).collect()
}

/// One verdict for the whole table: the worst of its rows, and "pass" only if every row allows it.
pub fn overall(report: &AcceptanceReport) -> Verdict {
    if report.passed() {
        return Verdict::Pass;
    }
    let rows: Vec<Verdict> = report.rows.iter().map(|row| verdict(row.verdict.as_ref())).collect();
    [Verdict::Fail, Verdict::Undefined, Verdict::Inconclusive]
        .into_iter()
        .find(|worst| rows.contains(worst))
        .unwrap_or(Verdict::Undefined)
}

/// Digest of what the evaluator reported: everything but what the registry adds later.
pub fn digest(evaluation: &Evaluation) -> String {
    let bare = Evaluation {
        findings: Vec::new(),
        verdict: 0,
        policy_digest: String::new(),
        digest: String::new(),
        sign_off_by: String::new(),
        sign_off_role: String::new(),
        sign_off_time: None,
        ..evaluation.clone()
    };
    Digest::of(&body(&bare)).to_string()
}

/// A counted test report.
///
/// # Errors
/// [`Error::Damaged`] for a stored category that does not exist.
pub fn test_report(report: &wire::TestReport) -> Result<TestReport, Error> {
    Ok(TestReport {
        category: report.category.parse().map_err(Error::Damaged)?,
        tool: report.tool.to_lowercase(),
        digest: report.digest.clone(),
        passed: report.passed.into(),
        failed: report.failed.into(),
        skipped: report.skipped.into(),
        artifact_digest: report.artifact_digest.clone(),
    })
}
