//! An ONNX file becomes a version of a model: the run that it must come from says what the importer declares.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use contracts::common::v1::{ModelInterface, Task};
use contracts::registry::v1::artifact_service_client::ArtifactServiceClient;
use contracts::registry::v1::dataset_service_client::DatasetServiceClient;
use contracts::registry::v1::model_service_client::ModelServiceClient;
use contracts::registry::v1::training_run_service_client::TrainingRunServiceClient;
use contracts::registry::v1::{
    Checkpointing, CompleteTrainingRunRequest, ComputeResources, CreateModelRequest,
    CreateModelVersionRequest, CreateTrainingRunRequest, GetDatasetVersionRequest, GetTrainingRunRequest,
    LogTrainingMetricsRequest, MetricDirection, MetricPoint, Model as WireModel, ModelVersion,
    SubmitModelVersionRequest, Technique, TrainingData, TrainingRun, UploadArtifactRequest,
    training_run::State,
};
use contracts::time::duration_to_wire;

use super::{Caller, DirectionName, TaskName, number, pair, pieces, project, read, unless_there};
use crate::reach::To;

/// A dataset version comes with its profiles.
const MESSAGE_BYTES: usize = 32 << 20;

/// Said wherever the importer knows nothing better.
const DECLARED: &str = "declared by the importer";

#[derive(Debug, Args)]
#[allow(clippy::struct_field_names)] // the option is called so
pub struct Model {
    /// The ONNX file.
    file: PathBuf,
    /// Id of the model; made if it is not there.
    #[arg(long)]
    model: String,
    /// Number of the version.
    #[arg(long, default_value = "1.0.0")]
    version: String,
    /// Id of the project; made as a draft if it is not there.
    #[arg(long, default_value = "imported")]
    project: String,
    /// What the model does.
    #[arg(long, value_enum)]
    task: TaskName,
    /// By which versions are compared.
    #[arg(long, default_value = "accuracy")]
    primary_metric: String,
    /// Which way that metric is better; needed where it is none of those of §7.3.
    #[arg(long, value_enum)]
    metric_direction: Option<DirectionName>,
    /// Dataset version that it was trained on: `datasets/{d}/versions/{v}`, released.
    #[arg(long)]
    dataset_version: String,
    /// Callers send raw columns: the dataset version's fitted transforms run before the model.
    #[arg(long)]
    raw_columns: bool,
    /// What it is for.
    #[arg(long, default_value = "the use that the importer named")]
    intended_use: String,
    /// `name=value`, as the importer declares it; may be given again.
    #[arg(long = "hyperparameter", value_parser = pair)]
    hyperparameters: Vec<(String, String)>,
    /// `name=number`; may be given again.
    #[arg(long = "seed", value_parser = pair)]
    seeds: Vec<(String, String)>,
    /// Device it was trained on.
    #[arg(long, default_value = "cpu")]
    device: String,
    /// Seconds that the training took.
    #[arg(long, default_value_t = 1.0)]
    training_seconds: f64,
    /// `series=number` of the training, `train/loss=0.12`, `validation/accuracy=0.86`; may be given again.
    #[arg(long = "metric", value_parser = number)]
    metrics: Vec<(String, f64)>,
    /// Input that takes all feature columns.
    #[arg(long, default_value = "")]
    input: String,
    /// Feature column, in order; may be given again.
    #[arg(long = "feature")]
    features: Vec<String>,
    /// Output with the label.
    #[arg(long, default_value = "")]
    label_output: String,
    /// Output with the scores.
    #[arg(long, default_value = "")]
    score_output: String,
    /// Name of a class, in order; may be given again.
    #[arg(long = "class")]
    classes: Vec<String>,
    #[command(flatten)]
    caller: Caller,
}

