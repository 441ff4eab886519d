//! How soon a canary that breaks is off traffic, on the gateway's own clock, and what is no reason to take it off.

use std::time::{Duration, SystemTime};

use contracts::registry::v1::RollBackRequest;
use contracts::time::from_wire;
use futures::{StreamExt, stream};
use runtime::Clock;
use tonic::Code;

use super::stage::{Stage, artifact, request, until};

/// A gateway whose clock stands still between the requests.
async fn stage() -> Stage {
    let mut stage = Stage::new().await;
    stage.stop().await;
    stage.clock = Clock::manual(SystemTime::now());
    stage.start().await;
    stage
}

/// Serves requests at such a pace that the canary gets ten a second; how many failed.
async fn serve(stage: &Stage, percent: u32, requests: u32) -> usize {
    let mut failed = 0;
    for _ in 0..requests {
        stage.clock.advance(Duration::from_millis(u64::from(percent)));
        failed += usize::from(stage.infer(request()).await.is_err());
    }
    failed
}

/// The canary climbs by `steps` of (percent, its good requests), then fails `rate` of its requests. Gives how many failed
/// and how long it was on traffic since the first of them, as the registry was told.
async fn breaks_after(steps: &[(u32, u32)], rate: f64) -> (usize, Duration) {
    let stage = stage().await;
    let mut last = 0;
    for (sequence, (percent, good)) in (1..).zip(steps) {
        stage.canary(sequence, *percent).await;
        assert_eq!(serve(&stage, *percent, good * 100 / percent).await, 0);
        last = *percent;
    }
    stage.engine.fail_share(&artifact(2).1, rate);
    let failed = serve(&stage, last, 40 * 100 / last).await;
    until(|| async { stage.peers.told(|told| !told.rollbacks.is_empty()) }).await;
    let told: RollBackRequest = stage.peers.told(|told| told.rollbacks[0].clone());
    let time = |time: &Option<prost_types::Timestamp>| time.as_ref().and_then(from_wire).unwrap();
    let took = time(&told.off_traffic_time).duration_since(time(&told.detect_time)).unwrap();
    assert_eq!(stage.served("1.1.0").await.traffic_percent, 0);
    (failed, took)
}

/// From the start, after 2,000 good requests, and as the share grows.
const HISTORIES: [&[(u32, u32)]; 4] =
    [&[(5, 0)], &[(5, 200), (50, 2_000)], &[(5, 200), (25, 0)], &[(5, 100)]];

#[tokio::test]
async fn a_storm_is_off_within_half_a_second_and_five_requests() {
    for steps in HISTORIES {
        let (failed, took) = breaks_after(steps, 1.0).await;
        assert!(
            (2..=5).contains(&failed) && took <= Duration::from_millis(500),
            "{steps:?}: {failed}, {took:?}"
        );
    }
}

#[tokio::test]
async fn where_three_of_ten_fail_it_is_off_within_three_seconds() {
    for steps in HISTORIES {
        let (failed, took) = breaks_after(steps, 0.3).await;
        assert!(
            (3..=10).contains(&failed) && took <= Duration::from_secs(3),
            "{steps:?}: {failed}, {took:?}"
        );
    }
}

/// A request that only the canary can answer.
fn at_the_canary() -> contracts::inference::ModelInferRequest {
    let mut request = request();
    request.model_version = "1.1.0".into();
    request
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_requests_that_clients_spoil_at_the_canary_are_no_evidence() {
    let stage = Stage::new().await;
    stage.canary(1, 50).await;
    stage.engine.delay(&artifact(2).1, Duration::from_mins(1));
    let spoilt = |n: u32| {
        let mut client = stage.client();
        async move {
            let mut call = tonic::Request::new(at_the_canary());
            match n % 4 {
                0 => call.get_mut().inputs[0].shape = vec![1, 3],
                1 => call.get_mut().inputs[0].datatype = "FP64".into(),
                2 => call.set_timeout(Duration::from_millis(5)),
                // Its caller goes away while the model has it.
                _ => {
                    let gone = tokio::time::timeout(Duration::from_millis(5), client.model_infer(call)).await;
                    assert!(gone.is_err(), "it was answered: {gone:?}");
                    return;
                }
            }
            let code = client.model_infer(call).await.unwrap_err().code();
            assert_eq!(code, if n % 4 < 2 { Code::InvalidArgument } else { Code::DeadlineExceeded });
        }
    };
    stream::iter(0..10_000).map(spoilt).buffer_unordered(32).collect::<Vec<()>>().await;
    let canary = stage.served("1.1.0").await;
    assert_eq!((canary.state.as_str(), canary.traffic_percent, canary.model_faults), ("ready", 50, 0));
    assert!((canary.breaker_evidence - 1.0).abs() < 1e-9, "{}", canary.breaker_evidence);
    assert!(canary.requests > 0, "they were the canary's");

    // And it is the same canary that a few faults of its own take off.
    stage.engine.delay(&artifact(2).1, Duration::ZERO);
    stage.engine.fail_share(&artifact(2).1, 1.0);
    let mut failed = 0;
    for _ in 0..50 {
        failed += u32::from(stage.infer(request()).await.is_err());
    }
    assert!((2..=5).contains(&failed), "{failed} failed");
    assert_eq!(stage.served("1.1.0").await.state, "tripped");
}
