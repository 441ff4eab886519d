//! What Triton adds to the protocol: classes of an output, settings of traces and logs, packed requests.

use std::sync::Arc;
use std::time::SystemTime;

use contracts::inference as wire;
use contracts::inference::grpc_inference_service_client::GrpcInferenceServiceClient;
use contracts::inference::infer_parameter::ParameterChoice;
use contracts::inference::model_infer_request::InferRequestedOutputTensor;
use engine::fake::{Behaviour, FakeEngine, Outputs};
use engine::{EngineError, Tensor};
use gateway::{Control, Repository};
use http::{Request, header};
use http_body_util::{BodyExt, Full};
use runtime::{Clock, Peer, Service};
use serde_json::{Value, json};
use tonic::{Code, Status};
use tower::ServiceExt;

use super::folder::Folder;
use super::stage::{KEY, Stage, artifact, request};

/// Label 1 and scores 0.25, 0.5, 0.25 for every row.
pub fn judge() -> Outputs {
    Arc::new(|_, inputs| {
        let rows = inputs[0].rows();
        let scores: Vec<f32> = (0..rows).flat_map(|_| [0.25, 0.5, 0.25]).collect();
        let label = Tensor::of("label", vec![rows as i64], &vec![1_i64; rows]).unwrap();
        Ok(vec![label, Tensor::of("scores", vec![rows as i64, 3], &scores).unwrap()])
    })
}

async fn served() -> Stage {
    let stage = Stage::new().await;
    stage.engine.set(artifact(1).1, Behaviour { outputs: Some(judge()), ..Behaviour::default() });
    stage.publish(1, vec![stage.backend("1.0.0", 1, 100, false)]);
    stage.in_force(1).await;
    stage
}

fn asking(output: &str, classes: ParameterChoice) -> wire::ModelInferRequest {
    let parameter = wire::InferParameter { parameter_choice: Some(classes) };
    let output = InferRequestedOutputTensor {
        name: output.into(),
        parameters: [("classification".to_owned(), parameter)].into(),
    };
    wire::ModelInferRequest { outputs: vec![output], ..request() }
}

/// Type, shape and texts of the only output.
fn classes(answer: &wire::ModelInferResponse) -> (String, Vec<i64>, Vec<String>) {
    let (output, raw) = (&answer.outputs[0], answer.raw_output_contents[0].clone());
    let tensor = Tensor::from_wire("", engine::DataType::Bytes, output.shape.clone(), raw).unwrap();
    let texts = tensor.elements().unwrap().iter().map(|text| String::from_utf8(text.to_vec()).unwrap());
    (output.datatype.clone(), output.shape.clone(), texts.collect())
}

#[tokio::test]
async fn an_output_is_answered_as_its_best_classes() {
    let stage = served().await;
    let answer = stage.client().model_infer(asking("scores", ParameterChoice::Int64Param(2))).await.unwrap();
    let wanted = ["0.500000:1", "0.250000:0"].map(str::to_owned).to_vec();
    assert_eq!(classes(answer.get_ref()), ("BYTES".into(), vec![1, 2], wanted));
    let labels = stage.client().model_infer(asking("label", ParameterChoice::Uint64Param(5))).await.unwrap();
    assert_eq!(classes(labels.get_ref()), ("BYTES".into(), vec![1, 1], vec!["1:0".into()]));
    let numbers = stage.client().model_infer(asking("scores", ParameterChoice::Int64Param(0))).await.unwrap();
    assert_eq!(numbers.get_ref().outputs[0].datatype, "FP32");
}

