//! A rollback is final (§8.3): what was taken off, retired or revoked never serves again.

use super::desk::*;
use super::line::*;
use contracts::registry::v1::{model_version::State, *};
use std::time::Duration;
use tonic::{Code, Status};

fn name(id: &str) -> String {
    format!("deployments/screen/rollouts/{id}")
}

async fn back(line: &Line, id: &str, who: &str, trigger: RollbackTrigger) -> Result<Rollout, Status> {
    let request = RollBackRequest {
        name: name(id),
        trigger: trigger.into(),
        reason: "it fails".into(),
        ..Default::default()
    };
    Ok(line.rollouts(who).roll_back(request).await?.into_inner())
}

async fn revoke(line: &Line, version: &ModelVersion) -> Result<ModelVersion, Status> {
    let request = RevokeModelVersionRequest {
        name: version.name.clone(),
        reason: "its training data was poisoned".into(),
        ..Default::default()
    };
    Ok(line.models("on-call").revoke_model_version(request).await?.into_inner())
}

async fn state(line: &Line, version: &ModelVersion) -> State {
    line.get_version(&version.name).await.state()
}

async fn served(line: &Line) -> Vec<String> {
    let routes = line.table().await.routes;
    routes.into_iter().flat_map(|route| route.backends).map(|one| one.version).collect()
}

async fn incident(line: &Line, name: &str) -> Incident {
    let get = GetIncidentRequest { name: name.into() };
    line.incidents("auditor").get_incident(get).await.expect("there").into_inner()
}

/// Two versions that went to production one after the other.
async fn two_releases(line: &Line) -> (ModelVersion, ModelVersion) {
    let first = line.approved("1.0.0", 1).await;
    line.deployment().await;
    line.in_production("one", &first).await;
    let second = line.approved("1.1.0", 2).await;
    line.in_production("two", &second).await;
    assert_eq!(state(line, &first).await, State::Superseded);
    (first, second)
}

async fn announce(
    line: &Line,
    who: &str,
    criterion: RetirementCriterion,
    version: &ModelVersion,
) -> Retirement {
    let start = StartRetirementRequest {
        parent: version.name.clone(),
        criterion: criterion.into(),
        facts: "as declared".into(),
        ..Default::default()
    };
    let begun = line.retirements(who).start_retirement(start).await.expect("announced").into_inner();
    assert_eq!(state(line, version).await, State::Deprecated);
    begun
}

/// Its users have their notice: a deployment that serves them does not go dark for it (§10.3 step 1).
#[tokio::test]
async fn a_version_whose_users_have_notice_comes_back_and_stays_announced() {
    let line = Line::start().await;
    let (first, second) = two_releases(&line).await;
    announce(&line, "business-owner", RetirementCriterion::Business, &first).await;
    let gone = back(&line, "two", "monitor", RollbackTrigger::ErrorRate).await.expect("back");
    assert_eq!(
        (state(&line, &first).await, state(&line, &second).await),
        (State::Deprecated, State::RolledBack)
    );
    assert_eq!(served(&line).await, vec![first.name.clone()]);
    let told = incident(&line, &gone.incident).await;
    assert!(told.findings.iter().all(|one| !one.observed.contains("serves nothing")), "{:?}", told.findings);
}

#[tokio::test]
async fn a_version_that_must_not_serve_or_has_no_users_left_does_not_come_back() {
    for (who, criterion) in
        [("security", RetirementCriterion::Security), ("business-owner", RetirementCriterion::Business)]
    {
        let line = Line::start().await;
        let (first, second) = two_releases(&line).await;
        let begun = announce(&line, who, criterion, &first).await;
        if criterion == RetirementCriterion::Business {
            let migrated = AdvanceRetirementRequest {
                name: begun.name,
                step: "migrate-users".into(),
                note: "no caller is left".into(),
                ..Default::default()
            };
            line.retirements("ml-ops-engineer").advance_retirement(migrated).await.expect("migrated");
        }
        let gone = back(&line, "two", "monitor", RollbackTrigger::ErrorRate).await.expect("back");
        assert_eq!(
            (state(&line, &first).await, state(&line, &second).await),
            (State::Deprecated, State::RolledBack)
        );
        assert_eq!(line.get_deployment().await.stable_version, "", "nothing takes its place");
        assert_eq!(served(&line).await, Vec::<String>::new());
        let told = incident(&line, &gone.incident).await;
        assert!(told.findings.iter().any(|one| one.observed.contains("DEPRECATED")), "{:?}", told.findings);
    }
}

