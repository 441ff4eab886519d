//! Models of a folder, without the mesh and without keys.

use std::path::Path;
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, SystemTime};

use contracts::gateway::v1::ListBackendsRequest;
use contracts::gateway::v1::serving_service_client::ServingServiceClient;
use contracts::inference as wire;
use contracts::inference::grpc_inference_service_client::GrpcInferenceServiceClient;
use contracts::inference::model_repository_parameter::ParameterChoice;
use engine::fake::{Behaviour, FakeEngine};
use engine::{EngineError, Tensor};
use gateway::{Control, LocalDeps, Repository};
use runtime::{Clock, Peer, Service};
use tonic::{Code, Status};

use super::stage::{artifact, request, until};

const POLL: Duration = Duration::from_secs(15);

/// A folder of models and the gateway that serves it.
struct Shelf {
    folder: tempfile::TempDir,
    scratch: tempfile::TempDir,
    clock: Clock,
    engine: FakeEngine,
    service: Option<Service>,
}

/// Writes files below a folder: the bytes of a model of that seed, or text.
enum Put<'a> {
    Model(i64),
    Text(&'a str),
}

impl Shelf {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            scratch: tempfile::tempdir().unwrap(),
            clock: Clock::manual(SystemTime::now()),
            engine: FakeEngine::new(),
            service: None,
        }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn put(&self, name: &str, what: Put<'_>) {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        match what {
            Put::Model(seed) => std::fs::write(path, artifact(seed).0),
            Put::Text(text) => std::fs::write(path, text),
        }
        .unwrap();
    }

    async fn start(&mut self, control: Control, load: &[&str]) {
        if let Some(service) = self.service.take() {
            service.stop(Duration::from_secs(5)).await;
        }
        let data_dir = self.scratch.path().display().to_string();
        let config = gateway::Config { data_dir, ..Default::default() };
        let deps = LocalDeps { clock: self.clock.clone(), engine: Arc::new(self.engine.clone()) };
        let load = load.iter().map(|name| (*name).to_owned()).collect();
        let path = self.path().to_owned();
        let repository = Repository { path, control, load, poll: POLL, shared_memory: false };
        let service = gateway::build_local(&config, deps, repository).await.unwrap();
        service.tasks().start();
        self.service = Some(service);
    }

    fn peer(&self) -> Peer {
        self.service.as_ref().unwrap().peer("").unwrap()
    }

    fn client(&self) -> GrpcInferenceServiceClient<Peer> {
        GrpcInferenceServiceClient::new(self.peer())
    }

    /// The version that answered.
    async fn infer(&self, model: &str, version: &str) -> Result<String, Status> {
        let asked =
            wire::ModelInferRequest { model_name: model.into(), model_version: version.into(), ..request() };
        self.client().model_infer(asked).await.map(|answer| answer.into_inner().model_version)
    }

    /// Name, version, state and reason of each row.
    async fn index(&self) -> Vec<(String, String, String, String)> {
        let all = wire::RepositoryIndexRequest::default();
        let index = self.client().repository_index(all).await.unwrap().into_inner();
        index.models.into_iter().map(|row| (row.name, row.version, row.state, row.reason)).collect()
    }

    /// The index without reasons: `name/version STATE`.
    async fn states(&self) -> Vec<String> {
        let rows = self.index().await.into_iter();
        rows.map(|(name, version, state, _)| format!("{name}/{version} {state}")).collect()
    }

    async fn config(&self, model: &str) -> wire::ModelConfig {
        let asked = wire::ModelConfigRequest { name: model.into(), version: String::new() };
        self.client().model_config(asked).await.unwrap().into_inner().config.unwrap()
    }

    async fn load(&self, model: &str) -> Result<(), Status> {
        let asked = wire::RepositoryModelLoadRequest { model_name: model.into(), ..Default::default() };
        self.client().repository_model_load(asked).await.map(drop)
    }

    async fn unload(&self, model: &str) -> Result<(), Status> {
        let asked = wire::RepositoryModelUnloadRequest { model_name: model.into(), ..Default::default() };
        self.client().repository_model_unload(asked).await.map(drop)
    }
}

