//! Training runs (§6.2, §6.3): what must be documented, when a run is over, when it may feed a model version.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

use serde::{Deserialize, Serialize};

use crate::{
    kinds::kinds,
    policy::Training,
    rejection::{Finding, Findings, Rejection},
    version::Bump,
};

kinds! {
    /// The five mandatory blocks of §6.2.
    Block {
        /// All values, search strategy.
        Hyperparameters = "hyperparameters",
        /// Version, splits, sampling.
        TrainingData = "training-data",
        /// GPU type, count, duration.
        ComputeResources = "compute-resources",
        /// All seeds for reproducibility.
        RandomSeeds = "random-seeds",
        /// Frequency, storage location.
        Checkpointing = "checkpointing",
    }
}

kinds! {
    /// The five monitoring items of §6.2.
    MonitoringItem {
        /// Loss curves tracked.
        LossCurves = "loss-curves",
        /// Validation metrics logged.
        ValidationMetrics = "validation-metrics",
        /// Resource utilization monitored.
        ResourceUtilization = "resource-utilization",
        /// Checkpoints saved regularly.
        Checkpoints = "checkpoints",
        /// Experiment tracking (MLflow/W&B).
        ExperimentTracking = "experiment-tracking",
    }
}

kinds! {
    /// How a model was made: the four techniques of §6.3, and training from scratch.
    Technique {
        /// No base model.
        FromScratch = "from-scratch",
        /// Task-specific adaptation.
        FullFineTuning = "full-fine-tuning",
        /// Parameter-efficient tuning.
        Lora = "lora",
        /// Minimal adaptation.
        PromptTuning = "prompt-tuning",
        /// Knowledge augmentation.
        Rag = "rag",
    }
}

kinds! {
    /// State of a run. COMPLETED and FAILED are final.
    RunState {
        /// Being trained.
        Running = "running",
        /// Ended as planned.
        Completed = "completed",
        /// Ended otherwise, or silent for too long.
        Failed = "failed",
    }
}

/// What is documented about a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrainingRecord {
    /// How the model was made.
    pub technique: Technique,
    /// Fields of the technique (§6.3).
    pub technique_fields: BTreeMap<String, String>,
    /// All values.
    pub hyperparameters: BTreeMap<String, String>,
    /// How they were found.
    pub search_strategy: String,
    /// Version of the training data.
    pub dataset_version: String,
    /// Splits used.
    pub splits: Vec<String>,
    /// How rows were sampled.
    pub sampling: String,
    /// GPU or CPU type.
    pub device_type: String,
    /// How many.
    pub device_count: u32,
    /// How long it took; declared while running, measured at the end.
    pub duration: Duration,
    /// All seeds by name.
    pub seeds: BTreeMap<String, u64>,
    /// How often a checkpoint is written, in words.
    pub checkpoint_frequency: String,
    /// Where checkpoints lie.
    pub checkpoint_location: String,
    /// Time between checkpoints; zero where they do not go by time.
    pub checkpoint_interval: Duration,
    /// `wlp`, `mlflow`, `wandb`.
    pub experiment_tracker: String,
    /// Names of the metric series that have points.
    pub metrics_logged: Vec<String>,
}

/// How complete a record is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Completeness {
    /// Blocks, monitoring items and the technique that are complete.
    pub complete: usize,
    /// All of them.
    pub of: usize,
    /// What is missing.
    pub missing: Vec<Finding>,
}

/// Scores the record: five blocks, five monitoring items, one technique.
pub fn completeness(record: &TrainingRecord, policy: &Training) -> Completeness {
    let mut parts: Vec<Vec<Finding>> = Vec::new();
    for row in &policy.blocks {
        parts.push(missing_in_block(record, row.block, &row.clause));
    }
    for row in &policy.monitoring {
        let proven = match row.item {
            MonitoringItem::ExperimentTracking => !record.experiment_tracker.trim().is_empty(),
            _ => record.metrics_logged.iter().any(|series| series.starts_with(&row.series)),
        };
        let mut found = Findings::new();
        found.require(proven, &row.clause, &row.title, format!("a series {}*", row.series), "missing");
        parts.push(found.into_vec());
    }
    let mut found = Findings::new();
    match policy.techniques.iter().find(|row| row.technique == record.technique) {
        None => found.missing("§6.3", format!("technique {}", record.technique)),
        Some(row) => {
            for field in &row.required_fields {
                let value = record.technique_fields.get(field).map_or("", String::as_str);
                found.need_text(&row.clause, &format!("{} field {field}", record.technique), value);
            }
        }
    }
    parts.push(found.into_vec());
    Completeness {
        complete: parts.iter().filter(|part| part.is_empty()).count(),
        of: parts.len(),
        missing: parts.into_iter().flatten().collect(),
    }
}

