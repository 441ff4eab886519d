//! ANALYZE, DECIDE, ACTION (§9.3): no decision without a finding, no end without an action.

use contracts::monitor::v1::{
    Alert, CloseFindingRequest, CreateFindingRequest, DecideFindingRequest, Feedback, FeedbackFinding,
    feedback_finding::{Decision, State},
};
use lifecycle::Role;
use lifecycle::approval::Approval;
use lifecycle::feedback::Item;
use prost::Message as _;
use runtime::Caller;
use storage::Unit;

use crate::convert::{feedback as loops, wire_time};
use crate::monitor::{Call, Opened, digest};
use crate::parse::{Fields, form};
use crate::store::{Resource, Stored, insert, open, save};
use crate::{Error, Monitor, convert};

/// What an analysis may look at.
const ITEMS: [&str; 3] = [Feedback::FORM, Alert::FORM, "incidents/{incident}"];

impl Monitor {
    pub(crate) async fn analyse(
        &self,
        caller: Caller,
        mut request: CreateFindingRequest,
    ) -> Result<FeedbackFinding, Error> {
        let request_id = std::mem::take(&mut request.request_id);
        let whole = digest(&request);
        let mut finding = request.finding.unwrap_or_default();
        let mut fields = Fields::default();
        fields.optional_token("request_id", &request_id);
        fields.id("finding_id", &request.finding_id);
        fields.name("finding.subject", &finding.subject, &[form::DEPLOYMENT, form::VERSION]);
        fields.require(!finding.items.is_empty(), "finding.items", "required: what was looked at");
        fields.each("finding.items", &finding.items, |fields, at, item| fields.name(at, item, &ITEMS));
        for (field, text) in [
            ("finding.pattern", &finding.pattern),
            ("finding.root_cause", &finding.root_cause),
            ("finding.trend", &finding.trend),
            ("finding.comparison", &finding.comparison),
        ] {
            fields.optional_text(field, text);
        }
        let analyses = loops::analyses(&finding);
        fields.require(
            !analyses.is_empty(),
            "finding.pattern",
            "required, or root_cause, trend or comparison",
        );
        fields.done()?;
        finding.name = format!("findings/{}", request.finding_id);
        finding.analysed_by.clone_from(&caller.principal);
        // What comes later in the loop cannot be sent along.
        finding = FeedbackFinding {
            decision: Decision::Unspecified.into(),
            decided_by: String::new(),
            decided_role: String::new(),
            decision_reason: String::new(),
            decide_time: None,
            action: String::new(),
            action_resource: String::new(),
            document: String::new(),
            close_time: None,
            ..finding
        };
        finding.set_state(State::Analysed);
        let call = call(caller, "CreateFinding", request_id, whole, "");
        let mut unit = match self.open::<FeedbackFinding>(call).await? {
            Opened::Replayed(answer) => return Ok(answer),
            Opened::New(unit) => unit,
        };
        let (now, policy) = (self.now(), self.policy());
        let collected = collected(&unit, &finding.items).await?.unwrap_or(now);
        for one in analyses {
            Item::Collected { at: collected }.analyze(one, now, &policy.monitoring.feedback)?;
        }
        let answer = insert(&mut unit, &finding, "analyze").await?;
        unit.commit(&answer.encode_to_vec()).await?;
        Ok(answer)
    }

