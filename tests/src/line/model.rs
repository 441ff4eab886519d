//! Models: a training run with its five blocks, an uploaded artifact, a registered version (§6).

use contracts::registry::v1::*;

use super::Line;
use crate::made::{digest, digest_of, model};
use crate::refusal::Answered;

impl Line {
    /// A run with all five blocks of §6.2.
    pub fn run_record(&self) -> TrainingRun {
        TrainingRun {
            project: self.project(),
            technique: Technique::FromScratch.into(),
            hyperparameters: [("epochs", "3"), ("learning_rate", "2e-5"), ("batch_size", "32")]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
            search_strategy: "grid".into(),
            training_data: Some(TrainingData {
                dataset_version: self.data(),
                splits: vec!["train".into()],
                sampling: "every row once".into(),
            }),
            compute: Some(ComputeResources {
                device_type: "cpu".into(),
                device_count: 1,
                duration: Some(prost_types::Duration { seconds: 3, nanos: 0 }),
            }),
            seeds: [("numbers".to_owned(), 7)].into(),
            checkpointing: Some(Checkpointing {
                frequency: "at the end".into(),
                location: "the artifact".into(),
                interval: None,
            }),
            experiment_tracker: "wlp".into(),
            code_digest: digest_of("train"),
            ..TrainingRun::default()
        }
    }

    /// `trainingRuns/{id}-{run}`
    pub fn run(&self, run: &str) -> String {
        format!("trainingRuns/{}-{run}", self.id)
    }

    /// Opens a run.
    pub async fn open_run(&self, run: &str, record: TrainingRun) -> TrainingRun {
        let request = CreateTrainingRunRequest {
            training_run_id: format!("{}-{run}", self.id),
            training_run: Some(record),
            request_id: String::new(),
        };
        self.by("ml-engineer").runs().create_training_run(request).await.told()
    }

    /// Logs all series of §6.2 and completes the run.
    pub async fn train(&self, run: &str) -> TrainingRun {
        self.open_run(run, self.run_record()).await;
        let point =
            |metric: &str, step, value| MetricPoint { metric: metric.into(), step, value, time: None };
        let points = (0..3)
            .flat_map(|step| {
                let value = 1.0 / (step + 1) as f64;
                ["train/loss", "validation/accuracy", "system/cpu_percent", "checkpoint"]
                    .map(|name| point(name, step, value))
            })
            .collect();
        let request = LogTrainingMetricsRequest { name: self.run(run), points, request_id: String::new() };
        self.by("ml-engineer").runs().log_training_metrics(request).await.told();
        let request =
            CompleteTrainingRunRequest { name: self.run(run), ..CompleteTrainingRunRequest::default() };
        self.by("ml-engineer").runs().complete_training_run(request).await.told()
    }

    /// Uploads bytes as an artifact and gives the digest.
    pub async fn upload(&self, bytes: &[u8]) -> String {
        let digest = digest(bytes);
        let piece = 1 << 16;
        let mut messages: Vec<_> = bytes
            .chunks(piece)
            .map(|chunk| UploadArtifactRequest {
                chunk: chunk.to_vec().into(),
                ..UploadArtifactRequest::default()
            })
            .collect();
        if messages.is_empty() {
            messages.push(UploadArtifactRequest::default());
        }
        messages[0].digest.clone_from(&digest);
        messages[0].size_bytes = bytes.len() as u64;
        messages[0].media_type = "application/onnx".into();
        let upload =
            self.by("ml-engineer").artifacts().upload_artifact(tokio_stream::iter(messages)).await.told();
        assert!(upload.complete, "{upload:?}");
        digest
    }

    /// The model, if it is not there yet.
    pub async fn create_model(&self) {
        let model = Model {
            display_name: self.id.clone(),
            project: self.project(),
            task: self.task.into(),
            primary_metric: "accuracy".into(),
            description: "sorts rows".into(),
            intended_uses: vec!["sorting rows".into()],
            limitations: vec!["four numbers only".into()],
            ..Model::default()
        };
        let request =
            CreateModelRequest { model_id: self.id.clone(), model: Some(model), request_id: String::new() };
        match self.by("ml-engineer").models().create_model(request).await {
            Err(status) if status.code() == tonic::Code::AlreadyExists => {}
            other => drop(other.told()),
        }
    }

    /// A version of the artifact with that digest.
    pub fn version_request(&self, number: &str, run: &str, digest: &str) -> CreateModelVersionRequest {
        CreateModelVersionRequest {
            parent: self.model(),
            version: number.into(),
            model_version: Some(ModelVersion {
                artifact_digest: digest.into(),
                training_run: self.run(run),
                intended_use: "sorting rows".into(),
                quantization: "none".into(),
                ..ModelVersion::default()
            }),
            request_id: String::new(),
        }
    }

    /// Uploads the model of a seed and registers it; gives the artifact's digest.
    pub async fn register(&self, number: &str, run: &str, seed: i64) -> String {
        self.register_bytes(number, run, &model(seed)).await
    }

    /// As [`Line::register`], for any model.
    pub async fn register_bytes(&self, number: &str, run: &str, bytes: &[u8]) -> String {
        self.create_model().await;
        let digest = self.upload(bytes).await;
        let request = self.version_request(number, run, &digest);
        self.by("ml-engineer").models().create_model_version(request).await.told();
        digest
    }

    /// Hands a version in for evaluation.
    pub async fn submit(&self, number: &str) -> ModelVersion {
        let request =
            SubmitModelVersionRequest { name: self.version(number), ..SubmitModelVersionRequest::default() };
        self.by("ml-engineer").models().submit_model_version(request).await.told()
    }

    /// A version as it stands.
    pub async fn get(&self, number: &str) -> ModelVersion {
        let request = GetModelVersionRequest { name: self.version(number) };
        self.by("auditor").models().get_model_version(request).await.told()
    }
}
