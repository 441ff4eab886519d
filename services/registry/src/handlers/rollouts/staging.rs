//! Staging and the rehearsed rollback (§8.2): the plan is verified once gateways have really gone back and forth.

use async_trait::async_trait;
use contracts::registry::v1::{rollout::State, *};
use contracts::time::duration_to_wire;
use lifecycle::checklist::DeployItem;
use lifecycle::deployment::{Activity, Done};
use lifecycle::version_state::State as VersionState;
use lifecycle::{Finding, Rejection};
use runtime::{Caller, Clock};
use std::time::Duration;
use storage::{Digest, Query};

use super::{checks, may_roll_out, wrong_state};
use crate::convert::{model, rollout as domain, time};
use crate::handlers::routes::STAGING;
use crate::store::{Read, Resource, Stored, serving};
use crate::verbs::Mutation;
use crate::work::{Verb, Work};
use crate::{Error, Registry, parse::Fields};

#[async_trait]
impl Verb for StageRolloutRequest {
    type Answer = Rollout;

    fn check(&self, fields: &mut Fields) {
        fields.name("name", &self.name, Rollout::FORM);
    }

    async fn decide(self, work: &mut Work) -> Result<Rollout, Error> {
        let seen = work.open::<Rollout>(&self.name, &self.etag).await?;
        if seen.state() != State::Preparing || seen.staged {
            return Err(wrong_state(&seen, "PREPARING, not staged yet").into());
        }
        let version = work.read::<ModelVersion>(&seen.version).await?;
        model::state(&version).require(VersionState::may_be_prepared, &version.name)?;
        let by = may_roll_out(work, &version).await?;
        let policy = work.policy();
        let now = work.now();
        let mut next = Rollout { staged: true, ..(*seen).clone() };
        checks::fill_activities(work, &version, &mut next).await?;
        let done = Done { evidence: endpoint(&seen.name), who: by.principal, when: now };
        let role = by.role.to_string();
        let entry = |name: &str| domain::item(name, &done, &role);
        let activity = Activity::DeployToStaging;
        domain::tick_activity(&mut next, activity, entry(activity.as_str()), now, &policy.deployment)?;
        let item = DeployItem::DeployToStaging;
        domain::tick_deploy(&mut next, item, entry(item.as_str()), now, &policy.deployment)?;
        work.save(&seen, next, "stage").await
    }
}

#[async_trait]
impl Verb for RehearseRollbackRequest {
    type Answer = Rollout;

    fn check(&self, fields: &mut Fields) {
        fields.name("name", &self.name, Rollout::FORM);
    }

    async fn decide(self, work: &mut Work) -> Result<Rollout, Error> {
        let seen = work.open::<Rollout>(&self.name, &self.etag).await?;
        if seen.state() != State::Preparing || !seen.staged {
            return Err(wrong_state(&seen, "PREPARING and staged").into());
        }
        if seen.rehearsal.as_ref().is_some_and(|going| going.restored_time.is_none()) {
            let finding = Finding::new("§8.2", "rehearsal", "none under way", "one under way");
            return Err(Rejection::one("REHEARSAL_UNDER_WAY", self.name, finding).into());
        }
        let version = work.read::<ModelVersion>(&seen.version).await?;
        let by = may_roll_out(work, &version).await?;
        let real_now = Clock::real().now();
        let reports = serving::fresh(work.connection(), real_now).await?;
        let up = reports.iter().any(|report| serves(report, &seen));
        if !up {
            let subject = format!("{} served by a gateway", endpoint(&seen.name));
            let observed = format!("not served by any of {} gateways", reports.len());
            let finding = Finding::new("§8.2", subject, "ready", observed);
            return Err(Rejection::one("STAGING_NOT_SERVED", self.name, finding).into());
        }
        serving::rehearsal_began(work.connection(), &seen.name, real_now).await?;
        let rehearsal = Rehearsal {
            start_time: work.wire_now(),
            principal: by.principal,
            // of the entry that this very change will have; the route table that follows has at least this number
            rollback_sequence: serving::next_sequence(work.connection()).await?,
            ..Rehearsal::default()
        };
        let next = Rollout { rehearsal: Some(rehearsal), ..(*seen).clone() };
        work.save(&seen, next, "rehearse-rollback").await
    }
}

/// `summarizer-staging`
pub fn endpoint(rollout: &str) -> String {
    let deployment = contracts::name::parent(rollout);
    format!("{}{STAGING}", contracts::name::last(deployment))
}

