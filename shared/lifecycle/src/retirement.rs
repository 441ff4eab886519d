//! §10.2 when a model is retired, §10.3 the seven steps that retire it.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use crate::acceptance::{Metric, direction};
use crate::alert::{Category, Judgement};
use crate::approval::Approval;
use crate::deployment::Done;
use crate::kinds::kinds;
use crate::policy::monitoring::AlertRule;
use crate::policy::upkeep::RetirementPolicy;
use crate::policy::{Acceptance, Span};
use crate::refuse;
use crate::rejection::{Findings, Rejection, is_digest};
use crate::selection_criteria::Direction;

kinds! {
    /// The five criteria of §10.2.
    Criterion {
        /// Below acceptable for 30 days.
        PerformanceDegradation = "performance-degradation",
        /// A new model is 10 % better or more.
        Superseded = "superseded",
        /// Unfixable critical issue.
        SecurityVulnerability = "security-vulnerability",
        /// Requirements cannot be met.
        ComplianceIssue = "compliance-issue",
        /// Product discontinued.
        BusinessDecision = "business-decision",
    }
}

impl Criterion {
    /// Criteria that a person declares, because no machine can see them.
    pub const DECLARED: &'static [Self] =
        &[Self::SecurityVulnerability, Self::ComplianceIssue, Self::BusinessDecision];
}

kinds! {
    /// The seven steps of §10.3.
    Step {
        /// Announce deprecation.
        Announce = "announce",
        /// Migrate users to the alternative.
        MigrateUsers = "migrate-users",
        /// Reduce traffic to zero.
        TrafficToZero = "traffic-to-zero",
        /// Archive model and artifacts.
        Archive = "archive",
        /// Update documentation.
        UpdateDocumentation = "update-documentation",
        /// Delete production deployment.
        DeleteDeployment = "delete-deployment",
        /// Retain records per policy.
        RetainRecords = "retain-records",
    }
}

/// What one day said about a version: `Some(true)` below acceptable, `None` not measured.
pub type Day = Option<bool>;

/// Whether a rule of §9.1 says how a version performs: what the machines, the groups and the business say is no performance.
pub fn judges_performance(rule: &AlertRule) -> bool {
    matches!(rule.category, Category::Performance | Category::Quality)
}

/// What the rules that judge performance say of a day: below acceptable where one of them would fire over it.
pub fn day(judgements: &[Judgement]) -> Day {
    let measured = judgements.iter().any(|one| matches!(one, Judgement::Firing | Judgement::Quiet));
    measured.then(|| judgements.contains(&Judgement::Firing))
}

/// Days in a row, up to the newest, on which the version was below acceptable. A day that was not measured proves
/// nothing and breaks the row.
pub fn degraded_days(days: &[Day]) -> u32 {
    days.iter().rev().take_while(|day| **day == Some(true)).count().try_into().unwrap_or(u32::MAX)
}

/// Whether §10.2 "below acceptable for 30 days" holds: day 29 no, day 30 yes.
pub fn is_degraded(days: &[Day], policy: &RetirementPolicy) -> bool {
    degraded_days(days) >= policy.degraded_days.value
}

/// Which way the primary metric of a model is better (reading 6): a metric of §7.3 as its threshold says, any other as the model
/// declares; what it is called decides nothing.
/// # Errors
/// `METRIC_DIRECTION` where nothing says so, or where the model declares otherwise than §7.3.
pub fn primary_direction(
    name: &str,
    metric: Option<Metric>,
    declared: Option<Direction>,
    policy: &Acceptance,
) -> Result<Direction, Rejection> {
    let told = metric.and_then(|metric| direction(metric, policy));
    let (required, observed) = match (told, declared) {
        (None, None) => ("declared: higher or lower", "missing"),
        (Some(told), Some(declared)) if told != declared => (told.as_str(), declared.as_str()),
        (Some(way), _) | (None, Some(way)) => return Ok(way),
    };
    let what = format!("direction of the primary metric {name}");
    refuse::one("METRIC_DIRECTION", "model", "reading 6", what, required, observed)
}

/// Two versions on their declared primary metric (reading 6).
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// The metric of the version in service.
    pub old: f64,
    /// The metric of the new version.
    pub new: f64,
    /// Half-width of the confidence interval of `new - old`, in the metric's unit.
    pub uncertainty: f64,
    /// Whether more is better.
    pub higher_is_better: bool,
    /// Dataset version on which the old one was measured.
    pub old_dataset: String,
    /// Dataset version on which the new one was measured.
    pub new_dataset: String,
}

