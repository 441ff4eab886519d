use super::stage::{Stage, request, until, with_key};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_key_the_split_is_exact_to_a_request() {
    let stage = Stage::new().await;
    stage.canary(1, 5).await;
    let mut canary = 0_u32;
    for n in 1..=20_000_u32 {
        canary += u32::from(stage.infer(request()).await.unwrap() == "1.1.0");
        let off = (f64::from(canary) - f64::from(n) * 0.05).abs();
        assert!(off < 1.0, "{canary} of {n}");
    }
    assert_eq!(canary, 1000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_a_key_the_share_is_close_and_the_canary_sticks() {
    let stage = Stage::new().await;
    stage.canary(1, 5).await;
    let mut met = Vec::new();
    for n in 0..20_000 {
        let key = format!("user-{n}");
        if stage.infer(with_key(&key)).await.unwrap() == "1.1.0" {
            met.push(key);
        }
    }
    let share = met.len() as f64 / 20_000.0;
    assert!((share - 0.05).abs() < 0.005, "{share}");
    for (sequence, percent) in [(2, 25), (3, 50), (4, 100)] {
        stage.canary(sequence, percent).await;
        for key in met.iter().take(200) {
            assert_eq!(stage.infer(with_key(key)).await.unwrap(), "1.1.0", "{key} at {percent} %");
        }
    }
}

#[tokio::test]
async fn a_first_rollout_serves_the_canarys_share_only() {
    let stage = Stage::new().await;
    stage.publish(1, vec![stage.backend("1.0.0", 1, 25, true)]);
    stage.in_force(1).await;
    let mut refused = 0;
    for _ in 0..400 {
        if let Err(status) = stage.infer(request()).await {
            assert_eq!(status.code(), tonic::Code::Unavailable);
            assert_eq!(runtime::status::reason(&status).as_deref(), Some("NO_STABLE_VERSION"));
            assert!(runtime::status::retry_after(&status).is_some());
            refused += 1;
        }
    }
    assert_eq!(refused, 300);
}

#[tokio::test]
async fn a_version_is_honoured_only_while_it_takes_traffic() {
    let stage = Stage::new().await;
    stage.publish(1, vec![stage.backend("1.0.0", 1, 100, false), stage.backend("1.1.0", 2, 0, true)]);
    stage.in_force(1).await;
    until(|| async { stage.served("1.1.0").await.state == "ready" }).await;
    let asked = |version: &str| {
        let mut request = request();
        request.model_version = version.into();
        stage.infer(request)
    };
    assert_eq!(asked("1.0.0").await.unwrap(), "1.0.0");
    assert_eq!(asked("models/scorer/versions/1.0.0").await.unwrap(), "1.0.0");
    assert_eq!(asked("scorer-v1.0.0").await.unwrap(), "1.0.0");
    assert_eq!(asked("1.1.0").await.unwrap_err().code(), tonic::Code::FailedPrecondition);
    assert_eq!(asked("9.9.9").await.unwrap_err().code(), tonic::Code::NotFound);
}
