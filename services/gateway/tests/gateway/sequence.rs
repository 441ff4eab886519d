//! Sequences of a model whose configuration has them: order, controls, state, slots.

use std::sync::Arc;

use contracts::inference as wire;
use contracts::inference::grpc_inference_service_client::GrpcInferenceServiceClient;
use contracts::inference::infer_parameter::ParameterChoice;
use contracts::inference::model_config::SchedulingChoice;
use engine::fake::{Behaviour, FakeEngine, model};
use engine::{DataType, Dim, EngineError, ModelSignature, Tensor, TensorSpec};
use runtime::{Clock, Peer, Service};
use tonic::{Code, Status};

use super::folder::Folder;

const CONFIG: &str = r#"
    max_batch_size: 2
    input [ { name: "x" data_type: TYPE_INT32 dims: [ 1 ] } ]
    output [ { name: "y" data_type: TYPE_INT32 dims: [ 1 ] } ]
    model_warmup { name: "first" batch_size: 1
        inputs { key: "x" value { data_type: TYPE_INT32 dims: [ 1 ] zero_data: true } } }
    sequence_batching {
        max_sequence_idle_microseconds: 3600000000
        control_input [
            { name: "start" control [ { kind: CONTROL_SEQUENCE_START int32_false_true: [ 0, 100 ] } ] },
            { name: "end" control [ { kind: CONTROL_SEQUENCE_END int32_false_true: [ 0, 1000 ] } ] },
            { name: "id" control [ { kind: CONTROL_SEQUENCE_CORRID data_type: TYPE_INT32 } ] }
        ]
        state [ { input_name: "sum" output_name: "sum_out" data_type: TYPE_INT32 dims: [ 1 ] } ]
        STRATEGY
    }"#;

fn signature() -> ModelSignature {
    let spec = |name: &str| TensorSpec {
        name: name.into(),
        datatype: DataType::Int32,
        dims: Some(vec![Dim::Symbol("rows".into()), Dim::Fixed(1)]),
    };
    ModelSignature {
        inputs: ["x", "start", "end", "id", "sum"].map(spec).to_vec(),
        outputs: ["y", "sum_out"].map(spec).to_vec(),
        ..ModelSignature::default()
    }
}

/// `sum_out` = `sum` + `x`; `y` is that and what the controls say; `x` = 13 fails.
fn adds(_: &ModelSignature, inputs: &[Tensor]) -> Result<Vec<Tensor>, EngineError> {
    let value = |name: &str| {
        let tensor = inputs.iter().find(|tensor| tensor.name() == name).unwrap();
        tensor.values::<i32>().unwrap()[0]
    };
    if value("x") == 13 {
        return Err(EngineError::ModelFault("13".into()));
    }
    let sum = value("sum") + value("x");
    let y = sum + value("start") + value("end") + 10_000 * value("id");
    Ok([("y", y), ("sum_out", sum)]
        .map(|(name, value)| Tensor::of(name, vec![1, 1], &[value]).unwrap())
        .to_vec())
}

struct Adder {
    service: Service,
    peer: Peer,
    _folder: Folder,
}

impl Adder {
    async fn new(strategy: &str) -> Self {
        let (folder, bytes) = (Folder::new(), model(&signature(), 1));
        folder.put("adder/1/model.onnx", &bytes);
        folder.put("adder/config.pbtxt", CONFIG.replace("STRATEGY", strategy));
        let engine = FakeEngine::new();
        let behaviour = Behaviour { outputs: Some(Arc::new(adds)), ..Behaviour::default() };
        engine.set(storage::Digest::of(&bytes).to_string(), behaviour);
        let service = folder.serve(&folder.config(), folder.repository(), engine, Clock::real()).await;
        let peer = service.peer("").unwrap();
        Self { service, peer, _folder: folder }
    }

    fn client(&self) -> GrpcInferenceServiceClient<Peer> {
        GrpcInferenceServiceClient::new(self.peer.clone())
    }

