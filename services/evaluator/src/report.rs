//! An evaluation as the registry takes it.

use crate::{evaluation::Report, metric, plan::Plan};
use contracts::registry::v1::{Evaluation, EvaluationSlot, NotApplicable};
use lifecycle::policy::Policy;
use prost::Message;
use storage::Digest;

/// What identifies an evaluation beside its numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// `models/{m}/versions/{v}/evaluations/{e}`
    pub name: String,
    /// `datasets/{d}/versions/{v}`
    pub dataset_version: String,
    /// Its manifest's digest.
    pub dataset_digest: String,
    /// Digest of the model's bytes.
    pub artifact_digest: String,
    /// Digest of the plan with every choice.
    pub plan_digest: String,
    /// `onnxruntime 1.32.0`
    pub engine: String,
    /// Where the model ran.
    pub provider: String,
    /// Who asked.
    pub requested_by: String,
}

/// The evaluator's own version: part of every plan's digest.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The message, its digest included.
pub fn to_wire(report: Report, plan: &Plan, policy: &Policy, identity: Identity) -> Evaluation {
    let slots = slots(&report, policy);
    let excuse = |(of, reason)| NotApplicable { metric: metric::name(of).to_owned(), reason };
    let mut evaluation = Evaluation {
        name: identity.name,
        dataset_version: identity.dataset_version,
        dataset_digest: identity.dataset_digest,
        artifact_digest: identity.artifact_digest,
        split: plan.split.clone(),
        tolerance: plan.tolerance,
        label_column: plan.label_column.clone(),
        rows: report.rows as u64,
        measurements: report.measurements,
        not_applicable: report.not_applicable.into_iter().map(excuse).collect(),
        slots,
        prediction_profile: Some(report.predictions),
        group_columns: plan.group_columns.clone(),
        favourable_labels: plan.favourable_labels.clone(),
        seed: plan.seed,
        evaluator_version: VERSION.to_owned(),
        engine: identity.engine,
        provider: identity.provider,
        requested_by: identity.requested_by,
        policy_digest: policy.digest().to_owned(),
        plan_digest: identity.plan_digest,
        ..Evaluation::default()
    };
    evaluation.digest = Digest::of(&evaluation.encode_to_vec()).to_string();
    evaluation
}

/// Every slot that the policy lists, in its order.
fn slots(report: &Report, policy: &Policy) -> Vec<EvaluationSlot> {
    let of = |dimension: &lifecycle::policy::acceptance::DimensionSlots| {
        let name = dimension.dimension.to_string();
        let slot = |slot: &lifecycle::evaluation::Slot| {
            let found = report.slots.get(slot).cloned().unwrap_or_default();
            let measured = !found.metrics.is_empty();
            let reason =
                if measured || !found.reason.is_empty() { found.reason } else { "not measured".to_owned() };
            EvaluationSlot {
                dimension: name.clone(),
                slot: slot.to_string(),
                measured,
                reason,
                metrics: found.metrics,
            }
        };
        dimension.slots.iter().map(slot).collect::<Vec<_>>()
    };
    policy.evaluation.dimensions.iter().flat_map(of).collect()
}
