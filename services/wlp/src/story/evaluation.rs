//! §7.2, §7.3, §8.1: test reports, the evaluation, gates G1 and G2.

use contracts::common::v1::Verdict;
use contracts::evaluator::v1::{EvaluateModelVersionRequest, EvaluationPlan};
use contracts::registry::v1::{
    DecideGateRequest, Evaluation, Gate, GateDecision, ImportTestReportRequest, ModelVersion,
    SignOffEvaluationRequest,
};

use super::makers::{Suite, Trained, Variant};
use super::{Story, failures, names};
use crate::reach::To;

/// Imports the reports of the unit and the integration tests (§7.2).
///
/// # Errors
/// If the tests could not be run or a report was refused.
pub async fn import_tests(
    story: &Story,
    version: &ModelVersion,
    variant: Variant,
    trained: &Trained,
) -> anyhow::Result<()> {
    story
        .step(&format!("{} tested with pytest, reports imported", version.model_id), "§7.2", async {
            let (tool, tool_version) = story.makers.test_tool();
            let mut said = Vec::new();
            for suite in [Suite::Unit, Suite::Integration] {
                let content = story.makers.test(variant, suite, trained, names::DATASET_VERSION).await?;
                let request = ImportTestReportRequest {
                    parent: version.name.clone(),
                    test_report_id: suite.category().into(),
                    category: suite.category().into(),
                    tool: tool.clone(),
                    tool_version: tool_version.clone(),
                    format: "junit-xml".into(),
                    content,
                    ..Default::default()
                };
                let report =
                    story.actors.evaluations("qa-engineer")?.import_test_report(request).await?.into_inner();
                said.push(format!("{}: {} passed, {} failed", report.category, report.passed, report.failed));
            }
            Ok(((), said.join("; ")))
        })
        .await
}

/// Evaluates a version on the test split and has the metrics signed that do not apply.
///
/// # Errors
/// If the evaluation could not be made.
pub async fn evaluate(story: &Story, version: &ModelVersion) -> anyhow::Result<Evaluation> {
    let who = &story.actors;
    story
        .step(
            &format!("{} evaluated in five dimensions, signed off", version.model_id),
            "§7.1, §7.3",
            async {
                let plan = EvaluationPlan {
                    split: "test".into(),
                    label_column: "digit".into(),
                    group_columns: vec!["cohort".into()],
                    favourable_labels: vec!["0".into()],
                    seed: 2026,
                    ..Default::default()
                };
                let request = EvaluateModelVersionRequest {
                    model_version: version.name.clone(),
                    dataset_version: names::DATASET_VERSION.into(),
                    plan: Some(plan),
                    evaluation_id: "release".into(),
                    ..Default::default()
                };
                let operation =
                    who.evaluator("qa-engineer")?.evaluate_model_version(request).await?.into_inner();
                let evaluation: Evaluation = who.outcome(To::Evaluator, "qa-engineer", operation).await?;
                let request = SignOffEvaluationRequest {
                    name: evaluation.name,
                    note: "the model chooses among ten digits; it writes and asserts nothing".into(),
                    ..Default::default()
                };
                let evaluation =
                    who.evaluations("qa-engineer")?.sign_off_evaluation(request).await?.into_inner();
                Ok((evaluation.clone(), told(&evaluation)))
            },
        )
        .await
}

/// The judged metrics in one line.
fn told(evaluation: &Evaluation) -> String {
    let judged = evaluation.findings.iter().filter(|one| one.verdict() != Verdict::NotApplicable);
    let judged: Vec<_> = judged.map(|one| format!("{} {}", one.subject, one.observed)).collect();
    format!("{} rows: {}", evaluation.rows, judged.join(", "))
}

/// Has a gate decided by the machine.
///
/// # Errors
/// The refusal of the call; a gate that does not pass is an answer.
pub async fn decide(story: &Story, version: &str, gate: Gate) -> anyhow::Result<GateDecision> {
    let request = DecideGateRequest { parent: version.into(), gate: gate.into(), ..Default::default() };
    Ok(story.actors.gates("qa-engineer")?.decide_gate(request).await?.into_inner())
}

/// A gate that must pass.
///
/// # Errors
/// If it does not.
pub async fn gate(story: &Story, version: &ModelVersion, gate: Gate, title: &str) -> anyhow::Result<()> {
    story
        .step(&format!("{title} of {}", version.model_id), "§8.1", async {
            let decision = decide(story, &version.name, gate).await?;
            anyhow::ensure!(decision.passed, "refused: {}", failures(&decision.findings));
            Ok((
                (),
                format!(
                    "passed, {} findings, evidence {}",
                    decision.findings.len(),
                    short(&decision.evidence_digest)
                ),
            ))
        })
        .await
}

/// The first digits of a digest.
pub(super) fn short(digest: &str) -> String {
    digest.chars().take(19).collect()
}
