//! The ladder 5 → 25 → 50 → 100 % (§8.2): start, advance, pause, resume, close.

use async_trait::async_trait;
use contracts::common::v1::ChecklistItem;
use contracts::registry::v1::{rollout::State, *};
use lifecycle::Policy;
use lifecycle::checklist::{DeployItem, check_pre};
use lifecycle::deployment::{Activity, Done, Stage};
use lifecycle::gate::Gate as Rule;
use lifecycle::rollout::Rollout as Ladder;
use std::time::SystemTime;

use super::{active, checks, may_roll_out, wrong_state};
use crate::convert::{gate as gate_domain, model, rollout as domain};
use crate::handlers::gates::{self, evidence};
use crate::store::{Resource, Stored};
use crate::work::{Verb, Work};
use crate::{Error, parse::Fields};

#[async_trait]
impl Verb for StartRolloutRequest {
    type Answer = Rollout;

    fn check(&self, fields: &mut Fields) {
        fields.name("name", &self.name, Rollout::FORM);
    }

    async fn decide(self, work: &mut Work) -> Result<Rollout, Error> {
        let seen = work.open::<Rollout>(&self.name, &self.etag).await?;
        let deployment = work.read::<Deployment>(contracts::name::parent(&self.name)).await?;
        active(&deployment)?;
        let version = work.read::<ModelVersion>(&seen.version).await?;
        let by = may_roll_out(work, &version).await?;
        let (policy, now) = (work.policy(), work.now());
        let mut next = (*seen).clone();
        checks::fill_activities(work, &version, &mut next).await?;
        domain::pipeline(&next)?.require(Stage::Stage, &policy.deployment)?;
        let facts = checks::pre_facts(work, &version, &next).await?;
        let checked = check_pre(&facts, now, &policy.deployment)?;
        let candidate = evidence::candidate(work, &version).await?;
        let ladder = domain::ladder(&seen).start(&candidate, &checked, now, &policy)?;
        let canary = model::in_state(&version, model::state(&version).canary()?);
        checks::tick_pre(&mut next, &facts);
        next.started_by.clone_from(&by.principal);
        next.gate_decisions.clone_from(&version.gate_decisions);
        domain::move_to(&mut next, ladder, now, "started", "", &policy.rollout);
        let done = Done {
            evidence: format!("{} % of {}", next.traffic_percent, deployment.name),
            who: by.principal,
            when: now,
        };
        tick(&mut next, DeployItem::DeployCanary, Activity::Canary, &done, now, &policy)?;
        work.save(&version, canary, "canary").await?;
        work.save(&seen, next, "start").await
    }
}

/// Ticks an item of §8.2 and its activity of §8.1.
fn tick(
    next: &mut Rollout,
    item: DeployItem,
    activity: Activity,
    done: &Done,
    now: SystemTime,
    policy: &Policy,
) -> Result<(), Error> {
    let entry = |name: &str| -> ChecklistItem { domain::item(name, done, "registry") };
    domain::tick_deploy(next, item, entry(item.as_str()), now, &policy.deployment)?;
    domain::tick_activity(next, activity, entry(activity.as_str()), now, &policy.deployment)
}

#[async_trait]
impl Verb for AdvanceRolloutRequest {
    type Answer = Rollout;

    fn check(&self, fields: &mut Fields) {
        fields.name("name", &self.name, Rollout::FORM);
        fields.message("canary_health", self.canary_health.as_ref(), |fields, health| {
            gate_domain::check_health(fields, "canary_health", health);
        });
    }

