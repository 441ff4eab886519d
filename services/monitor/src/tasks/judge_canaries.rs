//! `judge-canaries`: looks at every rollout that takes traffic; rolls back, pauses or moves it on through the registry.
//!
//! The gateway's breaker acts first (reading 5), and only its test, replayed here, takes a canary off traffic: a rate above
//! the limit keeps the canary where it is. What is done here is idempotent by a request id that follows from the
//! rollout and its step, so a repeat after a lost answer, or by a second monitor, does nothing twice.

use contracts::registry::v1::{
    AdvanceRolloutRequest, CreateIncidentRequest, Incident, ListRolloutsRequest, PauseRolloutRequest,
    RollBackRequest, RollbackTrigger, Rollout, rollout::State,
};
use lifecycle::Finding;
use lifecycle::policy::Policy;
use lifecycle::policy::rollout::TriggerPolicy;
use lifecycle::rollback::{Breaker, breaker};
use std::time::SystemTime;
use tonic::Code;

use crate::convert::{self, canary as wire};
use crate::metrics::RolloutLabel;
use crate::monitor::derived_id;
use crate::rules::canary::{Look, look};
use crate::{Error, Monitor};

/// Judges every rollout once. One that fails does not hold up the others.
///
/// # Errors
/// If the registry cannot be asked which rollouts there are.
pub async fn run_once(monitor: &Monitor) -> Result<(), Error> {
    let mut rollouts = list(monitor, State::Running).await?;
    rollouts.extend(list(monitor, State::Paused).await?);
    monitor.metrics().canary_error_rate.clear();
    for rollout in rollouts {
        if let Err(error) = judge(monitor, &rollout).await {
            monitor.metrics().registry_failures.inc();
            tracing::warn!(rollout = %rollout.name, %error, "the canary could not be judged, will retry");
        }
    }
    Ok(())
}

async fn list(monitor: &Monitor, state: State) -> Result<Vec<Rollout>, Error> {
    let mut request = ListRolloutsRequest {
        parent: "deployments/-".into(),
        page_size: 1000,
        state: state.into(),
        ..ListRolloutsRequest::default()
    };
    let mut all = Vec::new();
    loop {
        let page = monitor.registry().rollouts.list_rollouts(request.clone()).await?.into_inner();
        all.extend(page.rollouts);
        if page.next_page_token.is_empty() {
            return Ok(all);
        }
        request.page_token = page.next_page_token;
    }
}

async fn judge(monitor: &Monitor, rollout: &Rollout) -> Result<(), Error> {
    let look = look(monitor, rollout).await?;
    if let Some(rate) = look.now.error_rate() {
        let label = RolloutLabel { rollout: rollout.name.clone() };
        monitor.metrics().canary_error_rate.get_or_create(&label).set(rate);
    }
    let policy = monitor.policy();
    if breaker(look.evidence, &policy.rollout.breaker) == Breaker::Trip {
        return roll_back(monitor, rollout, &proven(&look, &policy)).await;
    }
    if rollout.state() != State::Running {
        return Ok(()); // a person holds it; only what takes it off traffic at once goes on
    }
    if let Some((row, why)) = &look.slow {
        return assess(monitor, rollout, row, why).await;
    }
    match look.stands_in_the_way(&policy) {
        findings if findings.is_empty() => advance(monitor, rollout, &look).await,
        findings => {
            let why: Vec<String> = findings.iter().map(ToString::to_string).collect();
            tracing::debug!(rollout = %rollout.name, why = why.join("; "), "the canary stays at its step");
            Ok(())
        }
    }
}

fn proven(look: &Look, policy: &Policy) -> Finding {
    let limit = &policy.rollout.breaker.max_error_rate;
    let proof = format!(
        "{} of {} failed, log e-value {:.1}",
        look.now.model_faults, look.now.requests, look.evidence
    );
    Finding::new(limit.clause.clone(), "canary error rate", format!("<= {}", limit.value), proof)
}

