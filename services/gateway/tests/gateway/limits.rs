//! Limits of callers: kept by one gateway, by two that share a store, and by one whose store is away.

use std::time::{Duration, Instant, SystemTime};

use contracts::inference::ModelInferRequest;
use runtime::Clock;
use runtime::status::{quota_violations, reason, retry_after};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tonic::{Code, Status};

use super::stage::{Stage, request, until};
use super::together::redis;

/// The stores that a gateway may have.
pub fn stores() -> Vec<String> {
    ["memory:".to_owned()].into_iter().chain(redis()).collect()
}

/// A caller that no other test has, so that its budget is nobody else's.
fn somebody() -> String {
    format!("program-{}", uuid::Uuid::new_v4())
}

/// A gateway with that store and those limits; one version in force.
async fn stage(store: &str, principal: &str, limits: serde_json::Value) -> Stage {
    let mut stage = Stage::new().await;
    stage.stop().await;
    stage.clock = Clock::manual(SystemTime::now());
    stage.config.kv.url = store.into();
    stage.config.limits = serde_json::from_value(limits).unwrap();
    stage.principal = principal.into();
    stage.start().await;
    stage.publish(1, vec![stage.backend("1.0.0", 1, 100, false)]);
    stage.in_force(1).await;
    stage
}

fn rows(count: usize) -> ModelInferRequest {
    let mut request = request();
    request.inputs[0].shape = vec![count as i64, 2];
    request.inputs[0].contents.as_mut().unwrap().fp32_contents = vec![0.5; 2 * count];
    request
}

/// The caller's limit, its name and when to come back.
fn refusal(status: &Status, principal: &str) -> (String, Duration) {
    assert_eq!(status.code(), Code::ResourceExhausted, "{status}");
    assert_eq!(reason(status).as_deref(), Some("CALLER_LIMIT"));
    let violations = quota_violations(status);
    let [violation] = &violations[..] else { panic!("one limit: {violations:?}") };
    assert_eq!(violation.subject, format!("caller:{principal}"));
    (violation.quota_id.clone(), retry_after(status).unwrap())
}

fn shown(stage: &Stage) -> String {
    stage.service.as_ref().unwrap().metrics().encode().unwrap()
}

#[tokio::test]
async fn a_caller_has_its_burst_and_is_told_when_to_come_back() {
    for store in stores() {
        let name = somebody();
        let limits = serde_json::json!({"callers": [
            {"principal": name, "limit": {"per_second": 0.01, "burst": 7}},
            {"principal": "somebody else", "limit": {"per_second": 0.01, "burst": 1}},
        ]});
        let stage = stage(&store, &name, limits).await;
        for _ in 0..7 {
            stage.infer(request()).await.unwrap();
        }
        for _ in 0..3 {
            let status = stage.infer(request()).await.unwrap_err();
            let (limit, after) = refusal(&status, &name);
            assert_eq!(limit, "per_second");
            assert!((1..=100).contains(&after.as_secs()), "{after:?}");
            assert!(status.message().contains("0.01 requests a second, 7 at once"), "{status}");
        }
        let metrics = shown(&stage);
        assert!(metrics.contains("wlp_gateway_limited_total{limit=\"per_second\"} 3"), "{metrics}");
        assert!(metrics.contains("wlp_gateway_refused_total{reason=\"limited\"} 3"), "{metrics}");
        assert!(metrics.contains("wlp_gateway_limits_shared 1"), "{metrics}");
        // No fault of anybody but the caller.
        assert_eq!(stage.served("1.0.0").await.requests, 7, "what is refused is not routed");
    }
}

#[tokio::test]
async fn days_count_requests_or_rows_and_begin_anew() {
    for store in stores() {
        let name = somebody();
        let limits = serde_json::json!({"default": {"requests_per_day": 6, "rows_per_day": 10}});
        let stage = stage(&store, &name, limits).await;
        for _ in 0..2 {
            stage.infer(rows(6)).await.unwrap();
            let (limit, after) = refusal(&stage.infer(rows(5)).await.unwrap_err(), &name);
            assert_eq!(limit, "rows_per_day");
            assert!(after <= Duration::from_hours(24));
            stage.infer(rows(4)).await.unwrap();
            let mut bad = request();
            bad.inputs[0].name = "z".into();
            assert_eq!(stage.infer(bad).await.unwrap_err().code(), Code::InvalidArgument, "it costs no row");
            for _ in 0..2 {
                assert_eq!(refusal(&stage.infer(rows(1)).await.unwrap_err(), &name).0, "rows_per_day");
            }
            let (limit, after) = refusal(&stage.infer(rows(1)).await.unwrap_err(), &name);
            assert_eq!(limit, "requests_per_day");
            stage.clock.advance(after);
        }
        assert_eq!(stage.served("1.0.0").await.model_faults, 0);
    }
}

