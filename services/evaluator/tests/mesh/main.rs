//! The evaluator between a fake registry and a fake data-pipeline, over a model whose every number is known.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod fakes;
mod preprocessing;

use arrow::array::{Float64Array, Int64Array, RecordBatch, StringArray};
use bytes::Bytes;
use contracts::common::v1::Task;
use contracts::evaluator::v1::{
    EvaluateModelVersionRequest, EvaluationPlan, evaluator_service_client::EvaluatorServiceClient,
};
use contracts::longrunning::{
    CancelOperationRequest, Operation, WaitOperationRequest, operation, operations_client::OperationsClient,
};
use contracts::registry::v1::{self, Evaluation};
use engine::fake::{Behaviour, FakeEngine};
use engine::{DataType, Dim, Engine, ModelSignature, Tensor, TensorSpec};
use lifecycle::Policy;
use prost::Message;
use runtime::credentials::Entry;
use runtime::{Clock, Credentials, Kind, Peer, Service};
use std::sync::Arc;
use std::time::Duration;
use storage::Digest;

const ROWS: usize = 200;
/// Range of `a`: from -0.995 to 0.995.
const STEP: f64 = 0.01;

fn a(row: usize) -> f64 {
    -0.995 + STEP * row as f64
}

/// `y` is 1 above 0, but wrong in every tenth row, so that a model that says `a > 0` is right on 90 %.
fn split() -> Bytes {
    let values: Vec<f64> = (0..ROWS).map(a).collect();
    let labels = values.iter().enumerate().map(|(row, a)| i64::from((*a > 0.0) != (row % 10 == 0)));
    let batch = RecordBatch::try_from_iter([
        ("a", Arc::new(Float64Array::from(values.clone())) as arrow::array::ArrayRef),
        ("b", Arc::new(Float64Array::from_iter_values((0..ROWS).map(|row| (row % 7) as f64)))),
        (
            "sex",
            Arc::new(StringArray::from_iter_values(
                (0..ROWS).map(|row| if row % 2 == 0 { "f" } else { "m" }),
            )),
        ),
        ("y", Arc::new(Int64Array::from_iter_values(labels))),
    ])
    .unwrap();
    let mut file = Vec::new();
    let mut writer = parquet::arrow::ArrowWriter::try_new(&mut file, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    file.into()
}

fn signature() -> ModelSignature {
    let spec =
        |name: &str, datatype, dims: Vec<Dim>| TensorSpec { name: name.into(), datatype, dims: Some(dims) };
    ModelSignature {
        inputs: vec![spec("x", DataType::Fp32, vec![Dim::Any(()), Dim::Fixed(2)])],
        outputs: vec![
            spec("label", DataType::Int64, vec![Dim::Any(())]),
            spec("scores", DataType::Fp32, vec![Dim::Any(()), Dim::Fixed(2)]),
        ],
        ..ModelSignature::default()
    }
}

fn behave(_: &ModelSignature, inputs: &[Tensor]) -> Result<Vec<Tensor>, engine::EngineError> {
    let rows = inputs[0].to_f64().unwrap();
    let p: Vec<f64> = rows.chunks(2).map(|row| 1.0 / (1.0 + (-8.0 * row[0]).exp())).collect();
    let labels: Vec<i64> = rows.chunks(2).map(|row| i64::from(row[0] > 0.0)).collect();
    let scores: Vec<f32> = p.iter().flat_map(|p| [(1.0 - p) as f32, *p as f32]).collect();
    let n = labels.len() as i64;
    Ok(vec![
        Tensor::of("label", vec![n], &labels).unwrap(),
        Tensor::of("scores", vec![n, 2], &scores).unwrap(),
    ])
}

struct Mesh {
    service: Service,
    told: fakes::Told,
    engine: FakeEngine,
    artifact: String,
    key: String,
    _folder: tempfile::TempDir,
}

/// An engine that panics on its first load.
#[derive(Debug)]
struct Fragile {
    inner: FakeEngine,
    broken: std::sync::atomic::AtomicBool,
}

#[async_trait::async_trait]
impl Engine for Fragile {
    fn describe(&self) -> String {
        self.inner.describe()
    }

    fn providers(&self) -> Vec<engine::Provider> {
        self.inner.providers()
    }

    async fn load(
        &self,
        model: Bytes,
        options: engine::LoadOptions,
    ) -> Result<Arc<dyn engine::Session>, engine::EngineError> {
        let before = self.broken.swap(true, std::sync::atomic::Ordering::Relaxed);
        assert!(before, "a fault of ours");
        self.inner.load(model, options).await
    }
}

impl Mesh {
    async fn start() -> Self {
        Self::over(|engine| Arc::new(engine)).await
    }

    async fn over(engine_of: impl FnOnce(FakeEngine) -> Arc<dyn Engine>) -> Self {
        Self::made(engine_of, |_, _| {}).await
    }

    /// With records that `change` had in its hands.
    async fn made(
        engine_of: impl FnOnce(FakeEngine) -> Arc<dyn Engine>,
        change: impl FnOnce(&mut v1::ModelVersion, &mut v1::DatasetVersion),
    ) -> Self {
        let (artifact, split) = (engine::fake::model(&signature(), 1), split());
        let digest = Digest::of(&artifact).to_string();
        let engine = FakeEngine::new();
        engine.set(&digest, Behaviour { outputs: Some(Arc::new(behave)), ..Behaviour::default() });
        let model = v1::Model {
            name: "models/m".into(),
            task: Task::BinaryClassification as i32,
            ..v1::Model::default()
        };
        let mut version = v1::ModelVersion { artifact_digest: digest.clone(), ..v1::ModelVersion::default() };
        let part = |name: &str| v1::DatasetSplit {
            split: name.into(),
            rows: ROWS as u64,
            digest: Digest::of(&split).to_string(),
            ..v1::DatasetSplit::default()
        };
        let mut dataset = v1::DatasetVersion {
            name: "datasets/d/versions/1.0.0".into(),
            label_column: "y".into(),
            columns: vec![v1::DatasetColumn {
                name: "sex".into(),
                sensitive: true,
                ..v1::DatasetColumn::default()
            }],
            splits: vec![part("train"), part("test")],
            manifest_digest: Digest::of(b"manifest").to_string(),
            ..v1::DatasetVersion::default()
        };
        change(&mut version, &mut dataset);
        let policy = v1::PolicyVersion {
            yaml: lifecycle::policy::BUILTIN.into(),
            digest: Policy::builtin().digest().into(),
            ..v1::PolicyVersion::default()
        };
        let told = fakes::told(&model, &version, &dataset, &policy, artifact, split);
        let (key, sha256) = runtime::generate_key().unwrap();
        let person = Entry {
            sha256,
            principal: "qa-engineer".into(),
            kind: Kind::Person,
            roles: vec!["qa-engineer".into()],
            expires: None,
            development: false,
        };
        let credentials = Credentials::from_entries(vec![person]).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let config = evaluator::Config {
            data_dir: folder.path().to_string_lossy().into_owned(),
            database: runtime::config::Database { url: "sqlite::memory:".into() },
            ..evaluator::Config::default()
        };
        let deps = evaluator::Deps::new(
            Clock::real(),
            credentials,
            engine_of(engine.clone()),
            told.peer(),
            told.peer(),
        );
        let service = evaluator::build(&config, deps).await.unwrap();
        Self { service, told, engine, artifact: digest, key, _folder: folder }
    }

    fn peer(&self) -> Peer {
        self.service.peer(&self.key).unwrap()
    }

    async fn ask(&self, id: &str, request_id: &str) -> Result<Operation, tonic::Status> {
        self.ask_for(id, request_id, None).await
    }

    async fn ask_for(
        &self,
        id: &str,
        request_id: &str,
        plan: Option<EvaluationPlan>,
    ) -> Result<Operation, tonic::Status> {
        let request = EvaluateModelVersionRequest {
            model_version: "m-v1.0.0".into(),
            dataset_version: "datasets/d/versions/1.0.0".into(),
            evaluation_id: id.into(),
            request_id: request_id.into(),
            plan,
        };
        Ok(EvaluatorServiceClient::new(self.peer()).evaluate_model_version(request).await?.into_inner())
    }

    async fn end(&self, name: &str) -> Operation {
        loop {
            let request = WaitOperationRequest { name: name.into(), timeout: None };
            let seen = OperationsClient::new(self.peer()).wait_operation(request).await.unwrap().into_inner();
            if seen.done {
                return seen;
            }
        }
    }
}

fn response(operation: &Operation) -> Evaluation {
    match &operation.result {
        Some(operation::Result::Response(any)) => Evaluation::decode(any.value.as_slice()).unwrap(),
        other => panic!("{other:?}"),
    }
}

fn value(evaluation: &Evaluation, metric: &str) -> f64 {
    evaluation.measurements.iter().find(|one| one.metric == metric && one.slice.is_empty()).unwrap().value
}

#[tokio::test]
async fn every_known_number_comes_out() {
    let mesh = Mesh::start().await;
    mesh.service.tasks().start();
    let asked = mesh.ask("first", "r1").await.unwrap();
    let made = response(&mesh.end(&asked.name).await);
    assert_eq!(mesh.told.evaluations.lock().unwrap().as_slice(), std::slice::from_ref(&made));
    assert!((value(&made, "accuracy") - 0.9).abs() < 1e-12);
    // 96..=103 lie within 0.02 of the range from 0; row 100 is wrong from the start.
    assert!(
        (value(&made, "adversarial_success") - 7.0 / 180.0).abs() < 1e-12,
        "{}",
        value(&made, "adversarial_success")
    );
    // 50 of each group of 100 are above 0.
    assert!((value(&made, "demographic_parity") - 1.0).abs() < 1e-12);
    assert!(value(&made, "latency_p95_ms") > 0.0 && value(&made, "run_failures").abs() < 1e-12);
    let attack = made.measurements.iter().find(|one| one.metric == "adversarial_success").unwrap();
    assert_eq!(attack.convention, "square/linf/0.02/500");
    assert_eq!(
        (made.slots.len(), made.requested_by.as_str(), made.artifact_digest.as_str()),
        (15, "qa-engineer", mesh.artifact.as_str())
    );
    assert_eq!((made.split.as_str(), made.label_column.as_str(), made.tolerance), ("test", "y", 0.0));
    assert_eq!(made.group_columns, ["sex"]);
    assert!(made.slots.iter().all(|slot| slot.measured || !slot.reason.is_empty()), "{:?}", made.slots);
    assert_eq!(made.not_applicable.len(), 2);
    // The same request is the same operation; the same plan over the same bytes gives the same numbers.
    assert_eq!(mesh.ask("first", "r1").await.unwrap().name, asked.name);
    let asked = mesh.ask("second", "r2").await.unwrap();
    let again = response(&mesh.end(&asked.name).await);
    let fixed = |evaluation: &Evaluation| {
        let timed = |metric: &str| metric.starts_with("latency") || metric == "throughput";
        let rest = evaluation.measurements.iter().filter(|one| !timed(&one.metric));
        rest.map(|one| (one.metric.clone(), one.slice.clone(), one.value.to_bits())).collect::<Vec<_>>()
    };
    assert_eq!(fixed(&made), fixed(&again));
    assert_eq!(made.plan_digest, again.plan_digest);
}

#[tokio::test]
async fn a_model_that_fails_is_wrong_and_reported() {
    let mesh = Mesh::start().await;
    mesh.engine.fail_share(&mesh.artifact, 1.0);
    mesh.service.tasks().start();
    let asked = mesh.ask("faulty", "").await.unwrap();
    let made = response(&mesh.end(&asked.name).await);
    assert!((value(&made, "run_failures") - 1.0).abs() < 1e-12 && value(&made, "accuracy").abs() < 1e-12);
}

#[tokio::test]
async fn bad_fields_are_all_named_and_a_queued_operation_can_be_cancelled() {
    let mesh = Mesh::start().await;
    let request = EvaluateModelVersionRequest {
        model_version: "../etc".into(),
        evaluation_id: "A".into(),
        ..EvaluateModelVersionRequest::default()
    };
    let refused = EvaluatorServiceClient::new(mesh.peer()).evaluate_model_version(request).await.unwrap_err();
    let fields: Vec<String> =
        runtime::status::field_violations(&refused).into_iter().map(|bad| bad.field).collect();
    assert_eq!(fields, ["model_version", "dataset_version", "evaluation_id"]);
    let asked = mesh.ask("stopped", "").await.unwrap();
    assert!(!asked.done);
    let cancel = CancelOperationRequest { name: asked.name.clone() };
    OperationsClient::new(mesh.peer()).cancel_operation(cancel).await.unwrap();
    mesh.service.tasks().start();
    let ended = tokio::time::timeout(Duration::from_secs(20), mesh.end(&asked.name)).await.unwrap();
    assert!(
        matches!(ended.result, Some(operation::Result::Error(status)) if status.code == tonic::Code::Cancelled as i32)
    );
    assert!(mesh.told.evaluations.lock().unwrap().is_empty());
}

fn error(operation: &Operation) -> tonic::Status {
    match &operation.result {
        Some(operation::Result::Error(error)) => {
            let code = tonic::Code::from_i32(error.code);
            tonic::Status::with_details(code, error.message.clone(), error.encode_to_vec().into())
        }
        other => panic!("{other:?}"),
    }
}

/// An unknown favourable label would select nobody in any group, and a model that selects nobody looks fair.
#[tokio::test]
async fn a_favourable_label_that_is_no_class_ends_the_evaluation_with_details() {
    let mesh = Mesh::start().await;
    mesh.service.tasks().start();
    let plan = |label: &str| EvaluationPlan {
        favourable_labels: vec![label.into()],
        label_prefix_strip: ".".into(),
        split: "train".into(),
        tolerance: 0.5,
        ..EvaluationPlan::default()
    };
    let asked = mesh.ask_for("wrong", "", Some(plan("yes"))).await.unwrap();
    let told = error(&mesh.end(&asked.name).await);
    assert_eq!(told.code(), tonic::Code::FailedPrecondition);
    assert_eq!(runtime::status::reason(&told).as_deref(), Some("DOES_NOT_FIT"));
    let violations = runtime::status::precondition_violations(&told);
    assert!(violations[0].subject.contains("favourable label \"yes\""), "{violations:?}");
    assert!(violations[0].description.contains("0, 1"), "{violations:?}");
    let asked = mesh.ask_for("right", "", Some(plan("1."))).await.unwrap();
    let made = response(&mesh.end(&asked.name).await);
    assert!((value(&made, "demographic_parity") - 1.0).abs() < 1e-12, "read as labels are");
    assert_eq!((made.split.as_str(), made.tolerance), ("train", 0.5));
}

#[tokio::test]
async fn a_model_that_selects_nobody_is_not_fair() {
    let mesh = Mesh::start().await;
    let never = |_: &ModelSignature, inputs: &[Tensor]| {
        let n = inputs[0].len() as i64 / 2;
        let scores: Vec<f32> = (0..n).flat_map(|_| [0.9, 0.1]).collect();
        Ok(vec![
            Tensor::of("label", vec![n], &vec![0_i64; n as usize]).unwrap(),
            Tensor::of("scores", vec![n, 2], &scores).unwrap(),
        ])
    };
    mesh.engine.set(&mesh.artifact, Behaviour { outputs: Some(Arc::new(never)), ..Behaviour::default() });
    mesh.service.tasks().start();
    let asked = mesh.ask("nobody", "").await.unwrap();
    let made = response(&mesh.end(&asked.name).await);
    let parity = made.measurements.iter().find(|one| one.metric == "demographic_parity").unwrap();
    assert!(parity.value.is_nan() && parity.undefined_reason.contains("no row of group"), "{parity:?}");
}

#[tokio::test]
async fn a_panic_ends_its_own_evaluation_and_the_next_one_runs() {
    let mesh =
        Mesh::over(|inner| Arc::new(Fragile { inner, broken: std::sync::atomic::AtomicBool::new(false) }))
            .await;
    mesh.service.tasks().start();
    let asked = mesh.ask("broken", "").await.unwrap();
    let told = error(&tokio::time::timeout(Duration::from_secs(20), mesh.end(&asked.name)).await.unwrap());
    assert_eq!(told.code(), tonic::Code::Internal);
    let asked = mesh.ask("whole", "").await.unwrap();
    assert!((value(&response(&mesh.end(&asked.name).await), "accuracy") - 0.9).abs() < 1e-12);
}