impl Model {
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        let task: Task = self.task.into();
        let project = project(&self.caller, &self.project, task, &self.primary_metric).await?;
        let digest = self.upload().await?;
        let run = self.declare_run(&project).await?;
        let version = self.register(&project, task, &digest, &run).await?;
        println!("{} {}", version.name, version.state().as_str_name());
        println!("artifact {digest}\ntraining run {run} ({DECLARED})");
        for (kind, tensors) in [("input", &version.inputs), ("output", &version.outputs)] {
            for tensor in tensors {
                println!("{kind} {} {} {:?}", tensor.name, tensor.datatype, tensor.dims);
            }
        }
        Ok(ExitCode::SUCCESS)
    }

    async fn upload(&self) -> anyhow::Result<String> {
        let (bytes, digest) = read(&self.file)?;
        let (first, size_bytes) = (digest.clone(), bytes.len() as u64);
        let messages: Vec<_> = pieces(&bytes)
            .map(|(offset, chunk)| UploadArtifactRequest {
                digest: if offset == 0 { first.clone() } else { String::new() },
                size_bytes: if offset == 0 { size_bytes } else { 0 },
                media_type: "application/onnx".into(),
                chunk: chunk.into(),
                ..Default::default()
            })
            .collect();
        let mut artifacts = ArtifactServiceClient::new(self.caller.peer(To::Registry, "ml-engineer")?);
        artifacts.upload_artifact(futures::stream::iter(messages)).await?;
        Ok(digest)
    }

    /// The five blocks of §6.2; where nothing was given, they say who declares it.
    async fn declare_run(&self, project: &str) -> anyhow::Result<String> {
        let mut seeds = std::collections::BTreeMap::new();
        for (name, value) in &self.seeds {
            seeds.insert(name.clone(), value.parse::<u64>()?);
        }
        if seeds.is_empty() {
            seeds.insert(DECLARED.to_owned(), 0);
        }
        let mut hyperparameters: std::collections::BTreeMap<_, _> =
            self.hyperparameters.iter().cloned().collect();
        if hyperparameters.is_empty() {
            hyperparameters.insert("hyperparameters".into(), format!("{DECLARED}: not known"));
        }
        anyhow::ensure!(
            self.training_seconds.is_finite() && 0.0 < self.training_seconds,
            "--training-seconds {}, required > 0",
            self.training_seconds
        );
        let duration = std::time::Duration::from_secs_f64(self.training_seconds);
        let id = format!("{}-{}", self.model, self.version.replace('.', "-"));
        let run = TrainingRun {
            project: project.into(),
            technique: Technique::FromScratch.into(),
            hyperparameters: hyperparameters.into_iter().collect(),
            search_strategy: DECLARED.into(),
            training_data: Some(TrainingData {
                dataset_version: self.dataset_version.clone(),
                splits: vec!["train".into()],
                sampling: DECLARED.into(),
            }),
            compute: Some(ComputeResources {
                device_type: self.device.clone(),
                device_count: 1,
                duration: Some(duration_to_wire(duration)),
            }),
            seeds: seeds.into_iter().collect(),
            checkpointing: Some(Checkpointing {
                frequency: DECLARED.into(),
                location: "the imported file".into(),
                interval: None,
            }),
            experiment_tracker: DECLARED.into(),
            ..Default::default()
        };
        let request = CreateTrainingRunRequest {
            training_run_id: id.clone(),
            training_run: Some(run),
            ..Default::default()
        };
        let mut runs = TrainingRunServiceClient::new(self.caller.peer(To::Registry, "ml-engineer")?);
        let name = format!("trainingRuns/{id}");
        unless_there(runs.create_training_run(request).await)?;
        let run = runs.get_training_run(GetTrainingRunRequest { name: name.clone() }).await?.into_inner();
        if run.state() == State::Running {
            let request =
                LogTrainingMetricsRequest { name: name.clone(), points: self.points(), ..Default::default() };
            runs.log_training_metrics(request).await?;
            let request = CompleteTrainingRunRequest { name: name.clone(), ..Default::default() };
            runs.complete_training_run(request).await?;
        }
        Ok(name)
    }

    /// The series of §6.2: those that were given, and for the others one point that says that nothing is known.
    fn points(&self) -> Vec<MetricPoint> {
        let point = |metric: String, value| MetricPoint { metric, value, ..Default::default() };
        let mut points: Vec<_> =
            self.metrics.iter().map(|(name, value)| point(name.clone(), *value)).collect();
        for series in lifecycle::Policy::builtin().training.monitoring.iter().map(|row| row.series.as_str()) {
            if !series.is_empty() && !points.iter().any(|one| one.metric.starts_with(series)) {
                let joint = if series.ends_with('/') { "" } else { "/" };
                points.push(point(format!("{series}{joint}declared-by-the-importer"), f64::NAN));
            }
        }
        points
    }

    /// Digest of the transforms that run before the model; empty where callers send what it takes.
    async fn preprocessing(&self) -> anyhow::Result<String> {
        if !self.raw_columns {
            return Ok(String::new());
        }
        let peer = self.caller.peer(To::Registry, "ml-engineer")?;
        let mut datasets = DatasetServiceClient::new(peer).max_decoding_message_size(MESSAGE_BYTES);
        let request = GetDatasetVersionRequest { name: self.dataset_version.clone() };
        Ok(datasets.get_dataset_version(request).await?.into_inner().transform_digest)
    }

    async fn register(
        &self,
        project: &str,
        task: Task,
        digest: &str,
        run: &str,
    ) -> anyhow::Result<ModelVersion> {
        let mut models = ModelServiceClient::new(self.caller.peer(To::Registry, "ml-engineer")?);
        let model = WireModel {
            display_name: self.model.clone(),
            project: project.into(),
            task: task.into(),
            primary_metric: self.primary_metric.clone(),
            primary_metric_direction: self
                .metric_direction
                .map_or(MetricDirection::Unspecified, MetricDirection::from)
                .into(),
            description: format!("imported from {}", self.file.file_name().unwrap_or_default().display()),
            intended_uses: vec![self.intended_use.clone()],
            limitations: vec![format!("{DECLARED}: none named")],
            ..Default::default()
        };
        let request =
            CreateModelRequest { model_id: self.model.clone(), model: Some(model), ..Default::default() };
        unless_there(models.create_model(request).await)?;
        let given = ModelVersion {
            artifact_digest: digest.into(),
            preprocessing_digest: self.preprocessing().await?,
            training_run: run.into(),
            training_data_version: self.dataset_version.clone(),
            intended_use: self.intended_use.clone(),
            interface: Some(ModelInterface {
                feature_columns: self.features.clone(),
                input_tensor: self.input.clone(),
                label_output: self.label_output.clone(),
                score_output: self.score_output.clone(),
                classes: self.classes.clone(),
            }),
            ..Default::default()
        };
        let request = CreateModelVersionRequest {
            parent: format!("models/{}", self.model),
            version: self.version.clone(),
            model_version: Some(given),
            ..Default::default()
        };
        let version = models.create_model_version(request).await?.into_inner();
        let request = SubmitModelVersionRequest { name: version.name, ..Default::default() };
        Ok(models.submit_model_version(request).await?.into_inner())
    }
}
