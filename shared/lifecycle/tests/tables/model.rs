//! §6 model development.

use super::*;

#[test]
fn section_6_1_selection_process() {
    let selection = &policy().selection;
    let steps = selection.steps.iter();
    let rows: Vec<_> =
        steps.map(|row| (row.step.as_str(), row.activity.as_str(), row.output.as_str())).collect();
    assert_eq!(
        rows,
        [
            ("baseline", "Define baseline", "Baseline performance metrics"),
            ("literature-review", "Literature review", "Candidate model list"),
            ("quick-evaluation", "Quick evaluation", "Shortlisted models"), // (3-5)
            ("detailed-evaluation", "Detailed evaluation", "Performance comparison"),
            ("selection", "Selection", "Selected model with justification"),
        ]
    );
    assert_eq!((selection.shortlist_min.value, selection.shortlist_max.value), (3, 5));
}

#[test]
fn section_6_2_training_configuration() {
    let blocks = policy().training.blocks.iter();
    let rows: Vec<_> = blocks.map(|row| (row.block.as_str(), row.documentation.as_str())).collect();
    assert_eq!(
        rows,
        [
            ("hyperparameters", "All values, search strategy"),
            ("training-data", "Version, splits, sampling"),
            ("compute-resources", "GPU type, count, duration"),
            ("random-seeds", "All seeds for reproducibility"),
            ("checkpointing", "Frequency, storage location"),
        ]
    );
}

#[test]
fn section_6_2_training_monitoring() {
    let training = &policy().training;
    let items = training.monitoring.iter();
    let rows: Vec<_> =
        items.map(|row| (row.item.as_str(), row.title.as_str(), row.series.as_str())).collect();
    assert_eq!(
        rows,
        [
            ("loss-curves", "Loss curves tracked", "train/"),
            ("validation-metrics", "Validation metrics logged", "validation/"),
            ("resource-utilization", "Resource utilization monitored", "system/"),
            ("checkpoints", "Checkpoints saved regularly", "checkpoint"),
            ("experiment-tracking", "Experiment tracking (MLflow/W&B)", ""),
        ]
    );
    assert_eq!((seconds(training.reap_after.value), training.checkpoint_grace.value), (15 * MINUTE, 1.5));
}

#[test]
fn section_6_3_techniques() {
    let techniques = policy().training.techniques.iter();
    let rows: Vec<_> = techniques
        .filter(|row| row.technique.as_str() != "from-scratch") // no fine-tuning
        .map(|row| (row.technique.as_str(), row.use_case.as_str(), row.considerations.as_str()))
        .collect();
    assert_eq!(
        rows,
        [
            ("full-fine-tuning", "Task-specific adaptation", "High compute, data requirements"),
            ("lora", "Parameter-efficient tuning", "Lower compute, maintains base capabilities"),
            ("prompt-tuning", "Minimal adaptation", "Preserves model, limited customization"),
            ("rag", "Knowledge augmentation", "No training, retrieval quality critical"),
        ]
    );
}

#[test]
fn section_6_3_fields_of_the_techniques() {
    let techniques = policy().training.techniques.iter();
    let rows: Vec<_> =
        techniques.map(|row| (row.technique.as_str(), row.required_fields.join(", "))).collect();
    let want = [
        ("from-scratch", ""),
        ("full-fine-tuning", "base_digest"),
        ("lora", "rank, alpha, target_modules, base_digest"),
        ("prompt-tuning", "prompt_version"),
        ("rag", "index_version, retriever, retrieval_quality_metric"),
    ];
    assert_eq!(rows, want.map(|(technique, fields)| (technique, fields.to_owned())));
}

#[test]
fn section_6_4_versions() {
    let versioning = &policy().versioning;
    let bumps = versioning.bumps.iter();
    let rows: Vec<_> = bumps.map(|row| (row.bump.to_string(), row.when.as_str())).collect();
    let want = [
        ("major", "Architecture change, breaking change"),
        ("minor", "New training, significant improvement"),
        ("patch", "Bug fix, minor adjustment"),
    ];
    assert_eq!(rows, want.map(|(bump, when)| (bump.to_owned(), when)));
    assert_eq!(versioning.format.value, "{model_name}-v{major}.{minor}.{patch}");
    assert_eq!(versioning.first_version.value.to_string(), "1.0.0");
}
