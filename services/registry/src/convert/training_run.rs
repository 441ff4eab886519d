//! Training runs (§6.2, §6.3).

use lifecycle::training::{RunState, Technique, TrainingRecord};
use std::time::Duration;

use crate::Error;
use crate::wire::{self, TrainingRun, training_run::State};

/// The state of a run.
pub fn state(run: &TrainingRun) -> RunState {
    match run.state() {
        State::Unspecified | State::Running => RunState::Running,
        State::Completed => RunState::Completed,
        State::Failed => RunState::Failed,
    }
}

/// How a model was made.
pub fn technique(technique: wire::Technique) -> Option<Technique> {
    Some(match technique {
        wire::Technique::Unspecified => return None,
        wire::Technique::FromScratch => Technique::FromScratch,
        wire::Technique::FullFineTuning => Technique::FullFineTuning,
        wire::Technique::Lora => Technique::Lora,
        wire::Technique::PromptTuning => Technique::PromptTuning,
        wire::Technique::Rag => Technique::Rag,
    })
}

/// What is documented about a run.
///
/// # Errors
/// [`Error::Damaged`] for a stored technique that does not exist.
pub fn record(run: &TrainingRun) -> Result<TrainingRecord, Error> {
    let technique =
        technique(run.technique()).ok_or_else(|| Error::Damaged(format!("technique of {}", run.name)))?;
    let data = run.training_data.clone().unwrap_or_default();
    let compute = run.compute.clone().unwrap_or_default();
    let checkpointing = run.checkpointing.clone().unwrap_or_default();
    Ok(TrainingRecord {
        technique,
        technique_fields: run.technique_fields.clone(),
        hyperparameters: run.hyperparameters.clone(),
        search_strategy: run.search_strategy.clone(),
        dataset_version: data.dataset_version,
        splits: data.splits,
        sampling: data.sampling,
        device_type: compute.device_type,
        device_count: compute.device_count,
        duration: span(compute.duration.as_ref()),
        seeds: run.seeds.clone(),
        checkpoint_frequency: checkpointing.frequency,
        checkpoint_location: checkpointing.location,
        checkpoint_interval: span(checkpointing.interval.as_ref()),
        experiment_tracker: run.experiment_tracker.clone(),
        metrics_logged: run.metrics_logged.clone(),
    })
}

fn span(wire: Option<&prost_types::Duration>) -> Duration {
    wire.and_then(contracts::time::duration_from_wire).unwrap_or_default()
}
