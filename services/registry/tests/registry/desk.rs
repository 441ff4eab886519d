//! A registry with keys for every role, and the records that most tests need first.

use contracts::common::v1::{ColumnProfile, Task};
use contracts::registry::v1::{
    artifact_service_client::ArtifactServiceClient, audit_service_client::AuditServiceClient,
    data_source_service_client::DataSourceServiceClient, dataset_service_client::DatasetServiceClient,
    model_service_client::ModelServiceClient, policy_service_client::PolicyServiceClient,
    project_service_client::ProjectServiceClient, training_run_service_client::TrainingRunServiceClient, *,
};
use engine::fake::FakeEngine;
use engine::{DataType, Dim, ModelSignature, TensorSpec};
use registry::{Config, Deps};
use runtime::credentials::{Credentials, Entry, digest_of};
use runtime::{Clock, Kind, Peer, Service};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use storage::Digest;
use tonic::Status;

/// Principals are named after what they are; a deputy holds the same role and is somebody else.
const PEOPLE: &[&str] = &[
    "ml-lead",
    "ml-engineer",
    "data-engineer",
    "ml-ops-engineer",
    "qa-engineer",
    "ethics-reviewer",
    "data-owner",
    "legal",
    "procurement",
    "security",
    "developer",
    "on-call",
    "ethics-board",
    "qa-lead",
    "chief-ai-officer",
    "business-owner",
    "auditor",
    "admin",
    "ml-lead-deputy",
    "ml-engineer-deputy",
    "qa-engineer-deputy",
    "data-engineer-deputy",
    "ethics-board-deputy",
];

pub struct Desk {
    pub service: Service,
    pub clock: Clock,
    _folder: tempfile::TempDir,
}

/// A service of the registry, called by one principal.
macro_rules! clients {
    ($($name:ident $client:ident,)+) => {$(
        pub fn $name(&self, who: &str) -> $client<Peer> {
            $client::new(self.peer(who)).max_decoding_message_size(64 << 20)
        }
    )+};
}

impl Desk {
    pub async fn start() -> Self {
        Self::on("sqlite::memory:").await
    }

    /// In a schema of its own, where a PostgreSQL is there for tests.
    pub async fn on_postgres() -> Option<Self> {
        let url = postgres(|name| std::env::var(name).ok())?;
        let schema = format!("registry_{}", uuid::Uuid::new_v4().simple());
        let joint = if url.contains('?') { '&' } else { '?' };
        Some(Self::on(&format!("{url}{joint}schema={schema}")).await)
    }

    pub async fn on(url: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut config = Config { data_dir: folder.path().display().to_string(), ..Config::default() };
        config.database.url = url.to_owned();
        let clock = Clock::manual(UNIX_EPOCH + Duration::from_hours(500_000));
        let credentials = Credentials::from_entries(entries()).expect("credentials");
        let deps = Deps { clock: clock.clone(), engine: Arc::new(FakeEngine::new()), credentials };
        let service = registry::build(&config, deps).await.expect("a registry");
        Self { service, clock, _folder: folder }
    }

    pub fn peer(&self, who: &str) -> Peer {
        self.service.peer(&key(who)).expect("a peer")
    }

    clients! {
        projects ProjectServiceClient,
        sources DataSourceServiceClient,
        datasets DatasetServiceClient,
        runs TrainingRunServiceClient,
        artifacts ArtifactServiceClient,
        models ModelServiceClient,
        audit AuditServiceClient,
        policies PolicyServiceClient,
    }

    pub fn now(&self) -> SystemTime {
        self.clock.now()
    }

    pub async fn project(&self) -> Project {
        let project = Project { task: Task::BinaryClassification.into(), ..whole_plan() };
        let request =
            CreateProjectRequest { project_id: "line".into(), project: Some(project), ..Default::default() };
        self.projects("ml-engineer").create_project(request).await.expect("a project").into_inner()
    }

    /// A public source, approved by legal and confirmed as current.
    pub async fn source(&self) -> DataSource {
        let source = DataSource {
            display_name: "breast cancer".into(),
            kind: SourceKind::Public.into(),
            origin: "scikit-learn".into(),
            license: "CC-BY-4.0".into(),
            considerations: [("license", "checked"), ("bias", "one country")]
                .map(|(name, note)| (name.to_owned(), note.to_owned()))
                .into(),
            ..DataSource::default()
        };
        let create = CreateDataSourceRequest {
            data_source_id: "cancer".into(),
            data_source: Some(source),
            ..Default::default()
        };
        let made =
            self.sources("data-engineer").create_data_source(create).await.expect("a source").into_inner();
        let approve =
            ApproveDataSourceRequest { name: made.name.clone(), role: "legal".into(), ..Default::default() };
        self.sources("legal").approve_data_source(approve).await.expect("an approval");
        let confirm = ConfirmDataSourceCurrentRequest {
            name: made.name,
            current_time: Some(contracts::time::to_wire(self.now())),
            ..Default::default()
        };
        self.sources("data-owner").confirm_data_source_current(confirm).await.expect("confirmed").into_inner()
    }

