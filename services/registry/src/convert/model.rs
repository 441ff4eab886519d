//! Models and versions (§6.4).

use contracts::common::v1::{Task as WireTask, TensorSpec};
use engine::{Dim, Inspection};
use lifecycle::Bump;
use lifecycle::acceptance::Task;
use lifecycle::version::Makeup;

use crate::wire;

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