/// The same step, the same id; a step that begins again after a pause is another.
fn request_id(action: &str, rollout: &Rollout) -> String {
    let since = convert::time(rollout.step_start_time.as_ref());
    let since = since.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_micros().to_string();
    derived_id(&[action, &rollout.name, &rollout.step.to_string(), &since])
}

async fn roll_back(monitor: &Monitor, rollout: &Rollout, why: &Finding) -> Result<(), Error> {
    tracing::warn!(rollout = %rollout.name, finding = %why, "rolling back");
    let request = RollBackRequest {
        name: rollout.name.clone(),
        trigger: RollbackTrigger::ErrorRate.into(),
        reason: why.to_string(),
        findings: vec![convert::finding(why)],
        detect_time: convert::wire_time(monitor.now()),
        request_id: request_id("roll-back", rollout),
        ..RollBackRequest::default()
    };
    told(rollout, "rollback", monitor.registry().rollouts.roll_back(request).await)
}

/// §8.3, manual assessment: the traffic stays where it is, and a person has the policy's time to answer.
async fn assess(
    monitor: &Monitor,
    rollout: &Rollout,
    row: &TriggerPolicy,
    why: &Finding,
) -> Result<(), Error> {
    open_incident(monitor, row, &rollout.name, &request_id("assess", rollout), why).await?;
    let request = PauseRolloutRequest {
        name: rollout.name.clone(),
        reason: why.to_string(),
        request_id: request_id("pause", rollout),
        ..PauseRolloutRequest::default()
    };
    told(rollout, "pause", monitor.registry().rollouts.pause_rollout(request).await)
}

/// Opens the incident that a row of §8.3 asks for, with its timer. The same id opens it once.
///
/// # Errors
/// If the registry cannot be reached or refuses.
pub async fn open_incident(
    monitor: &Monitor,
    row: &TriggerPolicy,
    subject: &str,
    id: &str,
    why: &Finding,
) -> Result<(), Error> {
    let now = monitor.now();
    let mut incident = Incident {
        title: format!("{} of {subject}: {}", row.trigger, row.action),
        subject: subject.to_owned(),
        findings: vec![convert::finding(why)],
        detect_time: convert::wire_time(now),
        respond_by_time: convert::wire_time(now + row.within.get()),
        ..Incident::default()
    };
    incident.set_trigger(wire::trigger(row.trigger));
    incident.set_severity(wire::severity(row.severity));
    let request = CreateIncidentRequest {
        incident_id: format!("{}-{}", row.trigger, &id[..12.min(id.len())]),
        incident: Some(incident),
        request_id: id.to_owned(),
    };
    match monitor.registry().incidents.create_incident(request).await {
        Ok(opened) => {
            tracing::warn!(incident = %opened.get_ref().name, finding = %why, "incident opened");
            Ok(())
        }
        Err(status) if status.code() == Code::AlreadyExists => Ok(()),
        Err(status) => Err(status.into()),
    }
}

async fn advance(monitor: &Monitor, rollout: &Rollout, look: &Look) -> Result<(), Error> {
    let request = AdvanceRolloutRequest {
        name: rollout.name.clone(),
        canary_health: Some(wire::health(&look.health, look.from, look.to)),
        request_id: request_id("advance", rollout),
        ..AdvanceRolloutRequest::default()
    };
    told(rollout, "advance", monitor.registry().rollouts.advance_rollout(request).await)
}

/// A refusal is an answer: it is logged with its findings, and the next turn looks again.
fn told(
    rollout: &Rollout,
    what: &str,
    answer: Result<tonic::Response<Rollout>, tonic::Status>,
) -> Result<(), Error> {
    match answer {
        Ok(next) => {
            let next = next.into_inner();
            tracing::info!(rollout = %next.name, state = next.state().as_str_name(), percent = next.traffic_percent, "{what}");
            Ok(())
        }
        Err(status)
            if matches!(status.code(), Code::FailedPrecondition | Code::AlreadyExists | Code::Aborted) =>
        {
            tracing::warn!(rollout = %rollout.name, why = status.message(), "{what} was refused");
            Ok(())
        }
        Err(status) => Err(status.into()),
    }
}
