//! Models of a folder that change while they are served: by callers, by files.

use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use contracts::gateway::v1::ListBackendsRequest;
use contracts::gateway::v1::serving_service_client::ServingServiceClient;
use contracts::inference as wire;
use contracts::inference::model_repository_parameter::ParameterChoice;
use engine::fake::Behaviour;
use engine::{EngineError, Tensor};
use gateway::Control;
use tonic::Code;

use super::folder::POLL;
use super::shelf::{Put, Shelf};
use super::stage::{artifact, until};

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
