//! Shadow traffic (§8.1 STAGE): who may ask for it, when, and what gateways are told.

use super::desk::*;
use super::line::*;
use contracts::registry::v1::*;
use tonic::Code;

fn ask(name: &str, percent: u32) -> StartShadowRequest {
    StartShadowRequest { name: name.into(), percent, ..StartShadowRequest::default() }
}

async fn start(line: &Line, who: &str, request: StartShadowRequest) -> Result<Rollout, tonic::Status> {
    Ok(line.rollouts(who).start_shadow(request).await?.into_inner())
}

async fn stop(line: &Line, name: &str) -> Rollout {
    let request = StopShadowRequest { name: name.into(), ..StopShadowRequest::default() };
    line.rollouts("ml-ops-engineer").stop_shadow(request).await.expect("stopped").into_inner()
}

async fn shadow(line: &Line) -> Option<Shadow> {
    line.table().await.routes.into_iter().find(|route| !route.staging).and_then(|route| route.shadow)
}

/// Built and staged, not started.
async fn staged(line: &Line, id: &str, version: &ModelVersion) -> String {
    let name = line.open_rollout(id, version).await.expect("a rollout").name;
    for (who, item) in [("ml-ops-engineer", "containerize"), ("security", "security")] {
        line.item(&name, who, item).await.expect(item);
    }
    line.stage(&name).await.expect("staged");
    name
}

#[tokio::test]
async fn a_staged_version_gets_copies_from_the_asking_to_its_start() {
    let line = Line::start().await;
    let first = line.approved("1.0.0", 1).await;
    line.deployment().await;
    let early = staged(&line, "first", &first).await;
    let alone = start(&line, "ml-ops-engineer", ask(&early, 10)).await.expect_err("nothing to copy");
    assert_eq!((alone.code(), reason(&alone).as_str()), (Code::FailedPrecondition, "NO_STABLE_VERSION"));
    let back = RollBackRequest {
        name: early,
        trigger: RollbackTrigger::Manual.into(),
        reason: "made for the first refusal".into(),
        ..Default::default()
    };
    line.rollouts("ml-ops-engineer").roll_back(back).await.expect("given up");
    line.in_production("second", &first).await;

    let next = line.approved("1.1.0", 2).await;
    let opened = line.open_rollout("third", &next).await.expect("a rollout").name;
    let unstaged = start(&line, "ml-ops-engineer", ask(&opened, 10)).await.expect_err("not staged");
    assert_eq!(reason(&unstaged), "ROLLOUT_STATE");
    for (who, item) in [("ml-ops-engineer", "containerize"), ("security", "security")] {
        line.item(&opened, who, item).await.expect(item);
    }
    line.stage(&opened).await.expect("staged");
    assert_eq!(shadow(&line).await, None, "staged alone is not in the shadow");

    for percent in [0, 101] {
        let wrong = start(&line, "ml-ops-engineer", ask(&opened, percent)).await.expect_err("no share");
        assert_eq!(wrong.code(), Code::InvalidArgument, "{percent}");
    }
    let denied = start(&line, "ml-engineer", ask(&opened, 10)).await.expect_err("not its role");
    assert_eq!(denied.code(), Code::PermissionDenied);

    let before = line.table().await.sequence;
    let asked = start(&line, "ml-ops-engineer", ask(&opened, 10)).await.expect("in the shadow");
    assert_eq!((asked.shadow_percent, asked.state()), (10, rollout::State::Preparing));
    let told = shadow(&line).await.expect("told");
    let backend = told.backend.expect("a version");
    assert_eq!((told.percent, told.rollout.as_str()), (10, opened.as_str()));
    assert_eq!(
        (backend.version.as_str(), backend.traffic_percent, backend.canary),
        (next.name.as_str(), 0, false)
    );
    assert_eq!(backend.artifact_digest, next.artifact_digest);
    let table = line.table().await;
    assert!(before < table.sequence);
    let route = table.routes.iter().find(|route| !route.staging).expect("production");
    assert_eq!(route.backends.len(), 1, "it takes no traffic: {:?}", route.backends);

    start(&line, "ml-ops-engineer", ask(&opened, 100)).await.expect("another share");
    assert_eq!(shadow(&line).await.expect("told").percent, 100);
    assert_eq!(stop(&line, &opened).await.shadow_percent, 0);
    assert_eq!(shadow(&line).await, None);
    let again = stop(&line, &opened).await;
    assert_eq!(again.shadow_percent, 0, "safe to repeat");
}

#[tokio::test]
async fn it_ends_with_the_start_and_with_a_revocation() {
    let line = Line::start().await;
    let first = line.approved("1.0.0", 1).await;
    line.deployment().await;
    line.in_production("first", &first).await;
    let next = line.approved("1.1.0", 2).await;
    let name = line.prepared("second", &next).await;
    start(&line, "ml-ops-engineer", ask(&name, 10)).await.expect("in the shadow");
    assert!(shadow(&line).await.is_some());
    let started = line.begin(&name).await.expect("started");
    assert_eq!((started.state(), started.shadow_percent), (rollout::State::Running, 0));
    assert_eq!(shadow(&line).await, None, "what takes traffic is in no shadow");
    let late = start(&line, "ml-ops-engineer", ask(&name, 10)).await.expect_err("it takes traffic");
    assert_eq!(reason(&late), "ROLLOUT_STATE");

    let back = RollBackRequest {
        name,
        trigger: RollbackTrigger::Manual.into(),
        reason: "makes room".into(),
        ..Default::default()
    };
    line.rollouts("ml-ops-engineer").roll_back(back).await.expect("rolled back");
    let last = line.approved("1.2.0", 3).await;
    let name = staged(&line, "third", &last).await;
    start(&line, "ml-ops-engineer", ask(&name, 10)).await.expect("in the shadow");
    let revoke = RevokeModelVersionRequest {
        name: last.name.clone(),
        reason: "its training data was poisoned".into(),
        ..Default::default()
    };
    line.models("security").revoke_model_version(revoke).await.expect("revoked");
    assert_eq!(shadow(&line).await, None, "a revoked version is in no shadow");
}
