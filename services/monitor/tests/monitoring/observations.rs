use contracts::monitor::v1::*;
use std::time::Duration;
use tonic::Code;

use super::registry::VERSION;
use super::world::{DEPLOYMENT, World, second};

async fn windows(world: &World) -> Vec<Window> {
    let request = ListWindowsRequest { deployment: "credit".into(), ..Default::default() };
    world.observations().list_windows(request).await.unwrap().into_inner().windows
}

#[tokio::test]
async fn a_batch_that_comes_again_is_acknowledged_and_not_counted() {
    let world = World::new().await;
    let request = ReportObservationsRequest {
        gateway: "g1".into(),
        batch_id: "1".into(),
        observations: vec![second(world.clock.now(), 10, 1, 5.0)],
        ..Default::default()
    };
    for again in [false, true, true] {
        let answer = world.observations().report_observations(request.clone()).await.unwrap().into_inner();
        assert_eq!(answer.duplicate, again);
    }
    // Another gateway may use the same number.
    let other = ReportObservationsRequest { gateway: "g2".into(), ..request };
    assert!(!world.observations().report_observations(other).await.unwrap().into_inner().duplicate);
    let seen = windows(&world).await;
    assert_eq!((seen.len(), seen[0].requests, seen[0].model_faults), (1, 20, 2));
}

#[tokio::test]
async fn late_seconds_merge_into_their_window_and_latencies_merge() {
    let world = World::new().await;
    let begin = world.clock.now();
    world.send(vec![second(begin, 99, 0, 10.0)]).await;
    world.pass(600);
    world.send(vec![second(begin + Duration::from_secs(59), 1, 0, 900.0)]).await;
    world.send(vec![second(begin + Duration::from_secs(60), 1, 0, 10.0)]).await;
    let seen = windows(&world).await;
    assert_eq!((seen.len(), seen[0].requests, seen[1].requests), (2, 100, 1));
    assert!((seen[0].latency_p95_ms - 10.0).abs() < 0.2 && seen[0].latency_p99_ms < 11.0);
}

#[tokio::test]
async fn a_restart_keeps_what_was_acknowledged() {
    let mut world = World::new().await;
    world.serve(3, 50, 1).await;
    world.restart().await;
    let seen = windows(&world).await;
    assert_eq!(seen.iter().map(|one| one.requests).sum::<u64>(), 150);
    let again = ReportObservationsRequest {
        gateway: "g1".into(),
        batch_id: "b0".into(),
        observations: vec![second(world.clock.now(), 50, 1, 20.0)],
        ..Default::default()
    };
    assert!(world.observations().report_observations(again).await.unwrap().into_inner().duplicate);
}

#[tokio::test]
async fn every_bad_field_of_a_batch_is_named_and_nothing_of_it_is_counted() {
    let world = World::new().await;
    let now = world.clock.now();
    let mut contradiction = second(now, 1, 2, 5.0);
    contradiction.deployment = "Credit/..".into();
    let future = second(now + Duration::from_secs(3_600), 1, 0, 5.0);
    let past = second(now - Duration::from_secs(30 * 86_400), 1, 0, 5.0);
    let request = ReportObservationsRequest {
        gateway: "g1".into(),
        batch_id: String::new(),
        observations: vec![second(now, 1, 0, 5.0), contradiction, future, past],
        ..Default::default()
    };
    let refused = world.observations().report_observations(request).await.unwrap_err();
    let named: Vec<_> =
        runtime::status::field_violations(&refused).into_iter().map(|bad| bad.field).collect();
    assert_eq!(refused.code(), Code::InvalidArgument);
    let all = [
        "batch_id",
        "observations[1].deployment",
        "observations[1].requests",
        "observations[2].start_time",
        "observations[3].start_time",
    ];
    assert_eq!(named, all);
    assert!(windows(&world).await.is_empty());
}

#[tokio::test]
async fn the_error_budget_counts_bad_minutes() {
    let world = World::new().await;
    world.serve(10, 100, 0).await;
    world.serve(2, 100, 50).await;
    let request = GetErrorBudgetRequest { deployment: DEPLOYMENT.into() };
    let budget = world.canaries().get_error_budget(request).await.unwrap().into_inner();
    assert!((budget.budget_minutes - 43.2).abs() < 1e-6);
    assert!((budget.spent_minutes - 1.0).abs() < 1e-9, "{}", budget.spent_minutes);
    assert!((budget.availability - 1_100.0 / 1_200.0).abs() < 1e-12 && budget.requests == 1_200);
    assert!((budget.latency_share_below_target - 1.0).abs() < 1e-12);
}

#[tokio::test]
async fn labels_count_once_for_a_request_id() {
    let world = World::new().await;
    let mut client = observation_service_client::ObservationServiceClient::new(world.peer("client"));
    let label = |label: &str| Label {
        deployment: "credit".into(),
        version: VERSION.into(),
        prediction: "yes".into(),
        label: label.into(),
        ..Default::default()
    };
    let request = ReportLabelsRequest { labels: vec![label("no"); 100], request_id: "one".into() };
    let unknown = client.report_labels(request.clone()).await.unwrap_err();
    assert_eq!(unknown.code(), Code::NotFound, "nothing was served that could be labelled");
    world.send(vec![second(world.clock.now(), 1, 0, 5.0)]).await;
    for _ in 0..2 {
        assert_eq!(client.report_labels(request.clone()).await.unwrap().into_inner().accepted, 100);
    }
    let other = ReportLabelsRequest { labels: vec![label("yes")], request_id: "one".into() };
    assert_eq!(client.report_labels(other).await.unwrap_err().code(), Code::AlreadyExists);
    world.pass(60);
    assert_eq!(world.rules().await, ["accuracy"]);
    let alert = world.open().await.remove(0);
    assert_eq!(alert.measurements[0].sample_size, 100);
}
