//! Answers that are given again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use contracts::inference::infer_parameter::ParameterChoice;
use contracts::inference::model_infer_request::InferRequestedOutputTensor;
use contracts::inference::{
    InferParameter, InferStatistics, ModelInferRequest, ModelInferResponse, ModelStatisticsRequest,
};
use engine::fake::Behaviour;
use engine::{EngineError, Tensor};
use runtime::Clock;
use tonic::{Code, Status};

use super::folder::Folder;
use super::limits::stores;
use super::stage::{Stage, artifact, request, until};

/// A number that no other test has: of the model's bytes, so that its answers are nobody else's.
fn seed() -> i64 {
    uuid::Uuid::new_v4().as_u128() as i64
}

/// A model that never answers the same twice.
fn restless() -> Behaviour {
    let runs = AtomicU64::new(0);
    let outputs = move |_: &_, inputs: &[Tensor]| {
        let rows = inputs[0].rows();
        let run = runs.fetch_add(1, Ordering::Relaxed) as f32;
        let fault = |error: engine::TensorError| EngineError::ModelFault(error.to_string());
        let label = Tensor::of("label", vec![rows as i64], &vec![7_i64; rows]).map_err(fault)?;
        let scores: Vec<f32> = (0..3 * rows).map(|at| run + at as f32 / 8.0).collect();
        let scores = Tensor::of("scores", vec![rows as i64, 3], &scores).map_err(fault)?;
        Ok(vec![label, scores])
    };
    Behaviour { outputs: Some(Arc::new(outputs)), ..Behaviour::default() }
}

/// A gateway that keeps the answers of its one version.
async fn stage(store: &str, seed: i64, cache: serde_json::Value) -> Stage {
    let mut stage = Stage::new().await;
    stage.stop().await;
    stage.config.kv.url = store.into();
    stage.config.cache = serde_json::from_value(cache).unwrap();
    stage.start().await;
    stage.engine.set(artifact(seed).1, restless());
    stage.publish(1, vec![stage.backend("1.0.0", seed, 100, false)]);
    stage.in_force(1).await;
    stage
}

fn on() -> serde_json::Value {
    serde_json::json!({"endpoints": ["scorer"]})
}

async fn ask(stage: &Stage, request: ModelInferRequest) -> Result<ModelInferResponse, Status> {
    stage.client().model_infer(request).await.map(tonic::Response::into_inner)
}

fn is_hit(answer: &ModelInferResponse) -> bool {
    let hit = answer.parameters.get("cache_hit").and_then(|parameter| parameter.parameter_choice.as_ref());
    hit == Some(&ParameterChoice::BoolParam(true))
}

/// Hits, misses, successes and runs.
async fn counts(stage: &Stage) -> (u64, u64, u64, u64) {
    let all = ModelStatisticsRequest::default();
    let stats = stage.client().model_statistics(all).await.unwrap().into_inner().model_stats.remove(0);
    let InferStatistics { success, cache_hit, cache_miss, .. } = stats.inference_stats.unwrap();
    (cache_hit.unwrap().count, cache_miss.unwrap().count, success.unwrap().count, stats.execution_count)
}

