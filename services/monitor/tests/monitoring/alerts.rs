use contracts::monitor::v1::*;

use super::registry::VERSION;
use super::world::{World, second};

/// §9.1, reading 2: the threshold itself raises nothing; the next larger value does.
#[tokio::test]
async fn each_rule_fires_beyond_its_threshold_and_not_on_it() {
    let world = World::new().await;
    world.serve(1, 1_000, 10).await;
    assert!(world.rules().await.is_empty(), "1 % errors");
    world.serve(1, 1_000, 11).await;
    assert_eq!(world.rules().await, ["error_rate"]);

    let world = World::new().await;
    world.label(100, 50).await;
    assert!(world.rules().await.is_empty(), "90 % accuracy, 5 % hallucinated");
    world.label(101, 51).await;
    assert_eq!(world.rules().await, ["accuracy", "hallucination"]);

    let world = World::new().await;
    let groups = |favourable| {
        let group = |group: &str, favourable| GroupOutcome { group: group.into(), rows: 1_000, favourable };
        vec![group("sex=a", 500), group("sex=b", favourable)]
    };
    for (favourable, fires) in [(401, false), (399, true)] {
        world
            .send(vec![VersionObservation {
                groups: groups(favourable),
                ..second(world.clock.now(), 2_000, 0, 5.0)
            }])
            .await;
        world.pass(60);
        assert_eq!(!world.rules().await.is_empty(), fires, "disparity with {favourable}");
    }

    let world = World::new().await;
    for (milliseconds, fires) in [(1_950.0, false), (2_100.0, true)] {
        world.send(vec![second(world.clock.now(), 200, 0, milliseconds)]).await;
        world.pass(60);
        assert_eq!(world.rules().await.contains(&"latency_p95".to_owned()), fires, "{milliseconds} ms");
    }
}

/// Reading 4: fewer than a hundred requests say nothing, so windows are joined until there are as many.
#[tokio::test]
async fn few_requests_are_judged_together_with_those_that_follow() {
    let world = World::new().await;
    world.serve(1, 99, 99).await;
    assert!(world.rules().await.is_empty(), "99 requests");
    world.pass(600);
    assert!(world.rules().await.is_empty(), "silence adds none");
    world.serve(1, 1, 0).await;
    assert_eq!(world.rules().await, ["error_rate"]);
    assert_eq!(world.open().await[0].measurements[0].sample_size, 100);

    // Two requests a minute, one in twenty-five of them fails: the hour shows it.
    let world = World::new().await;
    for minute in 0..60 {
        world.serve(1, 2, u64::from(minute % 12 == 0)).await;
        if minute < 49 {
            assert!(world.rules().await.is_empty(), "minute {minute}");
        }
    }
    assert_eq!(world.rules().await, ["error_rate"]);
}

/// One row against a thousand is no disparity (§9.1, minimum group size).
#[tokio::test]
async fn a_small_group_makes_no_disparity() {
    let world = World::new().await;
    let group = |group: &str, rows, favourable| GroupOutcome { group: group.into(), rows, favourable };
    for (rows, fires) in [(1, false), (98, false), (1, true)] {
        let groups = vec![group("sex=a", 1_000, 500), group("sex=b", rows, 0)];
        let one = VersionObservation { groups, ..second(world.clock.now(), 1_000, 0, 5.0) };
        world.send(vec![one]).await;
        world.pass(60);
        assert_eq!(!world.rules().await.is_empty(), fires, "{rows} more rows");
    }
    assert_eq!(world.open().await[0].measurements[0].sample_size, 100);
}

/// A registry that is away, and a version that it has to be asked about, keep no other rule from being judged.
#[tokio::test]
async fn what_needs_the_registry_does_not_hold_up_the_rest() {
    let world = World::new().await;
    world.serve(1, 200, 50).await;
    let mut client = observation_service_client::ObservationServiceClient::new(world.peer("client"));
    let label = Label {
        deployment: "credit".into(),
        version: VERSION.into(),
        prediction: "yes".into(),
        label: "no".into(),
        group: "sex=a".into(),
        ..Default::default()
    };
    let request = ReportLabelsRequest { labels: vec![label; 200], request_id: String::new() };
    client.report_labels(request).await.unwrap();
    let reading = ReportResourcesRequest { host: "gpu-0".into(), oom_events: 1, ..Default::default() };
    world.observations().report_resources(reading).await.unwrap();
    world.pass(60);
    world.registry.down.store(true, std::sync::atomic::Ordering::SeqCst);
    let mut rules = world.rules().await;
    rules.sort();
    assert_eq!(rules, ["accuracy", "error_rate", "oom"]);
}