fn missing_in_block(record: &TrainingRecord, block: Block, clause: &str) -> Vec<Finding> {
    let mut found = Findings::new();
    match block {
        Block::Hyperparameters => {
            let filled = record.hyperparameters.values().all(|value| !value.trim().is_empty());
            let there = !record.hyperparameters.is_empty() && filled;
            found.require(there, clause, "hyperparameters", "all values", "missing");
            found.need_text(clause, "search strategy", &record.search_strategy);
        }
        Block::TrainingData => {
            found.need_text(clause, "training data version", &record.dataset_version);
            found.require(!record.splits.is_empty(), clause, "training data splits", "present", "missing");
            found.need_text(clause, "training data sampling", &record.sampling);
        }
        Block::ComputeResources => {
            found.need_text(clause, "compute type", &record.device_type);
            found.require(record.device_count > 0, clause, "compute count", "at least 1", "0");
            found.require(!record.duration.is_zero(), clause, "compute duration", "above 0", "0");
        }
        Block::RandomSeeds => {
            found.require(!record.seeds.is_empty(), clause, "random seeds", "all seeds", "missing");
        }
        Block::Checkpointing => {
            found.need_text(clause, "checkpoint frequency", &record.checkpoint_frequency);
            found.need_text(clause, "checkpoint location", &record.checkpoint_location);
        }
    }
    found.into_vec()
}

/// Ends a running run as completed or failed.
///
/// # Errors
/// `RUN_NOT_RUNNING` when it is over already.
pub fn end_run(state: RunState, completed: bool) -> Result<RunState, Rejection> {
    match state {
        RunState::Running if completed => Ok(RunState::Completed),
        RunState::Running => Ok(RunState::Failed),
        over @ (RunState::Completed | RunState::Failed) => Err(Rejection::one(
            "RUN_NOT_RUNNING",
            "end of the training run",
            Finding::new("§6.2", "training run", "running", over.to_string()),
        )),
    }
}

/// Reaper: why a running run must be failed at `now`, because nothing was heard of it for too long.
pub fn reap(state: RunState, last_sign: SystemTime, now: SystemTime, policy: &Training) -> Option<Finding> {
    let silent = now.duration_since(last_sign).unwrap_or_default();
    let limit = &policy.reap_after;
    (state == RunState::Running && silent > limit.value.get()).then(|| {
        let observed = format!("silent for {} s", silent.as_secs());
        Finding::new(
            limit.clause.clone(),
            "training run",
            format!("a sign of life within {}", limit.value),
            observed,
        )
    })
}

/// Heartbeat of checkpoints: the alarm when the last one is older than the declared interval allows.
/// No alarm where checkpoints do not go by time (`interval` zero) or the run is over.
pub fn checkpoint_overdue(
    state: RunState,
    interval: Duration,
    last_checkpoint: SystemTime,
    now: SystemTime,
    policy: &Training,
) -> Option<Finding> {
    let grace = &policy.checkpoint_grace;
    let age = now.duration_since(last_checkpoint).unwrap_or_default();
    let limit = Duration::try_from_secs_f64(interval.as_secs_f64() * grace.value).unwrap_or(Duration::MAX);
    (state == RunState::Running && !interval.is_zero() && age > limit).then(|| {
        Finding::new(
            grace.clause.clone(),
            "last checkpoint",
            format!("at most {} s old", limit.as_secs()),
            format!("{} s old", age.as_secs()),
        )
    })
}

/// Decides whether a model version may come from this run: completed, and nothing missing in its record.
///
/// # Errors
/// `TRAINING_RUN_INCOMPLETE` with everything that is missing.
pub fn feeds_version(state: RunState, record: &TrainingRecord, policy: &Training) -> Result<(), Rejection> {
    let mut found = Findings::new();
    found.require(state == RunState::Completed, "§6.2", "training run", "completed", state.to_string());
    found.extend(completeness(record, policy).missing);
    found.into_result("TRAINING_RUN_INCOMPLETE", "training run")
}

/// The least bump that the technique of a new training asks for (§6.3).
pub fn default_bump(technique: Technique, policy: &Training) -> Bump {
    policy
        .techniques
        .iter()
        .find(|row| row.technique == technique)
        .map_or(Bump::Minor, |row| row.default_bump)
}