    async fn infer(&self, request: wire::ModelInferRequest) -> Result<i32, Status> {
        self.client().model_infer(request).await.map(|answer| value(&answer.into_inner()))
    }
}

/// The one number that the configuration has as output.
fn value(answer: &wire::ModelInferResponse) -> i32 {
    assert_eq!(answer.outputs.len(), 1, "states stay here");
    i32::from_le_bytes(answer.raw_output_contents[0].as_ref().try_into().unwrap())
}

fn ask(id: ParameterChoice, x: i32, start: bool, end: bool) -> wire::ModelInferRequest {
    let parameter = |choice| wire::InferParameter { parameter_choice: Some(choice) };
    let contents = wire::InferTensorContents { int_contents: vec![x], ..Default::default() };
    let input = wire::model_infer_request::InferInputTensor {
        name: "x".into(),
        datatype: "INT32".into(),
        shape: vec![1, 1],
        contents: Some(contents),
        ..Default::default()
    };
    let parameters = [
        ("sequence_id".to_owned(), parameter(id)),
        ("sequence_start".to_owned(), parameter(ParameterChoice::BoolParam(start))),
        ("sequence_end".to_owned(), parameter(ParameterChoice::BoolParam(end))),
    ];
    wire::ModelInferRequest {
        model_name: "adder".into(),
        inputs: vec![input],
        parameters: parameters.into(),
        ..Default::default()
    }
}

fn step(id: i64, x: i32, start: bool, end: bool) -> wire::ModelInferRequest {
    ask(ParameterChoice::Int64Param(id), x, start, end)
}

fn refused(answer: Result<i32, Status>, field: &str, part: &str) {
    let status = answer.unwrap_err();
    let bad = runtime::status::field_violations(&status);
    assert_eq!((status.code(), bad.len()), (Code::InvalidArgument, 1), "{status}");
    assert!(bad[0].field == field && bad[0].description.contains(part), "{bad:?}");
}

#[tokio::test]
async fn state_goes_from_one_request_to_the_next_and_controls_say_where_they_stand() {
    let adder = Adder::new("direct { }").await;
    assert_eq!(adder.infer(step(7, 1, true, false)).await.unwrap(), 70_101);
    assert_eq!(adder.infer(step(8, 5, true, false)).await.unwrap(), 80_105);
    assert_eq!(adder.infer(step(7, 2, false, false)).await.unwrap(), 70_003);
    // What fails changes nothing, and the sequence goes on.
    assert_eq!(adder.infer(step(7, 13, false, false)).await.unwrap_err().code(), Code::Internal);
    assert_eq!(adder.infer(step(8, 6, false, true)).await.unwrap(), 81_011);
    assert_eq!(adder.infer(step(7, 3, false, true)).await.unwrap(), 71_006);
    refused(adder.infer(step(7, 3, false, false)).await, "parameters[sequence_start]", "START");
    assert_eq!(adder.infer(step(7, 4, true, true)).await.unwrap(), 71_104, "it begins with zeros again");
}

#[tokio::test]
async fn what_belongs_to_no_sequence_is_refused() {
    let adder = Adder::new("").await;
    refused(adder.infer(step(0, 1, true, false)).await, "parameters[sequence_id]", "correlation ID");
    refused(
        adder.infer(step(5, 1, false, false)).await,
        "parameters[sequence_start]",
        "sequence 5 has not begun",
    );
    let text = ask(ParameterChoice::StringParam("a".into()), 1, true, false);
    refused(adder.infer(text).await, "parameters[sequence_id]", "is a string");
    let mut rows = step(5, 1, true, false);
    rows.inputs[0].shape[0] = 2;
    rows.inputs[0].contents.as_mut().unwrap().int_contents.push(1);
    refused(adder.infer(rows).await, "inputs", "2 rows, required 1");
    let mut control = step(5, 1, true, false);
    control.inputs.push(wire::model_infer_request::InferInputTensor {
        name: "start".into(),
        ..control.inputs[0].clone()
    });
    refused(adder.infer(control).await, "inputs[start]", "no such input");
}