    pub async fn dataset(&self) -> Dataset {
        let dataset = Dataset { project: "projects/line".into(), ..Dataset::default() };
        let create =
            CreateDatasetRequest { dataset_id: "rows".into(), dataset: Some(dataset), ..Default::default() };
        self.datasets("data-engineer").create_dataset(create).await.expect("a dataset").into_inner()
    }

    pub async fn draft_data(&self, version: &str, data: DatasetVersion) -> Result<DatasetVersion, Status> {
        let create = CreateDatasetVersionRequest {
            parent: "datasets/rows".into(),
            version: version.into(),
            dataset_version: Some(data),
            ..Default::default()
        };
        Ok(self.datasets("data-pipeline").create_dataset_version(create).await?.into_inner())
    }

    /// Audited by QA, signed by the lead, released by the data engineer.
    pub async fn release(&self, name: &str, wrong_rows: u64) -> DatasetVersion {
        let audit = DatasetAudit {
            sample_digest: digest("sample"),
            rows: 300,
            wrong_rows,
            method: "arrays".into(),
            ..Default::default()
        };
        let audit = RecordDatasetAuditRequest { name: name.into(), audit: Some(audit), ..Default::default() };
        self.datasets("qa-engineer").record_dataset_audit(audit).await.expect("an audit");
        let sign =
            SignDatasetRelevanceRequest { name: name.into(), note: "fits".into(), ..Default::default() };
        self.datasets("ml-lead").sign_dataset_relevance(sign).await.expect("relevance");
        let release = ReleaseDatasetVersionRequest { name: name.into(), ..Default::default() };
        self.datasets("data-engineer").release_dataset_version(release).await.expect("a release").into_inner()
    }

    /// Project, source, dataset and a READY version of it.
    pub async fn with_data() -> Self {
        let desk = Self::start().await;
        desk.lay_data().await;
        desk
    }

    pub async fn lay_data(&self) {
        self.project().await;
        self.source().await;
        self.dataset().await;
        let draft = self.draft_data("1.0.0", clean_data()).await.expect("a version");
        assert_eq!(self.release(&draft.name, 0).await.state(), dataset_version::State::Ready);
    }

    /// A completed run on the READY data.
    pub async fn run(&self, id: &str) -> TrainingRun {
        self.start_run(id, whole_run()).await.expect("a run");
        self.log(id, &["train/loss", "validation/accuracy", "system/cpu_percent", "checkpoint"])
            .await
            .expect("points");
        let complete =
            CompleteTrainingRunRequest { name: format!("trainingRuns/{id}"), ..Default::default() };
        self.runs("ml-engineer").complete_training_run(complete).await.expect("completed").into_inner()
    }

    pub async fn start_run(&self, id: &str, run: TrainingRun) -> Result<TrainingRun, Status> {
        let create = CreateTrainingRunRequest {
            training_run_id: id.into(),
            training_run: Some(run),
            ..Default::default()
        };
        Ok(self.runs("ml-engineer").create_training_run(create).await?.into_inner())
    }

    pub async fn log(&self, id: &str, series: &[&str]) -> Result<TrainingRun, Status> {
        let point = |metric: &&str| MetricPoint { metric: (*metric).into(), step: 1, value: 0.5, time: None };
        let points = series.iter().map(point).collect();
        let log =
            LogTrainingMetricsRequest { name: format!("trainingRuns/{id}"), points, ..Default::default() };
        Ok(self.runs("ml-engineer").log_training_metrics(log).await?.into_inner())
    }

    pub async fn upload(&self, bytes: &[u8]) -> Result<Upload, Status> {
        let first = UploadArtifactRequest {
            digest: Digest::of(bytes).to_string(),
            size_bytes: bytes.len() as u64,
            media_type: "application/onnx".into(),
            chunk: bytes.to_vec().into(),
            ..Default::default()
        };
        let stream = futures::stream::iter([first]);
        Ok(self.artifacts("ml-engineer").upload_artifact(stream).await?.into_inner())
    }

    pub async fn model(&self) -> Model {
        self.open_model(measured_by("accuracy", MetricDirection::Unspecified)).await.expect("a model")
    }

    pub async fn open_model(&self, model: Model) -> Result<Model, Status> {
        let create =
            CreateModelRequest { model_id: "screen".into(), model: Some(model), ..Default::default() };
        Ok(self.models("ml-engineer").create_model(create).await?.into_inner())
    }

