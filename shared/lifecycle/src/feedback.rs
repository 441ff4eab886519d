//! §9.3 the feedback loop: COLLECT → ANALYZE → DECIDE → ACTION. No step is skipped.

use std::time::{Duration, SystemTime};

use crate::approval::{Approval, join};
use crate::kinds::kinds;
use crate::policy::monitoring::FeedbackPolicy;
use crate::refuse;
use crate::rejection::{Findings, Rejection};
use crate::role::Role;

const CLAUSE: &str = "§9.3";

kinds! {
    /// What is collected.
    Source {
        /// From users.
        UserFeedback = "user-feedback",
        /// From logs.
        ErrorLogs = "error-logs",
        /// From the monitor.
        Metrics = "metrics",
        /// From annotators.
        Annotations = "annotations",
    }
}

kinds! {
    /// How it is analyzed.
    FindingKind {
        /// A pattern.
        Patterns = "patterns",
        /// A cause.
        RootCause = "root-cause",
        /// A trend.
        Trends = "trends",
        /// A comparison.
        Comparison = "comparison",
    }
}

kinds! {
    /// What is decided.
    Decision {
        /// Train again.
        Retrain = "retrain",
        /// Change data or configuration.
        Adjust = "adjust",
        /// Leave it as it is.
        Maintain = "maintain",
        /// Take it out of service.
        Retire = "retire",
    }
}

kinds! {
    /// What is done.
    ActionKind {
        /// A new model version.
        UpdateModel = "update-model",
        /// A new dataset version.
        UpdateData = "update-data",
        /// Another configuration.
        UpdateConfig = "update-config",
        /// Written down.
        Document = "document",
    }
}

impl Decision {
    /// Actions that carry out a decision (§9.3). A new model cannot follow from leaving things as they are.
    pub fn allows(self, action: ActionKind) -> bool {
        match self {
            Self::Retrain => matches!(action, ActionKind::UpdateModel | ActionKind::UpdateData),
            Self::Adjust => {
                matches!(action, ActionKind::UpdateConfig | ActionKind::UpdateData | ActionKind::UpdateModel)
            }
            Self::Maintain | Self::Retire => action == ActionKind::Document,
        }
    }

    /// Whether the next version follows from a decision: the line leaves MONITOR for ITERATE on it (§3, §9.3).
    pub fn iterates(self) -> bool {
        matches!(self, Self::Retrain | Self::Adjust)
    }
}

/// The clause and the roles of those who may take a decision (§9.3). What the policy does not name nobody decides.
pub fn deciders(decision: Decision, policy: &FeedbackPolicy) -> (&str, &[Role]) {
    match policy.deciders.iter().find(|row| row.decision == decision) {
        Some(row) => (row.clause.as_str(), row.roles.as_slice()),
        None => (CLAUSE, &[]),
    }
}

/// Whether somebody may take a decision (§9.3).
/// # Errors
/// `ROLE_MAY_NOT_DECIDE`.
pub fn may_decide(decision: Decision, by: &Approval, policy: &FeedbackPolicy) -> Result<(), Rejection> {
    let (clause, roles) = deciders(decision, policy);
    let mut found = Findings::new();
    by.check(&mut found, clause, decision.as_str(), roles, &[]);
    found.into_result("ROLE_MAY_NOT_DECIDE", "feedback decision")
}

/// What the analysis found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Analysis {
    /// Which kind.
    pub kind: FindingKind,
    /// In words.
    pub text: String,
}

/// One item on its way through the loop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// Taken in.
    Collected {
        /// When.
        at: SystemTime,
    },
    /// A finding exists.
    Analyzed {
        /// When.
        at: SystemTime,
        /// What was found.
        finding: Analysis,
    },
    /// A decision exists.
    Decided {
        /// What was decided.
        decision: Decision,
        /// By whom, in which role, when.
        by: Approval,
    },
    /// An action exists.
    Acted {
        /// When.
        at: SystemTime,
        /// Name of the new version, dataset, configuration or document.
        link: String,
    },
    /// Over.
    Closed {
        /// When.
        at: SystemTime,
    },
}