#[tokio::test]
async fn files_and_folders_are_served_under_their_own_names() {
    let mut shelf = Shelf::new();
    shelf.put("A_b.onnx", Put::Model(1));
    shelf.put("net/1/model.onnx", Put::Model(2));
    shelf.put("net/3/model.onnx", Put::Model(3));
    shelf.put("readme.txt", Put::Text("no model"));
    shelf.start(Control::None, &[]).await;
    assert_eq!(shelf.states().await, ["A_b/1 READY", "net/3 READY"]);
    assert_eq!(shelf.infer("A_b", "").await.unwrap(), "1");
    assert_eq!(shelf.infer("net", "3").await.unwrap(), "3");
    assert_eq!(shelf.infer("net", "1").await.unwrap_err().code(), Code::NotFound);
    assert_eq!(shelf.infer("a-b", "").await.unwrap_err().code(), Code::NotFound);
    assert_eq!(shelf.config("net").await.parameters["provider"].string_value, "cpu");
    let ready = wire::ServerReadyRequest {};
    assert!(shelf.client().server_ready(ready).await.unwrap().into_inner().ready);
    let shown = || shelf.service.as_ref().unwrap().metrics().encode().unwrap();
    until(|| async { shown().contains("backend_state{endpoint=\"net\",version=\"3\",state=\"ready\"} 1") })
        .await;
    assert!(shown().contains("wlp_gateway_infer_duration_seconds_count{endpoint=\"A_b\",version=\"1\"} 1"));
}

#[tokio::test]
async fn a_lone_file_is_a_repository() {
    let mut shelf = Shelf::new();
    shelf.put("A_b.onnx", Put::Model(1));
    let file = shelf.path().join("A_b.onnx");
    let data_dir = shelf.scratch.path().display().to_string();
    let config = gateway::Config { data_dir, ..Default::default() };
    let deps = || LocalDeps { clock: shelf.clock.clone(), engine: Arc::new(shelf.engine.clone()) };
    let at = |path| Repository {
        path,
        control: Control::None,
        load: Vec::new(),
        poll: POLL,
        shared_memory: false,
    };
    assert!(gateway::build_local(&config, deps(), at(shelf.path().join("none"))).await.is_err());
    shelf.service = Some(gateway::build_local(&config, deps(), at(file)).await.unwrap());
    assert_eq!(shelf.infer("A_b", "1").await.unwrap(), "1");
}

#[tokio::test]
async fn the_newest_version_answers_and_every_version_that_is_named() {
    let mut shelf = Shelf::new();
    shelf.put("net/config.pbtxt", Put::Text("version_policy { specific { versions: [ 2, 10 ] } }"));
    for version in [1, 2, 10] {
        shelf.put(&format!("net/{version}/model.onnx"), Put::Model(version));
    }
    shelf.start(Control::None, &[]).await;
    for _ in 0..3 {
        assert_eq!(shelf.infer("net", "").await.unwrap(), "10");
    }
    assert_eq!(shelf.infer("net", "2").await.unwrap(), "2");
    assert_eq!(shelf.infer("net", "1").await.unwrap_err().code(), Code::NotFound);
    let metadata = wire::ModelMetadataRequest { name: "net".into(), version: String::new() };
    let metadata = shelf.client().model_metadata(metadata).await.unwrap().into_inner();
    assert_eq!(metadata.versions, ["2", "10"]);
    for (version, stands) in [("2", true), ("10", true), ("1", false)] {
        let asked = wire::ModelReadyRequest { name: "net".into(), version: version.into() };
        assert_eq!(shelf.client().model_ready(asked).await.unwrap().into_inner().ready, stands, "{version}");
    }
    let asked = wire::ModelStatisticsRequest { name: "net".into(), version: "10".into() };
    let statistics = shelf.client().model_statistics(asked).await.unwrap().into_inner();
    assert_eq!(statistics.model_stats[0].inference_count, 3);
}

