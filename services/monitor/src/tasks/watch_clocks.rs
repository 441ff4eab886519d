//! `watch-clocks`: clocks of incidents (§8.3), complaints that need an investigation, duties (§10.1), open feedback loops
//! (§9.3).

use contracts::monitor::v1::{Feedback, FeedbackFinding};
use contracts::registry::v1::incident::{self, Clock};
use contracts::registry::v1::{EscalateIncidentRequest, Incident, ListIncidentsRequest};
use lifecycle::Finding;
use lifecycle::incident::State as RuleState;
use lifecycle::policy::upkeep::IncidentPolicy;
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

/// Escalates every incident of which a clock ran out: the timer of its answer (§8.3), and the times that the policy gives its
/// severity to harm nobody any more and to be closed. Each clock runs out once.
async fn escalate(monitor: &Monitor) -> Result<(), Error> {
    let (now, policy) = (monitor.now(), monitor.policy());
    for incident in unclosed(monitor).await? {
        for (clock, late) in run_out(&incident, now, &policy.incidents) {
            tell(monitor, &incident, clock, late).await?;
        }
    }
    Ok(())
}

/// Clocks that ran out and were not told, with how late it is. The due moment itself is still in time.
fn run_out(incident: &Incident, now: SystemTime, policy: &IncidentPolicy) -> Vec<(Clock, Duration)> {
    let mut all = Vec::new();
    let due = incident.respond_by_time.as_ref().and_then(contracts::time::from_wire);
    let late = due.and_then(|due| now.duration_since(due).ok()).filter(|late| !late.is_zero());
    if incident.state() == incident::State::Open {
        all.extend(late.map(|late| (Clock::Answer, late)));
    }
    let rules = convert::incident::clocks(incident);
    for (state, late) in rules.overdue(now, policy) {
        let clock = match state {
            RuleState::Mitigated => Clock::Mitigate,
            RuleState::Closed => Clock::Close,
            // The answer has a timer of its own, which the trigger may set shorter.
            RuleState::Open | RuleState::Acknowledged | RuleState::Resolved => continue,
        };
        let told = incident.clocks_run_out.iter().any(|known| known.clock() == clock);
        if !told && !rules.reached.contains_key(&state) {
            all.push((clock, late));
        }
    }
    all
}

async fn tell(monitor: &Monitor, incident: &Incident, clock: Clock, late: Duration) -> Result<(), Error> {
    let (what, id) = match clock {
        Clock::Mitigate => ("it is not mitigated", derived_id(&["escalate", &incident.name, "mitigate"])),
        Clock::Close => ("it is not closed", derived_id(&["escalate", &incident.name, "close"])),
        Clock::Unspecified | Clock::Answer => {
            ("nobody has answered", derived_id(&["escalate", &incident.name]))
        }
    };
    let request = EscalateIncidentRequest {
        name: incident.name.clone(),
        reason: format!("§8.3 {what}, {} s late", late.as_secs()),
        request_id: id,
        clock: clock.into(),
        ..EscalateIncidentRequest::default()
    };
    match monitor.registry().incidents.escalate_incident(request).await {
        Ok(_) => {
            tracing::warn!(incident = %incident.name, late = late.as_secs(), "incident escalated: {what}");
        }
        Err(status)
            if matches!(status.code(), Code::FailedPrecondition | Code::Aborted | Code::AlreadyExists) =>
        {
            tracing::info!(incident = %incident.name, why = status.message(), "not escalated");
        }
        Err(status) => return Err(status.into()),
    }
    Ok(())
}

/// Incidents that are not closed.
async fn unclosed(monitor: &Monitor) -> Result<Vec<Incident>, Error> {
    use incident::State;
    let mut all = Vec::new();
    for state in [State::Open, State::Acknowledged, State::Escalated, State::Resolved] {
        let state = state.into();
        let mut request = ListIncidentsRequest { page_size: 1000, state, ..ListIncidentsRequest::default() };
        loop {
            let page = monitor.registry().incidents.list_incidents(request.clone()).await?.into_inner();
            all.extend(page.incidents);
            if page.next_page_token.is_empty() {
                break;
            }
            request.page_token = page.next_page_token;
        }
    }
    Ok(all)
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
