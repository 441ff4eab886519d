//! §8.1 pipeline and §8.2 checklists.

use serde::{Deserialize, Serialize};

use super::{Span, problem::Problems};
use crate::deployment::{Activity, DeployItem, PostItem, PreItem, Stage};
use crate::role::Role;

/// The deployment pipeline and its three lists.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeploymentPolicy {
    /// §8.1: the stages in order, each with its activities.
    pub stages: Vec<StagePolicy>,
    /// §8.2: what must hold before a deployment starts.
    pub pre: Vec<PreItem>,
    /// §8.2: what a deployment does, in order.
    pub deploy: Vec<DeployItem>,
    /// §8.2: what closes it, in order.
    pub post: Vec<PostItem>,
    /// §12: who may attest what no record of the registry shows.
    pub attesters: Vec<AttesterPolicy>,
    /// §8.2 "monitor for 1 hour": least time between the canary and its "monitored" item.
    pub canary_watch: Span,
    /// §8.2 "rollback plan verified": the longest a rehearsed rollback may take (open in the procedure).
    pub rehearsal_limit: Span,
}

/// Who may attest one item of the lists or one activity of the stages.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttesterPolicy {
    /// Name of the item or activity.
    pub item: String,
    /// Roles of which one is enough.
    pub roles: Vec<Role>,
    /// Its clause.
    pub clause: String,
}

/// One stage of §8.1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StagePolicy {
    /// Which stage.
    pub stage: Stage,
    /// What is done in it.
    pub activities: Vec<Activity>,
}

impl DeploymentPolicy {
    pub(super) fn check(&self, bad: &mut Problems) {
        bad.exactly("deployment.stages", self.stages.iter().map(|row| row.stage), Stage::ALL);
        let activities = self.stages.iter().flat_map(|row| row.activities.iter().copied());
        bad.exactly("deployment.stages.activities", activities, Activity::ALL);
        bad.exactly("deployment.pre", self.pre.iter().copied(), PreItem::ALL);
        bad.exactly("deployment.deploy", self.deploy.iter().copied(), DeployItem::ALL);
        bad.exactly("deployment.post", self.post.iter().copied(), PostItem::ALL);
        for (at, row) in self.attesters.iter().enumerate() {
            let known = row.item.parse::<Activity>().is_ok()
                || row.item.parse::<PreItem>().is_ok()
                || row.item.parse::<DeployItem>().is_ok()
                || row.item.parse::<PostItem>().is_ok();
            bad.require(known, format!("deployment.attesters[{at}].item"), "is no item of §8.1 or §8.2");
            bad.require(
                !row.roles.is_empty(),
                format!("deployment.attesters[{at}].roles"),
                "must not be empty",
            );
            let once = self.attesters.iter().filter(|other| other.item == row.item).count() == 1;
            bad.require(once, format!("deployment.attesters[{at}].item"), "is named more than once");
        }
        bad.require(!self.canary_watch.get().is_zero(), "deployment.canary_watch", "must be above 0");
        bad.require(!self.rehearsal_limit.get().is_zero(), "deployment.rehearsal_limit", "must be above 0");
    }
}