#[tokio::test]
async fn the_same_inputs_have_the_same_answer_bit_for_bit() {
    for store in stores() {
        let stage = stage(&store, seed(), on()).await;
        let first = ask(&stage, request()).await.unwrap();
        assert!(!is_hit(&first) && !first.parameters.contains_key("cache_hit"));
        // Raw in place of typed, with another id, priority and timeout.
        let mut other = ModelInferRequest { id: "r-2".into(), ..request() };
        other.inputs[0].contents = None;
        other.raw_input_contents = vec![[0.5_f32, 1.5].map(f32::to_le_bytes).concat().into()];
        for (name, value) in [("priority", 3), ("timeout", 10_000_000)] {
            let parameter_choice = Some(ParameterChoice::Int64Param(value));
            other.parameters.insert(name.into(), InferParameter { parameter_choice });
        }
        let second = ask(&stage, other).await.unwrap();
        assert!(is_hit(&second));
        assert_eq!((&*second.id, &second.outputs), ("r-2", &first.outputs));
        assert_eq!(second.raw_output_contents, first.raw_output_contents);
        assert_eq!((second.model_name, second.model_version), (first.model_name, first.model_version));
        assert_eq!(counts(&stage).await, (1, 1, 2, 1));
        // Other outputs, other inputs.
        let scores = InferRequestedOutputTensor { name: "scores".into(), ..Default::default() };
        let fewer = ModelInferRequest { outputs: vec![scores], ..request() };
        let third = ask(&stage, fewer.clone()).await.unwrap();
        assert!(!is_hit(&third) && third.outputs.len() == 1);
        assert!(is_hit(&ask(&stage, fewer).await.unwrap()));
        let mut moved = request();
        moved.inputs[0].contents.as_mut().unwrap().fp32_contents = vec![1.5, 0.5];
        assert!(!is_hit(&ask(&stage, moved).await.unwrap()));
        assert_eq!(counts(&stage).await, (2, 3, 5, 3));
        let metrics = stage.service.as_ref().unwrap().metrics().encode().unwrap();
        let of = "wlp_gateway_cache_lookups_total{endpoint=\"scorer\",version=\"1.0.0\",found=\"hit\"} 2";
        assert!(metrics.contains(of) && metrics.contains("wlp_gateway_cache_entries 3"), "{metrics}");
        // A request that is wrong is not answered from what is kept.
        let mut wrong = request();
        wrong.inputs[0].shape = vec![2, 1];
        assert_eq!(ask(&stage, wrong).await.unwrap_err().code(), Code::InvalidArgument);
    }
}

#[tokio::test]
async fn a_fault_is_not_kept_and_what_is_off_or_too_large_neither() {
    let number = seed();
    let kept = stage("memory:", number, on()).await;
    let digest = artifact(number).1;
    kept.engine.fail_share(&digest, 1.0);
    for _ in 0..2 {
        assert_eq!(ask(&kept, request()).await.unwrap_err().code(), Code::Internal);
    }
    let nan: engine::fake::Outputs = Arc::new(|_, _| {
        let label = Tensor::of("label", vec![1], &[7_i64]).unwrap();
        Ok(vec![label, Tensor::of("scores", vec![1, 3], &[0.0, f32::NAN, 0.0]).unwrap()])
    });
    kept.engine.set(digest.clone(), Behaviour { outputs: Some(nan), ..Behaviour::default() });
    assert_eq!(ask(&kept, request()).await.unwrap_err().code(), Code::Internal);
    kept.engine.set(digest, restless());
    assert!(!is_hit(&ask(&kept, request()).await.unwrap()));
    assert!(is_hit(&ask(&kept, request()).await.unwrap()));
    for off in [
        serde_json::json!({}),
        serde_json::json!({"endpoints": ["scorer"], "bytes": 0}),
        serde_json::json!({"endpoints": ["other"]}),
        serde_json::json!({"endpoints": ["scorer"], "entry_bytes": 7}),
        serde_json::json!({"endpoints": ["scorer"], "entry_bytes": 19}),
    ] {
        let stage = stage("memory:", seed(), off.clone()).await;
        for _ in 0..2 {
            assert!(!is_hit(&ask(&stage, request()).await.unwrap()), "{off}");
        }
    }
}

/// What comes from the cache is no evidence, and a canary always gives some.
#[tokio::test]
async fn a_canary_runs_each_time_and_answers_given_again_are_told_to_nobody() {
    let (stable, canary) = (seed(), seed());
    let stage = stage("memory:", stable, on()).await;
    stage.engine.set(artifact(canary).1, restless());
    let backends = vec![stage.backend("1.0.0", stable, 50, false), stage.backend("1.1.0", canary, 50, true)];
    stage.publish(2, backends);
    stage.in_force(2).await;
    let mut hits = 0;
    for _ in 0..20 {
        let answer = ask(&stage, request()).await.unwrap();
        assert!(!is_hit(&answer) || answer.model_version == "1.0.0");
        hits += usize::from(is_hit(&answer));
    }
    assert_eq!(hits, 9, "of ten requests to stable");
    let told = |version: &str| {
        let of = |told: &mut super::peers::Told| {
            let all = told.observations.iter().flat_map(|batch| &batch.observations);
            all.filter(|one| one.version.ends_with(version)).map(|one| one.requests).sum::<u64>()
        };
        stage.peers.told(of)
    };
    until(|| async { told("1.1.0") == 10 && told("1.0.0") == 1 }).await;
    assert_eq!(stage.served("1.0.0").await.requests, 10);
    // It becomes stable, and what it answered last is kept.
    stage.publish(3, vec![stage.backend("1.1.0", canary, 100, false)]);
    stage.in_force(3).await;
    assert!(is_hit(&ask(&stage, request()).await.unwrap()));
}

