//! A version in the shadow: what it is given, what is seen of it, and that no caller notices.

use std::time::Duration;

use contracts::gateway::v1::serving_service_client::ServingServiceClient;
use contracts::gateway::v1::{ListShadowsRequest, ShadowComparison};
use contracts::registry::v1::{Backend, Route, Routes, Shadow};
use engine::fake::Behaviour;
use engine::{EngineError, Tensor};

use super::stage::{Stage, artifact, request, until};

const NEXT: &str = "deployments/scorer/rollouts/next";

/// Stable 1.0.0 with 1.1.0, which has passed no gate, in its shadow at that share.
fn route(stage: &Stage, percent: u32) -> Route {
    let staged = stage.backend("1.1.0", 2, 0, false);
    let shadow = Shadow {
        backend: Some(Backend { gate_decisions: Vec::new(), ..staged }),
        percent,
        rollout: NEXT.into(),
    };
    Route {
        endpoint: "scorer".into(),
        deployment: "deployments/scorer".into(),
        backends: vec![stage.backend("1.0.0", 1, 100, false)],
        shadow: Some(shadow),
        ..Route::default()
    }
}

async fn shadows(stage: &Stage) -> Vec<ShadowComparison> {
    let mut client = ServingServiceClient::new(stage.peer());
    client.list_shadows(ListShadowsRequest::default()).await.unwrap().into_inner().shadows
}

async fn shadow(stage: &Stage) -> ShadowComparison {
    shadows(stage).await.into_iter().next().unwrap_or_default()
}

/// Publishes the route and waits until copies are taken.
async fn shadowed(stage: &Stage, sequence: u64, percent: u32) {
    stage.peers.publish(&Routes { sequence, routes: vec![route(stage, percent)], ..Routes::default() });
    stage.in_force(sequence).await;
    until(|| async { shadow(stage).await.state == "ready" }).await;
}

async fn ask(stage: &Stage, times: usize) {
    for _ in 0..times {
        assert_eq!(stage.infer(request()).await.unwrap(), "1.0.0", "only production answers");
    }
}

/// Every row gets that label and those scores.
fn says(label: i64, scores: [f32; 3]) -> Behaviour {
    let bad = |error: engine::TensorError| EngineError::ModelFault(error.to_string());
    Behaviour {
        outputs: Some(std::sync::Arc::new(move |_, _| {
            Ok(vec![
                Tensor::of("label", vec![1], &[label]).map_err(bad)?,
                Tensor::of("scores", vec![1, 3], &scores).map_err(bad)?,
            ])
        })),
        ..Behaviour::default()
    }
}

/// A manual look until every copy has come to its end.
async fn ended(stage: &Stage, copies: u64) -> ShadowComparison {
    let done = |one: &ShadowComparison| {
        one.compared + one.model_faults + one.host_faults + one.incompatible + one.dropped
    };
    until(|| async { done(&shadow(stage).await) == copies }).await;
    shadow(stage).await
}

#[tokio::test]
async fn an_exact_share_is_copied_and_every_output_compared() {
    let stage = Stage::new().await;
    stage.engine.set(artifact(1).1, says(1, [0.25, 0.75, 0.0]));
    stage.engine.set(artifact(2).1, says(1, [0.25, 0.5, 0.25]));
    shadowed(&stage, 1, 25).await;
    ask(&stage, 200).await;
    let seen = ended(&stage, 50).await;
    assert_eq!((seen.compared, seen.model_faults, seen.dropped), (50, 0, 0));
    assert_eq!((seen.version.as_str(), seen.rollout.as_str()), ("models/scorer/versions/1.1.0", NEXT));
    assert_eq!((seen.percent, seen.artifact_digest.as_str()), (25, artifact(2).1.as_str()));
    let output = |name: &str| seen.outputs.iter().find(|one| one.output == name).unwrap();
    let label = output("label");
    assert_eq!((label.requests, label.equal_requests, label.elements), (50, 50, 50));
    assert_eq!((label.equal_share, label.label_agreement), (Some(1.0), Some(1.0)));
    let scores = output("scores");
    assert_eq!((scores.equal_requests, scores.elements, scores.equal_elements), (0, 150, 50));
    assert_eq!((scores.max_difference, scores.label_agreement), (Some(0.25), Some(1.0)));
    assert!((scores.mean_difference.unwrap() - 0.5 / 3.0).abs() < 1e-9, "{scores:?}");
    let (production, shadow) = (seen.production.unwrap(), seen.shadow.unwrap());
    assert_eq!((production.requests, shadow.requests), (50, 50));
    assert!(production.p50_ms.unwrap() >= 0.0 && shadow.p99_ms.unwrap() >= shadow.p50_ms.unwrap());
}