    pub async fn version(&self, number: &str, artifact: &str, run: &str) -> Result<ModelVersion, Status> {
        let create = self.version_request(number, artifact, run);
        Ok(self.models("ml-engineer").create_model_version(create).await?.into_inner())
    }

    #[allow(clippy::unused_self)] // reads like its neighbours
    pub fn version_request(&self, number: &str, artifact: &str, run: &str) -> CreateModelVersionRequest {
        let version = ModelVersion {
            artifact_digest: artifact.into(),
            training_run: format!("trainingRuns/{run}"),
            intended_use: "screening of samples".into(),
            ..ModelVersion::default()
        };
        CreateModelVersionRequest {
            parent: "models/screen".into(),
            version: number.into(),
            model_version: Some(version),
            ..Default::default()
        }
    }
}

/// Where the PostgreSQL for tests is. Under CI it must be there: what needs it is not left out in silence.
fn postgres(setting: impl Fn(&str) -> Option<String>) -> Option<String> {
    const URL: &str = "WLP_TEST_POSTGRES_URL";
    let url = setting(URL).filter(|url| !url.is_empty());
    if url.is_none() {
        assert!(setting("CI").is_none_or(|ci| ci != "true"), "{URL} is not set");
        eprintln!("skipped on PostgreSQL: {URL} is not set");
    }
    url
}

#[test]
fn without_a_postgres_tests_go_on_alone_and_never_under_ci() {
    let set = |ci: &'static str, url: &'static str| {
        move |name: &str| Some(if name == "CI" { ci } else { url }.to_owned()).filter(|text| !text.is_empty())
    };
    assert_eq!(postgres(set("true", "postgres://there")), Some("postgres://there".to_owned()));
    assert_eq!(postgres(set("", "")), None);
    assert!(std::panic::catch_unwind(|| postgres(set("true", ""))).is_err());
}

fn key(who: &str) -> String {
    format!("wlp_test_key_of_{who}")
}

fn entries() -> Vec<Entry> {
    let entry = |principal: &&str, kind| Entry {
        sha256: digest_of(&key(principal)),
        principal: (*principal).to_owned(),
        kind,
        roles: vec![principal.trim_end_matches("-deputy").to_owned()],
        expires: None,
        development: false,
    };
    let services = ["data-pipeline", "evaluator", "gateway", "monitor"];
    let people = PEOPLE.iter().map(|who| entry(who, Kind::Person));
    people.chain(services.iter().map(|who| entry(who, Kind::Service))).collect()
}

pub fn digest(text: &str) -> String {
    Digest::of(text.as_bytes()).to_string()
}

/// A model file; another seed is other weights, another width another signature.
pub fn onnx(width: i64, seed: i64) -> Vec<u8> {
    let spec = |name: &str, datatype, dims| TensorSpec { name: name.into(), datatype, dims: Some(dims) };
    let signature = ModelSignature {
        inputs: vec![spec("x", DataType::Fp32, vec![Dim::Symbol("rows".into()), Dim::Fixed(width)])],
        optional_inputs: Vec::new(),
        outputs: vec![spec("label", DataType::Int64, vec![Dim::Fixed(1)])],
    };
    engine::fake::model(&signature, seed).to_vec()
}

/// A model whose versions are compared by `metric`.
pub fn measured_by(metric: &str, direction: MetricDirection) -> Model {
    Model {
        project: "projects/line".into(),
        task: Task::BinaryClassification.into(),
        primary_metric: metric.into(),
        primary_metric_direction: direction.into(),
        ..Model::default()
    }
}

pub fn whole_plan() -> Project {
    let criterion = |metric: &str, comparator: Comparator, value, unit: &str| Criterion {
        metric: metric.into(),
        comparator: comparator.into(),
        value,
        unit: unit.into(),
    };
    let requirement = |id: &str, kind: RequirementType, document: &str| Requirement {
        requirement_id: id.into(),
        r#type: kind.into(),
        statement: format!("the {id} requirement"),
        document: document.into(),
        document_digest: digest(document),
        ..Requirement::default()
    };
    let mut latency = requirement("fast", RequirementType::NonFunctional, "sla");
    latency.criterion = Some(criterion("latency_p95_ms", Comparator::Less, 2000.0, "ms"));
    Project {
        display_name: "screening".into(),
        primary_metric: "accuracy".into(),
        inputs: Some(PlanningInputs {
            business_problem: "samples wait too long".into(),
            success_criteria: vec![criterion("accuracy", Comparator::Greater, 0.9, "share")],
            target_users: vec!["laboratory".into()],
            use_cases: vec!["screening".into()],
            performance_requirements: vec![
                criterion("latency_p95_ms", Comparator::Less, 2000.0, "ms"),
                criterion("throughput", Comparator::Greater, 10.0, "requests/s"),
            ],
            privacy_requirements: vec!["no names".into()],
            compliance_requirements: vec!["GDPR".into()],
            compute_constraint: "two cores".into(),
            budget_constraint: "none".into(),
        }),
        requirements: vec![
            requirement("does", RequirementType::Functional, "spec"),
            latency,
            requirement("data", RequirementType::Data, "data_requirements"),
            requirement("fair", RequirementType::Ethical, "ethics_review"),
            requirement("legal", RequirementType::Compliance, "compliance_checklist"),
        ],
        ..Project::default()
    }
}

