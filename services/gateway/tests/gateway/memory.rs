//! System shared memory: tensors of callers on this host. Its objects are files below `/dev/shm`.

use std::path::PathBuf;
use std::sync::Arc;

use contracts::inference as wire;
use contracts::inference::grpc_inference_service_client::GrpcInferenceServiceClient;
use contracts::inference::infer_parameter::ParameterChoice;
use contracts::inference::model_infer_request::InferRequestedOutputTensor;
use engine::Tensor;
use engine::fake::{Behaviour, FakeEngine};
use gateway::Repository;
use http_body_util::BodyExt;
use runtime::{Clock, Peer, Service};
use serde_json::{Value, json};
use tonic::Code;
use tower::ServiceExt;

use super::folder::Folder;
use super::stage::{artifact, request};

/// A server that takes shared memory, and an object of a name that nobody else has.
struct Host {
    service: Service,
    peer: Peer,
    key: String,
    _folder: Folder,
}

impl Host {
    async fn new(takes: bool) -> Self {
        let folder = Folder::new();
        folder.put("scorer.onnx", artifact(1).0);
        let engine = FakeEngine::new();
        // Scores are 10, 20 and 30 times the first number of each row, its label is 7.
        let outputs: engine::fake::Outputs = Arc::new(|_, inputs| {
            let x: Vec<f32> = inputs[0].values().unwrap();
            let scores: Vec<f32> =
                x.chunks(2).flat_map(|row| [10.0, 20.0, 30.0].map(|by| by * row[0])).collect();
            let rows = x.len() as i64 / 2;
            let label = Tensor::of("label", vec![rows], &vec![7_i64; rows as usize]).unwrap();
            Ok(vec![label, Tensor::of("scores", vec![rows, 3], &scores).unwrap()])
        });
        engine.set(artifact(1).1, Behaviour { outputs: Some(outputs), ..Behaviour::default() });
        let repository = Repository { shared_memory: takes, ..folder.repository() };
        let service = folder.serve(&folder.config(), repository, engine, Clock::real()).await;
        let peer = service.peer("").unwrap();
        let name = folder.path().file_name().unwrap().to_string_lossy().replace('.', "wlp-test-");
        std::fs::write(PathBuf::from("/dev/shm").join(&name), floats(&[0.0; 16])).unwrap();
        Self { service, peer, key: format!("/{name}"), _folder: folder }
    }

    fn client(&self) -> GrpcInferenceServiceClient<Peer> {
        GrpcInferenceServiceClient::new(self.peer.clone())
    }

    fn object(&self) -> PathBuf {
        PathBuf::from("/dev/shm").join(&self.key[1..])
    }

    fn put(&self, values: &[f32]) {
        std::fs::write(self.object(), floats(values)).unwrap();
    }

    fn get(&self) -> Vec<f32> {
        let bytes = std::fs::read(self.object()).unwrap();
        bytes.chunks(4).map(|one| f32::from_le_bytes(one.try_into().unwrap())).collect()
    }

    async fn register(&self, name: &str, offset: u64, byte_size: u64) -> Result<(), tonic::Status> {
        let asked = wire::SystemSharedMemoryRegisterRequest {
            name: name.into(),
            key: self.key.clone(),
            offset,
            byte_size,
        };
        self.client().system_shared_memory_register(asked).await.map(drop)
    }

    async fn rest(&self, path: &str, body: Option<Value>) -> (u16, Value) {
        let request = match body {
            Some(body) => http::Request::post(path).body(body.to_string()),
            None => http::Request::get(path).body(String::new()),
        };
        let answer = self.service.http().unwrap().oneshot(request.unwrap()).await.unwrap();
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _gone = std::fs::remove_file(self.object());
    }
}

