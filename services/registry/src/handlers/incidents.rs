//! Incidents (§8.3, TPL-INC): timers from the policy, acknowledged, escalated, resolved.

use async_trait::async_trait;
use contracts::common::v1::{Finding as WireFinding, Verdict};
use contracts::registry::v1::{
    incident::{Clock, ClockRunOut, Severity, State},
    incident_service_server::IncidentService,
    *,
};
use contracts::time::to_wire;
use lifecycle::Policy;
use lifecycle::documents::{Document as Template, Occasion, require, row};
use lifecycle::incident::{self, Incident as Rules, Severity as RuleSeverity, State as RuleState};
use lifecycle::rollback::Timer;
use tonic::{Request, Response, Status};

use super::documents::Draft;
use crate::convert::{optional_time, rollout, time};
use crate::store::{Resource, Stored};
use crate::work::{Verb, Work};
use crate::{Error, Registry, parse::Fields};

#[tonic::async_trait]
impl IncidentService for Registry {
    async fn create_incident(
        &self,
        request: Request<CreateIncidentRequest>,
    ) -> Result<Response<Incident>, Status> {
        self.carry_out(request).await
    }

    async fn get_incident(&self, request: Request<GetIncidentRequest>) -> Result<Response<Incident>, Status> {
        self.get(&request.into_inner().name).await
    }

    async fn list_incidents(
        &self,
        request: Request<ListIncidentsRequest>,
    ) -> Result<Response<ListIncidentsResponse>, Status> {
        let ListIncidentsRequest { page_size, page_token, state } = request.into_inner();
        let mut fields = Fields::default();
        fields.optional_choice::<State>("state", state);
        let (incidents, next_page_token) = self
            .page(page_size, &page_token, fields, |query| match state {
                0 => query,
                state => query.state(Resource::state(&Incident { state, ..Incident::default() })),
            })
            .await?;
        Ok(Response::new(ListIncidentsResponse { incidents, next_page_token }))
    }

    async fn acknowledge_incident(
        &self,
        request: Request<AcknowledgeIncidentRequest>,
    ) -> Result<Response<Incident>, Status> {
        self.carry_out(request).await
    }

    async fn escalate_incident(
        &self,
        request: Request<EscalateIncidentRequest>,
    ) -> Result<Response<Incident>, Status> {
        self.carry_out(request).await
    }

    async fn resolve_incident(
        &self,
        request: Request<ResolveIncidentRequest>,
    ) -> Result<Response<Incident>, Status> {
        self.carry_out(request).await
    }

    async fn close_incident(
        &self,
        request: Request<CloseIncidentRequest>,
    ) -> Result<Response<Incident>, Status> {
        self.carry_out(request).await
    }
}

/// Checks findings that a request brings.
pub fn check_findings(fields: &mut Fields, field: &str, findings: &[WireFinding]) {
    fields.each(field, findings, |fields, at, finding| {
        fields.text(&format!("{at}.clause"), &finding.clause);
        fields.text(&format!("{at}.subject"), &finding.subject);
        fields.optional_text(&format!("{at}.required"), &finding.required);
        fields.optional_text(&format!("{at}.observed"), &finding.observed);
        fields.optional_choice::<Verdict>(&format!("{at}.verdict"), finding.verdict);
    });
}

/// Opens an incident with the severity and the timer of the rules.
///
/// # Errors
/// ALREADY_EXISTS.
pub async fn open(work: &mut Work, given: Incident) -> Result<Incident, Error> {
    let (trigger, asked) = (rollout::trigger(given.trigger()), severity(given.severity()));
    let detected = optional_time(given.detect_time.as_ref());
    let opened = incident::opened(trigger, asked, detected, work.now(), &work.policy());
    let incident = Incident {
        state: State::Open.into(),
        severity: to_severity(opened.severity).into(),
        detect_time: Some(to_wire(opened.detected)),
        respond_by_time: Some(to_wire(opened.respond_by)),
        acknowledge_time: None,
        acknowledged_by: String::new(),
        escalate_time: None,
        root_cause: String::new(),
        corrective_action: String::new(),
        resolved_by: String::new(),
        resolve_time: None,
        closed_by: String::new(),
        close_time: None,
        report_digest: String::new(),
        ..given
    };
    work.insert(incident, "open").await
}

fn severity(severity: Severity) -> Option<RuleSeverity> {
    Some(match severity {
        Severity::Unspecified => return None,
        Severity::Low => RuleSeverity::Low,
        Severity::Medium => RuleSeverity::Medium,
        Severity::High => RuleSeverity::High,
        Severity::Critical => RuleSeverity::Critical,
    })
}