#[tokio::test]
async fn a_reading_that_comes_again_counts_once() {
    let world = World::new().await;
    let reading = |oom_events| ReportResourcesRequest {
        host: "gpu-0".into(),
        oom_events,
        request_id: "r1".into(),
        ..Default::default()
    };
    for _ in 0..2 {
        world.observations().report_resources(reading(1)).await.unwrap();
    }
    let other = world.observations().report_resources(reading(2)).await.unwrap_err();
    assert_eq!(other.code(), tonic::Code::AlreadyExists);
    world.pass(60);
    assert_eq!(world.rules().await, ["oom"]);
    let seen = &world.open().await[0].measurements[0];
    assert!((seen.value - 1.0).abs() < 1e-12 && seen.sample_size == 1, "{seen:?}");
}

#[tokio::test]
async fn a_host_out_of_memory_or_busy_raises_an_alert() {
    let world = World::new().await;
    let reading = |gpu, oom| ReportResourcesRequest {
        host: "gpu-0".into(),
        gpu_utilisation: Some(gpu),
        memory_utilisation: Some(0.5),
        oom_events: oom,
        ..Default::default()
    };
    world.observations().report_resources(reading(0.9, 0)).await.unwrap();
    world.pass(60);
    assert!(world.rules().await.is_empty());
    world.observations().report_resources(reading(0.91, 1)).await.unwrap();
    world.pass(60);
    let mut rules = world.rules().await;
    rules.sort();
    assert_eq!(rules, ["gpu_utilisation", "oom"]);
    assert_eq!(world.open().await[0].host, "gpu-0");
}

/// 20 % fewer than the same hour of last week is no drop of more than 20 %; silence is.
#[tokio::test]
async fn volume_is_compared_with_the_same_hour_of_earlier_weeks() {
    let world = World::new().await;
    world.deployed();
    world.serve(180, 10, 0).await; // three hours with 600 requests each
    assert!(world.rules().await.is_empty());
    world.pass(7 * 86_400 - 3 * 3_600);
    world.serve(60, 8, 0).await;
    assert!(world.rules().await.is_empty(), "480 of 600 are exactly 20 % fewer");
    world.serve(60, 7, 0).await;
    assert_eq!(world.rules().await, ["volume_drop"]);
    world.pass(3_600); // nobody calls any more
    assert_eq!(world.rules().await, ["volume_drop"]);
    // The registry's word of yesterday is good enough while it is away; a deployment that is gone loses no volume.
    world.registry.down.store(true, std::sync::atomic::Ordering::SeqCst);
    world.pass(3_600);
    assert_eq!(world.rules().await, ["volume_drop"]);
    world.registry.down.store(false, std::sync::atomic::Ordering::SeqCst);
    world.registry.state.lock().unwrap().deployments[0].stable_version.clear();
    let name = world.open().await.remove(0).name;
    world.pass(3_600);
    assert!(world.rules().await.is_empty());
    let closed = world.alerts().get_alert(GetAlertRequest { name }).await.unwrap().into_inner();
    assert_eq!(closed.close_reason, "the deployment serves no version any more");
}

#[tokio::test]
async fn an_alert_is_acknowledged_and_closes_after_quiet_windows() {
    let world = World::new().await;
    world.serve(1, 1_000, 30).await;
    assert_eq!(world.rules().await, ["error_rate"]);
    let alert = world.open().await.remove(0);
    let request =
        AcknowledgeAlertRequest { name: alert.name.clone(), etag: alert.etag, ..Default::default() };
    let known = world.alerts().acknowledge_alert(request.clone()).await.unwrap().into_inner();
    assert_eq!(
        (known.state(), known.acknowledged_by.as_str()),
        (alert::State::Acknowledged, "ml-ops-engineer")
    );
    let stale = world.alerts().acknowledge_alert(request).await.unwrap_err();
    assert_eq!(stale.code(), tonic::Code::Aborted);
    world.pass(3_600); // silence is not health
    assert_eq!(world.rules().await.len(), 1);
    world.serve(2, 1_000, 0).await;
    assert_eq!(world.rules().await.len(), 1, "two quiet windows");
    world.serve(1, 1_000, 0).await;
    assert!(world.rules().await.is_empty(), "three quiet windows");
    world.serve(1, 1_000, 30).await;
    assert_eq!(world.rules().await, ["error_rate"]);
    assert_ne!(world.open().await[0].name, alert.name);
}
