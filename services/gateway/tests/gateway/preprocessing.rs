//! Callers send raw columns, and the model sees what its training data was made into.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use arrow::array::{ArrayRef, Float64Array, RecordBatch, StringArray};
use bytes::Bytes;
use contracts::inference as wire;
use contracts::inference::grpc_inference_service_client::GrpcInferenceServiceClient;
use contracts::inference::model_infer_request::InferInputTensor;
use contracts::inference::{InferTensorContents, ModelInferRequest};
use contracts::registry::v1::Backend;
use engine::Tensor;
use engine::fake::Behaviour;
use features::preprocessing::Raw;
use features::{Fitted, Operation, Preprocessing, Values};
use gateway::Control;
use runtime::Peer;
use storage::Digest;
use tonic::Code;

use super::shelf::{Put, Shelf};
use super::stage::{Stage, artifact, request, until};

fn raw(ages: Vec<Option<f64>>, jobs: Vec<Option<&str>>) -> RecordBatch {
    let columns: [(&str, ArrayRef); 2] =
        [("age", Arc::new(Float64Array::from(ages))), ("job", Arc::new(StringArray::from(jobs)))];
    RecordBatch::try_from_iter_with_nullable(columns.map(|(name, array)| (name, array, true))).unwrap()
}

/// Two features: an age, standardised, and how frequent a job is.
fn preprocessing() -> Preprocessing {
    let training = raw(vec![Some(20.0), None, Some(50.0)], vec![Some("a"), Some("b"), Some("a")]);
    let operations = [
        Operation::FillMean("age".into()),
        Operation::Standardise("age".into()),
        Operation::Frequency("job".into()),
    ];
    let fitted = Fitted::fit(&operations, &training).unwrap();
    let raw = Raw::of(&training).unwrap();
    Preprocessing::new(raw, &fitted.steps, &BTreeSet::new(), |_| true).unwrap()
}

fn input(name: &str, datatype: &str, shape: Vec<i64>, contents: InferTensorContents) -> InferInputTensor {
    InferInputTensor {
        name: name.into(),
        datatype: datatype.into(),
        shape,
        contents: Some(contents),
        ..Default::default()
    }
}

fn asked(model: &str, ages: &[f64], jobs: &[&str]) -> ModelInferRequest {
    let age = InferTensorContents { fp64_contents: ages.to_vec(), ..Default::default() };
    let job = jobs.iter().map(|job| job.as_bytes().to_vec().into()).collect();
    let job = InferTensorContents { bytes_contents: job, ..Default::default() };
    let rows = ages.len() as i64;
    ModelInferRequest {
        model_name: model.into(),
        inputs: vec![input("age", "FP64", vec![rows, 1], age), input("job", "BYTES", vec![rows], job)],
        ..Default::default()
    }
}

/// The answers of zeros, and what the model was given.
fn listening() -> (Behaviour, Arc<Mutex<Vec<Vec<f32>>>>) {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let kept = seen.clone();
    let outputs = move |_: &_, inputs: &[Tensor]| {
        let rows = inputs[0].rows();
        kept.lock().unwrap().push(inputs[0].values().unwrap());
        Ok(vec![
            Tensor::of("label", vec![rows as i64], &vec![0_i64; rows]).unwrap(),
            Tensor::of("scores", vec![rows as i64, 3], &vec![0.0_f32; 3 * rows]).unwrap(),
        ])
    };
    (Behaviour { outputs: Some(Arc::new(outputs)), ..Behaviour::default() }, seen)
}

/// The bits that the model must have been given.
fn expected(ages: Vec<Option<f64>>, jobs: Vec<Option<&str>>) -> Vec<u32> {
    let made = preprocessing().apply(&raw(ages, jobs)).unwrap();
    let column = |name| Values::in_batch(&made, name).unwrap();
    let bits = |value: Option<f64>| (value.unwrap_or(f64::NAN) as f32).to_bits();
    (0..made.num_rows())
        .flat_map(|row| [bits(column("age").number(row)), bits(column("job").number(row))])
        .collect()
}

async fn metadata(client: &mut GrpcInferenceServiceClient<Peer>, name: &str) -> Vec<String> {
    let request = wire::ModelMetadataRequest { name: name.into(), version: String::new() };
    let metadata = client.model_metadata(request).await.unwrap().into_inner();
    metadata.inputs.iter().map(|one| format!("{} {} {:?}", one.name, one.datatype, one.shape)).collect()
}