fn to_severity(severity: RuleSeverity) -> Severity {
    match severity {
        RuleSeverity::Low => Severity::Low,
        RuleSeverity::Medium => Severity::Medium,
        RuleSeverity::High => Severity::High,
        RuleSeverity::Critical => Severity::Critical,
    }
}

/// The incident as the rules look at it.
fn rules(incident: &Incident) -> Rules {
    let mut rules = Rules::open(
        severity(incident.severity()).unwrap_or(incident::UNSTATED),
        time(incident.detect_time.as_ref()),
    );
    rules.state = match incident.state() {
        State::Unspecified | State::Open | State::Escalated => RuleState::Open,
        State::Acknowledged => RuleState::Acknowledged,
        State::Resolved => RuleState::Resolved,
        State::Closed => RuleState::Closed,
    };
    let reached = [
        (RuleState::Acknowledged, &incident.acknowledge_time),
        (RuleState::Mitigated, &incident.mitigate_time),
        (RuleState::Resolved, &incident.resolve_time),
        (RuleState::Closed, &incident.close_time),
    ];
    let times = reached.into_iter().filter_map(|(state, at)| Some((state, optional_time(at.as_ref())?)));
    rules.reached.extend(times);
    rules
}

#[async_trait]
impl Verb for CreateIncidentRequest {
    type Answer = Incident;

    fn check(&self, fields: &mut Fields) {
        if !self.incident_id.is_empty() {
            fields.id("incident_id", &self.incident_id);
            let own = ["rollback-", "security-", "revocation-"];
            let free = !own.iter().any(|start| self.incident_id.starts_with(start));
            fields.require(free, "incident_id", "begins as those that a rollback opens");
        }
        fields.message("incident", self.incident.as_ref(), |fields, incident| {
            fields.text("incident.title", &incident.title);
            fields.optional_choice::<Severity>("incident.severity", incident.severity);
            fields.choice::<RollbackTrigger>("incident.trigger", incident.trigger);
            let known = crate::store::kind_of(&incident.subject);
            let subject = matches!(known, Some(Rollout::KIND | Deployment::KIND | ModelVersion::KIND));
            fields.require(subject, "incident.subject", "must be a rollout, a deployment or a model version");
            check_findings(fields, "incident.findings", &incident.findings);
            fields.optional_time("incident.detect_time", incident.detect_time.as_ref());
            fields.optional_time("incident.mitigate_time", incident.mitigate_time.as_ref());
        });
    }

    async fn decide(self, work: &mut Work) -> Result<Incident, Error> {
        let id = match self.incident_id.as_str() {
            "" => format!("incident-{}", uuid::Uuid::now_v7()),
            id => id.to_owned(),
        };
        let given = self.incident.unwrap_or_default();
        match crate::store::kind_of(&given.subject) {
            Some(Rollout::KIND) => drop(work.read::<Rollout>(&given.subject).await?),
            Some(Deployment::KIND) => drop(work.read::<Deployment>(&given.subject).await?),
            _ => drop(work.read::<ModelVersion>(&given.subject).await?),
        }
        let incident = Incident { name: format!("incidents/{id}"), reported_by: work.principal(), ..given };
        open(work, incident).await
    }
}

#[async_trait]
impl Verb for AcknowledgeIncidentRequest {
    type Answer = Incident;

    fn check(&self, fields: &mut Fields) {
        fields.name("name", &self.name, Incident::FORM);
        fields.optional_text("note", &self.note);
    }

    async fn decide(self, work: &mut Work) -> Result<Incident, Error> {
        let seen = work.open::<Incident>(&self.name, &self.etag).await?;
        step(work, &seen, &[RuleState::Acknowledged], &work.policy())?;
        let mut next = Incident {
            acknowledge_time: work.wire_now(),
            acknowledged_by: work.principal(),
            ..(*seen).clone()
        };
        next.set_state(State::Acknowledged);
        work.save(&seen, next, "acknowledge").await
    }

    fn reason(&self) -> &str {
        &self.note
    }
}

/// Goes the steps by the rules: their order, and who may.
fn step(
    work: &Work,
    incident: &Stored<Incident>,
    states: &[RuleState],
    policy: &Policy,
) -> Result<(), Error> {
    let owner = row(Template::IncidentReport, &policy.documents)?.owner;
    let mut roles = vec![owner];
    roles.extend(&policy.incidents.responders.value);
    let by = work.approval(&roles)?;
    let mut at = rules(incident);
    for state in states {
        at = at.advance(*state, &by, owner, &policy.incidents)?;
    }
    Ok(())
}

