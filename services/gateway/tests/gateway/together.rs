//! Several gateways judge one canary, through Redis.

use contracts::registry::v1::{Route, Routes};

use super::stage::{Stage, artifact, request, until};

/// Its address; without one the tests on it say so, and with `CI=true` fail.
pub fn redis() -> Option<String> {
    match std::env::var("WLP_TEST_REDIS_URL") {
        Ok(url) => Some(url),
        Err(_) if std::env::var("CI").is_ok_and(|ci| ci == "true") => panic!("WLP_TEST_REDIS_URL is not set"),
        Err(_) => {
            eprintln!("skipped: WLP_TEST_REDIS_URL is not set");
            None
        }
    }
}

/// A gateway on that store, with a canary at half of the traffic in that rollout.
async fn gateway(url: &str, rollout: &str) -> Stage {
    let mut stage = Stage::new().await;
    stage.stop().await;
    stage.config.kv.url = url.into();
    stage.start().await;
    let route = Route {
        endpoint: "scorer".into(),
        deployment: "deployments/scorer".into(),
        backends: vec![stage.backend("1.0.0", 1, 50, false), stage.backend("1.1.0", 2, 50, true)],
        rollout: rollout.into(),
        ..Route::default()
    };
    stage.peers.publish(&Routes { sequence: 1, routes: vec![route], ..Routes::default() });
    stage.in_force(1).await;
    stage.engine.fail_share(&artifact(2).1, 1.0);
    stage
}

/// Sends requests until so many have failed.
async fn fail(stage: &Stage, times: usize) {
    let mut failed = 0;
    for _ in 0..4 * times {
        failed += usize::from(failed < times && stage.infer(request()).await.is_err());
    }
    assert_eq!(failed, times);
}

#[tokio::test]
async fn two_gateways_trip_together_by_faults_that_neither_saw_alone() {
    let Some(url) = redis() else { return };
    let rollout = format!("deployments/scorer/rollouts/{}", uuid::Uuid::new_v4());
    let (one, other) = (gateway(&url, &rollout).await, gateway(&url, &rollout).await);
    fail(&one, 2).await;
    assert_eq!(one.served("1.1.0").await.state, "ready", "two faults are not enough");
    fail(&other, 2).await;
    for stage in [&one, &other] {
        until(|| async { stage.served("1.1.0").await.state == "tripped" }).await;
        let canary = stage.served("1.1.0").await;
        assert_eq!((canary.model_faults, canary.traffic_percent), (2, 0));
        until(|| async { stage.peers.told(|told| told.rollbacks.iter().any(|told| told.name == rollout)) })
            .await;
        assert_eq!(stage.infer(request()).await.unwrap(), "1.0.0");
    }
}

/// One that starts later, or anew with an empty disk, hears at once that the canary is off.
#[tokio::test]
async fn a_gateway_that_comes_later_takes_the_canary_off_too() {
    let Some(url) = redis() else { return };
    let rollout = format!("deployments/scorer/rollouts/{}", uuid::Uuid::new_v4());
    let one = gateway(&url, &rollout).await;
    fail(&one, 4).await;
    until(|| async { one.served("1.1.0").await.state == "tripped" }).await;
    let later = gateway(&url, &rollout).await;
    until(|| async { later.served("1.1.0").await.state == "tripped" }).await;
    assert_eq!(later.served("1.1.0").await.model_faults, 0);
}
