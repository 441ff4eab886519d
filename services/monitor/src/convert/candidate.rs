//! The version as a gate looks at it, from the registry's records.

use contracts::common::v1::Task as WireTask;
use contracts::registry::v1::{Gate as WireGate, GateDecision, Model, ModelVersion};
use lifecycle::acceptance::Task;
use lifecycle::gate::{Candidate, EarlierDecision, Gate};

use super::time;
use crate::Error;

/// # Errors
/// [`Error::Damaged`] for a model without a task.
pub fn candidate(
    model: &Model,
    version: ModelVersion,
    mut decisions: Vec<GateDecision>,
) -> Result<Candidate, Error> {
    let task = task(model.task()).ok_or_else(|| Error::Damaged(format!("task of {}", model.name)))?;
    decisions.sort_by_key(|one| (time(one.create_time.as_ref()), place(&one.name)));
    let earlier = |one: GateDecision| {
        Some(EarlierDecision {
            gate: gate(one.gate())?,
            passed: one.passed,
            artifact_digest: one.artifact_digest,
        })
    };
    Ok(Candidate {
        name: version.name,
        artifact_digest: version.artifact_digest,
        task,
        contributors: version.contributors,
        decided: decisions.into_iter().filter_map(earlier).collect(),
    })
}

/// `12` of `.../gateDecisions/g1-12`: two decisions of one moment keep their order.
fn place(name: &str) -> u64 {
    name.rsplit('-').next().and_then(|number| number.parse().ok()).unwrap_or_default()
}

fn task(task: WireTask) -> Option<Task> {
    Some(match task {
        WireTask::Unspecified => return None,
        WireTask::BinaryClassification => Task::BinaryClassification,
        WireTask::MulticlassClassification => Task::MulticlassClassification,
        WireTask::Regression => Task::Regression,
        WireTask::TextClassification => Task::TextClassification,
        WireTask::TextGeneration => Task::TextGeneration,
    })
}

fn gate(gate: WireGate) -> Option<Gate> {
    Some(match gate {
        WireGate::Unspecified => return None,
        WireGate::G1TestsPass => Gate::G1,
        WireGate::G2BenchmarksMet => Gate::G2,
        WireGate::G3QaApproved => Gate::G3,
        WireGate::G4CanaryStable => Gate::G4,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use prost_types::Timestamp;

    /// The last decision of a gate is the one that counts, however the registry lists them.
    #[test]
    fn decisions_are_in_their_order() {
        let decision = |id: &str, seconds, passed| GateDecision {
            name: format!("models/m/versions/1.0.0/gateDecisions/{id}"),
            gate: WireGate::G1TestsPass.into(),
            passed,
            create_time: Some(Timestamp { seconds, nanos: 0 }),
            ..GateDecision::default()
        };
        let mut model = Model::default();
        assert!(candidate(&model, ModelVersion::default(), Vec::new()).is_err(), "no task");
        model.set_task(WireTask::Regression);
        let all = vec![decision("g1-10", 5, true), decision("g1-9", 5, false), decision("g1-2", 1, false)];
        let made = candidate(&model, ModelVersion::default(), all).expect("a candidate");
        assert_eq!(made.task, Task::Regression);
        assert_eq!(made.decided.iter().map(|one| one.passed).collect::<Vec<_>>(), [false, false, true]);
    }
}