#[async_trait]
impl Verb for EscalateIncidentRequest {
    type Answer = Incident;

    fn check(&self, fields: &mut Fields) {
        fields.name("name", &self.name, Incident::FORM);
        fields.optional_text("reason", &self.reason);
        fields.optional_choice::<Clock>("clock", self.clock);
    }

    async fn decide(self, work: &mut Work) -> Result<Incident, Error> {
        let seen = work.open::<Incident>(&self.name, &self.etag).await?;
        match self.clock() {
            Clock::Unspecified | Clock::Answer => unanswered(work, &seen).await,
            Clock::Mitigate => run_out(work, &seen, Clock::Mitigate, RuleState::Mitigated).await,
            Clock::Close => run_out(work, &seen, Clock::Close, RuleState::Closed).await,
        }
    }

    fn reason(&self) -> &str {
        &self.reason
    }
}

/// The timer of the answer (§8.3).
async fn unanswered(work: &mut Work, seen: &Stored<Incident>) -> Result<Incident, Error> {
    if seen.state() == State::Escalated {
        return Ok((**seen).clone()); // the timer runs out once
    }
    let due = optional_time(seen.respond_by_time.as_ref());
    let timer = Timer { due, answered: optional_time(seen.acknowledge_time.as_ref()) };
    timer.run_out(&seen.name, work.now())?;
    let mut next = Incident { escalate_time: work.wire_now(), ..(**seen).clone() };
    next.set_state(State::Escalated);
    work.save(seen, next, "escalate").await
}

/// A clock of the severity: what it waits for changes nothing of where the incident stands.
async fn run_out(
    work: &mut Work,
    seen: &Stored<Incident>,
    clock: Clock,
    state: RuleState,
) -> Result<Incident, Error> {
    if seen.clocks_run_out.iter().any(|known| known.clock() == clock) {
        return Ok((**seen).clone()); // each runs out once
    }
    rules(seen).run_out(state, &seen.name, work.now(), &work.policy().incidents)?;
    let mut next = (**seen).clone();
    next.clocks_run_out.push(ClockRunOut { clock: clock.into(), time: work.wire_now() });
    work.save(seen, next, "escalate").await
}

#[async_trait]
impl Verb for ResolveIncidentRequest {
    type Answer = Incident;

    fn check(&self, fields: &mut Fields) {
        fields.name("name", &self.name, Incident::FORM);
        fields.text("root_cause", &self.root_cause);
        fields.text("corrective_action", &self.corrective_action);
    }

    async fn decide(self, work: &mut Work) -> Result<Incident, Error> {
        let seen = work.open::<Incident>(&self.name, &self.etag).await?;
        step(work, &seen, &[RuleState::Mitigated, RuleState::Resolved], &work.policy())?;
        let mut next = Incident {
            root_cause: self.root_cause,
            corrective_action: self.corrective_action,
            resolved_by: work.principal(),
            resolve_time: work.wire_now(),
            ..(*seen).clone()
        };
        next.mitigate_time = next.mitigate_time.or(work.wire_now());
        next.set_state(State::Resolved);
        work.save(&seen, next, "resolve").await
    }
}

#[async_trait]
impl Verb for CloseIncidentRequest {
    type Answer = Incident;

    fn check(&self, fields: &mut Fields) {
        fields.name("name", &self.name, Incident::FORM);
    }

    async fn decide(self, work: &mut Work) -> Result<Incident, Error> {
        let seen = work.open::<Incident>(&self.name, &self.etag).await?;
        let policy = work.policy();
        let by = work.approval(&[row(Template::IncidentReport, &policy.documents)?.owner])?;
        let draft = Draft::make(work, Template::IncidentReport, &self.name).await?;
        let report = work.find::<Document>(&draft.name()).await?;
        let report = report.filter(|one| one.sources == draft.sources && !one.signed_by.is_empty());
        let made: Vec<Template> = report.iter().map(|_| Template::IncidentReport).collect();
        require(Occasion::Incident, &made, &policy.documents)?;
        let mut at = rules(&seen);
        for (part, text) in &draft.parts {
            if !text.trim().is_empty() {
                at = at.write(part.parse().map_err(Error::Damaged)?, text)?;
            }
        }
        at.advance(RuleState::Closed, &by, by.role, &policy.incidents)?;
        let mut next = Incident {
            closed_by: by.principal,
            close_time: work.wire_now(),
            report_digest: report.map(|one| one.digest.clone()).unwrap_or_default(),
            ..(*seen).clone()
        };
        next.set_state(State::Closed);
        work.save(&seen, next, "close").await
    }
}