    async fn decide(self, work: &mut Work) -> Result<Rollout, Error> {
        let seen = work.open::<Rollout>(&self.name, &self.etag).await?;
        let version = work.read::<ModelVersion>(&seen.version).await?;
        let (policy, now) = (work.policy(), work.now());
        let by = work.approval(&policy.gates.g4_observers.value)?;
        let observed = self.canary_health.unwrap_or_default();
        let health = gate_domain::health(&observed);
        let before = domain::ladder(&seen);
        let first = matches!(before, Ladder::Running { step: 0, .. });
        let mut next = (*seen).clone();
        let (mut g4, mut decision_name) = (None, String::new());
        if first {
            let gathered = evidence::gather(work, &version, Rule::G4, Some((&seen.name, &observed))).await?;
            let decided = gathered.judged.decide(&policy);
            // the rule of the ladder speaks first: "soak too short" says more than "G4 not passed"
            before.advance(&health, Some(&as_passed(decided.clone())), now, &policy)?;
            decided.clone().into_result()?;
            let stored = gates::store(work, &version, &gathered).await?;
            decision_name.clone_from(&stored.name);
            next.gate_decisions.push(stored.name);
            g4 = Some(decided);
        }
        let ladder = before.advance(&health, g4.as_ref(), now, &policy)?;
        model::state(&version).promote()?; // whatever the step: only a canary climbs
        domain::move_to(&mut next, ladder, now, "advanced", &decision_name, &policy.rollout);
        if first {
            let done = Done { evidence: decision_name.clone(), who: by.principal.clone(), when: now };
            tick(&mut next, DeployItem::MonitorCanary, Activity::Monitor, &done, now, &policy)?;
            let mut judged = (*version).clone();
            judged.gate_decisions.push(decision_name);
            work.save(&version, judged, "gate-decided").await?;
        }
        let done = Done { evidence: format!("{} %", next.traffic_percent), who: by.principal, when: now };
        let last = policy.rollout.steps.len().saturating_sub(1);
        match ladder {
            Ladder::Running { step, .. } if step == last => {
                tick(&mut next, DeployItem::GradualRollout, Activity::GradualRollout, &done, now, &policy)?;
            }
            Ladder::Succeeded => {
                tick(&mut next, DeployItem::FullDeployment, Activity::FullDeployment, &done, now, &policy)?;
                next.previous_version = succeed(work, &seen).await?;
            }
            _ => {}
        }
        work.save(&seen, next, "advance").await
    }
}

fn as_passed(decision: lifecycle::gate::GateDecision) -> lifecycle::gate::GateDecision {
    lifecycle::gate::GateDecision { passed: true, ..decision }
}

/// The canary becomes the stable version, the one before is superseded; gives that one, to which a rollback goes back.
async fn succeed(work: &mut Work, rollout: &Stored<Rollout>) -> Result<String, Error> {
    let version = work.read::<ModelVersion>(&rollout.version).await?;
    let next = model::in_state(&version, model::state(&version).promote()?);
    work.save(&version, next, "production").await?;
    let deployment = work.read::<Deployment>(rollout.parent()).await?;
    if !deployment.stable_version.is_empty() {
        let before = work.read::<ModelVersion>(&deployment.stable_version).await?;
        let next = model::in_state(&before, model::state(&before).supersede()?);
        if next != *before {
            work.save(&before, next, "superseded").await?;
        }
    }
    let next = Deployment {
        stable_version: rollout.version.clone(),
        active_rollout: String::new(),
        ..(*deployment).clone()
    };
    work.save(&deployment, next, "replace-stable").await?;
    Ok(deployment.stable_version.clone())
}

#[async_trait]
impl Verb for PauseRolloutRequest {
    type Answer = Rollout;

    fn check(&self, fields: &mut Fields) {
        fields.name("name", &self.name, Rollout::FORM);
        fields.text("reason", &self.reason);
    }

    async fn decide(self, work: &mut Work) -> Result<Rollout, Error> {
        let seen = work.open::<Rollout>(&self.name, &self.etag).await?;
        let (policy, now) = (work.policy(), work.now());
        let ladder = domain::ladder(&seen).pause(now)?;
        let mut next = Rollout { cause: self.reason.clone(), ..(*seen).clone() };
        domain::move_to(&mut next, ladder, now, &self.reason, "", &policy.rollout);
        work.save(&seen, next, "pause").await
    }

    fn reason(&self) -> &str {
        &self.reason
    }
}

#[async_trait]
impl Verb for ResumeRolloutRequest {
    type Answer = Rollout;

    fn check(&self, fields: &mut Fields) {
        fields.name("name", &self.name, Rollout::FORM);
        fields.optional_text("reason", &self.reason);
    }

    async fn decide(self, work: &mut Work) -> Result<Rollout, Error> {
        let seen = work.open::<Rollout>(&self.name, &self.etag).await?;
        let (policy, now) = (work.policy(), work.now());
        let ladder = domain::ladder(&seen).resume(now)?;
        let mut next = Rollout { cause: String::new(), ..(*seen).clone() };
        domain::move_to(&mut next, ladder, now, &self.reason, "", &policy.rollout);
        work.save(&seen, next, "resume").await
    }

    fn reason(&self) -> &str {
        &self.reason
    }
}

#[async_trait]
impl Verb for CloseRolloutRequest {
    type Answer = Rollout;

    fn check(&self, fields: &mut Fields) {
        fields.name("name", &self.name, Rollout::FORM);
    }

    async fn decide(self, work: &mut Work) -> Result<Rollout, Error> {
        let seen = work.open::<Rollout>(&self.name, &self.etag).await?;
        if seen.state() != State::Succeeded {
            return Err(wrong_state(&seen, "SUCCEEDED").into());
        }
        domain::checklist(&seen)?.close(&work.policy().deployment)?;
        let mut next = (*seen).clone();
        next.set_state(State::Closed);
        work.save(&seen, next, "close").await
    }
}
