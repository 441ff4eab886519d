//! A gateway that is full of inference: what operators and orchestrators ask, and a rollback, do not wait for room.

use std::time::Duration;

use bytes::Bytes;
use contracts::inference as wire;
use contracts::inference::grpc_inference_service_client::GrpcInferenceServiceClient;
use engine::fake::FakeEngine;
use futures::{StreamExt, stream};
use gateway::{Control, Repository};
use http_body::Frame;
use http_body_util::StreamBody;
use runtime::status::{reason, retry_after};
use runtime::{Clock, Peer};
use tokio::task::JoinHandle;
use tonic::body::Body;
use tonic::client::GrpcService;
use tonic::{Code, Status};

use super::folder::Folder;
use super::stage::{Stage, artifact, request, until};

/// Longer than any test: the model is at work until its caller goes away.
const EVER: Duration = Duration::from_hours(1);

/// Takes the only place, and waits until it is taken.
async fn fill(client: GrpcInferenceServiceClient<Peer>, model: &str) -> JoinHandle<()> {
    let asked = wire::ModelInferRequest { model_name: model.into(), ..request() };
    let (mut holder, held) = (client.clone(), asked.clone());
    let holds = tokio::spawn(async move {
        loop {
            let mut request = tonic::Request::new(held.clone());
            request.set_timeout(EVER);
            match holder.model_infer(request).await {
                // One that only looked had the place.
                Err(status) if status.code() == Code::ResourceExhausted => tokio::task::yield_now().await,
                ended => unreachable!("the model never answers: {ended:?}"),
            }
        }
    });
    until(|| async {
        // In time: one that is let in would wait for ever.
        let mut client = client.clone();
        let tried = client.model_infer(asked.clone());
        let tried = tokio::time::timeout(Duration::from_millis(50), tried).await;
        let Ok(Err(status)) = tried.map(|tried| tried.map(drop)) else { return false };
        assert_eq!(status.code(), Code::ResourceExhausted, "{status}");
        assert_eq!(reason(&status).as_deref(), Some("GATEWAY_FULL"));
        assert!(retry_after(&status).is_some());
        true
    })
    .await;
    holds
}

#[tokio::test]
async fn health_statistics_and_a_rollback_pass_a_full_gateway() {
    let mut stage = Stage::new().await;
    stage.stop().await;
    stage.config.admission.requests = 1;
    stage.config.infer.run_limit_ms = EVER.as_millis() as u64;
    stage.start().await;
    for seed in [1, 2] {
        stage.engine.delay(&artifact(seed).1, EVER);
    }
    stage.canary(1, 50).await;
    let holds = fill(stage.client(), "scorer").await;

    let mut client = stage.client();
    let name = || "scorer".to_owned();
    assert!(client.server_live(wire::ServerLiveRequest {}).await.unwrap().into_inner().live);
    assert!(client.server_ready(wire::ServerReadyRequest {}).await.unwrap().into_inner().ready);
    let ready = wire::ModelReadyRequest { name: name(), version: String::new() };
    assert!(client.model_ready(ready).await.unwrap().into_inner().ready);
    client.server_metadata(wire::ServerMetadataRequest {}).await.unwrap();
    let metadata = wire::ModelMetadataRequest { name: name(), version: String::new() };
    assert_eq!(client.model_metadata(metadata).await.unwrap().into_inner().versions.len(), 2);
    let config = wire::ModelConfigRequest { name: name(), version: String::new() };
    assert!(client.model_config(config).await.unwrap().into_inner().config.is_some());
    let statistics = client.model_statistics(wire::ModelStatisticsRequest::default());
    assert_eq!(statistics.await.unwrap().into_inner().model_stats.len(), 2);
    client.repository_index(wire::RepositoryIndexRequest::default()).await.unwrap();

    // A rollback: the canary is taken off although its requests, or stable's, never end.
    stage.publish(2, vec![stage.backend("1.0.0", 1, 100, false)]);
    stage.in_force(2).await;
    assert_eq!(stage.served("1.0.0").await.traffic_percent, 100);
    assert!(!holds.is_finished(), "it was full all the time");
    let refused = stage.infer(request()).await.unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted);
    holds.abort();
    let _cancelled = holds.await;
    stage.engine.delay(&artifact(1).1, Duration::ZERO);
    until(|| async { stage.infer(request()).await.is_ok() }).await;
}

