//! Rollback (§8.3): final, safe to repeat, with its incident in the same transaction.

use async_trait::async_trait;
use contracts::registry::v1::{incident, model_version::State as VersionState, rollout::State, *};
use lifecycle::rollout::Rollout as Ladder;
use lifecycle::separation::{Action, authorize};

use super::roles_of;
use crate::convert::rollout as domain;
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
        if seen.state() == State::RolledBack {
            return Ok(seen.into_inner()); // whoever was first: a second wish for the same thing is granted already
        }
        seen.record().expect_etag(&self.etag)?;
        let security = self.trigger() == RollbackTrigger::Security;
        let action = if security { Action::RollBackForSecurity } else { Action::RollBack };
        let mut roles = roles_of(work, action);
        if security {
            roles.extend(roles_of(work, Action::RollBack)); // a service may report what it saw
        }
        let by = work.approval(&roles)?;
        let policy = work.policy();
        if !security {
            authorize(action, &by, &[], &policy.people)?;
        }
        let now = work.now();
        let before = domain::ladder(&seen);
        let took_traffic = before != Ladder::Pending;
        let ladder = if took_traffic { before.roll_back()? } else { before.abort()? };
        let mut next = Rollout { cause: self.reason.clone(), trigger: self.trigger, ..(*seen).clone() };
        domain::move_to(&mut next, ladder, now, &self.reason, "", &policy.rollout);
        if took_traffic || security {
            let incident = incidents::open(work, self.incident(&seen, &by.principal)).await?;
            next.incident = incident.name;
        }
        give_back(work, &seen).await?;
        version_off(work, &seen, took_traffic, security, &self.reason).await?;
        work.save(&seen, next, "roll-back").await
    }

    fn reason(&self) -> &str {
        &self.reason
    }
}

trait Opens {
    fn incident(&self, rollout: &Stored<Rollout>, by: &str) -> Incident;
}

impl Opens for RollBackRequest {
    /// What the rollback opens; its name follows from the rollout, so that there is never a second one.
    fn incident(&self, rollout: &Stored<Rollout>, by: &str) -> Incident {
        let id = storage::Digest::of(rollout.name.as_bytes()).to_hex();
        Incident {
            name: format!("incidents/rollback-{}", &id[..16]),
            title: format!("{} rolled back: {}", rollout.version, self.reason),
            trigger: self.trigger,
            subject: rollout.name.clone(),
            findings: self.findings.clone(),
            detect_time: self.detect_time,
            mitigate_time: self.off_traffic_time,
            reported_by: by.to_owned(),
            state: incident::State::Open.into(),
            ..Incident::default()
        }
    }
}

/// The deployment goes back to the version before; it is free for another rollout.
async fn give_back(work: &mut Work, rollout: &Stored<Rollout>) -> Result<(), Error> {
    let deployment = work.read::<Deployment>(rollout.parent()).await?;
    let mut next = (*deployment).clone();
    if next.active_rollout == rollout.name {
        next.active_rollout.clear();
    }
    if next.stable_version == rollout.version {
        next.stable_version.clone_from(&rollout.previous_version);
        if !rollout.previous_version.is_empty() {
            let before = work.read::<ModelVersion>(&rollout.previous_version).await?;
            if before.state() == VersionState::Superseded {
                let mut again = (*before).clone();
                again.set_state(VersionState::Production);
                work.save(&before, again, "production-again").await?;
            }
        }
    }
    if next != *deployment {
        work.save(&deployment, next, "roll-back").await?;
    }
    Ok(())
}

/// The version is ROLLED_BACK, or REVOKED where it is not safe; one that was revoked before stays so.
async fn version_off(
    work: &mut Work,
    rollout: &Stored<Rollout>,
    took_traffic: bool,
    security: bool,
    reason: &str,
) -> Result<(), Error> {
    let version = work.read::<ModelVersion>(&rollout.version).await?;
    if version.state() == VersionState::Revoked || !(took_traffic || security) {
        return Ok(());
    }
    let mut next = (*version).clone();
    if security {
        next.set_state(VersionState::Revoked);
        reason.clone_into(&mut next.revoke_reason);
    } else {
        next.set_state(VersionState::RolledBack);
    }
    work.save(&version, next, if security { "revoke" } else { "roll-back" }).await?;
    Ok(())
}
