//! §8.3: how bad an incident is and until when it is answered follow from its trigger and the policy.

use super::desk::*;
use super::line::*;
use contracts::registry::v1::incident::{Severity, State};
use contracts::registry::v1::*;
use contracts::time::from_wire;
use std::time::Duration;
use tonic::Status;

async fn open(line: &Line, id: &str, trigger: RollbackTrigger, severity: Severity) -> Incident {
    let incident = Incident {
        title: "something was seen".into(),
        subject: "models/screen/versions/1.0.0".into(),
        trigger: trigger.into(),
        severity: severity.into(),
        ..Incident::default()
    };
    let create =
        CreateIncidentRequest { incident_id: id.into(), incident: Some(incident), ..Default::default() };
    line.incidents("on-call").create_incident(create).await.expect("opened").into_inner()
}

async fn escalate(line: &Line, incident: &Incident) -> Result<Incident, Status> {
    let escalate = EscalateIncidentRequest { name: incident.name.clone(), ..Default::default() };
    Ok(line.incidents("monitor").escalate_incident(escalate).await?.into_inner())
}

fn answer_within(incident: &Incident) -> Duration {
    let at = |time: Option<prost_types::Timestamp>| time.as_ref().and_then(from_wire).expect("a time");
    at(incident.respond_by_time).duration_since(at(incident.detect_time)).expect("not before")
}

#[tokio::test]
async fn the_trigger_says_how_bad_and_how_soon() {
    let line = Line::start().await;
    line.submitted("1.0.0", 1).await;
    let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
    for (id, trigger, asked, severity, within) in [
        ("slow", RollbackTrigger::Latency, Severity::Unspecified, Severity::Medium, minutes(5)),
        ("complaint", RollbackTrigger::UserComplaints, Severity::Low, Severity::Medium, minutes(15)),
        ("worse", RollbackTrigger::UserComplaints, Severity::Critical, Severity::Critical, minutes(15)),
        ("errors", RollbackTrigger::ErrorRate, Severity::Unspecified, Severity::High, minutes(5)),
        ("unsafe", RollbackTrigger::Security, Severity::High, Severity::Critical, minutes(5)),
        ("manual", RollbackTrigger::Manual, Severity::Unspecified, Severity::High, minutes(5)),
        ("minor", RollbackTrigger::Manual, Severity::Low, Severity::Low, minutes(24 * 60)),
    ] {
        let made = open(&line, id, trigger, asked).await;
        assert_eq!((made.severity(), answer_within(&made)), (severity, within), "{id}");
    }
}

#[tokio::test]
async fn an_answer_at_the_last_moment_is_in_time() {
    let line = Line::start().await;
    line.submitted("1.0.0", 1).await;
    let slow = open(&line, "slow", RollbackTrigger::Latency, Severity::Unspecified).await;
    let seen = open(&line, "seen", RollbackTrigger::Latency, Severity::Unspecified).await;
    line.clock.advance(Duration::from_mins(5));
    let due = escalate(&line, &slow).await.expect_err("the due moment is in time");
    assert_eq!(reason(&due), "TIMER_RUNNING");
    let acknowledge = AcknowledgeIncidentRequest { name: seen.name.clone(), ..Default::default() };
    line.incidents("on-call").acknowledge_incident(acknowledge).await.expect("answered");
    line.clock.advance(Duration::from_millis(1));
    assert_eq!(escalate(&line, &slow).await.expect("late").state(), State::Escalated);
    let answered = escalate(&line, &seen).await.expect_err("it was answered");
    assert_eq!(reason(&answered), "TIMER_RUNNING");
    assert!(answered.message().contains("required without an answer"), "{}", answered.message());
}