#[tokio::test]
async fn what_no_longer_serves_is_not_rolled_back_and_what_was_does_not_return() {
    let line = Line::start().await;
    let (first, second) = two_releases(&line).await;
    let late = back(&line, "one", "ml-lead", RollbackTrigger::Manual).await.expect_err("it does not serve");
    assert_eq!(reason(&late), "VERSION_STATE");
    assert_eq!(state(&line, &first).await, State::Superseded, "nothing half-written");
    back(&line, "two", "ml-lead", RollbackTrigger::Manual).await.expect("back");
    assert_eq!(
        (state(&line, &first).await, served(&line).await),
        (State::Production, vec![first.name.clone()])
    );
    back(&line, "one", "ml-lead", RollbackTrigger::Manual)
        .await
        .expect("it serves again, so it can be taken off");
    assert_eq!((state(&line, &first).await, served(&line).await), (State::RolledBack, Vec::new()));
    let dead = line.open_rollout("again", &second).await.expect_err("final");
    assert_eq!(reason(&dead), "VERSION_STATE");
}

#[tokio::test]
async fn a_revocation_takes_a_canary_off_with_its_incident() {
    let line = Line::start().await;
    let first = line.approved("1.0.0", 1).await;
    line.deployment().await;
    line.in_production("one", &first).await;
    let second = line.approved("1.1.0", 2).await;
    let rollout = line.prepared("two", &second).await;
    line.begin(&rollout).await.expect("started");
    let refused = line.models("ml-engineer").revoke_model_version(RevokeModelVersionRequest::default()).await;
    assert_eq!(refused.expect_err("not in the row").code(), Code::PermissionDenied);
    assert_eq!(revoke(&line, &second).await.expect("revoked").state(), State::Revoked);
    let get = GetRolloutRequest { name: rollout };
    let rollout = line.rollouts("auditor").get_rollout(get).await.expect("there").into_inner();
    assert_eq!((rollout.state(), rollout.trigger()), (rollout::State::RolledBack, RollbackTrigger::Security));
    let told = incident(&line, &rollout.incident).await;
    assert_eq!(
        (told.subject.as_str(), told.severity()),
        (second.name.as_str(), incident::Severity::Critical)
    );
    assert_eq!(
        (served(&line).await, state(&line, &first).await),
        (vec![first.name.clone()], State::Production)
    );
    line.clock.advance(Duration::from_secs(1));
    revoke(&line, &first).await.expect("the stable one too");
    assert_eq!(
        (served(&line).await, line.get_deployment().await.stable_version),
        (Vec::new(), String::new())
    );
    assert_eq!(line.table().await.revoked_digests.len(), 2);
}

#[tokio::test]
async fn a_rollback_for_security_revokes_what_was_rolled_back_before() {
    let line = Line::start().await;
    let (_, second) = two_releases(&line).await;
    let first_time = back(&line, "two", "gateway", RollbackTrigger::ErrorRate).await.expect("back");
    assert_eq!(state(&line, &second).await, State::RolledBack);
    for who in ["monitor", "gateway"] {
        let service =
            back(&line, "two", who, RollbackTrigger::Security).await.expect_err("no service revokes");
        assert_eq!((service.code(), reason(&service).as_str()), (Code::PermissionDenied, "ROLE_REQUIRED"));
    }
    assert_eq!(state(&line, &second).await, State::RolledBack, "nothing half-written");
    let again = back(&line, "two", "security", RollbackTrigger::Security).await.expect("unsafe as well");
    assert_eq!(state(&line, &second).await, State::Revoked);
    assert_eq!(line.table().await.revoked_digests, std::slice::from_ref(&second.artifact_digest));
    assert_ne!(again.incident, first_time.incident);
    let third = back(&line, "two", "security", RollbackTrigger::Security).await.expect("granted already");
    assert_eq!(third.incident, again.incident);
}