#[tokio::test]
async fn what_is_wrong_with_one_model_holds_no_other_up() {
    let mut shelf = Shelf::new();
    let good = "input [ { name: \"x\" data_type: TYPE_FP32 dims: [ -1, 2 ] } ]";
    let all = [
        ("good", good, ""),
        ("line", "name: \"line\"\nmax_batch: 8", "config.pbtxt: line 2: field 'max_batch' not found"),
        ("name", "name: \"other\"", "config.pbtxt: name: \"other\", the folder is called \"name\""),
        ("kind", "input [ { name: \"x\" data_type: TYPE_INT64 } ]", "input[x].data_type: TYPE_INT64"),
        (
            "dims",
            "max_batch_size: 4 input [ { name: \"x\" dims: [ 7 ] } ]",
            "input[x].dims: 7 where the file has 2",
        ),
        ("lack", "version_policy { specific { versions: [ 4 ] } }", "version_policy.specific.versions: 4"),
        ("steps", "ensemble_scheduling { }", "ensemble_scheduling: "),
        ("turns", "sequence_batching { iterative_sequence: true }", "sequence_batching.iterative_sequence: "),
        (
            "told",
            "sequence_batching { control_input { name: \"s\" control { int32_false_true: [ 0, 1 ] } } }",
            "sequence_batching.control_input[s]: the file has no such input",
        ),
        ("tongue", "backend: \"python\"", "backend: "),
        ("shape", "output [ { name: \"label\" reshape { shape: [ ] } } ]", "output[label].dims: "),
        ("gpu", "instance_group [ { kind: KIND_GPU } ]", "execution provider cuda is not available here"),
        (
            "warm",
            "model_warmup { name: \"w\" batch_size: 1 inputs { key: \"x\" value { } } }",
            "model_warmup[w].inputs[x]",
        ),
    ];
    for (name, config, _) in all {
        shelf.put(&format!("{name}/config.pbtxt"), Put::Text(config));
        shelf.put(&format!("{name}/1/model.onnx"), Put::Model(1));
    }
    shelf.put("void/config.pbtxt", Put::Text(""));
    shelf.put("noise.onnx", Put::Text("this is no model"));
    shelf.put("twin.onnx", Put::Model(1));
    shelf.put("twin/1/model.onnx", Put::Model(1));
    shelf.start(Control::None, &[]).await;
    let more = [
        ("void", "", "there is no version"),
        ("noise", "", "noise.onnx: the model does not load"),
        ("twin", "", "have the same name"),
    ];
    let index = shelf.index().await;
    assert_eq!(index.len(), all.len() + more.len());
    for (name, _, part) in all.into_iter().chain(more) {
        let (.., state, reason) = index.iter().find(|row| row.0 == name).unwrap();
        let wanted = if name == "good" { "READY" } else { "UNAVAILABLE" };
        assert_eq!(state, wanted, "{name}: {reason}");
        assert!(reason.contains(part), "{name}: {reason}");
    }
    assert_eq!(shelf.infer("good", "").await.unwrap(), "1");
    assert_eq!(shelf.infer("line", "").await.unwrap_err().code(), Code::NotFound);
    let ready = wire::RepositoryIndexRequest { ready: true, ..Default::default() };
    let ready = shelf.client().repository_index(ready).await.unwrap().into_inner().models;
    assert_eq!(ready.iter().map(|row| row.name.as_str()).collect::<Vec<_>>(), ["good"]);
}

#[tokio::test]
async fn a_version_that_fails_holds_no_other_version_up() {
    let mut shelf = Shelf::new();
    shelf.put("net/config.pbtxt", Put::Text("version_policy { all { } }"));
    shelf.put("net/1/model.onnx", Put::Model(1));
    shelf.put("net/2/model.onnx", Put::Text("this is no model"));
    shelf.put("net/3/other.onnx", Put::Model(3));
    shelf.start(Control::None, &[]).await;
    assert_eq!(shelf.states().await, ["net/1 READY", "net/2 UNAVAILABLE", "net/3 UNAVAILABLE"]);
    assert!(shelf.index().await[2].3.contains("net/3/model.onnx: "), "{:?}", shelf.index().await);
    assert_eq!(shelf.infer("net", "").await.unwrap(), "1");
}

