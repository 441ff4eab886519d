//! §8.2 through all five services: the monitor advances what the gateway observed, and nobody touches it on the way.

use contracts::registry::v1::rollout::State;
use tests::infer;
use tests::mesh::Mesh;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_healthy_canary_climbs_to_all_traffic_and_no_request_fails() {
    let mesh = Mesh::start().await;
    let line = mesh.canary("climber", "1.0.0").await;
    let first = mesh.climb(&line, "first").await;
    assert_eq!((first.state(), first.traffic_percent), (State::Succeeded, 100));
    let steps: Vec<u32> = first.history.iter().map(|step| step.traffic_percent).collect();
    assert_eq!(steps, [5, 25, 50, 100], "{:?}", first.history);

    mesh.next_canary(&line, "1.1.0", 2, "second").await;
    // While both take traffic every request is answered, the canary's share exactly.
    let tally = infer::clean(&line.by("client"), "climber", 400).await;
    let (stable, canary) = (tally["1.0.0"], tally["1.1.0"]);
    assert_eq!(stable + canary, 400, "{tally:?}");
    assert!(canary.abs_diff(20) <= 1, "{tally:?}");
    let second = mesh.climb(&line, "second").await;
    assert_eq!(second.state(), State::Succeeded);
    let tally = infer::clean(&line.by("client"), "climber", 50).await;
    assert_eq!(tally.get("1.1.0"), Some(&50), "{tally:?}");
}
