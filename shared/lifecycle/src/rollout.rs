//! §8.2 one change of a deployment's traffic split: 0 → 5 → 25 → 50 → 100 %.
//!
//! Traffic never skips a step upward, silence is not health, and a rollback is final.

use std::time::{Duration, SystemTime};

use crate::checklist::PreDeployment;
use crate::gate::{Candidate, Gate, GateDecision, all_passed, before_traffic};
use crate::health::{CanaryHealth, least_requests};
use crate::policy::rollout::{RolloutPolicy, StepPolicy};
use crate::policy::{Policy, Span};
use crate::refuse;
use crate::rejection::{Findings, Rejection};

const CLAUSE: &str = "§8.2";

/// State of a rollout. `step` counts the policy's steps from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rollout {
    /// Made, no traffic yet.
    Pending,
    /// Taking the traffic of a step.
    Running {
        /// Which step.
        step: usize,
        /// When the step's traffic began, or the rollout was resumed.
        since: SystemTime,
    },
    /// Held at a step by a person; the traffic stays.
    Paused {
        /// Which step.
        step: usize,
        /// Time at this step when it was paused; it does not count once the rollout goes on.
        soaked: Duration,
    },
    /// All traffic, for good.
    Succeeded,
    /// Given up by a person; no traffic, for good.
    Aborted,
    /// Taken off traffic by a trigger or a person, for good.
    RolledBack,
}

