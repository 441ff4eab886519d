//! §8.3 what takes a version off traffic, in what time, and the verdict of the gateway's breaker (reading 5).

use std::time::{Duration, SystemTime};

use crate::kinds::kinds;
use crate::policy::rollout::{BreakerPolicy, RolloutPolicy, TriggerPolicy};
use crate::refuse;
use crate::rejection::Rejection;

const CLAUSE: &str = "§8.3";

kinds! {
    /// The four triggers of §8.3.
    Trigger {
        /// Share of requests that the model failed.
        ErrorRate = "error-rate",
        /// 95th percentile of latency, milliseconds.
        LatencyP95 = "latency-p95",
        /// Complaints of users, a count.
        UserComplaints = "user-complaints",
        /// Security issues, a count.
        SecurityIssue = "security-issue",
    }
}

kinds! {
    /// What §8.3 asks for.
    Action {
        /// The gateway and the registry do it alone.
        AutomaticRollback = "automatic-rollback",
        /// A person decides.
        ManualAssessment = "manual-assessment",
        /// A person looks for the cause.
        Investigation = "investigation",
        /// Rolled back and revoked at once.
        ImmediateRollback = "immediate-rollback",
    }
}

impl Action {
    /// True when no person is asked first.
    pub fn is_automatic(self) -> bool {
        matches!(self, Self::AutomaticRollback | Self::ImmediateRollback)
    }
}

kinds! {
    /// Whose fault a failed request was. Only the model's counts: garbage from a client rolls nothing back.
    Fault {
        /// The model failed, answered NaN, or ran out of its own time.
        Model = "model",
        /// Malformed request.
        Client = "client",
        /// The client's deadline or cancellation.
        Deadline = "deadline",
        /// Overload or a broken part of ours.
        Platform = "platform",
    }
}

/// What was observed of a version in one window. `None` says nothing and fires nothing.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Observed {
    /// Share failed by the model, 0..=1.
    pub error_rate: Option<f64>,
    /// Milliseconds.
    pub latency_p95_ms: Option<f64>,
    /// Complaints about the version.
    pub user_complaints: u64,
    /// Security issues of the version.
    pub security_issues: u64,
}

/// The rows of §8.3 whose limit was strictly exceeded, in the order of the policy.
pub fn fired<'a>(observed: &Observed, policy: &'a RolloutPolicy) -> Vec<&'a TriggerPolicy> {
    let value = |trigger| match trigger {
        Trigger::ErrorRate => observed.error_rate,
        Trigger::LatencyP95 => observed.latency_p95_ms,
        Trigger::UserComplaints => Some(observed.user_complaints as f64),
        Trigger::SecurityIssue => Some(observed.security_issues as f64),
    };
    policy.triggers.iter().filter(|row| value(row.trigger).is_some_and(|seen| seen > row.above)).collect()
}

/// The clock of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timer {
    /// When the answer is due; `None` where nothing says so.
    pub due: Option<SystemTime>,
    /// When it was given, if it was.
    pub answered: Option<SystemTime>,
}

/// Where a timer stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// The answer is still in time.
    Waiting {
        /// Time that is left.
        left: Duration,
    },
    /// The answer came in time.
    Answered,
    /// The time ran out: escalate, and write it into the incident.
    Escalated {
        /// How late.
        late: Duration,
    },
}

impl Timer {
    /// The clock that a trigger of §8.3 starts at `since`. It has no due time if the policy does not know the trigger, or if
    /// the time cannot be written.
    pub fn started(trigger: Trigger, since: SystemTime, policy: &RolloutPolicy) -> Self {
        let row = policy.triggers.iter().find(|row| row.trigger == trigger);
        Self { due: row.and_then(|row| since.checked_add(row.within.get())), answered: None }
    }

    /// Where the timer stands at `now`; the due moment itself is in time. A timer without a due time is escalated: doubt
    /// never waits.
    pub fn standing(&self, now: SystemTime) -> Standing {
        let Some(due) = self.due else { return Standing::Escalated { late: Duration::ZERO } };
        let end = self.answered.unwrap_or(now);
        match end.duration_since(due) {
            Ok(late) if !late.is_zero() => Standing::Escalated { late },
            _ if self.answered.is_some() => Standing::Answered,
            _ => Standing::Waiting { left: due.duration_since(now).unwrap_or_default() },
        }
    }

    /// That it ran out and nobody has answered, so that `subject` is escalated; gives how late it is.
    /// # Errors
    /// `TIMER_RUNNING` while it runs, and once the answer was given.
    pub fn run_out(&self, subject: &str, now: SystemTime) -> Result<Duration, Rejection> {
        let (what, required, observed) = match self.standing(now) {
            Standing::Escalated { late } if self.answered.is_none() => return Ok(late),
            Standing::Waiting { left } => {
                ("time to answer", "run out", format!("{} s left", left.as_secs_f64()))
            }
            Standing::Answered | Standing::Escalated { .. } => {
                ("incident", "without an answer", "answered".to_owned())
            }
        };
        refuse::one("TIMER_RUNNING", subject, CLAUSE, what, required, observed)
    }
}

/// The breaker's verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Breaker {
    /// Take the canary off traffic now.
    Trip,
    /// Nothing proven against it.
    Hold,
    /// The evidence is no number: hold the traffic where it is, and never advance.
    Undefined,
}

/// Judges an e-process against the budget that is spent once over the whole ladder (reading 5).
///
/// `log_e` is the natural logarithm of the largest e-value so far, as `statistics::ErrorBudgetTest::peak_log_e`
/// gives it. By Ville's inequality an e-value of `1 / budget` is reached by a healthy canary with at most that
/// probability, however often one looks.
pub fn breaker(log_e: f64, policy: &BreakerPolicy) -> Breaker {
    let limit = -policy.error_budget.value.ln();
    if log_e.is_nan() {
        Breaker::Undefined
    } else if log_e >= limit {
        Breaker::Trip
    } else {
        Breaker::Hold
    }
}

/// Whether a failed request counts against the canary.
pub fn counts(fault: Fault, policy: &BreakerPolicy) -> bool {
    policy.counted.value.contains(&fault)
}