#[tokio::test]
async fn a_stream_keeps_the_order_of_a_sequence() {
    let adder = Adder::new("oldest { max_candidate_sequences: 4 }").await;
    let steps = 40;
    let of = |id: i64| (0..steps).map(move |at| step(id, 1, at == 0, at == steps - 1));
    let requests: Vec<_> = of(1).zip(of(2)).flat_map(|(one, other)| [one, other]).collect();
    let stream = adder.client().model_stream_infer(tokio_stream::iter(requests)).await.unwrap().into_inner();
    let told: Vec<_> = futures::StreamExt::collect::<Vec<_>>(stream).await;
    for (place, answer) in told.iter().enumerate() {
        let answer = answer.as_ref().unwrap();
        assert_eq!(answer.error_message, "");
        let (at, id) = (place as i32 / 2, place as i32 % 2 + 1);
        let controls = if at == 0 { 100 } else { 0 } + if at == steps - 1 { 1000 } else { 0 };
        assert_eq!(value(answer.infer_response.as_ref().unwrap()), at + 1 + controls + 10_000 * id);
    }
    assert_eq!(told.len(), 2 * steps as usize);
}

#[tokio::test]
async fn a_sequence_beyond_the_slots_waits_until_one_ends() {
    let adder = Arc::new(Adder::new("direct { }").await);
    for id in [1, 2] {
        adder.infer(step(id, 1, true, false)).await.unwrap();
    }
    let third = adder.clone();
    let mut third = tokio::spawn(async move { third.infer(step(3, 1, true, true)).await });
    // Others go on meanwhile: were there a slot for it, it would have been answered before them.
    for _ in 0..20 {
        adder.infer(step(1, 1, false, false)).await.unwrap();
        assert!(!third.is_finished());
    }
    let mut impatient = step(4, 1, true, true);
    let timeout = wire::InferParameter { parameter_choice: Some(ParameterChoice::Int64Param(1)) };
    impatient.parameters.insert("timeout".into(), timeout);
    assert_eq!(adder.infer(impatient).await.unwrap_err().code(), Code::DeadlineExceeded);
    adder.infer(step(2, 1, false, true)).await.unwrap();
    assert_eq!((&mut third).await.unwrap().unwrap(), 31_101);
    refused(adder.infer(step(4, 1, false, true)).await, "parameters[sequence_start]", "START");
}

#[tokio::test]
async fn clients_see_neither_controls_nor_states() {
    let adder = Adder::new("").await;
    let asked = wire::ModelMetadataRequest { name: "adder".into(), version: String::new() };
    let metadata = adder.client().model_metadata(asked).await.unwrap().into_inner();
    let names = |all: &[wire::model_metadata_response::TensorMetadata]| -> Vec<String> {
        all.iter().map(|tensor| tensor.name.clone()).collect()
    };
    assert_eq!((names(&metadata.inputs), names(&metadata.outputs)), (vec!["x".into()], vec!["y".into()]));
    let asked = wire::ModelConfigRequest { name: "adder".into(), version: String::new() };
    let config = adder.client().model_config(asked).await.unwrap().into_inner().config.unwrap();
    let Some(SchedulingChoice::SequenceBatching(sequences)) = config.scheduling_choice else {
        panic!("it has sequences")
    };
    assert_eq!((sequences.control_input.len(), sequences.state.len()), (3, 1));
    let metadata = adder.client().server_metadata(wire::ServerMetadataRequest {}).await.unwrap().into_inner();
    assert!(metadata.extensions.contains(&"sequence".to_owned()));
    let metrics = adder.service.metrics().encode().unwrap();
    assert!(metrics.contains("endpoint=\"adder\""), "{metrics}");
}