pub fn clean_data() -> DatasetVersion {
    let names =
        ["extraction", "validation", "cleaning", "transformation", "augmentation", "splitting", "versioning"];
    let mut input = digest("source");
    let mut steps = Vec::new();
    for name in names {
        let output = digest(name);
        let skipped = name == "augmentation";
        steps.push(StepRecord {
            step: name.into(),
            input_digest: if skipped { String::new() } else { input.clone() },
            output_digest: if skipped { String::new() } else { output.clone() },
            code_digest: if skipped { String::new() } else { digest("code") },
            parameters: "{}".into(),
            rows_in: 569,
            rows_out: 569,
            not_applicable_reason: if skipped { "enough rows".into() } else { String::new() },
            ..StepRecord::default()
        });
        if !skipped {
            input = output;
        }
    }
    let counted = |dimension: &str, bad, all| QualityMeasurement {
        dimension: dimension.into(),
        bad,
        all,
        ..QualityMeasurement::default()
    };
    let mut relevance = counted("relevance", 0, 0);
    relevance.value = Some(contracts::common::v1::Measurement { value: 0.6, ..Default::default() });
    let mut consistency = counted("consistency", 0, 0);
    consistency.not_applicable_reason = "one source".into();
    let mut fairness = counted("fairness", 0, 0);
    fairness.not_applicable_reason = "no groups in the data".into();
    DatasetVersion {
        data_sources: vec!["dataSources/cancer".into()],
        steps,
        quality: vec![
            counted("completeness", 10, 17_070),
            consistency,
            counted("timeliness", 0, 0),
            counted("uniqueness", 1, 569),
            counted("validity", 0, 569),
            relevance,
            fairness,
        ],
        profiles: vec![ColumnProfile { column: "mean_radius".into(), ..Default::default() }],
        manifest_digest: digest("manifest"),
        schema_digest: digest("schema"),
        data_card_digest: digest("card"),
        label_column: "malignant".into(),
        rows_in: 569,
        rows: 569,
        built_by: "data-engineer".into(),
        leaked_rows: Some(0),
        ..DatasetVersion::default()
    }
}

/// The same with other rows.
pub fn other_rows(data: DatasetVersion) -> DatasetVersion {
    let train = DatasetSplit {
        split: "train".into(),
        rows: data.rows,
        digest: digest("other rows"),
        ..DatasetSplit::default()
    };
    DatasetVersion { splits: vec![train], manifest_digest: digest("other manifest"), ..data }
}

pub fn whole_run() -> TrainingRun {
    let pairs = |all: &[(&str, &str)]| {
        all.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    };
    TrainingRun {
        project: "projects/line".into(),
        technique: Technique::FromScratch.into(),
        hyperparameters: pairs(&[("epochs", "3"), ("learning_rate", "2e-5"), ("batch_size", "32")]),
        search_strategy: "none".into(),
        training_data: Some(TrainingData {
            dataset_version: "datasets/rows/versions/1.0.0".into(),
            splits: vec!["train".into(), "validation".into()],
            sampling: "all rows".into(),
        }),
        compute: Some(ComputeResources {
            device_type: "cpu".into(),
            device_count: 1,
            duration: Some(prost_types::Duration { seconds: 12, nanos: 0 }),
        }),
        seeds: [("numpy".to_owned(), 7)].into(),
        checkpointing: Some(Checkpointing {
            frequency: "at the end".into(),
            location: "artifacts".into(),
            interval: None,
        }),
        experiment_tracker: "wlp".into(),
        ..TrainingRun::default()
    }
}

/// The reason of a refusal.
pub fn reason(status: &Status) -> String {
    runtime::status::reason(status).unwrap_or_default()
}

/// Clause, subject and text of every finding of a refusal.
pub fn findings(status: &Status) -> Vec<String> {
    let told =
        |one: runtime::PreconditionViolation| format!("{} {}: {}", one.r#type, one.subject, one.description);
    runtime::status::precondition_violations(status).into_iter().map(told).collect()
}

/// The bad fields of a refusal.
pub fn bad_fields(status: &Status) -> Vec<String> {
    runtime::status::field_violations(status).into_iter().map(|one| one.field).collect()
}