    pub(crate) async fn decide(
        &self,
        caller: Caller,
        mut request: DecideFindingRequest,
    ) -> Result<FeedbackFinding, Error> {
        let request_id = std::mem::take(&mut request.request_id);
        let mut fields = Fields::default();
        fields.optional_token("request_id", &request_id);
        fields.name("name", &request.name, &[FeedbackFinding::FORM]);
        fields.choice::<Decision>("decision", request.decision);
        fields.text("reason", &request.reason);
        let role = request.role.parse::<Role>().ok();
        fields.require(role.is_some(), "role", "is no role of the procedure");
        fields.done()?;
        let (Some(role), Some(decision)) = (role, loops::decision(request.decision())) else {
            return Err(Error::BadRequest(Vec::new()));
        };
        if !caller.has(role.as_str()) {
            return Err(Error::RoleNotHeld {
                observed: caller.held(),
                principal: caller.principal,
                required: role.to_string(),
            });
        }
        let principal = caller.principal.clone();
        let call = call(caller, "DecideFinding", request_id, digest(&request), &request.reason);
        let mut unit = match self.open::<FeedbackFinding>(call).await? {
            Opened::Replayed(answer) => return Ok(answer),
            Opened::New(unit) => unit,
        };
        let seen = open::<FeedbackFinding>(&unit, &request.name, &request.etag).await?;
        let (now, policy) = (self.now(), self.policy());
        let by = Approval::new(principal.clone(), role, now);
        loops::item(&seen)?.decide(decision, by, &policy.monitoring.feedback)?;
        let mut next = (*seen).clone();
        next.set_state(State::Decided);
        next.decision = request.decision;
        (next.decided_by, next.decided_role) = (principal, role.to_string());
        (next.decision_reason, next.decide_time) = (request.reason, wire_time(now));
        let answer = save(&mut unit, &seen, &next, "decide").await?;
        unit.commit(&answer.encode_to_vec()).await?;
        Ok(answer)
    }

    pub(crate) async fn close(
        &self,
        caller: Caller,
        mut request: CloseFindingRequest,
    ) -> Result<FeedbackFinding, Error> {
        let request_id = std::mem::take(&mut request.request_id);
        let mut fields = Fields::default();
        fields.optional_token("request_id", &request_id);
        fields.name("name", &request.name, &[FeedbackFinding::FORM]);
        fields.text("action", &request.action);
        fields.optional_text("action_resource", &request.action_resource);
        fields.text("document", &request.document);
        fields.done()?;
        let call = call(caller, "CloseFinding", request_id, digest(&request), &request.action);
        let mut unit = match self.open::<FeedbackFinding>(call).await? {
            Opened::Replayed(answer) => return Ok(answer),
            Opened::New(unit) => unit,
        };
        let seen = open::<FeedbackFinding>(&unit, &request.name, &request.etag).await?;
        let now = self.now();
        let action =
            loops::action(loops::decision(seen.decision()), &request.action, &request.action_resource);
        let link = match request.action_resource.as_str() {
            "" => &request.document,
            resource => resource,
        };
        loops::item(&seen)?.act(action, link, now)?.close(now)?;
        let mut next = (*seen).clone();
        next.set_state(State::Closed);
        (next.action, next.action_resource) = (request.action, request.action_resource);
        (next.document, next.close_time) = (request.document, wire_time(now));
        let answer = save(&mut unit, &seen, &next, "close").await?;
        unit.commit(&answer.encode_to_vec()).await?;
        Ok(answer)
    }
}

fn call(caller: Caller, method: &str, request_id: String, digest: storage::Digest, reason: &str) -> Call {
    let method = match method {
        "CreateFinding" => "/wlp.monitor.v1.FeedbackService/CreateFinding",
        "DecideFinding" => "/wlp.monitor.v1.FeedbackService/DecideFinding",
        _ => "/wlp.monitor.v1.FeedbackService/CloseFinding",
    };
    Call { caller, method, request_id, digest, reason: reason.to_owned() }
}

/// When the first of the items was collected. Items of the monitor must exist; incidents are the registry's.
async fn collected(unit: &Unit, items: &[String]) -> Result<Option<std::time::SystemTime>, Error> {
    let mut first = None;
    for item in items {
        let at = match item.split('/').next() {
            Some("feedback") => {
                let seen = Stored::<Feedback>::read(unit.get(Feedback::KIND, item).await?)?;
                convert::time(seen.create_time.as_ref())
            }
            Some("alerts") => {
                let seen = Stored::<Alert>::read(unit.get(Alert::KIND, item).await?)?;
                convert::time(seen.open_time.as_ref())
            }
            _ => continue,
        };
        first = Some(first.map_or(at, |known: std::time::SystemTime| known.min(at)));
    }
    Ok(first)
}
