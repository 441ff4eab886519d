//! §8.1 pipeline and §8.2 checklists.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::deployment::{Activity, DeployItem, PostItem, PreItem, Stage};
use crate::policy::span;

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
    /// §8.2 "monitor for 1 hour": least time between the canary and its "monitored" item.
    #[serde(with = "span")]
    pub canary_watch: Duration,
    /// §8.2 "rollback plan verified": the longest a rehearsed rollback may take (open in the procedure).
    #[serde(with = "span")]
    pub rehearsal_limit: Duration,
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
