//! The seven steps of §10.3, each with the fact that makes it true.

use async_trait::async_trait;
use contracts::registry::v1::*;
use contracts::time::to_wire;
use lifecycle::deployment::Done;
use lifecycle::retirement::{Fact, Step};
use lifecycle::separation::Action;
use lifecycle::{Finding, Rejection};

use super::rules;
use crate::convert::{model, rollout as domain, word};
use crate::handlers::documents::{Draft, subjects_of};
use crate::store::{Read, Resource, Stored, serving};
use crate::work::{Verb, Work};
use crate::{Error, parse::Fields};

#[async_trait]
impl Verb for AdvanceRetirementRequest {
    type Answer = Retirement;

    fn check(&self, fields: &mut Fields) {
        fields.name("name", &self.name, Retirement::FORM);
        fields.require(self.step.parse::<Step>().is_ok(), "step", "is none of the seven steps of §10.3");
        fields.optional_digest("evidence_digest", &self.evidence_digest);
        fields.optional_text("note", &self.note);
        fields.texts("remaining_callers", &self.remaining_callers);
        fields.optional_text("retention_class", &self.retention_class);
    }

    async fn decide(self, work: &mut Work) -> Result<Retirement, Error> {
        let seen = work.open::<Retirement>(&self.name, &self.etag).await?;
        let version = work.read::<ModelVersion>(self.name.trim_end_matches("/retirement")).await?;
        let step: Step = word("step", &self.step)?;
        let policy = work.policy();
        let by = work.authorize(Action::RunRetirement, &[])?;
        let now = work.now();
        let before = rules(&seen)?;
        let mut next = (*seen).clone();
        let (fact, proof) = fact(work, &version, step, &self, &mut next).await?;
        let given = [&self.evidence_digest, &self.note].into_iter().find(|text| !text.is_empty());
        let evidence = if proof.is_empty() { given.cloned().unwrap_or_default() } else { proof };
        let done = Done { evidence, who: by.principal, when: now };
        let after = before.complete(&fact, done.clone(), now, &policy.retirement)?;
        carry_out(work, &version, step).await?;
        domain::put(&mut next.steps, domain::item(step.as_str(), &done, by.role.as_str()));
        let place = after
            .next(&policy.retirement)
            .and_then(|step| policy.retirement.steps.iter().position(|one| *one == step));
        next.next_step =
            u32::try_from(place.unwrap_or(policy.retirement.steps.len()) + 1).unwrap_or(u32::MAX);
        if step == Step::RetainRecords {
            let row = policy.retirement.retention.iter().find(|row| row.class == self.retention_class);
            next.retain_until_time = row.and_then(|row| now.checked_add(row.keep.get())).map(to_wire);
            next.retention_class = self.retention_class;
            next.legal_hold = self.legal_hold;
        }
        work.save(&seen, next, step.as_str()).await
    }

    fn reason(&self) -> &str {
        &self.note
    }
}

/// What makes a step true, and the registry's own proof of it where it has one.
async fn fact(
    work: &Work,
    version: &Stored<ModelVersion>,
    step: Step,
    request: &AdvanceRetirementRequest,
    next: &mut Retirement,
) -> Result<(Fact, String), Error> {
    Ok(match step {
        Step::Announce => (Fact::Announced, String::new()),
        Step::MigrateUsers => {
            next.remaining_callers.clone_from(&request.remaining_callers);
            (Fact::Migrated { remaining: request.remaining_callers.clone() }, String::new())
        }
        Step::TrafficToZero => {
            // its own routes go with this step; only a rollout of it keeps traffic that is not this step's to take
            let percent = canary_percent(work, version).await?;
            (
                Fact::Traffic { percent },
                format!("route table of audit entry {}", serving::next_sequence(work.connection()).await?),
            )
        }
        Step::Archive => {
            let digest = serving::archive_of(work.connection(), &request.name).await?.unwrap_or_default();
            next.archive_digest.clone_from(&digest);
            let restore_rehearsed = !digest.is_empty();
            (Fact::Archived { digest: digest.clone(), restore_rehearsed }, digest)
        }
        Step::UpdateDocumentation => (Fact::Documented, documented(work, version).await?),
        Step::DeleteDeployment => (Fact::Deleted, deletable(work, version).await?),
        Step::RetainRecords => {
            let (class, legal_hold) = (request.retention_class.clone(), request.legal_hold);
            (
                Fact::Retained { class, legal_hold },
                format!("class {}, legal hold {legal_hold}", request.retention_class),
            )
        }
    })
}

/// Traffic that the version takes as a canary.
async fn canary_percent(work: &Work, version: &Stored<ModelVersion>) -> Result<u32, Error> {
    let mut percent = 0;
    for rollout in work.children::<Rollout>("").await? {
        let running = matches!(rollout.state(), rollout::State::Running | rollout::State::Paused);
        if running && rollout.version == version.name {
            percent = percent.max(rollout.traffic_percent);
        }
    }
    Ok(percent)
}

/// The model card says what the records say now.
async fn documented(work: &Work, version: &Stored<ModelVersion>) -> Result<String, Error> {
    let Some((template, subject)) = subjects_of(version, None).into_iter().next() else {
        return Ok(String::new());
    };
    let draft = Draft::make(work, template, &subject).await?;
    let made = work.find::<Document>(&draft.name()).await?;
    if let Some(made) = made.filter(|made| made.sources == draft.sources) {
        return Ok(made.digest.clone());
    }
    let finding = Finding::new("§10.3", "model card", "made after the announcement", "missing or stale");
    Err(Rejection::one("DOCUMENT_STALE", "retirement", finding).into())
}

/// The deployments that go with the version: those that it served and that serve nothing else.
async fn left_behind(work: &Work, version: &Stored<ModelVersion>) -> Result<Vec<Stored<Deployment>>, Error> {
    let rollouts = work.children::<Rollout>("").await?;
    let served: Vec<&str> =
        rollouts.iter().filter(|one| one.version == version.name).map(|one| one.parent()).collect();
    let mut all = work.children::<Deployment>("").await?;
    all.retain(|one| {
        let empty = one.stable_version.is_empty() && one.active_rollout.is_empty();
        served.contains(&one.name.as_str()) && empty && one.state() == deployment::State::Active
    });
    Ok(all)
}

async fn deletable(work: &Work, version: &Stored<ModelVersion>) -> Result<String, Error> {
    let names: Vec<String> = left_behind(work, version).await?.iter().map(|one| one.name.clone()).collect();
    Ok(if names.is_empty() {
        "no deployment serves this version".into()
    } else {
        format!("deleted {}", names.join(", "))
    })
}

/// What a step changes beyond the record of the retirement.
async fn carry_out(work: &mut Work, version: &Stored<ModelVersion>, step: Step) -> Result<(), Error> {
    match step {
        Step::TrafficToZero => {
            for deployment in work.children::<Deployment>("").await? {
                if deployment.stable_version == version.name {
                    let next = Deployment { stable_version: String::new(), ..(*deployment).clone() };
                    work.save(&deployment, next, "traffic-to-zero").await?;
                }
            }
        }
        Step::DeleteDeployment => {
            for deployment in left_behind(work, version).await? {
                let mut next = (*deployment).clone();
                next.set_state(deployment::State::Deleted);
                work.save(&deployment, next, "delete").await?;
            }
        }
        Step::RetainRecords => {
            let next = model::in_state(version, model::state(version).retire()?);
            if next != **version {
                work.save(version, next, "retire").await?;
            }
        }
        _ => {}
    }
    Ok(())
}