fn served_with(stage: &Stage, bytes: Vec<u8>) -> Backend {
    let digest = Digest::of(&bytes).to_string();
    stage.peers.told(|told| told.artifacts.insert(digest.clone(), Bytes::from(bytes)));
    Backend { preprocessing_digest: digest, ..stage.backend("1.0.0", 1, 100, false) }
}

#[tokio::test]
async fn raw_columns_become_what_the_training_rows_became() {
    let stage = Stage::new().await;
    let (behaviour, seen) = listening();
    stage.engine.set(artifact(1).1, behaviour);
    stage.publish(1, vec![served_with(&stage, preprocessing().json().into_bytes())]);
    stage.in_force(1).await;
    let mut client = stage.client();
    assert_eq!(metadata(&mut client, "scorer").await, ["age FP64 [-1, 1]", "job BYTES [-1, 1]"]);
    seen.lock().unwrap().clear();
    client.model_infer(asked("scorer", &[30.0, f64::NAN, -0.0], &["b", "never seen", ""])).await.unwrap();
    let given: Vec<u32> = seen.lock().unwrap().concat().iter().map(|value| value.to_bits()).collect();
    let rows = (vec![Some(30.0), None, Some(-0.0)], vec![Some("b"), Some("never seen"), None]);
    assert_eq!(given, expected(rows.0, rows.1));
}

#[tokio::test]
async fn every_bad_column_is_named_and_nothing_is_run() {
    let stage = Stage::new().await;
    let (behaviour, seen) = listening();
    stage.engine.set(artifact(1).1, behaviour);
    stage.publish(1, vec![served_with(&stage, preprocessing().json().into_bytes())]);
    stage.in_force(1).await;
    seen.lock().unwrap().clear();
    let mut bad = asked("scorer", &[f64::INFINITY], &["a"]);
    bad.inputs[1].contents.as_mut().unwrap().bytes_contents = vec![vec![0xff].into()];
    let refused = stage.infer(bad).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    for part in ["inputs[age].contents", "row 0 is infinite", "inputs[job].contents", "not UTF-8"] {
        assert!(refused.message().contains(part), "{part} in {}", refused.message());
    }
    let tensors = stage.infer(request()).await.unwrap_err();
    assert_eq!(tensors.code(), Code::InvalidArgument);
    for part in ["inputs[x]", "inputs[age]", "inputs[job]"] {
        assert!(tensors.message().contains(part), "{part} in {}", tensors.message());
    }
    assert!(seen.lock().unwrap().is_empty());
}

/// Bytes that are whole and signed for, and whose golden rows this program does not reproduce, are never served.
#[tokio::test]
async fn kernels_that_differ_are_found_before_anything_is_served() {
    let stage = Stage::new().await;
    let mut other = preprocessing();
    other.golden.digest = Digest::of(b"of another program").to_string();
    let backend = served_with(&stage, other.json().into_bytes());
    stage.publish(1, vec![backend]);
    until(|| async { stage.served("1.0.0").await.error.contains("golden rows") }).await;
    assert!(stage.infer(asked("scorer", &[1.0], &["a"])).await.is_err());
}

#[tokio::test]
async fn a_file_beside_a_model_does_the_same_without_a_mesh() {
    let mut shelf = Shelf::new();
    let json = preprocessing().json();
    shelf.put("own.onnx", Put::Model(1));
    shelf.put("own.preprocessing.json", Put::Text(&json));
    shelf.put("net/1/model.onnx", Put::Model(2));
    shelf.put("net/preprocessing.json", Put::Text(&json));
    shelf.put("plain.onnx", Put::Model(3));
    shelf.put("odd.onnx", Put::Model(4));
    shelf.put("odd.preprocessing.json", Put::Text("{}"));
    shelf.start(Control::None, &[]).await;
    let states = shelf.states().await;
    assert!(states.iter().any(|state| state.starts_with("odd/1 UNAVAILABLE")), "{states:?}");
    let mut client = shelf.client();
    for name in ["own", "net"] {
        assert_eq!(metadata(&mut client, name).await, ["age FP64 [-1, 1]", "job BYTES [-1, 1]"]);
        client.model_infer(asked(name, &[30.0], &["a"])).await.unwrap();
    }
    assert_eq!(metadata(&mut client, "plain").await, ["x FP32 [-1, 2]"]);
    shelf.infer("plain", "").await.unwrap();
    assert!(shelf.infer("own", "").await.is_err(), "tensors are no raw columns");
}