impl Comparison {
    /// Relative improvement, 0.1 is 10 % better; `None` if it cannot be computed.
    pub fn relative(&self) -> Option<f64> {
        let gain = if self.higher_is_better { self.new - self.old } else { self.old - self.new };
        let relative = gain / self.old.abs();
        (self.old != 0.0 && relative.is_finite()).then_some(relative)
    }

    /// Whether the new version supersedes the old one (§10.2): the same data, 10 % or more, and more than doubt.
    pub fn supersedes(&self, policy: &RetirementPolicy) -> bool {
        let gain = (self.new - self.old).abs();
        let certain = self.uncertainty >= 0.0 && gain > self.uncertainty;
        let same = !self.old_dataset.is_empty() && self.old_dataset == self.new_dataset;
        // "10 %+" counts the boundary; a decimal such as 0.88 against 0.80 misses it in f64 by its last bits only.
        let slack = 8.0 * f64::EPSILON;
        same && certain && self.relative().is_some_and(|gained| gained >= policy.improvement.value - slack)
    }
}

/// Whether somebody may declare a criterion (§10.2).
/// # Errors
/// `NOT_DECLARABLE` for a measured criterion, `ROLE_MAY_NOT` for another role.
pub fn declare(criterion: Criterion, by: &Approval, policy: &RetirementPolicy) -> Result<(), Rejection> {
    let Some(row) = policy.declared_by.iter().find(|row| row.criterion == criterion) else {
        return refuse::one(
            "NOT_DECLARABLE",
            "retirement",
            "§10.2",
            criterion.as_str(),
            "measured",
            "declared",
        );
    };
    let mut found = Findings::new();
    by.check(&mut found, &row.clause, criterion.as_str(), &row.roles, &[]);
    found.into_result("ROLE_MAY_NOT", "retirement")
}

/// What a step needs to be true.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fact {
    /// The notice is out.
    Announced,
    /// Who still calls the version.
    Migrated {
        /// Principals.
        remaining: Vec<String>,
    },
    /// Traffic that this step does not take away itself.
    Traffic {
        /// Share of the split, percent.
        percent: u32,
    },
    /// The sealed bundle.
    Archived {
        /// `sha256:` digest of the bundle.
        digest: String,
        /// Whether it was restored on an empty server.
        restore_rehearsed: bool,
    },
    /// The documents say that the version is retired.
    Documented,
    /// The deployment is gone.
    Deleted,
    /// The records stay.
    Retained {
        /// Class of the policy.
        class: String,
        /// Whether the law holds them beyond it.
        legal_hold: bool,
    },
}

impl Fact {
    /// The step that the fact belongs to.
    pub fn step(&self) -> Step {
        match self {
            Self::Announced => Step::Announce,
            Self::Migrated { .. } => Step::MigrateUsers,
            Self::Traffic { .. } => Step::TrafficToZero,
            Self::Archived { .. } => Step::Archive,
            Self::Documented => Step::UpdateDocumentation,
            Self::Deleted => Step::DeleteDeployment,
            Self::Retained { .. } => Step::RetainRecords,
        }
    }
}

/// The retirement of one version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retirement {
    criterion: Criterion,
    done: BTreeMap<Step, Done>,
}

impl Retirement {
    /// Begins a retirement for a criterion of §10.2.
    pub fn new(criterion: Criterion) -> Self {
        Self { criterion, done: BTreeMap::new() }
    }

    /// Rebuilds a retirement from what was stored.
    pub fn restore(criterion: Criterion, done: BTreeMap<Step, Done>) -> Self {
        Self { criterion, done }
    }

    /// Why it is retired.
    pub fn criterion(&self) -> Criterion {
        self.criterion
    }

    /// The steps that were done.
    pub fn done(&self) -> &BTreeMap<Step, Done> {
        &self.done
    }

    /// The step that comes next; `None` when the retirement is complete.
    pub fn next(&self, policy: &RetirementPolicy) -> Option<Step> {
        policy.steps.iter().copied().find(|step| !self.done.contains_key(step))
    }

    /// Time of the notice that is left; security waits for nobody (§10.3).
    pub fn notice_left(&self, now: SystemTime, policy: &RetirementPolicy) -> Duration {
        if self.criterion == Criterion::SecurityVulnerability {
            return Duration::ZERO;
        }
        let notice = policy.notice.value.get();
        let elapsed = self.done.get(&Step::Announce).and_then(|done| now.duration_since(done.when).ok());
        notice.saturating_sub(elapsed.unwrap_or_default())
    }

