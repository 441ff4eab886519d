//! Shadow traffic (§8.1 STAGE): a staged version is compared with production on production's own requests, and no caller
//! ever sees it.

use contracts::gateway::v1::{ListShadowsRequest, ShadowComparison};
use contracts::registry::v1::*;
use tests::infer::clean;
use tests::line::Line;
use tests::made::classifier;
use tests::mesh::Mesh;
use tests::refusal::Answered;
use tonic::Code;

fn ask(line: &Line, rollout: &str, percent: u32) -> StartShadowRequest {
    StartShadowRequest { name: line.rollout(rollout), percent, ..StartShadowRequest::default() }
}

async fn shadow(line: &Line) -> ShadowComparison {
    let request = ListShadowsRequest { endpoint: line.id.clone() };
    let told = line.by("auditor").serving().list_shadows(request).await.told();
    told.shadows.into_iter().next().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_staged_version_is_compared_on_productions_requests_and_answers_nobody() {
    let mesh = Mesh::start().await;
    let line = mesh.canary("shadowed", "1.0.0").await;
    mesh.climb(&line, "first").await;

    // It was good on the data that it was measured on, and answers some of production's rows wrongly.
    line.train("run-2").await;
    let digest = line.register("1.1.0", "run-2", 2).await;
    mesh.engine.set(digest.clone(), classifier(0.3));
    line.approve("1.1.0").await;
    line.open_rollout("second", "1.1.0").await;
    let mut rollouts = line.by("ml-ops-engineer").rollouts();
    rollouts.start_shadow(ask(&line, "second", 50)).await.refused(Code::FailedPrecondition, "ROLLOUT_STATE");
    line.stage("second").await;
    let denied = line.by("ml-engineer").rollouts().start_shadow(ask(&line, "second", 50)).await;
    assert_eq!(denied.expect_err("not its role").code(), Code::PermissionDenied);
    rollouts.start_shadow(ask(&line, "second", 0)).await.refused(Code::InvalidArgument, "BAD_REQUEST");
    let asked = rollouts.start_shadow(ask(&line, "second", 50)).await.told();
    assert_eq!(asked.shadow_percent, 50);
    mesh.until("the version is in the shadow", || async {
        (shadow(&line).await.state == "ready").then_some(())
    })
    .await;

    let before = shadow(&line).await.compared;
    let tally = clean(&line.by("client"), "shadowed", 400).await;
    assert_eq!(tally.get("1.0.0"), Some(&400), "every answer is production's, and right: {tally:?}");
    let seen = mesh
        .until("half of the requests are compared", || async {
            let seen = shadow(&line).await;
            (seen.compared + seen.dropped == before + 200).then_some(seen)
        })
        .await;
    assert_eq!(
        (seen.version.as_str(), seen.artifact_digest.as_str()),
        (line.version("1.1.0").as_str(), digest.as_str())
    );
    assert_eq!((seen.model_faults, seen.host_faults, seen.incompatible), (0, 0, 0));
    for output in &seen.outputs {
        let agreed = output.label_agreement.expect("labels");
        assert!((0.5..0.9).contains(&agreed), "three of ten are wrong: {output:?}");
    }
    let scores = seen.outputs.iter().find(|one| one.output == "scores").expect("scores");
    assert!((scores.max_difference.expect("numbers") - 0.9).abs() < 1e-6, "{scores:?}");

    // The monitor saw one version, the log who asked.
    let entries =
        ListAuditEntriesRequest { subject: line.rollout("second"), from_start: true, ..Default::default() };
    let log = line.by("auditor").audit().list_audit_entries(entries).await.told().entries;
    assert!(log.iter().any(|one| one.action == "start-shadow"), "{log:?}");

    let stop = StopShadowRequest { name: line.rollout("second"), ..StopShadowRequest::default() };
    assert_eq!(rollouts.stop_shadow(stop).await.told().shadow_percent, 0);
    mesh.until("the gateway takes no copies", || async {
        (shadow(&line).await.state == "ended").then_some(())
    })
    .await;
    let (at_end, again) = (shadow(&line).await.compared, clean(&line.by("client"), "shadowed", 20).await);
    assert_eq!(again.get("1.0.0"), Some(&20));
    assert_eq!(shadow(&line).await.compared, at_end);
}
