//! No skew between training and serving: what a client sends raw becomes, bit for bit, what the training rows became.

use std::sync::{Arc, Mutex};

use contracts::inference::model_infer_request::InferInputTensor;
use contracts::inference::{ModelInferRequest, ModelMetadataRequest};
use contracts::pipeline::v1::transform_rule::Kind;
use contracts::pipeline::v1::{Augmentation, BuildPlan, DataFormat, ReadSplitRequest, Splits, TransformRule};
use contracts::registry::v1::{CreateModelVersionRequest, DatasetVersion, Phase, dataset_version::State};
use engine::Tensor;
use engine::fake::Behaviour;
use tests::line::Line;
use tests::made::{FEATURES, Row, csv, model, rows};
use tests::mesh::Mesh;
use tests::refusal::Answered;
use tonic::Code;

/// Rows of a request.
const AT_ONCE: usize = 100;

/// The numbers of one row as the model sees them.
type Given = [u32; FEATURES];

fn names() -> [String; FEATURES] {
    std::array::from_fn(|at| format!("x{at}"))
}

/// A kernel of its own for each column.
fn plan() -> BuildPlan {
    let kinds = [Kind::Standardise, Kind::Robust, Kind::MinMax, Kind::Bucketise];
    let rule = |(column, kind): (String, Kind)| TransformRule {
        column,
        kind: kind.into(),
        ..TransformRule::default()
    };
    BuildPlan {
        label_column: "label".into(),
        favourable_labels: vec!["1".into()],
        group_columns: vec!["region".into()],
        transforms: names().into_iter().zip(kinds).map(rule).collect(),
        splits: Some(Splits { train: 0.6, validation: 0.2, test: 0.2, ..Splits::default() }),
        augmentation: Some(Augmentation {
            not_applicable_reason: "there are enough rows".into(),
            ..Augmentation::default()
        }),
        seed: 7,
        ..BuildPlan::default()
    }
}

/// A dataset version that everybody has agreed to.
async fn ready(line: &Line, made: &[Row]) -> DatasetVersion {
    line.plan().await;
    line.usable_source().await;
    let built = line.build(csv(made).as_bytes(), plan()).await;
    line.audit_rows(&built.name, 400, 0).await;
    line.sign_relevance(&built.name).await;
    let released = line.release(&built.name).await;
    assert_eq!(released.state(), State::Ready, "{:#?}", released.findings);
    line.advance(Phase::Model).await;
    released
}

/// Every row of the version, as it is stored.
async fn stored(line: &Line, version: &DatasetVersion) -> Vec<Given> {
    let mut all = Vec::new();
    for split in &version.splits {
        let request = ReadSplitRequest {
            name: version.name.clone(),
            split: split.split.clone(),
            format: DataFormat::Csv.into(),
        };
        let mut pieces = line.by("ml-engineer").reads().read_split(request).await.told();
        let mut bytes = Vec::new();
        while let Some(piece) = pieces.message().await.expect("a piece") {
            bytes.extend_from_slice(&piece.chunk);
        }
        let text = String::from_utf8(bytes).expect("CSV");
        let mut lines = text.lines();
        let header: Vec<&str> = lines.next().expect("a header").split(',').collect();
        let places = names().map(|name| header.iter().position(|one| *one == name).expect("a column"));
        for line in lines {
            let cells: Vec<&str> = line.split(',').collect();
            all.push(places.map(|at| (cells[at].parse::<f64>().expect("a number") as f32).to_bits()));
        }
    }
    all
}

/// A model that keeps what it is given.
fn listening() -> (Behaviour, Arc<Mutex<Vec<Given>>>) {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let kept = seen.clone();
    let outputs = move |_: &_, inputs: &[Tensor]| {
        let given: Vec<f32> = inputs[0].values().expect("FP32");
        let rows = given.chunks_exact(FEATURES).map(|row| std::array::from_fn(|at| row[at].to_bits()));
        kept.lock().expect("a lock").extend(rows);
        let rows = inputs[0].rows();
        Ok(vec![
            Tensor::of("label", vec![rows as i64], &vec![0_i64; rows]).expect("labels"),
            Tensor::of("scores", vec![rows as i64, 2], &vec![0.5_f32; 2 * rows]).expect("scores"),
        ])
    };
    (Behaviour { outputs: Some(Arc::new(outputs)), ..Behaviour::default() }, seen)
}

/// Raw columns, each number as the CSV file has it.
fn raw(endpoint: &str, made: &[Row]) -> ModelInferRequest {
    let column = |at: usize| -> Vec<u8> {
        let number = |row: &Row| row.numbers[at].to_string().parse::<f64>().expect("a number");
        made.iter().flat_map(|row| number(row).to_le_bytes()).collect()
    };
    let input = |name: String| InferInputTensor {
        name,
        datatype: "FP64".into(),
        shape: vec![made.len() as i64, 1],
        ..InferInputTensor::default()
    };
    ModelInferRequest {
        model_name: endpoint.into(),
        inputs: names().map(input).into(),
        raw_input_contents: (0..FEATURES).map(|at| column(at).into()).collect(),
        ..ModelInferRequest::default()
    }
}

/// A first canary has its share of the requests; the others are refused, and made again.
async fn answered(line: &Line, request: ModelInferRequest) {
    for _ in 0..100 {
        match line.by("client").inference().model_infer(request.clone()).await {
            Err(status) if runtime::status::reason(&status).as_deref() == Some("NO_STABLE_VERSION") => {}
            answer => return drop(answer.told()),
        }
    }
    panic!("the canary has no share of the requests");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_gateway_gives_the_model_the_very_bits_that_it_was_trained_on() {
    let mesh = Mesh::start().await;
    let line = mesh.line("unskewed");
    let made = rows(11, 1000);
    let data = ready(&line, &made).await;
    line.train("first").await;
    line.create_model().await;
    let artifact = line.upload(&model(1)).await;
    let (behaviour, seen) = listening();
    mesh.engine.set(artifact.clone(), behaviour);
    let request = |preprocessing: &str| {
        let mut request = line.version_request("1.0.0", "first", &artifact);
        request.model_version.as_mut().expect("a version").preprocessing_digest = preprocessing.to_owned();
        request
    };
    let create = async |request: CreateModelVersionRequest| {
        line.by("ml-engineer").models().create_model_version(request).await
    };
    create(request(&artifact))
        .await
        .refused(Code::FailedPrecondition, "PREPROCESSING_MISMATCH")
        .names(&["§5.3", &line.data()]);
    create(request(&data.transform_digest)).await.told();
    line.approve("1.0.0").await;
    line.deploy().await;
    mesh.stage(&line, "first", "1.0.0").await;
    line.start(&line.rollout("first")).await;
    mesh.serves(&line, "1.0.0").await;

    let mut client = line.by("client").inference();
    let asked = ModelMetadataRequest { name: line.id.clone(), version: String::new() };
    let inputs = client.model_metadata(asked).await.told().inputs;
    assert_eq!(inputs.into_iter().map(|input| input.name).collect::<Vec<_>>(), names());
    seen.lock().expect("a lock").clear();
    for rows in made.chunks(AT_ONCE) {
        answered(&line, raw(&line.id, rows)).await;
    }
    let mut given = seen.lock().expect("a lock").clone();
    let mut trained_on = stored(&line, &data).await;
    given.sort_unstable();
    trained_on.sort_unstable();
    assert_eq!(given.len(), made.len());
    assert!(given == trained_on, "the model is given other numbers than it was trained on");
}