    /// Whether users may still be sent to the version: they have their notice and were not migrated yet, and the version is
    /// not retired because it must not serve.
    pub fn promises_service(&self, policy: &RetirementPolicy) -> bool {
        let harmful =
            [Criterion::SecurityVulnerability, Criterion::ComplianceIssue].contains(&self.criterion);
        !harmful && self.next(policy) == Some(Step::MigrateUsers)
    }

    /// Does the next step.
    /// # Errors
    /// `STEP_OUT_OF_ORDER`, `EVIDENCE_MISSING`, `NOTICE_NOT_ELAPSED`, or `STEP_NOT_TRUE` with what the fact lacks.
    pub fn complete(
        mut self,
        fact: &Fact,
        done: Done,
        now: SystemTime,
        policy: &RetirementPolicy,
    ) -> Result<Self, Rejection> {
        let (subject, clause, step) = ("retirement", "§10.3", fact.step());
        match self.next(policy) {
            Some(next) if next == step => {}
            Some(next) => {
                return refuse::one(
                    "STEP_OUT_OF_ORDER",
                    subject,
                    clause,
                    "step",
                    next.as_str(),
                    step.as_str(),
                );
            }
            None => {
                return refuse::one("STEP_OUT_OF_ORDER", subject, clause, "step", "none left", step.as_str());
            }
        }
        if let Some(fault) = done.fault(now) {
            return refuse::one(
                "EVIDENCE_MISSING",
                subject,
                clause,
                step.as_str(),
                "evidence, author, time",
                fault,
            );
        }
        let left = self.notice_left(now, policy);
        if step == Step::TrafficToZero && !left.is_zero() {
            let (required, observed) = (policy.notice.value.to_string(), format!("{} left", Span(left)));
            return refuse::one(
                "NOTICE_NOT_ELAPSED",
                subject,
                &policy.notice.clause,
                "notice",
                required,
                observed,
            );
        }
        self.holds(fact, policy)?;
        self.done.insert(step, done);
        Ok(self)
    }

    fn holds(&self, fact: &Fact, policy: &RetirementPolicy) -> Result<(), Rejection> {
        let clause = "§10.3";
        let mut found = Findings::new();
        match fact {
            Fact::Announced | Fact::Documented | Fact::Deleted => {}
            Fact::Migrated { remaining } => {
                let forced = self.criterion == Criterion::SecurityVulnerability;
                found.require(
                    forced || remaining.is_empty(),
                    clause,
                    "remaining callers",
                    "none",
                    remaining.join(", "),
                );
            }
            Fact::Traffic { percent } => {
                found.require(*percent == 0, clause, "traffic", "0 %", format!("{percent} %"));
            }
            Fact::Archived { digest, restore_rehearsed } => {
                found.require(is_digest(digest), clause, "archive digest", "sha256:<64 hex digits>", digest);
                found.require(
                    *restore_rehearsed,
                    clause,
                    "archive",
                    "restored on an empty server",
                    "never restored",
                );
            }
            Fact::Retained { class, .. } => {
                let classes: Vec<&str> = policy.retention.iter().map(|row| row.class.as_str()).collect();
                found.require(
                    classes.contains(&class.as_str()),
                    clause,
                    "retention class",
                    classes.join(" or "),
                    class,
                );
            }
        }
        found.into_result("STEP_NOT_TRUE", "retirement")
    }
}

/// Whether retained records may be deleted at `now`.
/// # Errors
/// `RECORDS_RETAINED` under legal hold, for an unknown class, or before the class has run out.
pub fn may_delete_records(
    class: &str,
    legal_hold: bool,
    retired: SystemTime,
    now: SystemTime,
    policy: &RetirementPolicy,
) -> Result<(), Rejection> {
    let subject = "deletion of records";
    if legal_hold {
        return refuse::one("RECORDS_RETAINED", subject, "§10.3", "legal hold", "lifted", "in force");
    }
    let Some(row) = policy.retention.iter().find(|row| row.class == class) else {
        return refuse::one(
            "RECORDS_RETAINED",
            subject,
            "§10.3",
            "retention class",
            "one of the policy",
            class,
        );
    };
    let kept = now.duration_since(retired).unwrap_or_default();
    if kept < row.keep.get() {
        let (required, observed) = (row.keep.to_string(), format!("{} days", kept.as_secs() / 86_400));
        return refuse::one("RECORDS_RETAINED", subject, &row.clause, "records kept", required, observed);
    }
    Ok(())
}
