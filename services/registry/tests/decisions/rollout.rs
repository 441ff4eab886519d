//! From staging to production and back (§8).

use super::desk::*;
use super::line::*;
use contracts::registry::v1::*;
use futures::StreamExt;
use prost::Message as _;
use std::time::Duration;
use tonic::Code;

#[tokio::test]
async fn the_whole_path_to_production() {
    to_production(Line::start().await).await;
    if let Some(desk) = Desk::on_postgres().await {
        to_production(Line::on(desk).await).await;
    }
}

async fn to_production(line: Line) {
    let version = line.approved("1.0.0", 1).await;
    line.deployment().await;
    let rollout = line.open_rollout("first", &version).await.expect("a rollout");
    assert_eq!(
        (
            rollout.pre_deployment.len(),
            rollout.deployment_items.len(),
            rollout.post_deployment.len(),
            rollout.activities.len()
        ),
        (7, 7, 4, 16)
    );
    let second = line.open_rollout("second", &version).await.expect_err("one at a time");
    assert_eq!(reason(&second), "ROLLOUT_IN_PROGRESS");
    let forged = line.item(ROLLOUT, "qa-engineer", "tests-passing").await.expect_err("follows from records");
    assert_eq!(reason(&forged), "ITEM_FOLLOWS_FROM_RECORDS");
    let early = line.stage(ROLLOUT).await.expect_err("not built");
    assert_eq!(reason(&early), "STAGE_NOT_OPEN");
    let start = line.begin(ROLLOUT).await.expect_err("nothing is ready");
    assert_eq!(reason(&start), "STAGE_INCOMPLETE");
    line.item(ROLLOUT, "ml-ops-engineer", "containerize").await.expect("built");
    let wrong = line.item(ROLLOUT, "ml-ops-engineer", "security").await.expect_err("not security");
    assert_eq!(reason(&wrong), "ROLE_REQUIRED");
    let open = RecordRolloutItemRequest { open_findings: 2, ..item_of("security") };
    line.rollouts("security").record_rollout_item(open).await.expect("scanned, with two findings");
    let unsafe_still = line.stage(ROLLOUT).await.expect_err("findings are open");
    assert_eq!(reason(&unsafe_still), "STAGE_NOT_OPEN");
    assert!(findings(&unsafe_still).iter().any(|one| one.contains("security: failed")), "{unsafe_still:?}");
    line.item(ROLLOUT, "security", "security_scan_completed").await.expect("scanned");
    line.stage(ROLLOUT).await.expect("staged");
    let unserved = line.rehearse(ROLLOUT).await.expect_err("no gateway serves it");
    assert_eq!(reason(&unserved), "STAGING_NOT_SERVED");
    line.serve().await;
    let failed = RecordRolloutItemRequest { failed: true, ..item_of("load-tests") };
    let failed = line.rollouts("qa-engineer").record_rollout_item(failed).await.expect("done").into_inner();
    let load = failed.activities.iter().find(|item| item.item == "load-tests").expect("there");
    assert_eq!((load.done, load.failed), (false, true), "it may be done again");
    for (who, item) in [
        ("qa-engineer", "run-smoke-tests"),
        ("qa-engineer", "load-tests"),
        ("qa-engineer", "manual-qa"),
        ("qa-engineer", "verify-metrics"),
    ] {
        line.item(ROLLOUT, who, item).await.expect(item);
    }
    let start = line.begin(ROLLOUT).await.expect_err("the list is open");
    assert_eq!(reason(&start), "PRE_DEPLOYMENT_INCOMPLETE");
    let open: Vec<String> =
        findings(&start).iter().map(|one| one.split(':').next().unwrap_or_default().to_owned()).collect();
    assert_eq!(open, ["§8.2 documentation-updated", "§8.2 rollback-plan-verified", "§8.2 on-call-notified"]);

    let before = line.table().await;
    assert!(
        before
            .routes
            .iter()
            .any(|route| route.staging && route.endpoint == "screen-staging" && route.backends.len() == 1)
    );
    line.rehearse(ROLLOUT).await.expect("begun");
    let away = line.table().await;
    assert!(before.sequence < away.sequence && away.routes.iter().all(|route| route.backends.is_empty()));
    line.serve().await;
    let back = line.table().await;
    assert!(away.sequence < back.sequence && back.routes.iter().any(|route| route.backends.len() == 1));
    let told = line.serve().await;
    assert_eq!(
        (told, line.serve().await, line.serve().await),
        (back.sequence, told, told),
        "heartbeats change nothing"
    );
    line.item(ROLLOUT, "on-call", "on-call-notified").await.expect("acknowledged");
    line.documented(&version).await;
    let started = line.begin(ROLLOUT).await.expect("started");
    assert_eq!((started.state(), started.traffic_percent), (rollout::State::Running, 5));
    assert!(started.pre_deployment.iter().all(|item| item.done), "{:?}", started.pre_deployment);
    assert_eq!(line.get_version(&version.name).await.state(), model_version::State::Canary);
    climb(&line, &version).await;
}

