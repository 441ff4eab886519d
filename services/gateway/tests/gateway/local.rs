//! Models of a folder, without the mesh and without keys.

use std::sync::Arc;

use contracts::inference as wire;
use gateway::{Control, LocalDeps, Repository};
use tonic::Code;

use super::shelf::{Put, Shelf};
use super::stage::{artifact, request, until};

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
    let config = shelf.folder.config();
    let deps = || LocalDeps { clock: shelf.clock.clone(), engine: Arc::new(shelf.engine.clone()) };
    let at = |path| Repository { path, ..shelf.folder.repository() };
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
async fn without_keys_no_other_address_is_served() {
    let mut shelf = Shelf::new();
    shelf.put("a.onnx", Put::Model(1));
    shelf.start(Control::None, &[]).await;
    let listen = runtime::Listen { rpc: ([0, 0, 0, 0], 0).into(), metrics: None, http: None };
    let served = runtime::serve(listen, shelf.service.take().unwrap(), std::future::pending()).await;
    assert!(served.unwrap_err().to_string().contains("refused to listen on 0.0.0.0"));
}
