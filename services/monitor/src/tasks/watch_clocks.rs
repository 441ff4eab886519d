//! `watch-clocks`: timers of incidents (§8.3), complaints that need an investigation, duties (§10.1), open feedback loops
//! (§9.3).

use contracts::monitor::v1::{Feedback, FeedbackFinding};
use contracts::registry::v1::{EscalateIncidentRequest, Incident, ListIncidentsRequest, incident};
use lifecycle::Finding;
use lifecycle::rollback::Trigger;
use prost::Message as _;
use std::time::{Duration, SystemTime};
use storage::Query;
use tonic::Code;

use crate::monitor::derived_id;
use crate::store::{self, Resource, Stored};
use crate::tasks::{judge_canaries::open_incident, keep_duties};
use crate::{Error, Monitor, convert};

const TASK: &str = "watch-clocks";
const DAY: Duration = Duration::from_hours(24);

/// Looks at every clock once. What needs the registry comes last: what does not goes on without it.
///
/// # Errors
/// Of the database, or if the registry cannot be reached.
pub async fn run_once(monitor: &Monitor) -> Result<(), Error> {
    ageing(monitor).await?;
    keep_duties::overdue(monitor).await?;
    let investigated = investigate(monitor).await;
    let escalated = escalate(monitor).await;
    let kept = keep_duties::run_once(monitor).await;
    investigated.and(escalated).and(kept)
}

/// Opens an investigation for every complaint that has none yet: one a day for each version.
async fn investigate(monitor: &Monitor) -> Result<(), Error> {
    for record in monitor.records().list_all(&Query::kind(Feedback::KIND).state("OPEN")).await? {
        report(monitor, &record.name).await?;
    }
    Ok(())
}

/// Opens the investigation of one complaint (§8.3), within the policy's time.
///
/// # Errors
/// If the registry cannot be reached; the complaint stays open and comes again.
pub async fn report(monitor: &Monitor, name: &str) -> Result<(), Error> {
    let complaint: Feedback = store::get(monitor.records(), name).await?;
    let policy = monitor.policy();
    let Some(row) = policy.rollout.triggers.iter().find(|row| row.trigger == Trigger::UserComplaints) else {
        return Ok(());
    };
    let at = convert::time(complaint.create_time.as_ref());
    let day =
        crate::windows::floor(at, DAY).duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    let subject = if complaint.version.is_empty() { &complaint.deployment } else { &complaint.version };
    let id = derived_id(&["complaint", &complaint.deployment, subject, &day.to_string()]);
    let what: String = complaint.text.chars().take(200).collect();
    let finding = Finding::new(
        row.clause.clone(),
        format!("complaints about {subject}"),
        format!("investigated within {}", row.within),
        format!("{}: {what}", complaint.name),
    );
    open_incident(monitor, row, subject, &id, &finding).await?;
    let mut unit = monitor.act(TASK, "").await?;
    let seen = Stored::<Feedback>::read(unit.get(Feedback::KIND, name).await?)?;
    if seen.record().state == "OPEN" {
        let body = Feedback { create_time: None, ..(*seen).clone() }.encode_to_vec();
        unit.update(seen.record(), "INVESTIGATED", body, "investigate").await?;
        unit.commit(&[]).await?;
    }
    Ok(())
}

/// Escalates every incident whose timer ran out without an answer.
async fn escalate(monitor: &Monitor) -> Result<(), Error> {
    let now = monitor.now();
    for incident in open_incidents(monitor).await? {
        let Some(due) = incident.respond_by_time.as_ref().and_then(contracts::time::from_wire) else {
            continue;
        };
        // The due moment itself is still in time.
        let Ok(late) = now.duration_since(due) else { continue };
        if late.is_zero() {
            continue;
        }
        let request = EscalateIncidentRequest {
            name: incident.name.clone(),
            reason: format!("§8.3 nobody has answered, {} s late", late.as_secs()),
            request_id: derived_id(&["escalate", &incident.name]),
            ..EscalateIncidentRequest::default()
        };
        match monitor.registry().incidents.escalate_incident(request).await {
            Ok(_) => tracing::warn!(incident = %incident.name, late = late.as_secs(), "incident escalated"),
            Err(status)
                if matches!(
                    status.code(),
                    Code::FailedPrecondition | Code::Aborted | Code::AlreadyExists
                ) =>
            {
                tracing::info!(incident = %incident.name, why = status.message(), "not escalated");
            }
            Err(status) => return Err(status.into()),
        }
    }
    Ok(())
}

async fn open_incidents(monitor: &Monitor) -> Result<Vec<Incident>, Error> {
    let state = incident::State::Open.into();
    let mut request = ListIncidentsRequest { page_size: 1000, state, ..ListIncidentsRequest::default() };
    let mut all = Vec::new();
    loop {
        let page = monitor.registry().incidents.list_incidents(request.clone()).await?.into_inner();
        all.extend(page.incidents);
        if page.next_page_token.is_empty() {
            return Ok(all);
        }
        request.page_token = page.next_page_token;
    }
}

/// Findings that wait longer for a decision, or for an action, than the policy allows (§9.3).
async fn ageing(monitor: &Monitor) -> Result<(), Error> {
    let (now, policy) = (monitor.now(), monitor.policy());
    let open = Query::kind(FeedbackFinding::KIND).state("ANALYSED").state("DECIDED");
    let mut overdue = 0;
    for finding in store::all::<FeedbackFinding>(monitor.records(), &open).await? {
        if let Some(late) = convert::feedback::item(&finding)?.overdue(now, &policy.monitoring.feedback) {
            overdue += 1;
            tracing::debug!(finding = %finding.name, late = late.as_secs(), "the feedback loop stands still");
        }
    }
    if monitor.metrics().feedback_overdue.set(overdue) < overdue {
        tracing::warn!(overdue, "findings wait longer than §9.3 allows");
    }
    Ok(())
}