#[tokio::test]
async fn a_sample_that_fails_is_a_model_that_is_not_served() {
    let mut shelf = Shelf::new();
    let config = "max_batch_size: 2 model_warmup { name: \"w\" batch_size: 2
        inputs { key: \"x\" value { data_type: TYPE_FP32 dims: 2 random_data: true } } }";
    for (name, seed) in [("good", 1), ("bad", 2)] {
        shelf.put(&format!("{name}/config.pbtxt"), Put::Text(config));
        shelf.put(&format!("{name}/1/model.onnx"), Put::Model(seed));
    }
    shelf.engine.fail_share(&artifact(2).1, 1.0);
    shelf.start(Control::None, &[]).await;
    assert_eq!(shelf.states().await, ["bad/1 UNAVAILABLE", "good/1 READY"]);
    let index = shelf.index().await;
    assert!(index[0].3.contains("model_warmup[w]: the model failed"), "{index:?}");
}

#[tokio::test]
async fn rows_are_those_of_the_configuration() {
    let mut shelf = Shelf::new();
    shelf.put("net/config.pbtxt", Put::Text("max_batch_size: 2 output [ { name: \"scores\" dims: [ 3 ] } ]"));
    shelf.put("net/1/model.onnx", Put::Model(1));
    shelf.put("open.onnx", Put::Model(2));
    shelf.start(Control::None, &[]).await;
    let infer = async |model: &str, rows: usize| {
        let mut asked = wire::ModelInferRequest { model_name: model.into(), ..request() };
        asked.inputs[0].shape[0] = rows as i64;
        asked.inputs[0].contents.as_mut().unwrap().fp32_contents = vec![0.5; rows * 2];
        shelf.client().model_infer(asked).await.map(tonic::Response::into_inner)
    };
    let answer = infer("net", 2).await.unwrap();
    assert_eq!(answer.outputs.len(), 1, "the configuration has one output");
    assert_eq!(
        (answer.outputs[0].name.as_str(), answer.outputs[0].shape.as_slice()),
        ("scores", &[2, 3][..])
    );
    let refused = infer("net", 3).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert_eq!(runtime::status::field_violations(&refused)[0].field, "inputs");
    assert_eq!(infer("open", 100).await.unwrap().outputs.len(), 2);

    let stated = shelf.config("net").await;
    assert_eq!((stated.name.as_str(), stated.max_batch_size), ("net", 2));
    assert_eq!(
        (stated.input[0].dims.as_slice(), stated.input[0].data_type()),
        (&[2][..], wire::DataType::TypeFp32)
    );
    assert_eq!((stated.output.len(), stated.instance_group[0].count), (1, 1));
    let open = shelf.config("open").await;
    assert_eq!((open.max_batch_size, open.default_model_filename.as_str()), (4096, "open.onnx"));
    let metadata = wire::ModelMetadataRequest { name: "net".into(), version: String::new() };
    let metadata = shelf.client().model_metadata(metadata).await.unwrap().into_inner();
    assert_eq!((metadata.inputs[0].shape.as_slice(), metadata.outputs.len()), (&[-1, 2][..], 1));

    let mut asked = wire::ModelInferRequest { model_name: "net".into(), ..request() };
    let text = wire::infer_parameter::ParameterChoice::StringParam("high".into());
    asked.parameters.insert("priority".into(), wire::InferParameter { parameter_choice: Some(text) });
    let refused = shelf.client().model_infer(asked).await.unwrap_err();
    assert_eq!(runtime::status::field_violations(&refused)[0].field, "parameters[priority]");
}

#[tokio::test]
async fn models_stay_as_they_are_unless_callers_may_change_them() {
    let mut shelf = Shelf::new();
    shelf.put("a.onnx", Put::Model(1));
    for control in [Control::None, Control::Poll] {
        shelf.start(control, &[]).await;
        for refused in [shelf.load("a").await, shelf.unload("a").await] {
            let status = refused.unwrap_err();
            assert_eq!(status.code(), Code::Unimplemented);
            assert!(status.message().contains("--model-control explicit"), "{status}");
        }
        assert_eq!(shelf.states().await, ["a/1 READY"]);
    }
}

#[tokio::test]
async fn callers_load_and_unload_what_the_folder_has() {
    let mut shelf = Shelf::new();
    for (name, seed) in [("a.onnx", 1), ("b.onnx", 2), ("c.onnx", 3)] {
        shelf.put(name, Put::Model(seed));
    }
    shelf.start(Control::Explicit, &["a", "missing"]).await;
    let begun = ["a/1 READY", "b/ UNAVAILABLE", "c/ UNAVAILABLE", "missing/ UNAVAILABLE"];
    assert_eq!(shelf.states().await, begun);
    assert_eq!(shelf.index().await[1].3, "not loaded");
    assert_eq!(shelf.infer("b", "").await.unwrap_err().code(), Code::NotFound);
    shelf.load("b").await.unwrap();
    assert_eq!(shelf.infer("b", "").await.unwrap(), "1");
    shelf.unload("b").await.unwrap();
    shelf.unload("b").await.unwrap();
    shelf.unload("c").await.unwrap();
    assert_eq!(shelf.infer("b", "").await.unwrap_err().code(), Code::NotFound);
    assert_eq!(shelf.index().await[1].3, "unloaded");
    shelf.load("b").await.unwrap();
    assert_eq!(shelf.infer("b", "").await.unwrap(), "1");
    for unknown in [shelf.load("../a").await, shelf.load("missing").await, shelf.unload("none").await] {
        assert_eq!(unknown.unwrap_err().code(), Code::NotFound);
    }
}

#[tokio::test]
async fn a_client_brings_no_files_and_no_parameters_that_are_none() {
    let mut shelf = Shelf::new();
    shelf.put("a.onnx", Put::Model(1));
    shelf.start(Control::Explicit, &["*"]).await;
    let parameter = |choice| wire::ModelRepositoryParameter { parameter_choice: Some(choice) };
    let long = format!("file:{}", "1/".repeat(5000));
    let asked = wire::RepositoryModelLoadRequest {
        repository_name: "elsewhere".into(),
        model_name: "a".into(),
        parameters: [
            ("config".to_owned(), parameter(ParameterChoice::StringParam("\"max_batch_size\": 4".into()))),
            ("file:1/model.onnx".to_owned(), parameter(ParameterChoice::BytesParam(vec![0; 1000]))),
            (long, parameter(ParameterChoice::BytesParam(Vec::new()))),
            ("other".to_owned(), parameter(ParameterChoice::BoolParam(true))),
        ]
        .into(),
    };
    let refused = shelf.client().repository_model_load(asked).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    let fields: Vec<_> =
        runtime::status::field_violations(&refused).into_iter().map(|bad| bad.field).collect();
    let long = fields[2].clone();
    assert!(long.starts_with("parameters[file:1/1/") && long.len() < 100, "{long}");
    let named = [
        "repository_name",
        "parameters[config]",
        long.as_str(),
        "parameters[file:1/model.onnx]",
        "parameters[other]",
    ];
    assert_eq!(fields, named);
    let with = |choice| wire::RepositoryModelUnloadRequest {
        model_name: "a".into(),
        parameters: [("unload_dependents".to_owned(), parameter(choice))].into(),
        ..Default::default()
    };
    let wrong = with(ParameterChoice::StringParam("yes".into()));
    assert_eq!(
        shelf.client().repository_model_unload(wrong).await.unwrap_err().code(),
        Code::InvalidArgument
    );
    assert_eq!(shelf.infer("a", "").await.unwrap(), "1");
    shelf.client().repository_model_unload(with(ParameterChoice::BoolParam(true))).await.unwrap();
    assert_eq!(shelf.states().await, ["a/1 UNAVAILABLE"]);
}

#[tokio::test]
async fn a_client_brings_a_configuration_for_one_load() {
    let mut shelf = Shelf::new();
    shelf.put("net/config.pbtxt", Put::Text("max_batch_size: 4"));
    shelf.put("net/1/model.onnx", Put::Model(1));
    shelf.start(Control::Explicit, &["net"]).await;
    let load = async |json: &str| {
        let choice = ParameterChoice::StringParam(json.into());
        let parameter = wire::ModelRepositoryParameter { parameter_choice: Some(choice) };
        let asked = wire::RepositoryModelLoadRequest {
            model_name: "net".into(),
            parameters: [("config".to_owned(), parameter)].into(),
            ..Default::default()
        };
        shelf.client().repository_model_load(asked).await.map(drop)
    };
    load(r#"{"max_batch_size": "16"}"#).await.unwrap();
    assert_eq!(shelf.config("net").await.max_batch_size, 16);
    for wrong in ["\"max_batch_size\": 16", r#"{"max_batch": 1}"#] {
        let refused = load(wrong).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument);
        assert!(refused.message().contains("failed to load"), "{refused}");
    }
    let refused = load(r#"{"backend": "python"}"#).await.unwrap_err();
    assert!(
        refused.message().contains("failed to load") && refused.message().contains("python"),
        "{refused}"
    );
    assert_eq!(shelf.config("net").await.max_batch_size, 16, "what was served is served on");
    shelf.load("net").await.unwrap();
    assert_eq!(shelf.config("net").await.max_batch_size, 4);
}

#[tokio::test]
async fn a_load_that_fails_leaves_what_serves() {
    let mut shelf = Shelf::new();
    shelf.put("net/config.pbtxt", Put::Text("max_batch_size: 4"));
    shelf.put("net/1/model.onnx", Put::Model(1));
    shelf.start(Control::Explicit, &["net"]).await;
    for wrong in ["max_batch_size: \"4\"", "max_batch_size: 4 input [ { name: \"z\" } ]"] {
        shelf.put("net/config.pbtxt", Put::Text(wrong));
        let refused = shelf.load("net").await.unwrap_err();
        assert_eq!(refused.code(), Code::FailedPrecondition);
        assert!(refused.message().contains("config.pbtxt: "), "{refused}");
        let (.., state, reason) = shelf.index().await.remove(0);
        assert_eq!(state, "READY");
        assert!(reason.starts_with("not loaded again: "), "{reason}");
        assert_eq!(shelf.infer("net", "").await.unwrap(), "1");
    }
    shelf.put("net/config.pbtxt", Put::Text(""));
    shelf.put("net/2/model.onnx", Put::Model(2));
    shelf.load("net").await.unwrap();
    assert_eq!(shelf.index().await, [("net".to_owned(), "2".to_owned(), "READY".to_owned(), String::new())]);
    assert_eq!(shelf.infer("net", "").await.unwrap(), "2");
}

#[tokio::test]
async fn no_request_is_lost_while_a_model_is_swapped() {
    let mut shelf = Shelf::new();
    shelf.put("a.onnx", Put::Model(0));
    shelf.start(Control::Explicit, &["a"]).await;
    let shelf = Arc::new(shelf);
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let callers: Vec<_> = (0..4)
        .map(|_| {
            let (shelf, stopped) = (shelf.clone(), stopped.clone());
            tokio::spawn(async move {
                let mut answers = 0;
                while !*stopped.borrow() {
                    assert_eq!(shelf.infer("a", "").await.unwrap(), "1");
                    answers += 1;
                    tokio::task::yield_now().await;
                }
                answers
            })
        })
        .collect();
    let digest = async || {
        let mut client = ServingServiceClient::new(shelf.peer());
        let served =
            client.list_backends(ListBackendsRequest::default()).await.unwrap().into_inner().backends;
        served.into_iter().find(|backend| backend.state == "ready").unwrap().artifact_digest
    };
    for seed in 1..=20 {
        shelf.put("a.onnx", Put::Model(seed));
        shelf.load("a").await.unwrap();
        assert_eq!(digest().await, artifact(seed).1);
    }
    stop.send(true).unwrap();
    for caller in callers {
        assert!(caller.await.unwrap() > 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn an_unloaded_model_answers_its_last_requests() {
    let mut shelf = Shelf::new();
    shelf.put("a.onnx", Put::Model(1));
    shelf.start(Control::Explicit, &["a"]).await;
    let (begin, mut begun) = tokio::sync::mpsc::unbounded_channel();
    let (release, released) = mpsc::channel::<()>();
    let released = Mutex::new(released);
    let outputs = move |_: &engine::ModelSignature, _: &[Tensor]| -> Result<Vec<Tensor>, EngineError> {
        begin.send(()).unwrap();
        released.lock().unwrap().recv_timeout(Duration::from_secs(20)).unwrap();
        let bad = |error: engine::TensorError| EngineError::ModelFault(error.to_string());
        let label = Tensor::of("label", vec![1], &[7_i64]).map_err(bad)?;
        Ok(vec![label, Tensor::of("scores", vec![1, 3], &[0.0_f32; 3]).map_err(bad)?])
    };
    let behaviour = Behaviour { outputs: Some(Arc::new(outputs)), ..Behaviour::default() };
    shelf.engine.set(artifact(1).1, behaviour);
    let shelf = Arc::new(shelf);
    let (one, other) = (shelf.clone(), shelf.clone());
    let last = tokio::spawn(async move { one.infer("a", "").await });
    begun.recv().await.unwrap();
    let unloading = tokio::spawn(async move { other.unload("a").await });
    until(|| async { shelf.states().await == ["a/1 UNLOADING"] }).await;
    assert_eq!(shelf.infer("a", "").await.unwrap_err().code(), Code::NotFound);
    assert!(!unloading.is_finished());
    release.send(()).unwrap();
    assert_eq!(last.await.unwrap().unwrap(), "1");
    unloading.await.unwrap().unwrap();
    assert_eq!(shelf.states().await, ["a/1 UNAVAILABLE"]);
}

#[tokio::test]
async fn models_follow_their_folder() {
    let mut shelf = Shelf::new();
    shelf.put("a.onnx", Put::Model(1));
    shelf.put("b.onnx", Put::Text("this is no model"));
    shelf.start(Control::Poll, &[]).await;
    assert_eq!(shelf.states().await, ["a/1 READY", "b/1 UNAVAILABLE"]);
    let states = async |wanted: &[&str]| {
        until(|| async {
            shelf.clock.advance(POLL);
            shelf.states().await == wanted
        })
        .await;
    };
    shelf.put("b.onnx", Put::Model(1 << 40));
    shelf.put("net/1/model.onnx", Put::Model(2));
    states(&["a/1 READY", "b/1 READY", "net/1 READY"]).await;
    shelf.put("net/2/model.onnx", Put::Model(3));
    std::fs::remove_file(shelf.path().join("a.onnx")).unwrap();
    states(&["b/1 READY", "net/2 READY"]).await;
    assert_eq!(shelf.infer("net", "").await.unwrap(), "2");
    assert_eq!(shelf.infer("a", "").await.unwrap_err().code(), Code::NotFound);
}

#[tokio::test]
async fn without_keys_no_other_address_is_served() {
    let mut shelf = Shelf::new();
    shelf.put("a.onnx", Put::Model(1));
    shelf.start(Control::None, &[]).await;
    let listen = runtime::Listen { rpc: ([0, 0, 0, 0], 0).into(), metrics: None, http: None };
    let served = runtime::serve(listen, shelf.service.take().unwrap(), std::future::pending()).await;
    assert!(served.unwrap_err().to_string().contains("refused to listen on 0.0.0.0"));
}
