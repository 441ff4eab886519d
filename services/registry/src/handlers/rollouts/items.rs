//! Items that a person or a tool attests. What follows from records is filled from records and cannot be attested.

use async_trait::async_trait;
use contracts::common::v1::ChecklistItem;
use contracts::registry::v1::{ModelVersion, RecordRolloutItemRequest, Rollout, rollout::State};
use lifecycle::deployment::{Activity, DeployItem, PostItem, PreItem};
use lifecycle::{Finding, Rejection, Role};

use super::{checks, wrong_state};
use crate::convert::rollout as domain;
use crate::store::{Resource, Stored};
use crate::work::{Verb, Work};
use crate::{Error, parse::Fields};

const OPERATORS: &[Role] = &[Role::MlOpsEngineer, Role::QaEngineer];

/// An item that can be attested, by whom, and the places where it is ticked.
struct Attested {
    names: &'static [&'static str],
    by: &'static [Role],
    digest: bool,
    pre: Option<PreItem>,
    activity: Option<Activity>,
    deploy: Option<DeployItem>,
    post: Option<PostItem>,
}

const NOTHING: Attested =
    Attested { names: &[], by: &[], digest: true, pre: None, activity: None, deploy: None, post: None };

/// Who does what is §12; one deed stands in two lists where the procedure names it twice (§8.1 and §8.2).
const ATTESTED: &[Attested] = &[
    Attested {
        names: &["containerize"],
        by: &[Role::MlOpsEngineer, Role::Developer],
        activity: Some(Activity::Containerize),
        ..NOTHING
    },
    Attested {
        names: &["security", "security-scan-completed"],
        by: &[Role::Security],
        pre: Some(PreItem::SecurityScanCompleted),
        activity: Some(Activity::Security),
        ..NOTHING
    },
    Attested {
        names: &["smoke-tests", "run-smoke-tests"],
        by: OPERATORS,
        activity: Some(Activity::SmokeTests),
        deploy: Some(DeployItem::RunSmokeTests),
        ..NOTHING
    },
    Attested { names: &["load-tests"], by: OPERATORS, activity: Some(Activity::LoadTests), ..NOTHING },
    Attested {
        names: &["manual-qa"],
        by: &[Role::QaEngineer],
        activity: Some(Activity::ManualQa),
        ..NOTHING
    },
    Attested {
        names: &["verify-metrics"],
        by: OPERATORS,
        deploy: Some(DeployItem::VerifyMetrics),
        ..NOTHING
    },
    Attested {
        names: &["on-call-notified"],
        by: &[Role::OnCall],
        digest: false,
        pre: Some(PreItem::OnCallNotified),
        ..NOTHING
    },
    Attested {
        names: &["verify-all-metrics"],
        by: OPERATORS,
        post: Some(PostItem::VerifyAllMetrics),
        ..NOTHING
    },
    Attested {
        names: &["update-status-page"],
        by: &[Role::MlOpsEngineer, Role::Developer],
        digest: false,
        post: Some(PostItem::UpdateStatusPage),
        ..NOTHING
    },
    Attested {
        names: &["notify-stakeholders"],
        by: &[Role::MlOpsEngineer],
        digest: false,
        post: Some(PostItem::NotifyStakeholders),
        ..NOTHING
    },
    Attested {
        names: &["close-ticket"],
        by: &[Role::MlOpsEngineer],
        digest: false,
        post: Some(PostItem::CloseTicket),
        ..NOTHING
    },
];

fn attested(item: &str) -> Option<&'static Attested> {
    let kebab = item.replace('_', "-");
    ATTESTED.iter().find(|one| one.names.contains(&kebab.as_str()))
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
        let by = work.approval(item.by)?;
        open_for(&seen, item)?;
        let policy = work.policy();
        let now = work.now();
        let version = work.read::<ModelVersion>(&seen.version).await?;
        let mut next = (*seen).clone();
        checks::fill_activities(work, &version, &mut next).await?;
        let entry = |name: &str| ChecklistItem {
            item: name.to_owned(),
            done: true,
            principal: by.principal.clone(),
            time: work.wire_now(),
            evidence_digest: self.evidence_digest.clone(),
            note: self.note.clone(),
            role: by.role.to_string(),
        };
        if let Some(activity) = item.activity {
            domain::tick_activity(&mut next, activity, entry(activity.as_str()), now, &policy.deployment)?;
        }
        if let Some(pre) = item.pre {
            domain::put(&mut next.pre_deployment, entry(pre.as_str()));
        }
        if let Some(deploy) = item.deploy {
            domain::tick_deploy(&mut next, deploy, entry(deploy.as_str()), now, &policy.deployment)?;
        }
        if let Some(post) = item.post {
            domain::tick_post(&mut next, post, entry(post.as_str()), now, &policy.deployment)?;
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
