//! Observations that come after their window was judged: a gateway or this monitor was away, and the spool was full.

use std::time::{Duration, SystemTime};

use super::world::{World, second};

async fn late(world: &World, at: SystemTime, requests: u64, failed: u64) {
    world.send(vec![second(at, requests, failed, 20.0)]).await;
}

#[tokio::test]
async fn a_storm_that_is_heard_of_late_raises_its_alert() {
    let world = World::new().await;
    let begin = world.clock.now();
    world.serve(1, 200, 0).await;
    world.pass(600); // the gateway cannot reach the monitor, which judges what it has
    assert!(world.rules().await.is_empty());
    late(&world, begin + Duration::from_secs(120), 200, 50).await;
    assert_eq!(world.rules().await, ["error_rate"]);
    world.serve(2, 200, 0).await;
    assert_eq!(world.rules().await.len(), 1, "two quiet windows");
    world.serve(1, 200, 0).await;
    assert!(world.rules().await.is_empty(), "three quiet windows close it");
}

/// Windows that are judged again neither close an alert that fires nor open one that is over.
#[tokio::test]
async fn what_is_judged_again_counts_once() {
    let world = World::new().await;
    let begin = world.clock.now();
    world.serve(5, 200, 0).await;
    world.serve(1, 200, 50).await;
    assert_eq!(world.rules().await, ["error_rate"]);
    let firing = world.open().await.remove(0);
    late(&world, begin + Duration::from_secs(60), 100, 0).await;
    assert_eq!(world.rules().await, ["error_rate"]);
    assert_eq!(world.open().await.remove(0).name, firing.name, "quiet windows of before do not close it");
    world.serve(3, 200, 0).await;
    assert!(world.rules().await.is_empty());
    late(&world, begin + Duration::from_secs(301), 100, 0).await;
    assert!(world.rules().await.is_empty(), "the storm had its alert");
}

/// The monitor stops between two looks: what it said before is not said again by the one that follows.
#[tokio::test]
async fn a_restart_counts_quiet_windows_once() {
    let mut world = World::new().await;
    world.serve(1, 200, 50).await;
    assert_eq!(world.rules().await, ["error_rate"]);
    for _ in 0..2 {
        world.serve(1, 200, 0).await;
        for _ in 0..3 {
            assert_eq!(world.rules().await, ["error_rate"]);
            world.restart().await;
        }
    }
    world.serve(1, 200, 0).await;
    assert!(world.rules().await.is_empty());
}
