//! §8.3 beyond the ladder: a version in production.

use contracts::registry::v1::{RollbackTrigger, incident::Severity};
use monitor::tasks::watch_production;

use super::registry::VERSION;
use super::world::{World, second};

async fn incidents(world: &World) -> usize {
    watch_production::run_once(&world.monitor).await.unwrap();
    world.registry.state.lock().unwrap().incidents.len()
}

#[tokio::test]
async fn a_version_in_production_that_fails_gets_one_incident_a_day() {
    let world = World::new().await;
    world.serve(1, 200, 100).await; // as a canary: the ladder's business
    world.deployed();
    assert_eq!(incidents(&world).await, 0);
    world.serve(1, 200, 10).await;
    assert_eq!(incidents(&world).await, 0, "exactly 5 %");
    world.serve(1, 60, 6).await;
    assert_eq!(incidents(&world).await, 0, "sixty requests say nothing yet");
    world.serve(1, 60, 6).await;
    assert_eq!(incidents(&world).await, 1, "12 of 120 in two minutes");
    world.serve(10, 200, 100).await;
    assert_eq!(incidents(&world).await, 1, "of the same day");
    let first = world.registry.state.lock().unwrap().incidents[0].clone();
    assert_eq!((first.subject.as_str(), first.trigger()), (VERSION, RollbackTrigger::ErrorRate));
    assert_eq!((first.severity(), first.detect_time), (Severity::High, first.respond_by_time));
    assert!(first.findings[0].observed.contains("0.1 (n=120)"), "{:?}", first.findings);
    world.pass(86_400);
    world.serve(1, 200, 100).await;
    assert_eq!(incidents(&world).await, 2, "the next day");
}

#[tokio::test]
async fn a_slow_version_in_production_is_assessed_by_a_person() {
    let world = World::new().await;
    world.deployed();
    assert_eq!(incidents(&world).await, 0);
    world.send(vec![second(world.clock.now(), 150, 0, 5_200.0)]).await;
    world.pass(60);
    assert_eq!(incidents(&world).await, 1);
    let one = world.registry.state.lock().unwrap().incidents[0].clone();
    assert_eq!(one.trigger(), RollbackTrigger::Latency);
    assert_eq!(one.respond_by_time.unwrap().seconds - one.detect_time.unwrap().seconds, 300);
    assert!(world.registry.state.lock().unwrap().rolled_back.is_empty());
}

#[tokio::test]
async fn an_incident_that_could_not_be_told_is_told_later() {
    let world = World::new().await;
    world.deployed();
    assert_eq!(incidents(&world).await, 0);
    world.serve(1, 200, 100).await;
    world.registry.down.store(true, std::sync::atomic::Ordering::SeqCst);
    assert!(watch_production::run_once(&world.monitor).await.is_err());
    world.registry.down.store(false, std::sync::atomic::Ordering::SeqCst);
    assert_eq!(incidents(&world).await, 1);
}
