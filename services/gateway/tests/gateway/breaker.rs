use super::stage::{ROLLOUT, Stage, artifact, request, until};
use contracts::registry::v1::{RollBackRequest, RollbackTrigger};
use contracts::time::from_wire;
use std::time::SystemTime;

/// From when until when a request was under way.
type Span = (SystemTime, SystemTime);

/// Detected while the first request failed, off traffic while the last one did: by stamps taken on the callers' side.
fn lasted(told: &RollBackRequest, first: Span, last: Span) {
    let time = |time: &Option<prost_types::Timestamp>| time.as_ref().and_then(from_wire).unwrap();
    let (detected, off) = (time(&told.detect_time), time(&told.off_traffic_time));
    assert!(first.0 <= detected && detected <= first.1, "{first:?}: {detected:?}");
    assert!(last.0 <= off && off <= last.1, "{last:?}: {off:?}");
    assert!(detected < off, "requests failed in between");
}

#[tokio::test]
async fn a_failing_canary_is_off_traffic_within_a_few_requests_and_told_once() {
    let mut stage = Stage::new().await;
    stage.peers.told(|told| told.refuse_rollbacks = 2);
    stage.canary(1, 50).await;
    stage.engine.fail_share(&artifact(2).1, 1.0);
    let mut failures: Vec<Span> = Vec::new();
    for _ in 0..200 {
        let sent = stage.clock.now();
        if stage.infer(request()).await.is_err() {
            failures.push((sent, stage.clock.now()));
        }
    }
    let failed = failures.len();
    assert!((2..=5).contains(&failed), "{failed} failed");
    let canary = stage.served("1.1.0").await;
    assert_eq!((canary.state.as_str(), canary.traffic_percent), ("tripped", 0));
    assert!(canary.breaker_evidence >= canary.breaker_limit && canary.breaker_limit > 100.0);
    assert_eq!(stage.served("1.0.0").await.traffic_percent, 100);

    until(|| async { stage.peers.told(|told| !told.rollbacks.is_empty()) }).await;
    let told = stage.peers.told(|told| told.rollbacks[0].clone());
    assert_eq!(told.name, ROLLOUT);
    assert_eq!(told.trigger(), RollbackTrigger::ErrorRate);
    assert!(told.detect_time.is_some() && told.off_traffic_time.is_some() && !told.request_id.is_empty());
    lasted(&told, failures[0], failures[failed - 1]);
    assert_eq!(told.findings[0].clause, "§8.3");

    // A restart remembers both that the canary is off and that the registry knows.
    stage.stop().await;
    stage.engine.fail_share(&artifact(2).1, 0.0);
    stage.start().await;
    stage.in_force(1).await;
    for _ in 0..50 {
        assert_eq!(stage.infer(request()).await.unwrap(), "1.0.0");
    }
    assert_eq!(stage.peers.told(|told| told.rollbacks.len()), 1);
}

#[tokio::test]
async fn a_rollback_that_nobody_acknowledged_is_told_after_a_restart() {
    let mut stage = Stage::new().await;
    stage.canary(1, 50).await;
    stage.engine.fail_share(&artifact(2).1, 1.0);
    stage.peers.told(|told| told.down = true);
    for _ in 0..50 {
        let _ = stage.infer(request()).await;
    }
    assert_eq!(stage.served("1.1.0").await.state, "tripped");
    stage.stop().await;
    stage.start().await;
    stage.peers.told(|told| told.down = false);
    until(|| async { stage.peers.told(|told| told.rollbacks.len() == 1) }).await;
}

#[tokio::test]
async fn ten_thousand_faults_of_clients_trip_nothing() {
    let stage = Stage::new().await;
    stage.canary(1, 50).await;
    for n in 0..10_000 {
        let mut bad = request();
        match n % 3 {
            0 => bad.inputs[0].shape = vec![1, 3],
            1 => bad.inputs[0].name = "nothing".into(),
            _ => bad.inputs[0].datatype = "FP64".into(),
        }
        assert_eq!(stage.infer(bad).await.unwrap_err().code(), tonic::Code::InvalidArgument);
    }
    let canary = stage.served("1.1.0").await;
    assert_eq!((canary.state.as_str(), canary.traffic_percent, canary.model_faults), ("ready", 50, 0));
    assert!((canary.breaker_evidence - 1.0).abs() < 1e-9);
}