fn serves(report: &ReportServingRequest, rollout: &Rollout) -> bool {
    let endpoint = endpoint(&rollout.name);
    let own = |one: &&ServingBackend| one.endpoint == endpoint && one.version == rollout.version;
    report.backends.iter().filter(own).any(|one| one.state == "ready")
}

/// Whether every gateway that was heard of lately has done the step of the rehearsal that is under way.
fn acknowledged(reports: &[ReportServingRequest], rollout: &Rollout) -> bool {
    let Some(rehearsal) = &rollout.rehearsal else { return false };
    let (wanted, up) = match (rehearsal.rolled_back_time, rehearsal.restored_time) {
        (None, _) => (rehearsal.rollback_sequence, false),
        (Some(_), None) => (rehearsal.restore_sequence, true),
        (Some(_), Some(_)) => return false,
    };
    let done = |report: &ReportServingRequest| wanted <= report.sequence && serves(report, rollout) == up;
    !reports.is_empty() && reports.iter().all(done)
}

/// Looks whether a report completes a step of a rehearsal, and notes it.
///
/// # Errors
/// Of the database.
pub async fn advance_rehearsals(
    registry: &Registry,
    caller: &Caller,
    report: &ReportServingRequest,
) -> Result<(), Error> {
    let reports = serving::fresh(registry.records().database().connection(), Clock::real().now()).await?;
    let preparing: Vec<Stored<Rollout>> = registry.all(Query::kind(Rollout::KIND).state("PREPARING")).await?;
    if preparing.iter().any(|rollout| acknowledged(&reports, rollout)) {
        registry.act(caller, report.clone()).await?;
    }
    Ok(())
}

impl Mutation for ReportServingRequest {
    const METHOD: &'static str = "/wlp.registry.v1.RouteService/ReportServing";

    fn request_id(&self) -> &'static str {
        ""
    }

    fn digest(&self) -> Digest {
        Digest::of(&prost::Message::encode_to_vec(self))
    }
}

#[async_trait]
impl Verb for ReportServingRequest {
    type Answer = ReportServingResponse;

    fn check(&self, fields: &mut Fields) {
        fields.text("gateway", &self.gateway);
        fields.require(self.gateway.len() <= 200, "gateway", "at most 200 bytes are taken");
        fields.each("backends", &self.backends, |fields, at, one| {
            fields.id(&format!("{at}.endpoint"), &one.endpoint);
            fields.name(&format!("{at}.version"), &one.version, ModelVersion::FORM);
            let known = matches!(one.state.as_str(), "loading" | "ready" | "failed" | "tripped");
            fields.require(known, &format!("{at}.state"), "must be loading, ready, failed or tripped");
            fields.optional_text(&format!("{at}.error"), &one.error);
        });
    }

    /// The second half of a rehearsal: only what [`advance_rehearsals`] has found is looked at again inside the unit.
    async fn decide(self, work: &mut Work) -> Result<ReportServingResponse, Error> {
        let real_now = Clock::real().now();
        let reports = serving::fresh(work.connection(), real_now).await?;
        let preparing: Vec<Stored<Rollout>> = work.all(Query::kind(Rollout::KIND).state("PREPARING")).await?;
        for seen in preparing {
            let Some(rehearsal) = seen.rehearsal.clone().filter(|_| acknowledged(&reports, &seen)) else {
                continue;
            };
            let next = if rehearsal.rolled_back_time.is_none() {
                let passed =
                    work.now().duration_since(time(rehearsal.start_time.as_ref())).unwrap_or_default();
                let real = serving::rehearsed_for(work.connection(), &seen.name, real_now).await?;
                // one tick at least: that two reports fall into one does not mean that nothing was timed
                let took = passed.max(real).max(Duration::from_micros(1));
                Rehearsal {
                    rolled_back_time: work.wire_now(),
                    rollback_duration: Some(duration_to_wire(took)),
                    restore_sequence: serving::next_sequence(work.connection()).await?,
                    ..rehearsal
                }
            } else {
                Rehearsal { restored_time: work.wire_now(), ..rehearsal }
            };
            let next = Rollout { rehearsal: Some(next), ..(*seen).clone() };
            work.save(&seen, next, "rehearsal-acknowledged").await?;
        }
        Ok(ReportServingResponse::default())
    }
}