fn item_of(item: &str) -> RecordRolloutItemRequest {
    RecordRolloutItemRequest {
        name: ROLLOUT.into(),
        item: item.into(),
        evidence_digest: digest(item),
        ..Default::default()
    }
}

async fn climb(line: &Line, version: &ModelVersion) {
    let hour = Duration::from_hours(1);
    let routes = line.table().await;
    let route = routes.routes.iter().find(|route| !route.staging).expect("a route");
    assert_eq!(
        (route.backends.len(), route.backends[0].traffic_percent, route.backends[0].canary),
        (1, 5, true)
    );
    assert_eq!(route.backends[0].gate_decisions.len(), 3);
    let soon = line.advance(ROLLOUT, line.health(5, Duration::from_mins(1))).await.expect_err("an hour");
    assert_eq!(reason(&soon), "SOAK_TOO_SHORT");
    line.clock.advance(hour);
    let lies = line.advance(ROLLOUT, line.health(25, hour)).await.expect_err("another step's health");
    assert_eq!(reason(&lies), "UNHEALTHY");
    let silent = line
        .advance(ROLLOUT, CanaryHealth { requests: 0, ..line.health(5, hour) })
        .await
        .expect_err("silence");
    assert_eq!(reason(&silent), "NO_EVIDENCE");
    for doubt in [
        CanaryHealth { triggers_now: 1, ..line.health(5, hour) },
        CanaryHealth { breaker_log_e: 7.0, ..line.health(5, hour) },
        CanaryHealth { breaker_log_e: f64::NAN, ..line.health(5, hour) },
    ] {
        let held = line.advance(ROLLOUT, doubt).await.expect_err("something speaks against it now");
        assert_eq!(reason(&held), "UNHEALTHY");
    }
    let pause = PauseRolloutRequest { name: ROLLOUT.into(), reason: "look".into(), ..Default::default() };
    line.rollouts("ml-lead").pause_rollout(pause).await.expect("paused");
    line.clock.advance(hour);
    let resume = ResumeRolloutRequest { name: ROLLOUT.into(), ..Default::default() };
    line.rollouts("ml-ops-engineer").resume_rollout(resume).await.expect("resumed");
    line.clock.advance(hour);
    let typed = AdvanceRolloutRequest {
        name: ROLLOUT.into(),
        canary_health: Some(line.health(5, hour)),
        ..Default::default()
    };
    let typed = line.rollouts("ml-ops-engineer").advance_rollout(typed).await.expect_err("a person's word");
    assert_eq!(typed.code(), Code::PermissionDenied);
    let typed = DecideGateRequest {
        parent: version.name.clone(),
        gate: Gate::G4CanaryStable.into(),
        rollout: ROLLOUT.into(),
        canary_health: Some(line.health(5, hour)),
        ..Default::default()
    };
    let typed = line.gates("ml-ops-engineer").decide_gate(typed).await.expect_err("a person's word");
    assert_eq!((typed.code(), reason(&typed).as_str()), (Code::PermissionDenied, "ROLE_REQUIRED"));
    let next = line.advance(ROLLOUT, line.health(5, hour)).await.expect("25 %");
    let g4 = next.gate_decisions.last().expect("G4").clone();
    assert_eq!((next.traffic_percent, g4.ends_with("/g4-1")), (25, true));
    for percent in [25, 50, 100] {
        let dwell = Duration::from_mins(15);
        line.clock.advance(dwell);
        line.advance(ROLLOUT, line.health(percent, dwell)).await.expect("a step");
    }
    let get = GetRolloutRequest { name: ROLLOUT.into() };
    let done = line.rollouts("auditor").get_rollout(get).await.expect("there").into_inner();
    assert_eq!(done.state(), rollout::State::Succeeded);
    let shares: Vec<u32> = done.history.iter().map(|step| step.traffic_percent).collect();
    assert_eq!(shares, [5, 25, 50, 100]);
    assert!(done.activities.iter().chain(&done.deployment_items).all(|item| item.done));
    assert_eq!(line.get_version(&version.name).await.state(), model_version::State::Production);
    assert_eq!(line.get_deployment().await.stable_version, version.name);
    close(line).await;
    for gate in ["g1-1", "g2-1", "g3-1", "g4-1"] {
        let replay = ReplayGateDecisionRequest { name: format!("{}/gateDecisions/{gate}", version.name) };
        let replay = line.gates("auditor").replay_gate_decision(replay).await.expect("replayed").into_inner();
        assert!(replay.same && replay.passed, "{gate}");
    }
}

