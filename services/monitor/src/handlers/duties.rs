//! Duties of §10.1: listed and completed here, made and found overdue by `watch-clocks`.

use contracts::monitor::v1::{
    CompleteDutyRequest, Duty, ListDutiesRequest, ListDutiesResponse, duty, duty_service_server::DutyService,
};
use lifecycle::approval::Approval;
use prost::Message as _;
use runtime::Caller;
use storage::{Draft, Query};
use tonic::{Request, Response, Status};

use crate::monitor::{Call, Opened, digest};
use crate::parse::{Fields, deployment_name, form};
use crate::store::{Resource, open, save};
use crate::tasks::keep_duties;
use crate::{Error, Monitor, convert};

#[tonic::async_trait]
impl DutyService for Monitor {
    async fn list_duties(
        &self,
        request: Request<ListDutiesRequest>,
    ) -> Result<Response<ListDutiesResponse>, Status> {
        let request = request.into_inner();
        let subject = deployment_name(&request.subject);
        let mut fields = Fields::default();
        fields.optional_name("subject", &subject, &[form::DEPLOYMENT]);
        fields.optional_choice::<duty::State>("state", request.state);
        let state = request.state().as_str_name().trim_start_matches("STATE_").to_owned();
        let narrow = |mut query: Query| {
            if !subject.is_empty() {
                query = query.parent(subject.clone());
            }
            if request.state == 0 { query } else { query.state(state) }
        };
        let (duties, next_page_token) =
            self.page((request.page_size, &request.page_token), fields, narrow).await?;
        Ok(Response::new(ListDutiesResponse { duties, next_page_token }))
    }

    async fn complete_duty(&self, request: Request<CompleteDutyRequest>) -> Result<Response<Duty>, Status> {
        let caller = Caller::of(&request)?;
        Ok(Response::new(self.complete(caller, request.into_inner()).await?))
    }
}

impl Monitor {
    async fn complete(&self, caller: Caller, mut request: CompleteDutyRequest) -> Result<Duty, Error> {
        let request_id = std::mem::take(&mut request.request_id);
        let mut fields = Fields::default();
        fields.optional_token("request_id", &request_id);
        fields.name("name", &request.name, &[Duty::FORM]);
        fields.optional_digest("evidence_digest", &request.evidence_digest);
        fields.optional_text("note", &request.note);
        fields.done()?;
        let call = Call {
            caller: caller.clone(),
            method: "/wlp.monitor.v1.DutyService/CompleteDuty",
            request_id,
            digest: digest(&request),
            reason: request.note.clone(),
        };
        let mut unit = match self.open::<Duty>(call).await? {
            Opened::Replayed(answer) => return Ok(answer),
            Opened::New(unit) => unit,
        };
        let (now, policy) = (self.now(), self.policy());
        let seen = open::<Duty>(&unit, &request.name, &request.etag).await?;
        let mut period = keep_duties::period(&seen)?;
        let role =
            policy.duties.activities.iter().find(|row| row.activity == period.activity).map(|row| row.role);
        let Some(role) = role.filter(|role| caller.has(role.as_str())) else {
            return Err(Error::RoleNotHeld {
                observed: caller.held(),
                principal: caller.principal,
                required: seen.role.clone(),
            });
        };
        if seen.state() == duty::State::Completed {
            let role = seen.role.parse().unwrap_or(role);
            let at = convert::time(seen.complete_time.as_ref());
            period.done = Some(Approval::new(seen.completed_by.clone(), role, at));
        }
        let done = period.complete(Approval::new(caller.principal.clone(), role, now), &policy.duties)?;
        let mut next = (*seen).clone();
        next.set_state(duty::State::Completed);
        (next.complete_time, next.completed_by) = (convert::wire_time(now), caller.principal);
        (next.evidence_digest, next.note) = (request.evidence_digest, request.note);
        let answer = save(&mut unit, &seen, &next, "complete").await?;
        // Late work that no loop has seen overdue is a nonconformity all the same.
        let name = format!("nonconformities/{}", contracts::name::last(&next.name));
        if let Some(found) = done.nonconformity(now, &policy.duties)
            && unit.find("nonconformity", &name).await?.is_none()
        {
            let body = convert::finding(&found).encode_to_vec();
            let draft = Draft {
                kind: "nonconformity".into(),
                name,
                parent: next.name.clone(),
                state: String::new(),
                body,
            };
            unit.insert(draft, "record").await?;
        }
        unit.commit(&answer.encode_to_vec()).await?;
        Ok(answer)
    }
}
