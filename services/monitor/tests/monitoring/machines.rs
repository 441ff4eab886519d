//! Hosts (§9.1): out-of-memory events as they were measured, and what they mean for a canary.

use contracts::monitor::v1::ReportResourcesRequest;
use contracts::registry::v1::Gate;
use monitor::tasks::{judge_canaries, raise_alerts};

use super::world::{DEPLOYMENT, World};

fn total(deployment: &str, oom_events_total: Option<u64>) -> ReportResourcesRequest {
    ReportResourcesRequest {
        host: "gpu-0".into(),
        deployment: deployment.into(),
        oom_events_total,
        ..ReportResourcesRequest::default()
    }
}

/// The rules that fire after a minute with these totals.
async fn minute(world: &World, totals: &[Option<u64>]) -> Vec<String> {
    for one in totals {
        world.read(total("", *one)).await;
    }
    world.pass(60);
    world.rules().await
}

/// Events of before the first reading are not counted; a host that begins anew counts from nothing.
#[tokio::test]
async fn only_new_events_count() {
    let world = World::new().await;
    assert!(minute(&world, &[Some(7), Some(7)]).await.is_empty(), "before anybody looked");
    assert_eq!(minute(&world, &[Some(7), Some(9)]).await, ["oom"]);
    assert!((world.open().await[0].measurements[0].value - 2.0).abs() < 1e-12);
    for _ in 0..3 {
        minute(&world, &[Some(9)]).await;
    }
    assert!(world.open().await.is_empty(), "three quiet minutes");
    assert!(minute(&world, &[Some(0)]).await.is_empty(), "another container of the same name");
    assert_eq!(minute(&world, &[Some(1)]).await, ["oom"]);
}

/// What nobody could read is not "no event": it neither raises an alert nor closes one.
#[tokio::test]
async fn what_was_not_measured_says_nothing() {
    let world = World::new().await;
    minute(&world, &[Some(0)]).await;
    assert_eq!(minute(&world, &[Some(1)]).await, ["oom"]);
    for _ in 0..10 {
        assert_eq!(minute(&world, &[None]).await, ["oom"], "nobody looked");
    }
    for quiet in 1..=3 {
        assert_eq!(minute(&world, &[Some(1)]).await.is_empty(), quiet == 3, "quiet minute {quiet}");
    }
    // An event of while nobody could look is seen afterwards.
    minute(&world, &[None]).await;
    assert_eq!(minute(&world, &[Some(2)]).await, ["oom"]);
}

/// A caller that knows no total: events count, none are no reading.
#[tokio::test]
async fn events_without_a_total_count() {
    let world = World::new().await;
    let reading = |oom_events| ReportResourcesRequest { oom_events, ..total("", None) };
    world.read(reading(2)).await;
    world.pass(60);
    assert_eq!(world.rules().await, ["oom"]);
    for _ in 0..10 {
        world.read(reading(0)).await;
        world.pass(60);
        assert_eq!(world.rules().await, ["oom"], "nothing is known of it");
    }
}

async fn percent(world: &World) -> u32 {
    raise_alerts::run_once(&world.monitor).await.unwrap();
    judge_canaries::run_once(&world.monitor).await.unwrap();
    world.registry.state.lock().unwrap().rollouts[0].traffic_percent
}

/// A host out of memory that serves the canary's deployment keeps the canary for another hour; another host does not.
#[tokio::test]
async fn a_host_in_trouble_keeps_the_canary_that_it_serves() {
    for (deployment, held) in [(DEPLOYMENT, true), ("deployments/other", false)] {
        let world = World::new().await;
        world.rollout();
        world.read(total(deployment, Some(0))).await;
        world.serve(30, 30, 0).await;
        world.read(total(deployment, Some(1))).await;
        for _ in 0..30 {
            world.serve(1, 30, 0).await;
            world.read(total(deployment, Some(1))).await;
        }
        assert_eq!(percent(&world).await, if held { 5 } else { 25 }, "{deployment}");
        if held {
            assert!(world.open().await.is_empty(), "its alert is over, and its hour is not");
            world.serve(30, 30, 0).await;
            assert_eq!(percent(&world).await, 5, "the bad minute is within the last hour");
            world.serve(1, 30, 0).await;
            assert_eq!(percent(&world).await, 25);
        }
    }
}

#[tokio::test]
async fn an_open_alert_of_a_host_keeps_the_canary() {
    let world = World::new().await;
    let name = world.rollout();
    world.serve(59, 30, 0).await;
    let busy = ReportResourcesRequest { gpu_utilisation: Some(0.97), ..total(DEPLOYMENT, None) };
    world.read(busy).await;
    world.serve(1, 30, 0).await;
    assert_eq!(percent(&world).await, 5);
    let request = contracts::monitor::v1::GetCanaryHealthRequest { rollout: name };
    let seen = world.canaries().get_canary_health(request).await.unwrap().into_inner();
    let why: Vec<&str> = seen.findings.iter().map(|one| one.subject.as_str()).collect();
    assert_eq!(why, ["windows with an alert", "open alerts"]);
    assert_eq!(seen.health.unwrap().open_alerts, [world.open().await[0].name.as_str()]);
}

/// G4 is asked of the version as the registry has it: without G2 it never opens (§8.1).
#[tokio::test]
async fn a_gate_that_was_refused_keeps_the_canary() {
    let world = World::new().await;
    world.rollout();
    world.serve(60, 30, 0).await;
    world.registry.state.lock().unwrap().refused = vec![Gate::G2BenchmarksMet];
    assert_eq!(percent(&world).await, 5);
    world.registry.state.lock().unwrap().refused.clear();
    assert_eq!(percent(&world).await, 25);
}