#[tokio::test]
async fn a_clients_deadline_is_not_the_models_fault_and_our_own_limit_is() {
    let mut stage = Stage::new().await;
    stage.canary(1, 50).await;
    stage.engine.delay(&artifact(2).1, std::time::Duration::from_mins(1));
    for _ in 0..40 {
        let mut slow = tonic::Request::new(request());
        slow.set_timeout(std::time::Duration::from_millis(10));
        let _ = stage.client().model_infer(slow).await;
    }
    assert_eq!(stage.served("1.1.0").await.state, "ready");

    stage.stop().await;
    stage.config.infer.run_limit_ms = 20;
    stage.start().await;
    stage.in_force(1).await;
    for _ in 0..40 {
        let _ = stage.infer(request()).await;
    }
    assert_eq!(stage.served("1.1.0").await.state, "tripped");
}

async fn failed_of(stage: &Stage, requests: u32) -> u32 {
    let mut failed = 0;
    for _ in 0..requests {
        failed += u32::from(stage.infer(request()).await.is_err());
    }
    failed
}

#[tokio::test]
async fn a_canary_that_breaks_after_a_calm_is_off_as_soon() {
    for (percent, calm) in [(50, 100), (25, 2_000), (5, 4_000)] {
        let mut stage = Stage::new().await;
        stage.canary(1, percent).await;
        assert_eq!(failed_of(&stage, calm / 2).await, 0);
        // A restart in the middle of the calm changes nothing.
        stage.stop().await;
        stage.start().await;
        stage.in_force(1).await;
        assert_eq!(failed_of(&stage, calm / 2).await, 0);
        stage.engine.fail_share(&artifact(2).1, 1.0);
        let failed = failed_of(&stage, 400).await;
        assert!((1..=5).contains(&failed), "{failed} failed at {percent} % after {calm}");
        assert_eq!(stage.served("1.1.0").await.state, "tripped");
    }
}

#[tokio::test]
async fn an_answer_of_nan_is_the_models_fault() {
    let stage = Stage::new().await;
    stage.canary(1, 50).await;
    let nan = engine::fake::Behaviour {
        outputs: Some(std::sync::Arc::new(|_, _| {
            Ok(vec![
                engine::Tensor::of("label", vec![1], &[0_i64]).unwrap(),
                engine::Tensor::of("scores", vec![1, 3], &[0.0, f32::NAN, f32::NEG_INFINITY]).unwrap(),
            ])
        })),
        ..Default::default()
    };
    stage.engine.set(artifact(2).1, nan);
    let failed = failed_of(&stage, 50).await;
    assert!((1..=5).contains(&failed), "{failed} failed");
    assert_eq!(stage.served("1.1.0").await.state, "tripped");
}

/// Three rollbacks that the registry never takes keep a fourth from nothing.
#[tokio::test]
async fn a_rollback_that_is_not_taken_holds_up_no_other() {
    let stage = Stage::new().await;
    let names = ["a", "b", "c", "d"];
    let rollout = |name: &str| format!("deployments/{name}/rollouts/first");
    stage.peers.told(|told| told.forbidden_rollbacks = names[..3].iter().map(|name| rollout(name)).collect());
    let route = |name: &str| contracts::registry::v1::Route {
        endpoint: name.into(),
        deployment: format!("deployments/{name}"),
        backends: vec![stage.backend("1.0.0", 1, 50, false), stage.backend("1.1.0", 2, 50, true)],
        rollout: rollout(name),
        ..Default::default()
    };
    let routes = names.iter().map(|name| route(name)).collect();
    stage.peers.publish(&contracts::registry::v1::Routes { sequence: 1, routes, ..Default::default() });
    stage.in_force(1).await;
    stage.engine.fail_share(&artifact(2).1, 1.0);
    for name in names {
        for _ in 0..20 {
            let mut request = request();
            request.model_name = name.into();
            let _ = stage.infer(request).await;
        }
    }
    until(|| async {
        stage.peers.told(|told| told.rollbacks.iter().any(|taken| taken.name == rollout("d")))
    })
    .await;
}

#[tokio::test]
async fn without_its_key_value_store_it_starts_and_judges() {
    let mut stage = Stage::new().await;
    stage.stop().await;
    stage.config.kv.url = "redis://127.0.0.1:1/".into();
    stage.start().await;
    stage.canary(1, 50).await;
    stage.engine.fail_share(&artifact(2).1, 1.0);
    assert!((1..=5).contains(&failed_of(&stage, 50).await));
}

#[tokio::test]
async fn a_healthy_canary_stays() {
    let stage = Stage::new().await;
    stage.canary(1, 50).await;
    stage.engine.fail_share(&artifact(2).1, 0.005);
    for _ in 0..4_000 {
        let _ = stage.infer(request()).await;
    }
    assert_eq!(stage.served("1.1.0").await.state, "ready");
}
