//! §6: the choice of a model in five steps, training runs, versions.

use contracts::common::v1::{Measurement, ModelInterface, Task};
use contracts::registry::v1::{
    CreateModelRequest, CreateModelVersionRequest, GetProjectRequest, GetTrainingRunRequest, Model,
    ModelVersion, Phase, Project, RecordSelectionStepRequest, SelectionStep,
};

use super::makers::{Shortlist, Trained, Variant};
use super::plan::{SEED, advance};
use super::{Baseline, Comparison, Story, names};

/// Models of the shortlist.
const SHORTLIST: usize = 3;

/// The five steps that lead to the model (§6.1), over the ranking of the weighted decision and a comparison on one dataset
/// version; a shortlist of two is refused.
///
/// # Errors
/// The first step that was not accepted, or a choice that the makers do not make.
pub async fn choose_model(story: &Story) -> anyhow::Result<()> {
    let request = GetProjectRequest { name: names::PROJECT.into() };
    let project = story.actors.projects("ml-lead")?.get_project(request).await?.into_inner();
    let ranking = project.selection.unwrap_or_default().ranking;
    let shortlist: Vec<String> = ranking.iter().take(SHORTLIST).cloned().collect();
    let compared = compare(story, &shortlist).await?;
    first_steps(story, &compared, &ranking).await?;
    story
        .refused("a shortlist of two", "§6.1", &["SELECTION_STEP_REFUSED"], async {
            let two = shortlist.iter().take(2).cloned().collect();
            record(story, step("quick-evaluation", "two only", two)).await
        })
        .await;
    story
        .step("three models shortlisted, compared on one dataset version, one selected", "§6.1", async {
            let summary = "the first three of the weighted ranking";
            record(story, step("quick-evaluation", summary, shortlist.clone())).await?;
            let detailed = SelectionStep {
                dataset_version: names::DATASET_VERSION.into(),
                seed: Some(compared.seed),
                metrics: compared.measurements(),
                ..step("detailed-evaluation", &compared.told(), shortlist.clone())
            };
            record(story, detailed).await?;
            let winner = shortlist.first().cloned().unwrap_or_default();
            let summary = "the winner of the weighted decision";
            record(story, step("selection", summary, vec![winner.clone()])).await?;
            anyhow::ensure!(
                winner == story.makers.candidate(),
                "{winner} was selected, here {} is made",
                story.makers.candidate()
            );
            Ok(((), format!("{winner}; on {} rows: {}", compared.sample_size, compared.told())))
        })
        .await
}

/// Fits the shortlist on the train split and measures it on the validation split, by one seed.
async fn compare(story: &Story, candidates: &[String]) -> anyhow::Result<Comparison> {
    story
        .step("shortlist fitted and measured on one split", "§6.1", async {
            let on = Shortlist { dataset_version: names::DATASET_VERSION, candidates };
            let compared = story.makers.compare(SEED, Some(on)).await?;
            story.evidence("selection-detailed", &serde_json::to_string_pretty(&compared)?)?;
            let baseline = &compared.baseline;
            let said = format!("{}; {} {:.4}", compared.told(), baseline.candidate, baseline.accuracy);
            Ok((compared, said))
        })
        .await
}

async fn first_steps(story: &Story, compared: &Comparison, all: &[String]) -> anyhow::Result<()> {
    story
        .step("baseline and literature review", "§6.1", async {
            let Baseline { candidate, accuracy } = &compared.baseline;
            let baseline = SelectionStep {
                metrics: vec![Measurement {
                    metric: "accuracy".into(),
                    value: *accuracy,
                    sample_size: compared.sample_size,
                    slice: format!("candidate={candidate}"),
                    ..Default::default()
                }],
                ..step("baseline", candidate, Vec::new())
            };
            record(story, baseline).await?;
            let summary = "families that are in use for small pictures";
            record(story, step("literature-review", summary, all.to_vec())).await?;
            Ok(((), format!("accuracy {accuracy:.4} to beat, {} candidates", all.len())))
        })
        .await
}

fn step(step: &str, summary: &str, candidates: Vec<String>) -> SelectionStep {
    SelectionStep { step: step.into(), summary: summary.into(), candidates, ..Default::default() }
}

async fn record(story: &Story, step: SelectionStep) -> anyhow::Result<Project> {
    let request =
        RecordSelectionStepRequest { name: names::PROJECT.into(), step: Some(step), ..Default::default() };
    Ok(story.actors.projects("ml-lead")?.record_selection_step(request).await?.into_inner())
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
                "{} {}, {} points in {} series, {}, validation accuracy {:.4}",
                run.name,
                run.state().as_str_name(),
                run.points,
                run.metrics_logged.len(),
                trained.search,
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
    Ok(story.actors.models(names::AUTHOR)?.create_model_version(request).await?.into_inner())
}

/// Opens the phase of models.
///
/// # Errors
/// If a record is missing.
pub async fn open_models(story: &Story) -> anyhow::Result<()> {
    advance(story, Phase::Model, "").await
}
