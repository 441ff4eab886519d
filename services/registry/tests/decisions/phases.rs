//! §3, §9.3: a line in service goes on to its next version by those who decide it, and begins with nothing of the last one.

use super::desk::*;
use super::line::*;
use super::steps::advance;
use contracts::registry::v1::*;
use tonic::{Code, Status};

fn iterate(finding: &str, decision: &str) -> AdvancePhaseRequest {
    let iteration =
        IterationDecision { finding: finding.into(), decision: decision.into(), ..Default::default() };
    AdvancePhaseRequest { iteration: Some(iteration), ..advance(Phase::Iterate) }
}

async fn go(line: &Line, who: &str, request: AdvancePhaseRequest) -> Result<Project, Status> {
    Ok(line.projects(who).advance_phase(request).await?.into_inner())
}

/// Takes the line to MONITOR with a version in production.
async fn in_service(line: &Line) {
    line.plan_approved().await;
    go(line, "ml-lead", advance(Phase::Data)).await.expect("planned");
    go(line, "ml-lead", advance(Phase::Model)).await.expect("fit data");
    line.model_selected().await;
    let version = line.approved("1.0.0", 1).await;
    go(line, "ml-lead", advance(Phase::Eval)).await.expect("a version");
    go(line, "ml-lead", advance(Phase::Deploy)).await.expect("three gates");
    line.deployment().await;
    line.in_production("first", &version).await;
    for item in ["verify-all-metrics", "update-status-page", "notify-stakeholders", "close-ticket"] {
        line.item(ROLLOUT, "ml-ops-engineer", item).await.expect(item);
    }
    let close = CloseRolloutRequest { name: ROLLOUT.into(), ..Default::default() };
    line.rollouts("ml-ops-engineer").close_rollout(close).await.expect("closed");
    go(line, "ml-lead", advance(Phase::Monitor)).await.expect("in service");
}

#[tokio::test]
async fn the_next_version_is_decided_by_whom_the_policy_names() {
    let line = Line::start().await;
    let early = go(&line, "ml-ops-engineer", iterate("findings/drift", "adjust")).await;
    assert_eq!(reason(&early.expect_err("no such arrow")), "ILLEGAL_TRANSITION");
    in_service(&line).await;
    let silent = go(&line, "ml-lead", advance(Phase::Iterate)).await.expect_err("nothing was decided");
    assert_eq!(reason(&silent), "RECORDS_MISSING");
    let lead_only = go(&line, "ml-ops-engineer", iterate("findings/drift", "retrain")).await;
    let lead_only = lead_only.expect_err("the lead decides to retrain");
    assert_eq!((lead_only.code(), reason(&lead_only).as_str()), (Code::PermissionDenied, "ROLE_REQUIRED"));
    let told = "§9.3, §10.1 roles of ml-ops-engineer: ml-ops-engineer, required one of ml-lead";
    assert_eq!(lead_only.message(), told);
    for (finding, decision, bad) in [
        ("", "adjust", "iteration.finding"),
        ("findings/drift", "", "iteration.decision"),
        ("findings/drift", "maintain", "iteration.decision"),
        ("findings/drift", "retire", "iteration.decision"),
    ] {
        let half = go(&line, "ml-lead", iterate(finding, decision)).await.expect_err("one without the other");
        assert_eq!(bad_fields(&half), [bad], "{finding} {decision}");
    }
    let next = go(&line, "ml-ops-engineer", iterate("findings/drift", "adjust")).await.expect("may adjust");
    let rests = next.iteration.clone().expect("a decision");
    assert_eq!((next.phase(), rests.principal.as_str()), (Phase::Iterate, "ml-ops-engineer"));
    assert_eq!((rests.finding.as_str(), rests.decision.as_str()), ("findings/drift", "adjust"));
}

#[tokio::test]
async fn the_evidence_of_one_version_opens_no_phase_for_the_next() {
    let line = Line::start().await;
    in_service(&line).await;
    go(&line, "ml-lead", iterate("findings/drift", "retrain")).await.expect("the lead's to decide");
    let again = go(&line, "ml-lead", advance(Phase::Model)).await.expect("the data stays");
    assert_eq!(again.reopen_times.keys().collect::<Vec<_>>(), ["MODEL"]);
    let old = go(&line, "ml-lead", advance(Phase::Eval)).await.expect_err("all of it is of the last version");
    let missing: Vec<String> = findings(&old);
    assert_eq!((reason(&old).as_str(), missing.len()), ("RECORDS_MISSING", 3), "{missing:?}");
    line.clock.advance(std::time::Duration::from_secs(1));
    line.model_selected().await;
    line.run("second").await;
    let half = go(&line, "ml-lead", advance(Phase::Eval)).await.expect_err("no version yet");
    assert!(findings(&half).iter().all(|one| one.contains("version-registered")), "{:?}", findings(&half));
    line.submitted("1.1.0", 2).await;
    go(&line, "ml-lead", advance(Phase::Eval)).await.expect("all made again");
}