async fn close(line: &Line) {
    let close = CloseRolloutRequest { name: ROLLOUT.into(), ..Default::default() };
    let open = line.rollouts("ml-ops-engineer").close_rollout(close.clone()).await.expect_err("four items");
    assert_eq!((reason(&open).as_str(), findings(&open).len()), ("DEPLOYMENT_INCOMPLETE", 4));
    let order = line.item(ROLLOUT, "ml-ops-engineer", "close-ticket").await.expect_err("the last one");
    assert_eq!(reason(&order), "ITEM_OUT_OF_ORDER");
    for item in ["verify-all-metrics", "update-status-page", "notify-stakeholders", "close-ticket"] {
        line.item(ROLLOUT, "ml-ops-engineer", item).await.expect(item);
    }
    let closed = line.rollouts("ml-ops-engineer").close_rollout(close).await.expect("closed").into_inner();
    assert_eq!(closed.state(), rollout::State::Closed);
    let record = line.document(DocumentTemplate::DeploymentRecord, ROLLOUT).await;
    assert!(record.missing_parts.is_empty() && record.markdown.contains("100 %"), "{}", record.markdown);
}

fn back(trigger: RollbackTrigger) -> RollBackRequest {
    RollBackRequest {
        name: "deployments/screen/rollouts/two".into(),
        trigger: trigger.into(),
        reason: "it fails".into(),
        ..Default::default()
    }
}

#[tokio::test]
async fn a_rollback_is_final_and_opens_one_incident() {
    let line = Line::start().await;
    let first = line.approved("1.0.0", 1).await;
    line.deployment().await;
    line.in_production("one", &first).await;
    let second = line.approved("1.1.0", 2).await;
    let name = line.prepared("two", &second).await;
    line.begin(&name).await.expect("started");
    let shares = |routes: &Routes| -> Vec<(u32, bool)> {
        let route = routes.routes.iter().find(|route| !route.staging).expect("a route");
        route.backends.iter().map(|one| (one.traffic_percent, one.canary)).collect()
    };
    assert_eq!(shares(&line.table().await), [(95, false), (5, true)]);
    let mut watch = line
        .routes("gateway")
        .watch_route_table(WatchRouteTableRequest { after_sequence: 0 })
        .await
        .expect("a stream")
        .into_inner();
    let present = watch.next().await.expect("the present one").expect("a table");
    assert_eq!(shares(&Routes::decode(present.body.as_slice()).expect("routes")), [(95, false), (5, true)]);
    let gone = line
        .rollouts("gateway")
        .roll_back(back(RollbackTrigger::ErrorRate))
        .await
        .expect("back")
        .into_inner();
    assert_eq!((gone.state(), gone.traffic_percent), (rollout::State::RolledBack, 0));
    let now = watch.next().await.expect("a change").expect("a table");
    assert_eq!(shares(&Routes::decode(now.body.as_slice()).expect("routes")), [(100, false)]);
    let again =
        line.rollouts("monitor").roll_back(back(RollbackTrigger::Latency)).await.expect("again").into_inner();
    assert_eq!(
        (again.incident.as_str(), again.trigger()),
        (gone.incident.as_str(), RollbackTrigger::ErrorRate)
    );
    let over = line.advance(&name, line.health(5, Duration::from_hours(1))).await.expect_err("final");
    assert_eq!(reason(&over), "ROLLOUT_OVER");
    assert_eq!(line.get_version(&second.name).await.state(), model_version::State::RolledBack);
    assert_eq!(line.get_version(&first.name).await.state(), model_version::State::Production);
    answer(&line, &gone.incident).await;
}

/// Severity high: closed within five days, mitigated within an hour, which it was when the canary went off traffic.
async fn clocks(line: &Line, name: &str) {
    let of = |clock| {
        let mut request = EscalateIncidentRequest { name: name.into(), ..Default::default() };
        request.set_clock(clock);
        request
    };
    let early =
        line.incidents("monitor").escalate_incident(of(incident::Clock::Close)).await.expect_err("in time");
    assert_eq!(reason(&early), "TIMER_RUNNING");
    line.clock.advance(Duration::from_hours(24 * 5));
    let done =
        line.incidents("monitor").escalate_incident(of(incident::Clock::Mitigate)).await.expect_err("done");
    assert_eq!(reason(&done), "TIMER_RUNNING");
    for _ in 0..2 {
        let late =
            line.incidents("monitor").escalate_incident(of(incident::Clock::Close)).await.expect("late");
        let late = late.into_inner();
        assert_eq!((late.state(), late.clocks_run_out.len()), (incident::State::Escalated, 1));
        assert_eq!(late.clocks_run_out[0].clock(), incident::Clock::Close);
    }
}

