//! §6: the choice of a model in five steps, training runs, versions.

use contracts::common::v1::{Measurement, ModelInterface, Task};
use contracts::registry::v1::{
    CreateModelRequest, CreateModelVersionRequest, GetTrainingRunRequest, Model, ModelVersion, Phase,
    RecordSelectionStepRequest, SelectionStep,
};

use super::makers::{Trained, Variant};
use super::plan::{SHORTLIST, advance};
use super::{Story, names};

/// The five steps that lead to the model (§6.1); a shortlist of two is refused.
///
/// # Errors
/// The first step that was not accepted.
pub async fn choose_model(story: &Story) -> anyhow::Result<()> {
    let names_of = |all: &[&str]| all.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let accuracy = |value| {
        vec![Measurement { metric: "accuracy".into(), value, sample_size: 179, ..Default::default() }]
    };
    let on_data = |step: SelectionStep| SelectionStep {
        dataset_version: names::DATASET_VERSION.into(),
        seed: Some(2026),
        ..step
    };
    let step = |step: &str, summary: &str, candidates: &[&str], metrics: Vec<Measurement>| SelectionStep {
        step: step.into(),
        summary: summary.into(),
        candidates: names_of(candidates),
        metrics,
        ..Default::default()
    };
    let all = [
        "kernel-ridge",
        "nearest-neighbours",
        "logistic-regression",
        "convolutional-network",
        "hosted-vision-service",
    ];
    let record = async |step: SelectionStep| {
        let request = RecordSelectionStepRequest {
            name: names::PROJECT.into(),
            step: Some(step),
            ..Default::default()
        };
        anyhow::Ok(story.actors.projects("ml-lead")?.record_selection_step(request).await?)
    };
    record_first(
        story,
        &record,
        step("baseline", "always the most frequent digit", &[], accuracy(0.10)),
        step("literature-review", "five families are in use for small pictures", &all, Vec::new()),
    )
    .await?;
    story
        .refused("a shortlist of two", "§6.1", &["SELECTION_STEP_REFUSED"], async {
            record(step("quick-evaluation", "two only", &all[..2], Vec::new())).await
        })
        .await;
    story
        .step("three models shortlisted, compared on one dataset version, one selected", "§6.1", async {
            record(step("quick-evaluation", "three are fast and accurate enough", &SHORTLIST, Vec::new()))
                .await?;
            record(on_data(step(
                "detailed-evaluation",
                "the same validation split and seed for each",
                &SHORTLIST,
                accuracy(0.98),
            )))
            .await?;
            record(step("selection", "the winner of the weighted decision", &SHORTLIST[..1], Vec::new()))
                .await?;
            Ok(((), format!("{} of {}", SHORTLIST[0], SHORTLIST.join(", "))))
        })
        .await?;
    Ok(())
}

async fn record_first<T>(
    story: &Story,
    record: &impl AsyncFn(SelectionStep) -> anyhow::Result<T>,
    baseline: SelectionStep,
    review: SelectionStep,
) -> anyhow::Result<()> {
    story
        .step("baseline and literature review", "§6.1", async {
            record(baseline).await?;
            record(review).await?;
            Ok(((), "accuracy 0.10 to beat, five candidates".to_owned()))
        })
        .await
}

/// Registers the model, of which there will be versions.
///
/// # Errors
/// The refusal of the registry.
pub async fn create_model(story: &Story) -> anyhow::Result<()> {
    story
        .step("model digits registered", "§6.4", async {
            let model = Model {
                display_name: "Digits".into(),
                project: names::PROJECT.into(),
                task: Task::MulticlassClassification.into(),
                primary_metric: "accuracy".into(),
                description:
                    "kernel ridge regression over the training pictures, behind a lookup table of intensities"
                        .into(),
                intended_uses: vec!["reading single digits of forms".into()],
                limitations: vec!["8x8 pictures of the scanner's seventeen intensities; nothing else".into()],
                ..Default::default()
            };
            let request =
                CreateModelRequest { model_id: "digits".into(), model: Some(model), ..Default::default() };
            let model = story.actors.models("ml-engineer")?.create_model(request).await?.into_inner();
            Ok(((), model.name))
        })
        .await
}

/// Trains a variant through the makers, who log the run with its five blocks.
///
/// # Errors
/// If the run was not completed.
pub async fn train(story: &Story, variant: Variant) -> anyhow::Result<Trained> {
    story
        .step(&format!("training run `{}` logged and completed", variant.name()), "§6.2", async {
            let trained = story.makers.train(variant, names::DATASET_VERSION, names::PROJECT).await?;
            let request = GetTrainingRunRequest { name: trained.run.clone() };
            let run = story.actors.runs("ml-engineer")?.get_training_run(request).await?.into_inner();
            let said = format!(
                "{} {}, {} points in {} series, validation accuracy {:.4}",
                run.name,
                run.state().as_str_name(),
                run.points,
                run.metrics_logged.len(),
                trained.validation_accuracy
            );
            Ok((trained, said))
        })
        .await
}

/// Registers what was trained as a version.
///
/// # Errors
/// The refusal of the registry.
pub async fn create_version(story: &Story, version: &str, trained: &Trained) -> anyhow::Result<ModelVersion> {
    let given = ModelVersion {
        artifact_digest: trained.artifact_digest.clone(),
        training_run: trained.run.clone(),
        training_data_version: names::DATASET_VERSION.into(),
        intended_use: "reading single digits of forms".into(),
        interface: Some(ModelInterface {
            feature_columns: (0..64).map(|pixel| format!("pixel_{pixel}")).collect(),
            input_tensor: "pixels".into(),
            label_output: "label".into(),
            score_output: "scores".into(),
            classes: (0..10).map(|digit| digit.to_string()).collect(),
        }),
        ..Default::default()
    };
    let request = CreateModelVersionRequest {
        parent: names::MODEL.into(),
        version: version.into(),
        model_version: Some(given),
        ..Default::default()
    };
    Ok(story.actors.models("ml-engineer")?.create_model_version(request).await?.into_inner())
}

/// Opens the phase of models.
///
/// # Errors
/// If a record is missing.
pub async fn open_models(story: &Story) -> anyhow::Result<()> {
    advance(story, Phase::Model, "").await
}
