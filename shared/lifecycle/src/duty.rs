//! §10.1 maintenance: four clocks and one event rule. What is overdue is a nonconformity.

use std::time::{Duration, SystemTime};

use crate::approval::Approval;
use crate::calendar::add_months;
use crate::kinds::kinds;
use crate::policy::upkeep::{Duties, DutyRow};
use crate::refuse;
use crate::rejection::{Finding, Rejection};

kinds! {
    /// The five activities of §10.1.
    Activity {
        /// Weekly, ML Ops.
        PerformanceReview = "performance-review",
        /// Monthly, ML Engineer.
        DriftAssessment = "drift-assessment",
        /// Monthly, Security.
        SecurityScan = "security-scan",
        /// Per change, Developer.
        DocumentationUpdate = "documentation-update",
        /// Quarterly, ML Lead.
        RetrainingEvaluation = "retraining-evaluation",
    }
}

kinds! {
    /// How often.
    Frequency {
        /// Every seven days.
        Weekly = "weekly",
        /// Every calendar month.
        Monthly = "monthly",
        /// Every three calendar months.
        Quarterly = "quarterly",
        /// After every change.
        PerChange = "per-change",
    }
}

const WEEK: Duration = Duration::from_hours(7 * 24);

impl Frequency {
    /// The end of the `count`-th period after `anchor`; `None` for an event rule, or beyond what a time can hold.
    ///
    /// Counted from the anchor each time, so that 31 January, 28 February, 31 March does not drift.
    pub fn due(self, anchor: SystemTime, count: u32) -> Option<SystemTime> {
        match self {
            Self::Weekly => anchor.checked_add(WEEK.checked_mul(count)?),
            Self::Monthly => add_months(anchor, count),
            Self::Quarterly => add_months(anchor, count.checked_mul(3)?),
            Self::PerChange => None,
        }
    }
}

/// One period of a duty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Duty {
    /// What.
    pub activity: Activity,
    /// When its period began; for an event rule, when the change happened.
    pub from: SystemTime,
    /// When it is due.
    pub due: SystemTime,
    /// Who did it, in which role, when.
    pub done: Option<Approval>,
}

/// Where a duty stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Not yet due.
    Open,
    /// Done in time.
    Done,
    /// Done, but late: the nonconformity stays on record.
    DoneLate,
    /// Not done, and the time is over.
    Overdue,
}

/// Every period of a clock duty that began after `anchor` and up to `now`; the last one is still open.
///
/// Empty for an event rule, see [`after_change`].
pub fn schedule(row: &DutyRow, anchor: SystemTime, now: SystemTime) -> Vec<Duty> {
    let mut duties = Vec::new();
    let mut from = anchor;
    for count in 1..=u32::MAX {
        let Some(due) = row.frequency.due(anchor, count) else { break };
        if from > now {
            break;
        }
        duties.push(Duty { activity: row.activity, from, due, done: None });
        from = due;
    }
    duties
}

/// The duty that a change starts, if the row is an event rule.
pub fn after_change(row: &DutyRow, changed: SystemTime, policy: &Duties) -> Option<Duty> {
    if row.frequency != Frequency::PerChange {
        return None;
    }
    let due = changed.checked_add(policy.per_change_within.value.get())?;
    Some(Duty { activity: row.activity, from: changed, due, done: None })
}

impl Duty {
    /// Records that the duty was done.
    /// # Errors
    /// `ROLE_MAY_NOT`, `ALREADY_DONE`, or `TOO_EARLY` for work from before the period.
    pub fn complete(mut self, by: Approval, policy: &Duties) -> Result<Self, Rejection> {
        let row = policy.activities.iter().find(|row| row.activity == self.activity);
        let clause = row.map_or("§10.1", |row| row.clause.as_str());
        let mut found = crate::rejection::Findings::new();
        by.check(
            &mut found,
            clause,
            self.activity.as_str(),
            row.map_or(&[], |row| std::slice::from_ref(&row.role)),
            &[],
        );
        found.into_result("ROLE_MAY_NOT", "duty")?;
        if self.done.is_some() {
            return refuse::one(
                "ALREADY_DONE",
                "duty",
                clause,
                self.activity.as_str(),
                "open",
                "done before",
            );
        }
        if by.time < self.from {
            let what = self.activity.as_str();
            return refuse::one(
                "TOO_EARLY",
                "duty",
                clause,
                what,
                "work within the period",
                "older than the period",
            );
        }
        self.done = Some(by);
        Ok(self)
    }

    /// Where the duty stands; the due moment itself is still in time.
    pub fn standing(&self, now: SystemTime) -> Standing {
        match &self.done {
            Some(by) if by.time <= self.due => Standing::Done,
            Some(_) => Standing::DoneLate,
            None if now > self.due => Standing::Overdue,
            None => Standing::Open,
        }
    }

    /// The nonconformity of a duty that is or was late.
    pub fn nonconformity(&self, now: SystemTime, policy: &Duties) -> Option<Finding> {
        let row = policy.activities.iter().find(|row| row.activity == self.activity)?;
        let end = match self.standing(now) {
            Standing::Overdue => now,
            Standing::DoneLate => self.done.as_ref()?.time,
            Standing::Open | Standing::Done => return None,
        };
        let late = end.duration_since(self.due).ok()?.as_secs() / 3_600;
        let required = format!("{} by {}", row.frequency, row.role);
        Some(Finding::new(row.clause.clone(), self.activity.as_str(), required, format!("{late} h late")))
    }
}
