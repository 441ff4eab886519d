//! Retirement of a version (§10.2, §10.3): a criterion that holds, then seven steps in their order.

mod archive;
mod criterion;
mod service_days;
mod steps;

use async_trait::async_trait;
use contracts::common::v1::ChecklistItem;
use contracts::registry::v1::{retirement_service_server::RetirementService, *};
use contracts::time::to_wire;
use lifecycle::deployment::Done;
use lifecycle::retirement::{Criterion, Fact, Retirement as Rules, Step};
use runtime::Caller;
use std::collections::BTreeMap;
use tonic::{Request, Response, Status};

use crate::convert::{model, rollout as domain};
use crate::store::Resource;
use crate::work::{Verb, Work};
use crate::{Error, Registry, parse::Fields};

#[tonic::async_trait]
impl RetirementService for Registry {
    async fn start_retirement(
        &self,
        request: Request<StartRetirementRequest>,
    ) -> Result<Response<Retirement>, Status> {
        self.carry_out(request).await
    }

    async fn get_retirement(
        &self,
        request: Request<GetRetirementRequest>,
    ) -> Result<Response<Retirement>, Status> {
        self.get(&request.into_inner().name).await
    }

    async fn list_retirements(
        &self,
        request: Request<ListRetirementsRequest>,
    ) -> Result<Response<ListRetirementsResponse>, Status> {
        let ListRetirementsRequest { page_size, page_token } = request.into_inner();
        let (retirements, next_page_token) =
            self.page(page_size, &page_token, Fields::default(), |query| query).await?;
        Ok(Response::new(ListRetirementsResponse { retirements, next_page_token }))
    }

    async fn record_service_day(
        &self,
        request: Request<RecordServiceDayRequest>,
    ) -> Result<Response<ServiceDay>, Status> {
        self.carry_out(request).await
    }

    async fn list_service_days(
        &self,
        request: Request<ListServiceDaysRequest>,
    ) -> Result<Response<ListServiceDaysResponse>, Status> {
        let ListServiceDaysRequest { parent, page_size, page_token } = request.into_inner();
        let (service_days, next_page_token) =
            self.page_below((&parent, ModelVersion::FORM), page_size, &page_token).await?;
        Ok(Response::new(ListServiceDaysResponse { service_days, next_page_token }))
    }

    async fn advance_retirement(
        &self,
        request: Request<AdvanceRetirementRequest>,
    ) -> Result<Response<Retirement>, Status> {
        Caller::of(&request)?;
        let step = request.get_ref();
        if step.step.parse() == Ok(Step::Archive) {
            let mut fields = Fields::default();
            step.check(&mut fields);
            fields.done()?;
            // bytes are written and restored before the unit of work, which only reads what came of it
            self.archive(&step.name).await?;
        }
        self.carry_out(request).await
    }
}

#[async_trait]
impl Verb for StartRetirementRequest {
    type Answer = Retirement;

    fn check(&self, fields: &mut Fields) {
        fields.name("parent", &self.parent, ModelVersion::FORM);
        fields.choice::<RetirementCriterion>("criterion", self.criterion);
        fields.text("facts", &self.facts);
        fields.optional_name("successor", &self.successor, ModelVersion::FORM);
        fields.number("relative_improvement", self.relative_improvement);
        let other = self.successor != self.parent;
        fields.require(other, "successor", "must be another version");
    }

    async fn decide(self, work: &mut Work) -> Result<Retirement, Error> {
        let version = work.read::<ModelVersion>(&self.parent).await?;
        let announced = model::in_state(&version, model::state(&version).deprecate()?);
        criterion::may_succeed(work, &version, &self.successor).await?;
        let criterion =
            criterion::of(self.criterion()).ok_or_else(|| Error::field("criterion", "required"))?;
        let (by, observed) = criterion::holds(work, &version, criterion, &self).await?;
        let policy = work.policy();
        let now = work.now();
        let rules = Rules::new(criterion);
        let done = Done { evidence: self.facts.clone(), who: by.principal.clone(), when: now };
        let rules = rules.complete(&Fact::Announced, done.clone(), now, &policy.retirement)?;
        let mut steps = domain::open(policy.retirement.steps.iter().map(|step| step.as_str()));
        let role = by.role.to_string();
        domain::put(&mut steps, domain::item(Step::Announce.as_str(), &done, &role));
        let facts = if observed.is_empty() { self.facts } else { format!("{} ({observed})", self.facts) };
        let retirement = Retirement {
            name: format!("{}/retirement", version.name),
            criterion: self.criterion,
            facts,
            successor: self.successor,
            steps,
            next_step: 2,
            announce_time: work.wire_now(),
            notice_end_time: Some(to_wire(now + rules.notice_left(now, &policy.retirement))),
            started_by: by.principal,
            ..Retirement::default()
        };
        if announced != *version {
            work.save(&version, announced, "deprecate").await?;
        }
        work.insert(retirement, "announce").await
    }
}

/// Whether service is still promised to the users of a version whose retirement is announced.
///
/// # Errors
/// Of the records.
pub async fn promises_service(work: &Work, version: &str) -> Result<bool, Error> {
    let Some(retirement) = work.find::<Retirement>(&format!("{version}/retirement")).await? else {
        return Ok(false);
    };
    Ok(rules(&retirement)?.promises_service(&work.policy().retirement))
}

/// The retirement as the rules look at it.
fn rules(retirement: &Retirement) -> Result<Rules, Error> {
    let damaged = || Error::Damaged(format!("criterion of {}", retirement.name));
    let criterion: Criterion = criterion::of(retirement.criterion()).ok_or_else(damaged)?;
    let ticked = retirement.steps.iter().filter(|step| step.done);
    let read = |step: &ChecklistItem| Ok((step.item.parse().map_err(Error::Damaged)?, domain::done(step)));
    let done: Result<BTreeMap<Step, Done>, Error> = ticked.map(read).collect();
    Ok(Rules::restore(criterion, done?))
}