async fn answer(line: &Line, name: &str) {
    let get = GetIncidentRequest { name: name.into() };
    let incident = line.incidents("auditor").get_incident(get).await.expect("there").into_inner();
    assert_eq!((incident.severity(), incident.state()), (incident::Severity::High, incident::State::Open));
    let escalate = EscalateIncidentRequest { name: name.into(), ..Default::default() };
    let early = line.incidents("monitor").escalate_incident(escalate.clone()).await.expect_err("in time");
    assert_eq!(reason(&early), "TIMER_RUNNING");
    line.clock.advance(Duration::from_secs(301));
    let late = line.incidents("monitor").escalate_incident(escalate).await.expect("late").into_inner();
    assert_eq!(late.state(), incident::State::Escalated);
    clocks(line, name).await;
    let resolve = ResolveIncidentRequest {
        name: name.into(),
        root_cause: "a bug".into(),
        corrective_action: "a test".into(),
        ..Default::default()
    };
    let order =
        line.incidents("on-call").resolve_incident(resolve.clone()).await.expect_err("acknowledge first");
    assert_eq!(reason(&order), "OUT_OF_ORDER");
    let acknowledge = AcknowledgeIncidentRequest { name: name.into(), ..Default::default() };
    line.incidents("on-call").acknowledge_incident(acknowledge).await.expect("acknowledged");
    let draft = line.document(DocumentTemplate::IncidentReport, name).await;
    assert_eq!(draft.missing_parts, ["root-cause", "prevention"]);
    let sign = SignDocumentRequest { name: draft.name.clone(), ..Default::default() };
    let hollow = line.documents("on-call").sign_document(sign.clone()).await.expect_err("parts are missing");
    assert_eq!(reason(&hollow), "DOCUMENT_INCOMPLETE");
    let empty = ResolveIncidentRequest { root_cause: String::new(), ..resolve.clone() };
    assert_eq!(
        line.incidents("on-call").resolve_incident(empty).await.expect_err("why").code(),
        Code::InvalidArgument
    );
    line.incidents("on-call").resolve_incident(resolve).await.expect("resolved");
    let get = GetDocumentRequest { name: draft.name.clone() };
    assert!(line.documents("auditor").get_document(get).await.expect("there").into_inner().stale);
    let close = CloseIncidentRequest { name: name.into(), ..Default::default() };
    let open = line.incidents("on-call").close_incident(close).await.expect_err("no current report");
    assert_eq!(reason(&open), "DOCUMENTS_MISSING");
    let whole = line.document(DocumentTemplate::IncidentReport, name).await;
    assert_eq!((whole.name.as_str(), whole.missing_parts.len()), (draft.name.as_str(), 0));
    let same = line.document(DocumentTemplate::IncidentReport, name).await;
    assert_eq!((same.digest.as_str(), same.etag.as_str()), (whole.digest.as_str(), whole.etag.as_str()));
    let wrong = line.documents("ml-engineer").sign_document(sign.clone()).await.expect_err("not the owner");
    assert_eq!(wrong.code(), Code::PermissionDenied);
    assert_eq!(
        line.documents("on-call").sign_document(sign).await.expect("signed").into_inner().signed_by,
        "on-call"
    );
    let close = CloseIncidentRequest { name: name.into(), ..Default::default() };
    let wrong =
        line.incidents("ml-ops-engineer").close_incident(close.clone()).await.expect_err("not the owner");
    assert_eq!(wrong.code(), Code::PermissionDenied);
    let closed = line.incidents("on-call").close_incident(close.clone()).await.expect("closed").into_inner();
    assert_eq!((closed.state(), closed.closed_by.as_str()), (incident::State::Closed, "on-call"));
    assert_eq!(closed.report_digest, whole.digest);
    let again = line.incidents("on-call").close_incident(close).await.expect_err("closed before");
    assert_eq!(again.code(), Code::FailedPrecondition);
}

#[tokio::test]
async fn a_security_issue_revokes_and_a_success_can_still_be_taken_back() {
    let line = Line::start().await;
    let first = line.approved("1.0.0", 1).await;
    line.deployment().await;
    line.in_production("one", &first).await;
    let second = line.approved("1.1.0", 2).await;
    line.in_production("two", &second).await;
    assert_eq!(line.get_version(&first.name).await.state(), model_version::State::Superseded);
    line.rollouts("security").roll_back(back(RollbackTrigger::Security)).await.expect("back");
    let revoked = line.get_version(&second.name).await;
    assert_eq!(
        (revoked.state(), revoked.revoke_reason.as_str()),
        (model_version::State::Revoked, "it fails")
    );
    let routes = line.table().await;
    assert_eq!(routes.revoked_digests, [revoked.artifact_digest]);
    assert_eq!(routes.routes[0].backends[0].version, first.name);
    assert_eq!(line.get_version(&first.name).await.state(), model_version::State::Production);
}
