//! Rollback (§8.3): final, safe to repeat, with its incident in the same transaction.

use async_trait::async_trait;
use contracts::registry::v1::{incident, rollout::State, *};
use lifecycle::approval::Approval;
use lifecycle::rollout::Rollout as Ladder;
use lifecycle::separation::Action;

use super::revocation::{give_back, no_way_back};
use crate::convert::{model, rollout as domain};
use crate::handlers::incidents;
use crate::store::{Resource, Stored};
use crate::work::{Verb, Work};
use crate::{Error, parse::Fields};

#[async_trait]
impl Verb for RollBackRequest {
    type Answer = Rollout;

    fn check(&self, fields: &mut Fields) {
        fields.name("name", &self.name, Rollout::FORM);
        fields.choice::<RollbackTrigger>("trigger", self.trigger);
        fields.text("reason", &self.reason);
        incidents::check_findings(fields, "findings", &self.findings);
        fields.optional_time("detect_time", self.detect_time.as_ref());
        fields.optional_time("off_traffic_time", self.off_traffic_time.as_ref());
    }

    async fn decide(self, work: &mut Work) -> Result<Rollout, Error> {
        let seen = work.read::<Rollout>(&self.name).await?;
        let version = work.read::<ModelVersion>(&seen.version).await?;
        let security = self.trigger() == RollbackTrigger::Security;
        let over = seen.state() == State::RolledBack;
        if over && !(security && version.state() != model_version::State::Revoked) {
            return Ok(seen.into_inner()); // whoever was first: a second wish for the same thing is granted already
        }
        if !over {
            seen.record().expect_etag(&self.etag)?;
        }
        let by = may(work, security)?;
        let took_traffic = domain::ladder(&seen) != Ladder::Pending;
        let next_version = version_off(work, &self, &seen, &version, took_traffic && !over).await?;
        let mut next = Rollout { cause: self.reason.clone(), trigger: self.trigger, ..(*seen).clone() };
        if !over {
            let before = domain::ladder(&seen);
            let ladder = if took_traffic { before.roll_back()? } else { before.abort()? };
            let policy = work.policy();
            domain::move_to(&mut next, ladder, work.now(), &self.reason, "", &policy.rollout);
        }
        if took_traffic || security {
            let incident = incident_of(work, &self, &seen, &by.principal).await?;
            next.incident = incidents::open(work, incident).await?.name;
        }
        if !over {
            give_back(work, &seen).await?;
        }
        if let Some(next) = next_version {
            work.save(&version, next, if security { "revoke" } else { "roll-back" }).await?;
        }
        work.save(&seen, next, "roll-back").await
    }

    fn reason(&self) -> &str {
        &self.reason
    }
}

/// The caller as one who may take traffic back; a security rollback revokes, and has a row of its own (§8.3).
fn may(work: &Work, security: bool) -> Result<Approval, Error> {
    work.authorize(if security { Action::RollBackForSecurity } else { Action::RollBack }, &[])
}

/// The version is ROLLED_BACK, or REVOKED where it is not safe; one that was revoked before stays so, and one that took no
/// traffic keeps its state.
async fn version_off(
    work: &Work,
    request: &RollBackRequest,
    rollout: &Stored<Rollout>,
    version: &Stored<ModelVersion>,
    took_traffic: bool,
) -> Result<Option<ModelVersion>, Error> {
    let state = model::state(version);
    if request.trigger() == RollbackTrigger::Security {
        let Ok(gone) = state.revoke() else { return Ok(None) };
        let revoke_reason = request.reason.clone();
        return Ok(Some(ModelVersion { revoke_reason, ..model::in_state(version, gone) }));
    }
    if !took_traffic || state.revoke().is_err() {
        return Ok(None);
    }
    let deployment = work.read::<Deployment>(rollout.parent()).await?;
    let stable = deployment.stable_version == version.name;
    let canary = matches!(rollout.state(), State::Running | State::Paused);
    let gone = state.roll_back(stable || canary)?;
    Ok(Some(model::in_state(version, gone)))
}

/// What the rollback opens; its name follows from the rollout and from whether the version is unsafe, so that there is never a
/// second one.
async fn incident_of(
    work: &Work,
    request: &RollBackRequest,
    rollout: &Stored<Rollout>,
    by: &str,
) -> Result<Incident, Error> {
    let id = storage::Digest::of(rollout.name.as_bytes()).to_hex();
    let kind = if rollout.incident.is_empty() { "rollback" } else { "security" };
    let mut findings = request.findings.clone();
    findings.extend(no_way_back(work, rollout).await?);
    Ok(Incident {
        name: format!("incidents/{kind}-{}", &id[..16]),
        title: format!("{} rolled back: {}", rollout.version, request.reason),
        trigger: request.trigger,
        subject: rollout.name.clone(),
        findings,
        detect_time: request.detect_time,
        // A gateway that acted before says when; otherwise no route serves it from here on.
        mitigate_time: request.off_traffic_time.or(work.wire_now()),
        reported_by: by.to_owned(),
        state: incident::State::Open.into(),
        ..Incident::default()
    })
}