/// Parts of messages that never become whole: they have room of their own, and it ends.
#[tokio::test]
async fn half_a_message_takes_room_and_health_needs_none() {
    let mut stage = Stage::new().await;
    stage.stop().await;
    stage.config.admission.bytes = 64 << 10;
    stage.config.admission.message_bytes = 64 << 10;
    stage.start().await;
    stage.publish(1, vec![stage.backend("1.0.0", 1, 100, false)]);
    stage.in_force(1).await;

    let half = [&[0][..], &(60_u32 << 10).to_be_bytes(), &vec![0; 50 << 10]].concat();
    let part = Ok::<_, Status>(Frame::data(Bytes::from(half)));
    let never_whole = stream::iter([part]).chain(stream::pending());
    let mut call = http::Request::new(Body::new(StreamBody::new(never_whole)));
    *call.method_mut() = http::Method::POST;
    *call.uri_mut() = "http://gateway/inference.GRPCInferenceService/ModelInfer".parse().unwrap();
    call.headers_mut().insert("content-type", "application/grpc".parse().unwrap());
    call.headers_mut().insert("grpc-timeout", "1H".parse().unwrap());
    let mut peer = stage.peer();
    let half = tokio::spawn(async move { drop(GrpcService::call(&mut peer, call).await) });

    let rows = 3000;
    let mut large = request();
    large.inputs[0].shape = vec![rows, 2];
    large.inputs[0].contents = None;
    large.raw_input_contents = vec![vec![0; 8 * rows as usize].into()];
    until(|| async {
        let answered = stage.infer(large.clone()).await;
        answered.is_err_and(|status| {
            assert_eq!(reason(&status).as_deref(), Some("GATEWAY_FULL"), "{status}");
            status.code() == Code::ResourceExhausted && status.message().contains("on their way in")
        })
    })
    .await;
    let ready = stage.client().server_ready(wire::ServerReadyRequest {}).await;
    assert!(ready.unwrap().into_inner().ready);
    stage.infer(request()).await.expect("a small request counts nothing");
    assert!(!half.is_finished());
    half.abort();
    until(|| async { stage.infer(large.clone()).await.is_ok() }).await;
}

#[tokio::test]
async fn models_of_a_folder_are_loaded_and_unloaded_while_it_is_full() {
    let folder = Folder::new();
    for (name, seed) in [("busy", 1), ("idle", 2)] {
        folder.put(&format!("{name}.onnx"), artifact(seed).0);
    }
    let mut config = folder.config();
    config.admission.requests = 1;
    config.infer.run_limit_ms = EVER.as_millis() as u64;
    let engine = FakeEngine::new();
    engine.delay(&artifact(1).1, EVER);
    let load = vec!["busy".to_owned()];
    let repository = Repository { control: Control::Explicit, load, ..folder.repository() };
    let service = folder.serve(&config, repository, engine, Clock::real()).await;
    let mut client = GrpcInferenceServiceClient::new(service.peer("").unwrap());
    let holds = fill(client.clone(), "busy").await;
    let load = wire::RepositoryModelLoadRequest { model_name: "idle".into(), ..Default::default() };
    client.repository_model_load(load).await.unwrap();
    let ready = wire::ModelReadyRequest { name: "idle".into(), version: String::new() };
    assert!(client.model_ready(ready.clone()).await.unwrap().into_inner().ready);
    let unload = wire::RepositoryModelUnloadRequest { model_name: "idle".into(), ..Default::default() };
    client.repository_model_unload(unload).await.unwrap();
    assert!(!client.model_ready(ready).await.unwrap().into_inner().ready);
    assert!(!holds.is_finished(), "it was full all the time");
    holds.abort();
}
