use super::stage::{Stage, request};
use contracts::inference as wire;
use tonic::Code;

async fn served() -> Stage {
    let stage = Stage::new().await;
    stage.publish(1, vec![stage.backend("1.0.0", 1, 100, false)]);
    stage.in_force(1).await;
    stage
}

#[tokio::test]
async fn raw_and_typed_requests_get_the_same_raw_answer() {
    let stage = served().await;
    let typed = stage.client().model_infer(request()).await.unwrap().into_inner();
    let mut raw = request();
    raw.inputs[0].contents = None;
    raw.raw_input_contents = vec![[0.5_f32, 1.5].map(f32::to_le_bytes).concat().into()];
    raw.outputs = vec![wire::model_infer_request::InferRequestedOutputTensor {
        name: "scores".into(),
        ..Default::default()
    }];
    let raw = stage.client().model_infer(raw).await.unwrap().into_inner();
    assert_eq!(
        (typed.model_name.as_str(), typed.model_version.as_str(), typed.id.as_str()),
        ("scorer", "1.0.0", "r-1")
    );
    assert_eq!(
        typed.outputs.iter().map(|output| output.name.as_str()).collect::<Vec<_>>(),
        ["label", "scores"]
    );
    assert_eq!(raw.outputs.len(), 1);
    assert_eq!(raw.outputs[0].shape, [1, 3]);
    assert_eq!(raw.raw_output_contents[0], typed.raw_output_contents[1]);
}

#[tokio::test]
async fn every_bad_field_of_a_hostile_request_is_named() {
    let stage = served().await;
    let wrong = |change: &dyn Fn(&mut wire::ModelInferRequest)| {
        let mut request = request();
        change(&mut request);
        stage.infer(request)
    };
    let fields = async |change: &dyn Fn(&mut wire::ModelInferRequest)| {
        let status = wrong(change).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{status}");
        let bad = runtime::status::field_violations(&status);
        bad.into_iter().map(|bad| bad.field).collect::<Vec<_>>()
    };
    assert_eq!(fields(&|r| r.inputs[0].datatype = "FLOAT".into()).await, ["inputs[x].datatype"]);
    assert_eq!(fields(&|r| r.inputs[0].shape = vec![-1, 2]).await, ["inputs[x].shape"]);
    assert_eq!(fields(&|r| r.inputs[0].shape = vec![i64::MAX, i64::MAX, 2]).await, ["inputs[x].shape"]);
    assert_eq!(fields(&|r| r.inputs[0].shape = vec![2, 2]).await, ["inputs[x].contents"]);
    assert_eq!(fields(&|r| r.raw_input_contents = vec![vec![0; 8].into()]).await, ["inputs[x].contents"]);
    assert_eq!(
        fields(&|r| r.raw_input_contents = vec![vec![0; 8].into(); 2]).await,
        ["raw_input_contents", "inputs[x].contents"]
    );
    assert_eq!(
        fields(&|r| {
            r.inputs[0].name = "y".into();
            r.outputs.push(wire::model_infer_request::InferRequestedOutputTensor {
                name: "z".into(),
                ..Default::default()
            });
        })
        .await,
        ["inputs[y]", "inputs[x]", "outputs[z]"]
    );
    assert_eq!(fields(&|r| r.inputs.clear()).await, ["inputs[x]"]);
    let rows = |r: &mut wire::ModelInferRequest| {
        r.inputs[0].shape = vec![5000, 2];
        r.inputs[0].contents.as_mut().unwrap().fp32_contents = vec![0.0; 10_000];
    };
    assert_eq!(fields(&rows).await, ["inputs"]);
    let none = |r: &mut wire::ModelInferRequest| {
        r.inputs[0].shape = vec![0, 2];
        r.inputs[0].contents.as_mut().unwrap().fp32_contents.clear();
    };
    assert_eq!(fields(&none).await, ["inputs[x].shape"]);
    assert_eq!(wrong(&|r| r.model_name = "../etc".into()).await.unwrap_err().code(), Code::NotFound);
    assert_eq!(wrong(&|_| {}).await.unwrap(), "1.0.0");
}

/// What is wrong in one part hides nothing that is wrong in another.
#[tokio::test]
async fn all_bad_fields_are_named_in_one_answer() {
    let stage = served().await;
    let mut bad = request();
    bad.inputs[0].datatype = "FLOAT".into();
    bad.inputs[0].shape = vec![1, 3];
    bad.inputs.push(wire::model_infer_request::InferInputTensor {
        name: "text".into(),
        datatype: "BYTES".into(),
        shape: vec![2],
        contents: Some(wire::InferTensorContents {
            bytes_contents: vec![vec![b'a'].into()],
            ..Default::default()
        }),
        ..Default::default()
    });
    bad.outputs = ["z", "z2"]
        .map(|name| wire::model_infer_request::InferRequestedOutputTensor {
            name: name.into(),
            ..Default::default()
        })
        .to_vec();
    let number = || wire::InferParameter {
        parameter_choice: Some(wire::infer_parameter::ParameterChoice::DoubleParam(0.5)),
    };
    for name in ["key", "timeout", "group.sex"] {
        bad.parameters.insert(name.into(), number());
    }
    let status = stage.infer(bad).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    let named = runtime::status::field_violations(&status);
    let named: Vec<_> = named.iter().map(|bad| bad.field.as_str()).collect();
    assert_eq!(
        named,
        [
            "parameters[key]",
            "parameters[timeout]",
            "parameters[group.sex]",
            "inputs[x].datatype",
            "inputs[text].contents",
            "inputs[x].shape",
            "inputs[text]",
            "outputs[z]",
            "outputs[z2]"
        ]
    );
}

