//! §8.2: nothing starts before staging, rehearsal and the whole list; the record closes last.

use std::time::Duration;

use contracts::registry::v1::{rollout::State, *};
use tests::line::Line;
use tests::mesh::Alone;
use tests::refusal::Answered;
use tonic::Code;

fn start(line: &Line, rollout: &str) -> StartRolloutRequest {
    StartRolloutRequest { name: line.rollout(rollout), ..StartRolloutRequest::default() }
}

#[tokio::test]
async fn a_version_that_is_not_approved_gets_no_rollout() {
    let mesh = Alone::start().await;
    let line = mesh.line("unapproved");
    line.to_version().await;
    line.deploy().await;
    let request = CreateRolloutRequest {
        parent: line.deployment(),
        rollout_id: "early".into(),
        version: line.version("1.0.0"),
        request_id: String::new(),
    };
    let status = line.by("ml-ops-engineer").rollouts().create_rollout(request).await.expect_err("refused");
    assert_eq!(status.code(), Code::FailedPrecondition, "{status:?}");
}

#[tokio::test]
async fn every_missing_item_is_named_and_keeps_the_canary_from_starting() {
    let mesh = Alone::start().await;
    let line = mesh.line("listed");
    line.to_approved().await;
    line.deploy().await;
    line.open_rollout("first", "1.0.0").await;
    let status = line
        .by("ml-ops-engineer")
        .rollouts()
        .start_rollout(start(&line, "first"))
        .await
        .expect_err("refused");
    assert_eq!(status.code(), Code::FailedPrecondition, "{status:?}");
    let rehearse = RehearseRollbackRequest { name: line.rollout("first"), ..Default::default() };
    let unstaged = line.by("ml-ops-engineer").rollouts().rehearse_rollback(rehearse).await;
    assert!(unstaged.is_err(), "nothing is staged");
    line.stage("first").await;
    let rehearse = RehearseRollbackRequest { name: line.rollout("first"), ..Default::default() };
    line.by("ml-ops-engineer")
        .rollouts()
        .rehearse_rollback(rehearse)
        .await
        .refused(Code::FailedPrecondition, "STAGING_NOT_SERVED");
}

#[tokio::test]
async fn items_that_follow_from_records_are_not_attested_by_hand() {
    let mesh = Alone::start().await;
    let line = mesh.line("by-hand");
    line.to_approved().await;
    line.deploy().await;
    line.open_rollout("first", "1.0.0").await;
    for item in
        ["tests-passing", "benchmarks-meeting-thresholds", "ethics-review-approved", "rollback-plan-verified"]
    {
        let request = RecordRolloutItemRequest {
            name: line.rollout("first"),
            item: item.into(),
            evidence_digest: tests::made::digest_of(item),
            ..Default::default()
        };
        let answer = line.by("ml-ops-engineer").rollouts().record_rollout_item(request).await;
        assert!(answer.is_err(), "{item} was attested by hand");
    }
}

#[tokio::test]
async fn the_ladder_is_climbed_step_by_step_and_the_record_closed() {
    let mesh = Alone::start().await;
    let line = mesh.line("ladder");
    line.to_approved().await;
    line.deploy().await;
    line.prepared("first", "1.0.0", || mesh.clock.advance(Duration::from_secs(2))).await;
    assert_eq!(line.start(&line.rollout("first")).await.traffic_percent, 5);

    let healthy = tests::line::healthy;
    let early = line.advance_with("first", healthy(5, 59)).await.expect_err("refused");
    assert_eq!(runtime::status::reason(&early).as_deref(), Some("SOAK_TOO_SHORT"), "{early:?}");
    // What the monitor claims to have soaked is not more than the clock allows.
    let claimed = line.advance_with("first", healthy(5, 60)).await.expect_err("refused");
    assert_eq!(runtime::status::reason(&claimed).as_deref(), Some("SOAK_TOO_SHORT"), "{claimed:?}");
    for (percent, minutes, next) in [(5, 60, 25), (25, 15, 50), (50, 15, 100)] {
        mesh.clock.advance(Duration::from_secs(minutes * 60));
        let advanced = line.advance_with("first", healthy(percent, minutes as i64)).await.expect("advanced");
        assert_eq!(advanced.traffic_percent, next);
    }
    let done = line.advance_with("first", healthy(100, 0)).await.expect("succeeded");
    assert_eq!((done.state(), done.traffic_percent), (State::Succeeded, 100));
    assert_eq!(line.get("1.0.0").await.state(), model_version::State::Production);

    let close = CloseRolloutRequest { name: line.rollout("first"), ..Default::default() };
    let mut rollouts = line.by("ml-ops-engineer").rollouts();
    rollouts.close_rollout(close.clone()).await.refused(Code::FailedPrecondition, "DEPLOYMENT_INCOMPLETE");
    for item in ["verify-all-metrics", "update-status-page", "notify-stakeholders", "close-ticket"] {
        line.item("first", item, "ml-ops-engineer").await;
    }
    assert_eq!(rollouts.close_rollout(close).await.told().state(), State::Closed);
}

