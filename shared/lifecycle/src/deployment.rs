//! §8.1 the deployment pipeline with its sixteen activities. The checklists of §8.2 stand in [`crate::checklist`].

use std::collections::BTreeMap;
use std::time::SystemTime;

pub use crate::checklist::{DeployItem, PostItem, PreItem};
use crate::kinds::kinds;
use crate::policy::deployment::DeploymentPolicy;
use crate::refuse;
use crate::rejection::{Finding, Rejection};

kinds! {
    /// A stage of the pipeline (§8.1).
    Stage {
        /// The artifact is made.
        Build = "BUILD",
        /// The artifact is tested.
        Test = "TEST",
        /// The artifact runs outside production.
        Stage = "STAGE",
        /// The artifact takes traffic.
        Prod = "PROD",
    }
}

kinds! {
    /// One of the sixteen activities of §8.1.
    Activity {
        /// BUILD: package.
        Package = "package",
        /// BUILD: containerize.
        Containerize = "containerize",
        /// BUILD: version.
        Version = "version",
        /// BUILD: scan for vulnerabilities and hostile model parts.
        Scan = "scan",
        /// TEST: unit tests.
        UnitTests = "unit-tests",
        /// TEST: integration.
        Integration = "integration",
        /// TEST: benchmark.
        Benchmark = "benchmark",
        /// TEST: security.
        Security = "security",
        /// STAGE: deploy to staging.
        DeployToStaging = "deploy-to-staging",
        /// STAGE: smoke tests.
        SmokeTests = "smoke-tests",
        /// STAGE: load tests.
        LoadTests = "load-tests",
        /// STAGE: manual QA.
        ManualQa = "manual-qa",
        /// PROD: canary (5 %).
        Canary = "canary",
        /// PROD: gradual rollout.
        GradualRollout = "gradual-rollout",
        /// PROD: full deployment.
        FullDeployment = "full-deployment",
        /// PROD: monitor.
        Monitor = "monitor",
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
            return Err(Rejection::one("EVIDENCE_MISSING", "pipeline", finding));
        }
        if self.passed(activity) {
            let finding = Finding::new("§8.1", activity.as_str(), "not recorded yet", "passed before");
            return Err(Rejection::one("ALREADY_RECORDED", "pipeline", finding));
        }
        let Some(own) = policy.stages.iter().position(|s| s.activities.contains(&activity)) else {
            let finding = Finding::new("§8.1", activity.as_str(), "an activity of the policy", "unknown");
            return Err(Rejection::one("STAGE_NOT_OPEN", "pipeline", finding));
        };
        let open: Vec<Finding> =
            policy.stages[..own].iter().flat_map(|s| self.open_in(s.stage, policy)).collect();
        refuse::all("STAGE_NOT_OPEN", "pipeline", open)?;
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
        let open =
            policy.stages.iter().filter(|s| s.stage <= stage).flat_map(|s| self.open_in(s.stage, policy));
        refuse::all("STAGE_INCOMPLETE", "pipeline", open)
    }
}