/// A wide model and a request with all names wrong: the answer has room for each of them.
#[tokio::test]
async fn many_wrong_names_leave_room_for_each_other() {
    let stage = served().await;
    let mut bad = request();
    bad.inputs = (0..14)
        .map(|n| {
            let mut input = request().inputs.remove(0);
            input.name = format!("a_column_of_the_training_data_{n}");
            input
        })
        .collect();
    let status = stage.infer(bad).await.unwrap_err();
    let named = runtime::status::field_violations(&status);
    assert_eq!(named.len(), 15, "fourteen unknown, one missing: {named:?}");
}

#[tokio::test]
async fn a_compressed_request_is_answered() {
    let stage = served().await;
    let mut client = stage.client().send_compressed(tonic::codec::CompressionEncoding::Gzip);
    let answer = client.model_infer(request()).await.unwrap().into_inner();
    assert_eq!(answer.model_version, "1.0.0");
}

#[tokio::test]
async fn an_error_in_a_stream_stands_in_its_message_and_the_stream_goes_on() {
    let stage = served().await;
    let mut bad = request();
    bad.inputs.clear();
    let requests = tokio_stream::iter([request(), bad, request()]);
    let mut answers = stage.client().model_stream_infer(requests).await.unwrap().into_inner();
    let mut seen = Vec::new();
    while let Some(answer) = answers.message().await.unwrap() {
        seen.push((answer.error_message.is_empty(), answer.infer_response.unwrap().id));
    }
    let id = || "r-1".to_owned();
    assert_eq!(seen, [(true, id()), (false, id()), (true, id())]);
}

#[tokio::test]
async fn the_server_and_its_models_say_what_they_are() {
    let stage = served().await;
    let mut client = stage.client();
    assert!(client.server_live(wire::ServerLiveRequest {}).await.unwrap().into_inner().live);
    assert!(client.server_ready(wire::ServerReadyRequest {}).await.unwrap().into_inner().ready);
    let name = || "scorer".to_owned();
    let ready = wire::ModelReadyRequest { name: name(), version: "1.0.0".into() };
    assert!(client.model_ready(ready).await.unwrap().into_inner().ready);
    let none = wire::ModelReadyRequest { name: "none".into(), version: String::new() };
    assert!(!client.model_ready(none).await.unwrap().into_inner().ready);
    let metadata = wire::ModelMetadataRequest { name: name(), version: String::new() };
    let metadata = client.model_metadata(metadata).await.unwrap().into_inner();
    assert_eq!(
        (metadata.versions.as_slice(), metadata.inputs[0].shape.as_slice()),
        (&["1.0.0".to_owned()][..], &[-1, 2][..])
    );
    let config = wire::ModelConfigRequest { name: name(), version: String::new() };
    let config = client.model_config(config).await.unwrap().into_inner().config.unwrap();
    assert_eq!(
        (config.backend.as_str(), config.input[0].data_type()),
        ("onnxruntime", wire::DataType::TypeFp32)
    );
    client.model_infer(request()).await.unwrap();
    let statistics = wire::ModelStatisticsRequest { name: name(), version: String::new() };
    let statistics = client.model_statistics(statistics).await.unwrap().into_inner().model_stats;
    assert_eq!((statistics[0].inference_count, statistics[0].execution_count), (1, 1));
    let index = client.repository_index(wire::RepositoryIndexRequest::default()).await.unwrap().into_inner();
    assert_eq!((index.models[0].version.as_str(), index.models[0].state.as_str()), ("1.0.0", "READY"));
    let load = wire::RepositoryModelLoadRequest { model_name: name(), ..Default::default() };
    assert_eq!(client.repository_model_load(load).await.unwrap_err().code(), Code::Unimplemented);
    let shown = stage.service.as_ref().unwrap().metrics().encode().unwrap();
    assert!(
        shown.contains("wlp_gateway_infer_duration_seconds_count{endpoint=\"scorer\",version=\"1.0.0\"} 1")
    );
}

#[tokio::test]
async fn without_room_a_request_is_told_when_to_come_back() {
    let mut stage = served().await;
    stage.stop().await;
    stage.config.admission.requests = 1;
    stage.start().await;
    stage.in_force(1).await;
    stage.engine.delay(&super::stage::artifact(1).1, std::time::Duration::from_millis(200));
    let (a, b) = tokio::join!(stage.infer(request()), stage.infer(request()));
    let status = a.and(b).unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert!(runtime::status::retry_after(&status).is_some());
}
