//! §8.2 the ladder of a rollout, §8.3 rollback.

use serde::{Deserialize, Serialize};

use super::{Cited, Span, problem::Problems};
use crate::incident::Severity;
use crate::rollback::{Action, Fault, Trigger};

/// The ladder of §8.2 and the triggers of §8.3.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RolloutPolicy {
    /// Steps upward, the last one is all traffic.
    pub steps: Vec<StepPolicy>,
    /// Rows of §8.3.
    pub triggers: Vec<TriggerPolicy>,
    /// The gateway's own breaker (reading 5).
    pub breaker: BreakerPolicy,
    /// Longest time without an observed request of the canary that still counts as watched: silence is not health.
    pub max_silence: Cited<Span>,
}

/// One step of the ladder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepPolicy {
    /// Share of traffic, percent.
    pub traffic_percent: u32,
    /// How long the step lasts at least.
    pub dwell: Span,
    /// Requests that the canary must have answered in the step: silence is not health.
    pub min_requests: u64,
    /// Where the step comes from.
    pub clause: String,
}

/// One row of §8.3.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TriggerPolicy {
    /// What happened.
    pub trigger: Trigger,
    /// Limit that must be exceeded; events fire above 0.
    pub above: f64,
    /// What must be done.
    pub action: Action,
    /// Within what time; `0s` is immediate.
    pub within: Span,
    /// Severity of the incident that it opens.
    pub severity: Severity,
    /// Its clause.
    pub clause: String,
}

/// The gateway's sequential test (reading 5).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BreakerPolicy {
    /// Errors that are allowed at most, a share.
    pub max_error_rate: Cited<f64>,
    /// True error share of a canary that counts as healthy.
    pub healthy_error_rate: Cited<f64>,
    /// False aborts of a healthy canary over the whole ladder, a share.
    pub error_budget: Cited<f64>,
    /// Faults that count against the canary.
    pub counted: Cited<Vec<Fault>>,
}

impl RolloutPolicy {
    pub(super) fn check(&self, bad: &mut Problems) {
        let climbs = self.steps.windows(2).all(|pair| pair[0].traffic_percent < pair[1].traffic_percent);
        bad.require(climbs, "rollout.steps", "must climb");
        bad.require(
            self.steps.first().is_some_and(|s| s.traffic_percent > 0),
            "rollout.steps",
            "must start above 0",
        );
        bad.require(
            self.steps.last().is_some_and(|s| s.traffic_percent == 100),
            "rollout.steps",
            "must end at 100",
        );
        for (at, step) in self.steps.iter().enumerate() {
            bad.require(
                step.min_requests > 0,
                format!("rollout.steps[{at}].min_requests"),
                "must be above 0",
            );
        }
        bad.exactly("rollout.triggers", self.triggers.iter().map(|row| row.trigger), Trigger::ALL);
        for (at, row) in self.triggers.iter().enumerate() {
            let sound = row.above.is_finite() && row.above >= 0.0;
            bad.require(sound, format!("rollout.triggers[{at}].above"), "must be a number of 0 or more");
        }
        bad.require(!self.max_silence.value.get().is_zero(), "rollout.max_silence", "must be above 0");
        bad.inner_share("rollout.breaker.max_error_rate", self.breaker.max_error_rate.value);
        bad.inner_share("rollout.breaker.healthy_error_rate", self.breaker.healthy_error_rate.value);
        bad.inner_share("rollout.breaker.error_budget", self.breaker.error_budget.value);
        bad.require(
            self.breaker.healthy_error_rate.value < self.breaker.max_error_rate.value,
            "rollout.breaker.healthy_error_rate",
            "must be below max_error_rate",
        );
    }
}