#[tokio::test]
async fn labels_that_differ_are_counted() {
    let stage = Stage::new().await;
    stage.engine.set(artifact(1).1, says(1, [0.1, 0.8, 0.1]));
    stage.engine.set(artifact(2).1, says(2, [0.1, 0.1, 0.8]));
    shadowed(&stage, 1, 100).await;
    ask(&stage, 10).await;
    let seen = ended(&stage, 10).await;
    for output in &seen.outputs {
        assert_eq!((output.labels, output.label_agreement), (10, Some(0.0)), "{output:?}");
    }
}

#[tokio::test]
async fn faults_of_the_shadow_reach_no_caller_no_breaker_and_no_count_of_production() {
    let stage = Stage::new().await;
    shadowed(&stage, 1, 100).await;
    stage.engine.fail_share(&artifact(2).1, 1.0);
    ask(&stage, 100).await;
    let seen = ended(&stage, 100).await;
    assert_eq!((seen.model_faults, seen.compared), (100, 0));
    let listed = stage.list().await.backends;
    assert_eq!(listed.len(), 1, "a shadow is no backend: {listed:?}");
    assert_eq!((listed[0].requests, listed[0].model_faults), (100, 0));
    assert!(stage.peers.told(|told| told.rollbacks.is_empty()));
    let mut named = request();
    named.model_version = "1.1.0".into();
    assert_eq!(stage.infer(named).await.unwrap_err().code(), tonic::Code::NotFound, "nobody can ask it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_shadow_drops_copies_and_makes_nobody_wait() {
    let mut stage = Stage::new().await;
    stage.stop().await;
    stage.config.shadow.queue = 4;
    stage.start().await;
    shadowed(&stage, 1, 100).await;
    // Longer than the test: one copy runs, four wait, and every caller after them finds the queue full.
    stage.engine.delay(&artifact(2).1, Duration::from_secs(9));
    ask(&stage, 50).await;
    let seen = shadow(&stage).await;
    assert_eq!(seen.compared, 0);
    assert!((45..=46).contains(&seen.dropped), "{seen:?}");
}

#[tokio::test]
async fn the_bytes_that_wait_are_bounded() {
    let mut stage = Stage::new().await;
    stage.stop().await;
    stage.config.shadow.bytes = 1024;
    stage.start().await;
    shadowed(&stage, 1, 100).await;
    stage.engine.delay(&artifact(2).1, Duration::from_secs(9));
    // Each takes a unit of 1 KiB, which is all that there is.
    ask(&stage, 10).await;
    assert_eq!(shadow(&stage).await.dropped, 9);
}

#[tokio::test]
async fn another_share_goes_on_another_version_begins_anew_and_an_end_ends() {
    let stage = Stage::new().await;
    shadowed(&stage, 1, 100).await;
    ask(&stage, 4).await;
    ended(&stage, 4).await;
    stage.peers.publish(&Routes { sequence: 2, routes: vec![route(&stage, 50)], ..Routes::default() });
    stage.in_force(2).await;
    ask(&stage, 8).await;
    assert_eq!(ended(&stage, 8).await.percent, 50);

    let mut without = route(&stage, 50);
    let other = without.shadow.take().unwrap();
    stage.peers.publish(&Routes { sequence: 3, routes: vec![without.clone()], ..Routes::default() });
    stage.in_force(3).await;
    until(|| async { shadow(&stage).await.state == "ended" }).await;
    ask(&stage, 4).await;
    assert_eq!(shadow(&stage).await.compared, 8, "what was seen stays, and nothing is added");

    let backend = Backend { gate_decisions: Vec::new(), ..stage.backend("1.2.0", 3, 0, false) };
    without.shadow = Some(Shadow { backend: Some(backend), ..other });
    stage.peers.publish(&Routes { sequence: 4, routes: vec![without], ..Routes::default() });
    until(|| async { shadow(&stage).await.state == "ready" }).await;
    let seen = shadow(&stage).await;
    assert_eq!((seen.version.as_str(), seen.compared), ("models/scorer/versions/1.2.0", 0));
}

#[tokio::test]
async fn a_revoked_version_gets_no_copies() {
    let stage = Stage::new().await;
    let revoked_digests = vec![artifact(2).1];
    stage.peers.publish(&Routes {
        sequence: 1,
        routes: vec![route(&stage, 100)],
        revoked_digests,
        ..Routes::default()
    });
    stage.in_force(1).await;
    until(|| async { shadow(&stage).await.state == "failed" }).await;
    let seen = shadow(&stage).await;
    assert!(seen.error.contains("revoked"), "{seen:?}");
    ask(&stage, 5).await;
    assert_eq!(shadow(&stage).await.compared, 0);
}