/// Two gateways, one store: together the limit, and no more than one lease of each beyond it.
#[tokio::test]
async fn two_gateways_share_one_budget() {
    for store in stores().into_iter().filter(|store| store.starts_with("redis")) {
        let name = somebody();
        let exact = serde_json::json!({"default": {"requests_per_day": 40}});
        let pair = [stage(&store, &name, exact.clone()).await, stage(&store, &name, exact).await];
        let mut answered = [0, 0];
        for turn in 0..100 {
            answered[turn % 2] += u32::from(pair[turn % 2].infer(request()).await.is_ok());
        }
        // A lease is 5 % of 40: one of the two may hold one that it has no use for.
        assert!(
            answered.iter().all(|of| *of >= 18) && (38..=40).contains(&answered.iter().sum::<u32>()),
            "{answered:?}"
        );

        let name = somebody();
        let fast = serde_json::json!({"default": {"per_second": 200, "burst": 100}});
        let pair = [stage(&store, &name, fast.clone()).await, stage(&store, &name, fast).await];
        let (begun, mut answered) = (Instant::now(), 0);
        for _ in 0..20 {
            let mut calls = JoinSet::new();
            for stage in &pair {
                for _ in 0..20 {
                    let mut client = stage.client();
                    calls.spawn(async move { client.model_infer(request()).await.is_ok() });
                }
            }
            answered += calls.join_all().await.into_iter().filter(|answered| *answered).count();
        }
        let bound = 100.0 + 200.0 * begun.elapsed().as_secs_f64() + 2.0 * 5.0;
        assert!(answered >= 100 && answered as f64 <= bound, "{answered} of {bound}");
    }
}

#[tokio::test]
async fn without_its_store_a_gateway_keeps_limits_by_itself() {
    let name = somebody();
    let limits = serde_json::json!({"default": {"per_second": 0.01, "burst": 7}});
    let stage = stage("redis://127.0.0.1:1/", &name, limits).await;
    let mut answered = 0;
    for _ in 0..20 {
        answered += u32::from(stage.infer(request()).await.is_ok());
    }
    assert_eq!(answered, 7);
    let metrics = shown(&stage);
    assert!(metrics.contains("wlp_gateway_limits_shared 0"), "{metrics}");
    assert!(!metrics.contains("wlp_gateway_limits_alone_total 0"), "{metrics}");
}

/// What a gateway had of a day before its store went away is not given a second time.
#[tokio::test]
async fn a_day_goes_on_when_the_store_goes_away_and_is_shared_again_when_it_is_back() {
    for store in stores().into_iter().filter(|store| store.starts_with("redis")) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let real = store.trim_start_matches("redis://").trim_end_matches('/').to_owned();
        let line = |listener: TcpListener| {
            let real = real.clone();
            tokio::spawn(async move {
                let mut open = JoinSet::new();
                loop {
                    let (mut near, _) = listener.accept().await.unwrap();
                    let mut far = TcpStream::connect(&real).await.unwrap();
                    open.spawn(async move { copy_bidirectional(&mut near, &mut far).await });
                }
            })
        };
        let cut = line(listener);
        let name = somebody();
        let limits = serde_json::json!({"default": {"requests_per_day": 12}});
        let stage = stage(&format!("redis://{address}/"), &name, limits).await;
        for _ in 0..5 {
            stage.infer(request()).await.unwrap();
        }
        assert!(shown(&stage).contains("wlp_gateway_limits_shared 1"));
        cut.abort();
        assert!(cut.await.unwrap_err().is_cancelled());
        for _ in 5..12 {
            stage.infer(request()).await.unwrap();
        }
        assert_eq!(refusal(&stage.infer(request()).await.unwrap_err(), &name).0, "requests_per_day");
        assert!(shown(&stage).contains("wlp_gateway_limits_shared 0"));
        let back = line(TcpListener::bind(address).await.unwrap());
        stage.clock.advance(Duration::from_hours(24));
        until(|| async {
            let _limited = stage.infer(request()).await;
            shown(&stage).contains("wlp_gateway_limits_shared 1")
        })
        .await;
        back.abort();
    }
}
