//! Models and versions (§6.4).

use contracts::common::v1::{Task as WireTask, TensorSpec};
use engine::{Dim, Inspection};
use lifecycle::acceptance::Task;
use lifecycle::policy::Acceptance;
use lifecycle::selection_criteria::Direction;
use lifecycle::version::Makeup;
use lifecycle::version_state::State;
use lifecycle::{Bump, Rejection, retirement};

use super::evaluation;
use crate::wire::{self, MetricDirection, Model, ModelVersion, model_version::State as WireState};

/// The task of a model or plan.
pub fn task(task: WireTask) -> Option<Task> {
    Some(match task {
        WireTask::Unspecified => return None,
        WireTask::BinaryClassification => Task::BinaryClassification,
        WireTask::MulticlassClassification => Task::MulticlassClassification,
        WireTask::Regression => Task::Regression,
        WireTask::TextClassification => Task::TextClassification,
        WireTask::TextGeneration => Task::TextGeneration,
    })
}

/// The state of a version.
pub fn state(version: &ModelVersion) -> State {
    match version.state() {
        WireState::Unspecified | WireState::Draft => State::Draft,
        WireState::Evaluating => State::Evaluating,
        WireState::Approved => State::Approved,
        WireState::Rejected => State::Rejected,
        WireState::Canary => State::Canary,
        WireState::Production => State::Production,
        WireState::Superseded => State::Superseded,
        WireState::RolledBack => State::RolledBack,
        WireState::Deprecated => State::Deprecated,
        WireState::Retired => State::Retired,
        WireState::Revoked => State::Revoked,
    }
}

/// The version in the state that a rule gave.
pub fn in_state(version: &ModelVersion, state: State) -> ModelVersion {
    let mut next = version.clone();
    next.set_state(match state {
        State::Draft => WireState::Draft,
        State::Evaluating => WireState::Evaluating,
        State::Approved => WireState::Approved,
        State::Rejected => WireState::Rejected,
        State::Canary => WireState::Canary,
        State::Production => WireState::Production,
        State::Superseded => WireState::Superseded,
        State::RolledBack => WireState::RolledBack,
        State::Deprecated => WireState::Deprecated,
        State::Retired => WireState::Retired,
        State::Revoked => WireState::Revoked,
    });
    next
}

/// Which way the primary metric of a model is better (reading 6).
///
/// # Errors
/// `METRIC_DIRECTION` where neither §7.3 nor the model says so.
pub fn primary_direction(model: &Model, policy: &Acceptance) -> Result<Direction, Rejection> {
    let declared = match model.primary_metric_direction() {
        MetricDirection::Unspecified => None,
        MetricDirection::Higher => Some(Direction::Higher),
        MetricDirection::Lower => Some(Direction::Lower),
    };
    let name = model.primary_metric.as_str();
    retirement::primary_direction(name, evaluation::metric(name), declared, policy)
}

/// A bump on the wire.
pub fn bump(bump: Bump) -> wire::Bump {
    match bump {
        Bump::Patch => wire::Bump::Patch,
        Bump::Minor => wire::Bump::Minor,
        Bump::Major => wire::Bump::Major,
    }
}

/// Inputs or outputs of a signature on the wire.
pub fn tensors(specs: &[engine::TensorSpec]) -> Vec<TensorSpec> {
    let name = |dim: &Dim| match dim {
        Dim::Symbol(name) => name.clone(),
        Dim::Fixed(_) | Dim::Any(()) => String::new(),
    };
    let one = |spec: &engine::TensorSpec| TensorSpec {
        name: spec.name.clone(),
        datatype: spec.datatype.to_string(),
        dims: spec.shape(),
        dim_names: spec.dims.iter().flatten().map(name).collect(),
    };
    specs.iter().map(one).collect()
}

/// What a version's number depends on. `older` is the signature that callers know.
pub fn makeup(inspection: &Inspection, training_run: &str, older: Option<&Inspection>) -> Makeup {
    let compatible = older.is_none_or(|older| {
        !matches!(inspection.signature.compare(&older.signature), engine::Compatibility::Breaking(_))
    });
    Makeup {
        topology_digest: inspection.topology_digest.clone(),
        weights_digest: inspection.weights_digest.clone(),
        training_run: training_run.to_owned(),
        signature_compatible: compatible,
    }
}