#[tokio::test]
async fn one_gateway_gives_what_another_one_has_answered() {
    for store in stores().into_iter().filter(|store| store.starts_with("redis")) {
        let number = seed();
        let (one, two) = (stage(&store, number, on()).await, stage(&store, number, on()).await);
        // This one can only answer with what the other one put there.
        two.engine.fail_share(&artifact(number).1, 1.0);
        assert!(ask(&two, request()).await.is_err());
        let first = ask(&one, request()).await.unwrap();
        until(|| async { ask(&two, request()).await.is_ok() }).await;
        let again = ask(&two, request()).await.unwrap();
        assert!(is_hit(&again));
        assert_eq!(again.raw_output_contents, first.raw_output_contents);
        assert_eq!(again.outputs, first.outputs);
    }
    // Without its store a gateway keeps answers by itself.
    let alone = stage("redis://127.0.0.1:1/", seed(), on()).await;
    assert!(!is_hit(&ask(&alone, request()).await.unwrap()));
    assert!(is_hit(&ask(&alone, request()).await.unwrap()));
    let metrics = alone.service.as_ref().unwrap().metrics().encode().unwrap();
    assert!(metrics.contains("wlp_gateway_cache_shared 0"), "{metrics}");
}

#[tokio::test]
async fn a_model_of_a_folder_asks_for_it_in_its_configuration() {
    let folder = Folder::new();
    for (name, text) in [("on", "response_cache { enable: true }"), ("off", "")] {
        folder.put(&format!("{name}/1/model.onnx"), artifact(1).0);
        folder.put(&format!("{name}/config.pbtxt"), text);
    }
    let engine = engine::fake::FakeEngine::new();
    engine.set(artifact(1).1, restless());
    let service = folder.serve(&folder.config(), folder.repository(), engine, Clock::real()).await;
    let mut client = contracts::inference::grpc_inference_service_client::GrpcInferenceServiceClient::new(
        service.peer("").unwrap(),
    );
    for (name, hit) in [("on", true), ("off", false)] {
        let asked = ModelInferRequest { model_name: name.into(), ..request() };
        let first = client.model_infer(asked.clone()).await.unwrap().into_inner();
        let second = client.model_infer(asked).await.unwrap().into_inner();
        assert!(!is_hit(&first) && is_hit(&second) == hit, "{name}");
        assert_eq!(first.raw_output_contents == second.raw_output_contents, hit, "{name}");
    }
}

/// Two models over one file, whose callers see other shapes: an answer that is kept belongs to the file's shapes.
#[tokio::test]
async fn one_file_under_two_shapes_keeps_answers_in_neithers_form() {
    let folder = Folder::new();
    let text = |shape: &str| {
        let output = "name: \"scores\" data_type: TYPE_FP32 dims:";
        format!(
            "response_cache {{ enable: true }} max_batch_size: 4 input [ {{ name: \"x\" data_type: TYPE_FP32 dims: [ 2 ] }} ] \
             output [ {{ {output} {shape} }}, {{ name: \"label\" data_type: TYPE_INT64 dims: [ 1 ] reshape {{ shape: [ ] }} }} ]"
        )
    };
    for (name, shape) in [("flat", "[ 3 ]"), ("deep", "[ 3, 1 ] reshape { shape: [ 3 ] }")] {
        folder.put(&format!("{name}/1/model.onnx"), artifact(1).0);
        folder.put(&format!("{name}/config.pbtxt"), text(shape));
    }
    let engine = engine::fake::FakeEngine::new();
    engine.set(artifact(1).1, restless());
    let service = folder.serve(&folder.config(), folder.repository(), engine, Clock::real()).await;
    let mut client = contracts::inference::grpc_inference_service_client::GrpcInferenceServiceClient::new(
        service.peer("").unwrap(),
    );
    for (name, shape) in [("flat", vec![1, 3]), ("deep", vec![1, 3, 1])] {
        let asked = ModelInferRequest { model_name: name.into(), ..request() };
        let answer = client.model_infer(asked).await.unwrap().into_inner();
        let scores = answer.outputs.iter().find(|output| output.name == "scores").unwrap();
        assert_eq!((scores.shape.clone(), is_hit(&answer)), (shape, name == "deep"));
    }
}