#[tokio::test]
async fn silence_triggers_alerts_and_other_steps_hold_the_canary() {
    let mesh = Alone::start().await;
    let line = mesh.line("held");
    line.to_approved().await;
    line.deploy().await;
    line.prepared("first", "1.0.0", || mesh.clock.advance(Duration::from_secs(2))).await;
    line.start(&line.rollout("first")).await;
    mesh.clock.advance(Duration::from_secs(3600));
    let good = tests::line::healthy(5, 60);
    for (reasons, health) in [
        (&["NO_EVIDENCE"][..], CanaryHealth { requests: 0, ..good.clone() }),
        (&["TOO_FEW_REQUESTS", "GATES_CLOSED"], CanaryHealth { requests: 99, ..good.clone() }),
        (&["UNHEALTHY"], CanaryHealth { windows_with_trigger: 1, ..good.clone() }),
        (&["UNHEALTHY"], CanaryHealth { windows_with_alert: 1, ..good.clone() }),
        (&["UNHEALTHY"], CanaryHealth { open_alerts: vec!["alerts/one".into()], ..good.clone() }),
        (&["UNHEALTHY"], CanaryHealth { traffic_percent: 25, ..good.clone() }),
        (&["UNHEALTHY"], CanaryHealth { model_faults: 101, error_rate: 0.0505, ..good.clone() }),
    ] {
        let status = line.advance_with("first", health.clone()).await.expect_err("refused");
        let reason = runtime::status::reason(&status).unwrap_or_default();
        assert!(reasons.contains(&reason.as_str()), "{health:?}: {status:?}");
    }
    assert_eq!(line.rollout_now("first").await.traffic_percent, 5);
    assert_eq!(line.advance_with("first", good).await.expect("advanced").traffic_percent, 25);
}

#[tokio::test]
async fn a_rollback_is_final_and_opens_an_incident() {
    let mesh = Alone::start().await;
    let line = mesh.line("final");
    line.to_approved().await;
    line.deploy().await;
    line.prepared("first", "1.0.0", || mesh.clock.advance(Duration::from_secs(2))).await;
    line.start(&line.rollout("first")).await;
    let back = RollBackRequest {
        name: line.rollout("first"),
        trigger: RollbackTrigger::Manual.into(),
        reason: "it does not look right".into(),
        ..Default::default()
    };
    let mut rollouts = line.by("on-call").rollouts();
    let rolled_back = rollouts.roll_back(back.clone()).await.told();
    assert_eq!((rolled_back.state(), rolled_back.traffic_percent), (State::RolledBack, 0));
    let again = rollouts.roll_back(back).await.told();
    assert_eq!(again.incident, rolled_back.incident, "safe to repeat");
    let incident = GetIncidentRequest { name: rolled_back.incident };
    let incident = line.by("auditor").incidents().get_incident(incident).await.told();
    assert_eq!(incident.trigger(), RollbackTrigger::Manual);
    mesh.clock.advance(Duration::from_secs(3600));
    let gone = line.advance_with("first", tests::line::healthy(5, 60)).await.expect_err("refused");
    assert_eq!(runtime::status::reason(&gone).as_deref(), Some("ROLLOUT_OVER"), "{gone:?}");
    assert_eq!(line.get("1.0.0").await.state(), model_version::State::RolledBack);
}

#[tokio::test]
async fn a_security_issue_takes_a_version_off_everywhere_for_good() {
    let mesh = Alone::start().await;
    let line = mesh.line("revoked");
    line.to_approved().await;
    line.deploy().await;
    line.prepared("first", "1.0.0", || mesh.clock.advance(Duration::from_secs(2))).await;
    line.start(&line.rollout("first")).await;
    let request = RevokeModelVersionRequest {
        name: line.version("1.0.0"),
        reason: "its training data was poisoned".into(),
        ..Default::default()
    };
    let revoked = line.by("security").models().revoke_model_version(request).await.told();
    assert_eq!(revoked.state(), model_version::State::Revoked);
    let routes = line.acknowledge().await;
    assert!(routes.revoked_digests.contains(&revoked.artifact_digest), "{routes:?}");
    let takes = routes.routes.iter().flat_map(|route| &route.backends).any(|one| one.traffic_percent > 0);
    assert!(!takes, "{routes:?}");
    assert_eq!(line.rollout_now("first").await.state(), State::RolledBack);
}