impl Rollout {
    /// The stored name of the state.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Running { .. } => "RUNNING",
            Self::Paused { .. } => "PAUSED",
            Self::Succeeded => "SUCCEEDED",
            Self::Aborted => "ABORTED",
            Self::RolledBack => "ROLLED_BACK",
        }
    }

    /// Traffic of the new version in percent. A step that the policy lacks takes none.
    pub fn traffic_percent(self, policy: &RolloutPolicy) -> u32 {
        match self {
            Self::Running { step, .. } | Self::Paused { step, .. } => {
                policy.steps.get(step).map_or(0, |step| step.traffic_percent)
            }
            Self::Succeeded => policy.steps.last().map_or(0, |step| step.traffic_percent),
            Self::Pending | Self::Aborted | Self::RolledBack => 0,
        }
    }

    /// True when nothing can happen to it any more.
    pub fn is_over(self) -> bool {
        matches!(self, Self::Succeeded | Self::Aborted | Self::RolledBack)
    }

    /// Time at the present step without a pause.
    pub fn soaked(self, now: SystemTime) -> Duration {
        match self {
            Self::Running { since, .. } => now.duration_since(since).unwrap_or_default(), // a clock set back soaks nothing
            Self::Paused { soaked, .. } => soaked,
            _ => Duration::ZERO,
        }
    }

    /// Starts the canary at the first step. Needs the gates before traffic, passed by this very artifact, and the
    /// pre-deployment list.
    /// # Errors
    /// `ALREADY_STARTED`, `ROLLOUT_OVER`, or `GATES_CLOSED`.
    pub fn start(
        self,
        candidate: &Candidate,
        _checked: &PreDeployment, // only `checklist::check_pre` makes one
        now: SystemTime,
        policy: &Policy,
    ) -> Result<Self, Rejection> {
        if self.is_over() {
            return self.over();
        }
        if self != Self::Pending {
            return refuse::one(
                "ALREADY_STARTED",
                "rollout start",
                CLAUSE,
                "rollout",
                "PENDING",
                self.as_str(),
            );
        }
        let mut found = Findings::new();
        for gate in before_traffic(&policy.gates) {
            found.require(all_passed(candidate, &[*gate]), "§8.1", gate.as_str(), "passed", "not passed");
        }
        found.require(
            !policy.rollout.steps.is_empty(),
            CLAUSE,
            "steps of the policy",
            "at least one",
            "none",
        );
        found.into_result("GATES_CLOSED", "rollout start")?;
        Ok(Self::Running { step: 0, since: now })
    }

    /// Moves to the next step, or succeeds after the last. `g4` is needed to leave the first step.
    /// # Errors
    /// `ROLLOUT_OVER`, `NOT_RUNNING`, `NO_EVIDENCE`, `UNHEALTHY`, `SOAK_TOO_SHORT`, `TOO_FEW_REQUESTS`, `GATES_CLOSED`.
    pub fn advance(
        self,
        health: &CanaryHealth,
        g4: Option<&GateDecision>,
        now: SystemTime,
        policy: &Policy,
    ) -> Result<Self, Rejection> {
        const SUBJECT: &str = "rollout advance";
        if self.is_over() {
            return self.over();
        }
        let Self::Running { step, .. } = self else {
            return refuse::one("NOT_RUNNING", SUBJECT, CLAUSE, "rollout", "RUNNING", self.as_str());
        };
        let Some(rules) = policy.rollout.steps.get(step) else {
            let required = "a step of the policy";
            return refuse::one("NOT_RUNNING", SUBJECT, CLAUSE, "step", required, step.to_string());
        };
        healthy(health, rules, policy)?;
        self.long_enough(health, now, rules)?;
        let (least, seen) = (least_requests(rules.min_requests, policy), health.requests);
        if seen < least {
            let (needed, seen) = (format!("at least {least}"), seen.to_string());
            return refuse::one("TOO_FEW_REQUESTS", SUBJECT, "reading 4", "canary requests", needed, seen);
        }
        let stable = g4.is_some_and(|decision| decision.gate == Gate::G4 && decision.passed);
        if step == 0 && !stable {
            return refuse::one("GATES_CLOSED", SUBJECT, "§8.1", "g4", "passed", "not passed");
        }
        Ok(if step + 1 < policy.rollout.steps.len() {
            Self::Running { step: step + 1, since: now }
        } else {
            Self::Succeeded
        })
    }

    fn long_enough(
        self,
        health: &CanaryHealth,
        now: SystemTime,
        rules: &StepPolicy,
    ) -> Result<(), Rejection> {
        let soaked = self.soaked(now).min(health.soaked);
        if soaked >= rules.dwell.get() {
            return Ok(());
        }
        let (needed, seen) = (rules.dwell.to_string(), Span(soaked).to_string());
        refuse::one("SOAK_TOO_SHORT", "rollout advance", CLAUSE, "time at step", needed, seen)
    }

    /// Holds the rollout at its step.
    /// # Errors
    /// `ROLLOUT_OVER` or `NOT_RUNNING`.
    pub fn pause(self, now: SystemTime) -> Result<Self, Rejection> {
        match self {
            Self::Running { step, .. } => Ok(Self::Paused { step, soaked: self.soaked(now) }),
            _ if self.is_over() => self.over(),
            _ => refuse::one("NOT_RUNNING", "rollout pause", CLAUSE, "rollout", "RUNNING", self.as_str()),
        }
    }

    /// Goes on at the same step, whose time begins anew: what was seen before the pause is no health of what follows.
    /// # Errors
    /// `ROLLOUT_OVER` or `NOT_PAUSED`.
    pub fn resume(self, now: SystemTime) -> Result<Self, Rejection> {
        match self {
            Self::Paused { step, .. } => Ok(Self::Running { step, since: now }),
            _ if self.is_over() => self.over(),
            _ => refuse::one("NOT_PAUSED", "rollout resume", CLAUSE, "rollout", "PAUSED", self.as_str()),
        }
    }

    /// Gives the rollout up; all traffic goes back to the stable version.
    /// # Errors
    /// `ROLLOUT_OVER`.
    pub fn abort(self) -> Result<Self, Rejection> {
        if self.is_over() { self.over() } else { Ok(Self::Aborted) }
    }

    /// Takes the version off traffic (§8.3). A version that has succeeded can still be rolled back.
    /// # Errors
    /// `ROLLOUT_OVER` once it was aborted or rolled back, `NOT_RUNNING` before it takes traffic.
    pub fn roll_back(self) -> Result<Self, Rejection> {
        match self {
            Self::Running { .. } | Self::Paused { .. } | Self::Succeeded => Ok(Self::RolledBack),
            Self::Pending => {
                refuse::one("NOT_RUNNING", "rollback", "§8.3", "rollout", "takes traffic", self.as_str())
            }
            Self::Aborted | Self::RolledBack => self.over(),
        }
    }

    fn over<T>(self) -> Result<T, Rejection> {
        refuse::one("ROLLOUT_OVER", "rollout", CLAUSE, "rollout", "still open", self.as_str())
    }
}

fn healthy(health: &CanaryHealth, rules: &StepPolicy, policy: &Policy) -> Result<(), Rejection> {
    let subject = "rollout advance";
    if health.error_rate().is_none() {
        let seen = format!("{} with {} faults", health.requests, health.model_faults);
        return refuse::one("NO_EVIDENCE", subject, CLAUSE, "canary requests", "above 0", seen);
    }
    let mut found = Findings::new();
    found.extend(health.flaws(policy));
    let (percent, seen) = (rules.traffic_percent, health.traffic_percent);
    found.require(seen == percent, CLAUSE, "observed at", format!("{percent} %"), format!("{seen} %"));
    found.into_result("UNHEALTHY", subject)
}