fn floats(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

fn lies(
    region: &str,
    byte_size: i64,
    offset: i64,
) -> std::collections::HashMap<String, wire::InferParameter> {
    let parameter = |choice| wire::InferParameter { parameter_choice: Some(choice) };
    [
        ("shared_memory_region".to_owned(), parameter(ParameterChoice::StringParam(region.into()))),
        ("shared_memory_byte_size".to_owned(), parameter(ParameterChoice::Int64Param(byte_size))),
        ("shared_memory_offset".to_owned(), parameter(ParameterChoice::Int64Param(offset))),
    ]
    .into()
}

/// Two rows from the region `in`, scores to the region `out`.
fn shared(size: i64) -> wire::ModelInferRequest {
    let mut asked = request();
    asked.inputs[0].shape = vec![2, 2];
    asked.inputs[0].contents = None;
    asked.inputs[0].parameters = lies("in", 16, 0);
    asked.outputs = vec![
        InferRequestedOutputTensor { name: "scores".into(), parameters: lies("out", size, 4) },
        InferRequestedOutputTensor { name: "label".into(), ..Default::default() },
    ];
    asked
}

#[tokio::test]
async fn tensors_come_from_memory_and_go_there() {
    let host = Host::new(true).await;
    host.put(&[1.0, 0.0, 2.0, 0.0, -1.0, -1.0, -1.0, -1.0, -1.0, -1.0, -1.0, -1.0]);
    host.register("in", 0, 16).await.unwrap();
    host.register("out", 16, 32).await.unwrap();
    let answer = host.client().model_infer(shared(24)).await.unwrap().into_inner();
    assert_eq!(host.get()[4..], [-1.0, 10.0, 20.0, 30.0, 20.0, 40.0, 60.0, -1.0]);
    assert_eq!(
        (answer.outputs[0].name.as_str(), answer.outputs[0].shape.as_slice()),
        ("scores", &[2, 3][..])
    );
    let size = &answer.outputs[0].parameters["shared_memory_byte_size"];
    assert_eq!(size.parameter_choice, Some(ParameterChoice::Int64Param(24)));
    assert_eq!((answer.raw_output_contents[0].len(), answer.raw_output_contents[1].len()), (0, 16));

    // What does not fit, or is not there, is the caller's mistake, and nothing is written.
    let before = host.get();
    for (wrong, field) in [
        (shared(20), "outputs[scores].parameters[shared_memory_byte_size]"),
        (shared(33), "outputs[scores].parameters[shared_memory_byte_size]"),
    ] {
        let status = host.client().model_infer(wrong).await.unwrap_err();
        let bad = runtime::status::field_violations(&status);
        assert_eq!((status.code(), bad[0].field.as_str()), (Code::InvalidArgument, field), "{status}");
    }
    let unregister = wire::SystemSharedMemoryUnregisterRequest { name: "in".into() };
    host.client().system_shared_memory_unregister(unregister).await.unwrap();
    let status = host.client().model_infer(shared(24)).await.unwrap_err();
    let bad = runtime::status::field_violations(&status);
    assert_eq!(bad[0].field, "inputs[x].parameters[shared_memory_region]", "{bad:?}");
    assert_eq!(host.get(), before);
}

#[tokio::test]
async fn the_same_over_rest() {
    let host = Host::new(true).await;
    let region = "/v2/systemsharedmemory/region/all";
    let wrong = json!({"key": host.key, "offset": 60, "byte_size": 5});
    assert_eq!(host.rest(&format!("{region}/register"), Some(wrong)).await.0, 400);
    let asked = json!({"key": host.key, "offset": 0, "byte_size": 64});
    assert_eq!(host.rest(&format!("{region}/register"), Some(asked.clone())).await.0, 200);
    assert_eq!(host.rest(&format!("{region}/register"), Some(asked)).await.0, 409);
    let (_, status) = host.rest("/v2/systemsharedmemory/status", None).await;
    assert_eq!((&status[0]["name"], &status[0]["key"]), (&json!("all"), &json!(host.key)));
    host.put(&[3.0; 16]);
    let asked = json!({
        "inputs": [{"name": "x", "shape": [1, 2], "datatype": "FP32", "parameters":
            {"shared_memory_region": "all", "shared_memory_byte_size": 8, "shared_memory_offset": 8}}],
        "outputs": [{"name": "scores", "parameters":
            {"shared_memory_region": "all", "shared_memory_byte_size": 12, "shared_memory_offset": 16}}],
    });
    let (status, answer) = host.rest("/v2/models/scorer/infer", Some(asked)).await;
    assert_eq!(status, 200, "{answer}");
    let told = &answer["outputs"][0];
    assert_eq!((&told["shape"], told.get("data")), (&json!([1, 3]), None));
    assert_eq!(told["parameters"]["shared_memory_byte_size"], 12);
    assert_eq!(host.get()[3..8], [3.0, 30.0, 60.0, 90.0, 3.0]);
    assert_eq!(host.rest(&format!("{region}/unregister"), Some(json!({}))).await.0, 200);
    assert_eq!(host.rest(&format!("{region}/status"), None).await.0, 404);
}

#[tokio::test]
async fn a_server_that_was_not_told_to_takes_none() {
    let host = Host::new(false).await;
    let refused = host.register("in", 0, 16).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unimplemented);
    assert!(refused.message().contains("--shared-memory"), "{refused}");
    let status = host.client().model_infer(shared(24)).await.unwrap_err();
    let fields: Vec<_> =
        runtime::status::field_violations(&status).into_iter().map(|bad| bad.field).collect();
    let wanted =
        ["outputs[scores].parameters[shared_memory_region]", "inputs[x].parameters[shared_memory_region]"];
    assert_eq!(fields, wanted);
    let extensions = async |host: &Host| {
        let asked = wire::ServerMetadataRequest {};
        host.client().server_metadata(asked).await.unwrap().into_inner().extensions
    };
    let named = "system_shared_memory".to_owned();
    assert!(!extensions(&host).await.contains(&named));
    let taking = Host::new(true).await;
    assert!(extensions(&taking).await.contains(&named));
    let cuda = wire::CudaSharedMemoryStatusRequest { name: "r".into() };
    assert_eq!(
        taking.client().cuda_shared_memory_status(cuda).await.unwrap_err().code(),
        Code::Unimplemented
    );
}