#[tokio::test]
async fn over_rest_classes_are_texts_too() {
    let stage = served().await;
    let body = json!({
        "inputs": [{"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [0.5, 1.5]}],
        "outputs": [{"name": "scores", "parameters": {"classification": 1, "binary_data": false}}, {"name": "label"}],
    });
    let asked = Request::post("/v2/models/scorer/infer")
        .header(header::AUTHORIZATION, format!("Bearer {KEY}"))
        .body(Full::new(bytes::Bytes::from(body.to_string())))
        .unwrap();
    let router = stage.service.as_ref().unwrap().http().unwrap();
    let answer = router.oneshot(asked).await.unwrap().into_body().collect().await.unwrap().to_bytes();
    let answer: Value = serde_json::from_slice(&answer).unwrap();
    let wanted = json!([
        {"name": "scores", "datatype": "BYTES", "shape": [1, 1], "data": ["0.500000:1"]},
        {"name": "label", "datatype": "INT64", "shape": [1], "data": [1]},
    ]);
    let mut outputs = answer["outputs"].as_array().unwrap().clone();
    outputs.sort_by_key(|output| std::cmp::Reverse(output["name"].to_string()));
    assert_eq!(Value::Array(outputs), wanted, "{answer}");
}

#[tokio::test]
async fn a_number_of_classes_that_is_none_is_named() {
    let stage = served().await;
    for wrong in [
        ParameterChoice::Int64Param(-1),
        ParameterChoice::Int64Param(i64::MAX),
        ParameterChoice::StringParam("2".into()),
        ParameterChoice::BoolParam(true),
    ] {
        let refused = stage.client().model_infer(asking("scores", wrong)).await.unwrap_err();
        let bad = runtime::status::field_violations(&refused);
        assert_eq!(
            (refused.code(), bad[0].field.as_str()),
            (Code::InvalidArgument, "outputs[scores].parameters[classification]")
        );
    }
}

#[tokio::test]
async fn packed_requests_are_opened() {
    let stage = served().await;
    for encoding in [tonic::codec::CompressionEncoding::Gzip, tonic::codec::CompressionEncoding::Deflate] {
        let mut client = stage.client().send_compressed(encoding);
        assert_eq!(
            client.model_infer(request()).await.unwrap().into_inner().model_version,
            "1.0.0",
            "{encoding:?}"
        );
    }
}

/// A gateway of a folder with the model `net`, whose scores have names.
async fn local() -> (Folder, Service) {
    let folder = Folder::new();
    folder.put("net/1/model.onnx", artifact(1).0);
    folder.put("net/labels.txt", "cat\ndog\n");
    let text = "max_batch_size: 4\noutput [ { name: \"scores\" label_filename: \"labels.txt\" }, { name: \"label\" } ]";
    folder.put("net/config.pbtxt", text);
    let engine = FakeEngine::new();
    engine.set(artifact(1).1, Behaviour { outputs: Some(judge()), ..Behaviour::default() });
    let repository = Repository { control: Control::Explicit, load: vec!["*".into()], ..folder.repository() };
    let clock = Clock::manual(SystemTime::now());
    let service = folder.serve(&folder.config(), repository, engine, clock).await;
    service.tasks().start();
    (folder, service)
}

fn client(service: &Service) -> GrpcInferenceServiceClient<Peer> {
    GrpcInferenceServiceClient::new(service.peer("").unwrap())
}

#[tokio::test]
async fn classes_have_the_names_of_the_models_file() {
    let (_folder, service) = local().await;
    let mut asked = asking("scores", ParameterChoice::Int64Param(3));
    asked.model_name = "net".into();
    let answer = client(&service).model_infer(asked).await.unwrap().into_inner();
    let wanted = ["0.500000:1:dog", "0.250000:0:cat", "0.250000:2"].map(str::to_owned).to_vec();
    assert_eq!(classes(&answer), ("BYTES".into(), vec![1, 3], wanted));
}

#[tokio::test]
async fn a_server_of_a_folder_tells_settings_and_changes_none() {
    let (_folder, service) = local().await;
    let mut client = client(&service);
    let server = client.server_metadata(wire::ServerMetadataRequest {}).await.unwrap().into_inner();
    assert_eq!(server.name, "triton", "there are clients that go no further with another name");
    let before = client.trace_setting(wire::TraceSettingRequest::default()).await.unwrap().into_inner();
    assert_eq!(before.settings["trace_level"].value, ["OFF"]);
    let setting = |value: &str| wire::trace_setting_request::SettingValue { value: vec![value.into()] };
    let asked = |name: &str, value: &str, model: &str| wire::TraceSettingRequest {
        settings: [(name.to_owned(), setting(value))].into(),
        model_name: model.into(),
    };
    let after = client.trace_setting(asked("trace_level", "TIMESTAMPS", "net")).await.unwrap().into_inner();
    assert_eq!(after, before);
    let code =
        |answer: Result<tonic::Response<wire::TraceSettingResponse>, Status>| answer.unwrap_err().code();
    assert_eq!(code(client.trace_setting(asked("trace_rate", "often", "")).await), Code::InvalidArgument);
    assert_eq!(code(client.trace_setting(asked("trace_rate", "1", "nobody")).await), Code::NotFound);
    let choice = wire::log_settings_request::setting_value::ParameterChoice::BoolParam(false);
    let value = wire::log_settings_request::SettingValue { parameter_choice: Some(choice) };
    let quiet = wire::LogSettingsRequest { settings: [("log_info".to_owned(), value)].into() };
    let told = client.log_settings(quiet).await.unwrap().into_inner();
    assert_eq!(told, client.log_settings(wire::LogSettingsRequest::default()).await.unwrap().into_inner());
}

#[tokio::test]
async fn in_the_mesh_settings_are_told_and_a_change_is_refused() {
    let stage = served().await;
    let mut client = stage.client();
    assert!(client.trace_setting(wire::TraceSettingRequest::default()).await.is_ok());
    assert!(client.log_settings(wire::LogSettingsRequest::default()).await.is_ok());
    let setting = wire::trace_setting_request::SettingValue { value: vec!["1".into()] };
    let change = wire::TraceSettingRequest {
        settings: [("trace_rate".to_owned(), setting)].into(),
        ..Default::default()
    };
    assert_eq!(client.trace_setting(change).await.unwrap_err().code(), Code::Unimplemented);
}

/// A client could else take a canary off with bytes that no model needs to take for text.
#[tokio::test]
async fn bytes_that_a_model_cannot_take_are_not_its_fault() {
    let stage = Stage::new().await;
    let spec = |name: &str, datatype| engine::TensorSpec {
        name: name.into(),
        datatype,
        dims: Some(vec![engine::Dim::Symbol("rows".into())]),
    };
    let signature = engine::ModelSignature {
        inputs: vec![spec("text", engine::DataType::Bytes)],
        outputs: vec![spec("length", engine::DataType::Int64)],
        ..Default::default()
    };
    let bytes = engine::fake::model(&signature, 9);
    let digest = storage::Digest::of(&bytes).to_string();
    let strict: Outputs = Arc::new(|_, inputs| {
        let texts = inputs[0].elements().unwrap();
        if texts.iter().any(|text| text.len() != 2 && std::str::from_utf8(text).is_err()) {
            return Err(EngineError::ModelFault("not UTF-8".into()));
        }
        let lengths: Vec<i64> = texts.iter().map(|text| text.len() as i64).collect();
        Ok(vec![Tensor::of("length", vec![lengths.len() as i64], &lengths).unwrap()])
    });
    stage.engine.set(digest.clone(), Behaviour { outputs: Some(strict), ..Behaviour::default() });
    let mut backend = stage.backend("1.0.0", 1, 100, false);
    stage.peers.told(|told| told.artifacts.insert(digest.clone(), bytes.clone()));
    backend.gate_decisions = [
        contracts::registry::v1::Gate::G1TestsPass,
        contracts::registry::v1::Gate::G2BenchmarksMet,
        contracts::registry::v1::Gate::G3QaApproved,
    ]
    .map(|gate| super::stage::decision(&stage.peers.signer, &backend.version, gate, &digest))
    .to_vec();
    (backend.artifact_digest, backend.size_bytes) = (digest, bytes.len() as u64);
    stage.publish(1, vec![backend]);
    stage.in_force(1).await;
    let ask = async |text: &[u8]| {
        let contents =
            wire::InferTensorContents { bytes_contents: vec![text.to_vec().into()], ..Default::default() };
        let input = wire::model_infer_request::InferInputTensor {
            name: "text".into(),
            datatype: "BYTES".into(),
            shape: vec![1],
            contents: Some(contents),
            ..Default::default()
        };
        let asked = wire::ModelInferRequest {
            model_name: "scorer".into(),
            inputs: vec![input],
            ..Default::default()
        };
        stage
            .client()
            .model_infer(asked)
            .await
            .map(|answer| answer.into_inner().raw_output_contents[0].clone())
    };
    assert_eq!(ask(b"a\0b").await.unwrap(), 3_i64.to_le_bytes().to_vec(), "a zero byte is a byte");
    assert_eq!(ask(b"\xff\xfe").await.unwrap(), 2_i64.to_le_bytes().to_vec(), "so is what is not UTF-8");
    let refused = ask(b"\xff").await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument, "{refused}");
    assert_eq!(runtime::status::field_violations(&refused)[0].field, "inputs[text].contents");
}
