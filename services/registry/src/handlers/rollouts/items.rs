//! Items that a person or a tool attests. What follows from records is filled from records and cannot be attested.

use async_trait::async_trait;
use contracts::common::v1::ChecklistItem;
use contracts::registry::v1::{ModelVersion, RecordRolloutItemRequest, Rollout, rollout::State};
use lifecycle::deployment::{Activity, DeployItem, PostItem, PreItem};
use lifecycle::policy::deployment::DeploymentPolicy;
use lifecycle::{Finding, Rejection, Role};

use super::{checks, wrong_state};
use crate::convert::rollout as domain;
use crate::store::{Resource, Stored};
use crate::work::{Verb, Work};
use crate::{Error, parse::Fields};

/// An item that can be attested, and the places where it is ticked. By whom is the policy's to say, under the first name.
struct Attested {
    names: &'static [&'static str],
    digest: bool,
    pre: Option<PreItem>,
    activity: Option<Activity>,
    deploy: Option<DeployItem>,
    post: Option<PostItem>,
}

const NOTHING: Attested =
    Attested { names: &[], digest: true, pre: None, activity: None, deploy: None, post: None };

/// One deed stands in two lists where the procedure names it twice (§8.1 and §8.2).
const ATTESTED: &[Attested] = &[
    Attested { names: &["containerize"], activity: Some(Activity::Containerize), ..NOTHING },
    Attested {
        names: &["security", "security-scan-completed"],
        pre: Some(PreItem::SecurityScanCompleted),
        activity: Some(Activity::Security),
        ..NOTHING
    },
    Attested {
        names: &["smoke-tests", "run-smoke-tests"],
        activity: Some(Activity::SmokeTests),
        deploy: Some(DeployItem::RunSmokeTests),
        ..NOTHING
    },
    Attested { names: &["load-tests"], activity: Some(Activity::LoadTests), ..NOTHING },
    Attested { names: &["manual-qa"], activity: Some(Activity::ManualQa), ..NOTHING },
    Attested { names: &["verify-metrics"], deploy: Some(DeployItem::VerifyMetrics), ..NOTHING },
    Attested { names: &["on-call-notified"], digest: false, pre: Some(PreItem::OnCallNotified), ..NOTHING },
    Attested { names: &["verify-all-metrics"], post: Some(PostItem::VerifyAllMetrics), ..NOTHING },
    Attested {
        names: &["update-status-page"],
        digest: false,
        post: Some(PostItem::UpdateStatusPage),
        ..NOTHING
    },
    Attested {
        names: &["notify-stakeholders"],
        digest: false,
        post: Some(PostItem::NotifyStakeholders),
        ..NOTHING
    },
    Attested { names: &["close-ticket"], digest: false, post: Some(PostItem::CloseTicket), ..NOTHING },
];

fn attested(item: &str) -> Option<&'static Attested> {
    let kebab = item.replace('_', "-");
    ATTESTED.iter().find(|one| one.names.contains(&kebab.as_str()))
}

/// Who may attest an item under the policy.
fn attesters<'a>(item: &Attested, policy: &'a DeploymentPolicy) -> &'a [Role] {
    let name = item.names.first().copied().unwrap_or_default();
    policy.attesters.iter().find(|row| row.item == name).map_or(&[], |row| &row.roles)
}

/// Whether the procedure knows the item at all.
fn known(item: &str) -> bool {
    item.parse::<PreItem>().is_ok()
        || item.parse::<DeployItem>().is_ok()
        || item.parse::<PostItem>().is_ok()
        || item.parse::<Activity>().is_ok()
}

#[async_trait]
impl Verb for RecordRolloutItemRequest {
    type Answer = Rollout;

    fn check(&self, fields: &mut Fields) {
        fields.name("name", &self.name, Rollout::FORM);
        fields.require(known(&self.item), "item", "is no item of §8.1 or §8.2");
        fields.optional_text("note", &self.note);
        let item = attested(&self.item);
        let scan = item.is_some_and(|one| one.activity == Some(Activity::Security));
        fields.require(scan || self.open_findings == 0, "open_findings", "belongs to the security scan");
        let can_fail = item.is_none_or(|one| one.activity.is_some());
        fields.require(can_fail || !self.failed, "failed", "belongs to an activity of §8.1");
        if attested(&self.item).is_some_and(|one| one.digest) {
            fields.digest("evidence_digest", &self.evidence_digest);
        } else {
            fields.optional_digest("evidence_digest", &self.evidence_digest);
            let told = !self.evidence_digest.is_empty() || !self.note.trim().is_empty();
            fields.require(told, "evidence_digest", "required, or a note where the item has no file");
        }
    }

    async fn decide(self, work: &mut Work) -> Result<Rollout, Error> {
        let seen = work.open::<Rollout>(&self.name, &self.etag).await?;
        let Some(item) = attested(&self.item) else {
            let required = "worked out from the registry's records";
            let finding = Finding::new("§8.2", self.item.clone(), required, "attested by hand");
            return Err(Rejection::one("ITEM_FOLLOWS_FROM_RECORDS", self.name, finding).into());
        };
        let policy = work.policy();
        let by = work.approval(attesters(item, &policy.deployment))?;
        open_for(&seen, item)?;
        let now = work.now();
        let version = work.read::<ModelVersion>(&seen.version).await?;
        let mut next = (*seen).clone();
        checks::fill_activities(work, &version, &mut next).await?;
        let failed = self.failed || 0 < self.open_findings;
        let entry = |name: &str, failed: bool| ChecklistItem {
            item: name.to_owned(),
            done: !failed,
            failed,
            principal: by.principal.clone(),
            time: work.wire_now(),
            evidence_digest: self.evidence_digest.clone(),
            note: self.note.clone(),
            role: by.role.to_string(),
        };
        if item.activity == Some(Activity::Security) {
            next.open_scan_findings = self.open_findings;
        }
        if let Some(activity) = item.activity {
            domain::tick_activity(
                &mut next,
                activity,
                entry(activity.as_str(), failed),
                now,
                &policy.deployment,
            )?;
        }
        if let Some(pre) = item.pre {
            domain::put(&mut next.pre_deployment, entry(pre.as_str(), self.failed));
        }
        if let Some(deploy) = item.deploy.filter(|_| !failed) {
            domain::tick_deploy(&mut next, deploy, entry(deploy.as_str(), false), now, &policy.deployment)?;
        }
        if let Some(post) = item.post {
            domain::tick_post(&mut next, post, entry(post.as_str(), false), now, &policy.deployment)?;
        }
        checks::fill_activities(work, &version, &mut next).await?;
        work.save(&seen, next, "record-item").await
    }

    fn reason(&self) -> &str {
        &self.note
    }
}

/// What comes before the canary is recorded before it, what comes after the rollout after it.
fn open_for(rollout: &Stored<Rollout>, item: &Attested) -> Result<(), Rejection> {
    let (wanted, word) =
        if item.post.is_some() { (State::Succeeded, "SUCCEEDED") } else { (State::Preparing, "PREPARING") };
    if rollout.state() == wanted { Ok(()) } else { Err(wrong_state(rollout, word)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The policy says of every item that can be attested who may, and of no other.
    #[test]
    fn every_item_has_its_attesters_in_the_policy() {
        let policy = &lifecycle::Policy::builtin().deployment;
        for item in ATTESTED {
            assert!(!attesters(item, policy).is_empty(), "{:?}", item.names);
        }
        assert_eq!(policy.attesters.len(), ATTESTED.len());
    }
}
