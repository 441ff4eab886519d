//! §8.3, reading 5: a failing canary is off traffic before anyone is asked, for good.

use contracts::registry::v1::{GetIncidentRequest, RollbackTrigger, rollout::State};
use tests::infer;
use tests::mesh::Mesh;
use tests::refusal::Answered;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failing_canary_is_rolled_back_and_the_stable_version_serves_on() {
    let mesh = Mesh::start().await;
    let line = mesh.canary("failing", "1.0.0").await;
    mesh.climb(&line, "first").await;
    mesh.next_canary(&line, "1.1.0", 2, "second").await;
    mesh.engine.fail_share(&line.get("1.1.0").await.artifact_digest, 1.0);

    let rolled_back = mesh
        .until("the rollout is rolled back", || async {
            infer::clean(&line.by("client"), "failing", 40).await;
            let now = line.rollout_now("second").await;
            (now.state() == State::RolledBack).then_some(now)
        })
        .await;
    assert_eq!(rolled_back.trigger(), RollbackTrigger::ErrorRate);
    let incident = GetIncidentRequest { name: rolled_back.incident };
    let incident = line.by("auditor").incidents().get_incident(incident).await.told();
    assert!(incident.findings.iter().any(|one| one.clause.contains("§8.3")), "{incident:?}");
    let tally = mesh
        .until("the stable version has all traffic", || async {
            let tally = infer::clean(&line.by("client"), "failing", 100).await;
            (tally.get("1.0.0") == Some(&100)).then_some(tally)
        })
        .await;
    assert_eq!(tally.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_that_are_wrong_are_no_faults_of_the_canary() {
    let mesh = Mesh::start().await;
    let line = mesh.canary("innocent", "1.0.0").await;
    mesh.climb(&line, "first").await;
    mesh.next_canary(&line, "1.1.0", 2, "second").await;
    let row = &tests::made::rows(1, 1)[0];
    let mut client = line.by("client").inference();
    for _ in 0..400 {
        let mut request = infer::request("innocent", row);
        request.inputs[0].shape = vec![1, 5];
        assert!(client.model_infer(request).await.is_err());
    }
    let tally = infer::clean(&line.by("client"), "innocent", 400).await;
    assert!(tally["1.1.0"].abs_diff(20) <= 2, "{tally:?}");
    assert_eq!(line.rollout_now("second").await.state(), State::Running);
}
