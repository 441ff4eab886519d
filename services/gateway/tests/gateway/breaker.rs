use super::stage::{ROLLOUT, Stage, artifact, request, until};
use contracts::registry::v1::RollbackTrigger;

#[tokio::test]
async fn a_failing_canary_is_off_traffic_within_a_few_requests_and_told_once() {
    let mut stage = Stage::new().await;
    stage.peers.told(|told| told.refuse_rollbacks = 2);
    stage.canary(1, 50).await;
    stage.engine.fail_share(&artifact(2).1, 1.0);
    let mut failed = 0;
    for _ in 0..200 {
        failed += u32::from(stage.infer(request()).await.is_err());
    }
    assert!((1..=5).contains(&failed), "{failed} failed");
    let canary = stage.served("1.1.0").await;
    assert_eq!((canary.state.as_str(), canary.traffic_percent), ("tripped", 0));
    assert!(canary.breaker_evidence >= canary.breaker_limit && canary.breaker_limit > 100.0);
    assert_eq!(stage.served("1.0.0").await.traffic_percent, 100);

    until(|| async { stage.peers.told(|told| !told.rollbacks.is_empty()) }).await;
    let told = stage.peers.told(|told| told.rollbacks[0].clone());
    assert_eq!(told.name, ROLLOUT);
    assert_eq!(told.trigger(), RollbackTrigger::ErrorRate);
    assert!(told.detect_time.is_some() && told.off_traffic_time.is_some() && !told.request_id.is_empty());
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
    stage.engine.delay(&artifact(2).1, std::time::Duration::from_secs(60));
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

/// Evidence of good requests is weighed too: a storm after a calm takes longer than one at the start.
#[tokio::test]
async fn a_canary_that_breaks_after_a_calm_is_taken_off_too() {
    let stage = Stage::new().await;
    stage.canary(1, 50).await;
    for _ in 0..100 {
        stage.infer(request()).await.unwrap();
    }
    stage.engine.fail_share(&artifact(2).1, 1.0);
    let mut failed = 0;
    for _ in 0..200 {
        failed += u32::from(stage.infer(request()).await.is_err());
    }
    assert!((1..=20).contains(&failed), "{failed} failed");
    assert_eq!(stage.served("1.1.0").await.state, "tripped");
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
