//! §8.1 the deployment pipeline with its sixteen activities. The checklists of §8.2 stand in [`crate::checklist`].

use std::collections::BTreeMap;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

pub use crate::checklist::{DeployItem, PostItem, PreItem};
use crate::policy::deployment::DeploymentPolicy;
use crate::rejection::{Finding, Rejection};

/// A stage of the pipeline (§8.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Stage {
    /// The artifact is made.
    Build,
    /// The artifact is tested.
    Test,
    /// The artifact runs outside production.
    Stage,
    /// The artifact takes traffic.
    Prod,
}

impl Stage {
    /// The name that the procedure uses.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Build => "BUILD",
            Self::Test => "TEST",
            Self::Stage => "STAGE",
            Self::Prod => "PROD",
        }
    }
}

/// One of the sixteen activities of §8.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Activity {
    /// BUILD: package.
    Package,
    /// BUILD: containerize.
    Containerize,
    /// BUILD: version.
    Version,
    /// BUILD: scan for vulnerabilities and hostile model parts.
    Scan,
    /// TEST: unit tests.
    UnitTests,
    /// TEST: integration.
    Integration,
    /// TEST: benchmark.
    Benchmark,
    /// TEST: security.
    Security,
    /// STAGE: deploy to staging.
    DeployToStaging,
    /// STAGE: smoke tests.
    SmokeTests,
    /// STAGE: load tests.
    LoadTests,
    /// STAGE: manual QA.
    ManualQa,
    /// PROD: canary (5 %).
    Canary,
    /// PROD: gradual rollout.
    GradualRollout,
    /// PROD: full deployment.
    FullDeployment,
    /// PROD: monitor.
    Monitor,
}

impl Activity {
    /// The name in the policy file and in refusals.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Package => "package",
            Self::Containerize => "containerize",
            Self::Version => "version",
            Self::Scan => "scan",
            Self::UnitTests => "unit-tests",
            Self::Integration => "integration",
            Self::Benchmark => "benchmark",
            Self::Security => "security",
            Self::DeployToStaging => "deploy-to-staging",
            Self::SmokeTests => "smoke-tests",
            Self::LoadTests => "load-tests",
            Self::ManualQa => "manual-qa",
            Self::Canary => "canary",
            Self::GradualRollout => "gradual-rollout",
            Self::FullDeployment => "full-deployment",
            Self::Monitor => "monitor",
        }
    }
}

/// That something was done: by whom, when, and where the proof lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    /// Name or digest of the proof; never empty.
    pub evidence: String,
    /// Principal; never empty.
    pub who: String,
    /// When it was done.
    pub when: SystemTime,
}

impl Done {
    /// What is wrong with this record, if anything: a proof without a name or an author proves nothing.
    pub(crate) fn fault(&self, now: SystemTime) -> Option<&'static str> {
        if self.evidence.trim().is_empty() {
            Some("no evidence")
        } else if self.who.trim().is_empty() {
            Some("nobody named")
        } else if self.when > now {
            Some("dated in the future")
        } else {
            None
        }
    }
}

/// Result of one activity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActivityRecord {
    /// Whether it passed.
    pub passed: bool,
    /// By whom, when, with what proof.
    pub done: Done,
}

/// The pipeline of one deployment: which activities were done, and how they ended.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Pipeline {
    records: BTreeMap<Activity, ActivityRecord>,
}

impl Pipeline {
    /// Rebuilds a pipeline from what was stored.
    pub fn restore(records: BTreeMap<Activity, ActivityRecord>) -> Self {
        Self { records }
    }

    /// What was recorded so far.
    pub fn records(&self) -> &BTreeMap<Activity, ActivityRecord> {
        &self.records
    }

    /// Records an activity; one that failed may be recorded again after it was repaired.
    /// # Errors
    /// `STAGE_NOT_OPEN` while an earlier stage has not passed wholly; `EVIDENCE_MISSING` if the record proves
    /// nothing; `ALREADY_RECORDED` if the activity has passed before.
    pub fn record(
        mut self,
        activity: Activity,
        record: ActivityRecord,
        now: SystemTime,
        policy: &DeploymentPolicy,
    ) -> Result<Self, Rejection> {
        if let Some(fault) = record.done.fault(now) {
            let finding = Finding::new("§8.1", activity.as_str(), "evidence, author and time", fault);
            return Err(Rejection::one("EVIDENCE_MISSING", finding));
        }
        if self.passed(activity) {
            let finding = Finding::new("§8.1", activity.as_str(), "not recorded yet", "passed before");
            return Err(Rejection::one("ALREADY_RECORDED", finding));
        }
        let Some(own) = policy.stages.iter().position(|s| s.activities.contains(&activity)) else {
            let finding = Finding::new("§8.1", activity.as_str(), "an activity of the policy", "unknown");
            return Err(Rejection::one("STAGE_NOT_OPEN", finding));
        };
        let open: Vec<Finding> = policy.stages[..own].iter().flat_map(|s| self.open_in(s.stage, policy)).collect();
        Rejection::unless_empty("STAGE_NOT_OPEN", open)?;
        self.records.insert(activity, record);
        Ok(self)
    }

    /// Whether an activity has passed.
    pub fn passed(&self, activity: Activity) -> bool {
        self.records.get(&activity).is_some_and(|record| record.passed)
    }

    /// What keeps a stage from being complete; empty if it is.
    pub fn open_in(&self, stage: Stage, policy: &DeploymentPolicy) -> Vec<Finding> {
        policy
            .stages
            .iter()
            .filter(|s| s.stage == stage)
            .flat_map(|s| &s.activities)
            .filter(|activity| !self.passed(**activity))
            .map(|activity| {
                let observed = if self.records.contains_key(activity) { "failed" } else { "missing" };
                Finding::new("§8.1", format!("{} {}", stage.as_str(), activity.as_str()), "passed", observed)
            })
            .collect()
    }

    /// Everything that the pipeline still lacks up to and with `stage`.
    /// # Errors
    /// `STAGE_INCOMPLETE` with one finding per activity that is missing or failed.
    pub fn require(&self, stage: Stage, policy: &DeploymentPolicy) -> Result<(), Rejection> {
        let open = policy.stages.iter().filter(|s| s.stage <= stage).flat_map(|s| self.open_in(s.stage, policy));
        Rejection::unless_empty("STAGE_INCOMPLETE", open.collect())
    }
}