impl Item {
    /// The stored name of the state.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Collected { .. } => "COLLECTED",
            Self::Analyzed { .. } => "ANALYZED",
            Self::Decided { .. } => "DECIDED",
            Self::Acted { .. } => "ACTED",
            Self::Closed { .. } => "CLOSED",
        }
    }

    /// Records the finding.
    /// # Errors
    /// `OUT_OF_ORDER`, or `FINDING_EMPTY` for no text or a kind that the policy does not name.
    pub fn analyze(
        self,
        finding: Analysis,
        now: SystemTime,
        policy: &FeedbackPolicy,
    ) -> Result<Self, Rejection> {
        let Self::Collected { .. } = self else { return self.out_of_order("COLLECTED") };
        if finding.text.trim().is_empty() || !policy.analyses.value.contains(&finding.kind) {
            let required = format!("text, and one of {}", join(&policy.analyses.value));
            return refuse::one(
                "FINDING_EMPTY",
                "feedback",
                CLAUSE,
                "finding",
                required,
                finding.kind.as_str(),
            );
        }
        Ok(Self::Analyzed { at: now, finding })
    }

    /// Records the decision: never without a finding, only by a role that may.
    /// # Errors
    /// `OUT_OF_ORDER` or `ROLE_MAY_NOT_DECIDE`.
    pub fn decide(
        self,
        decision: Decision,
        by: Approval,
        policy: &FeedbackPolicy,
    ) -> Result<Self, Rejection> {
        let Self::Analyzed { .. } = self else { return self.out_of_order("ANALYZED") };
        may_decide(decision, &by, policy)?;
        Ok(Self::Decided { decision, by })
    }

    /// Records what was done, with the link to what came out of it.
    /// # Errors
    /// `OUT_OF_ORDER`, `ACTION_DOES_NOT_FIT` or `LINK_MISSING`.
    pub fn act(self, action: ActionKind, link: &str, now: SystemTime) -> Result<Self, Rejection> {
        let Self::Decided { decision, .. } = &self else { return self.out_of_order("DECIDED") };
        if !decision.allows(action) {
            let required = format!("an action that carries out {decision}");
            return refuse::one(
                "ACTION_DOES_NOT_FIT",
                "feedback action",
                CLAUSE,
                "action",
                required,
                action.as_str(),
            );
        }
        if link.trim().is_empty() {
            return refuse::one("LINK_MISSING", "feedback action", CLAUSE, "link", "present", "missing");
        }
        Ok(Self::Acted { at: now, link: link.to_owned() })
    }

    /// Closes the loop: never without an action.
    /// # Errors
    /// `OUT_OF_ORDER`.
    pub fn close(self, now: SystemTime) -> Result<Self, Rejection> {
        let Self::Acted { .. } = self else { return self.out_of_order("ACTED") };
        Ok(Self::Closed { at: now })
    }

    /// How much later than the policy allows an open item is; `None` while it is in time or closed.
    pub fn overdue(&self, now: SystemTime, policy: &FeedbackPolicy) -> Option<Duration> {
        let (since, limit) = match self {
            Self::Collected { at } => (*at, policy.analyze_within.value),
            Self::Analyzed { at, .. } => (*at, policy.decide_within.value),
            Self::Decided { by, .. } => (by.time, policy.act_within.value),
            Self::Acted { at, .. } => (*at, policy.act_within.value),
            Self::Closed { .. } => return None,
        };
        let late = now.duration_since(since).ok()?.checked_sub(limit.get())?;
        (!late.is_zero()).then_some(late)
    }

    fn out_of_order(&self, required: &str) -> Result<Self, Rejection> {
        refuse::one("OUT_OF_ORDER", "feedback", CLAUSE, "feedback item", required, self.as_str())
    }
}
