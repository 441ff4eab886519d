//! Service-level objectives and their error budgets (§4.1 non-functional: latency < 2 s, 99.9 % availability).

use std::time::Duration;

use crate::policy::monitoring::ServiceLevels;
use crate::refuse;
use crate::rejection::{Findings, Rejection};

/// What a service promises. A plan may promise more than the policy, never less.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Objective {
    /// Latency below which an answer is good, milliseconds.
    pub latency_ms: f64,
    /// Good share, strictly between 0 and 1.
    pub availability: f64,
    /// Period of the budget.
    pub period: Duration,
}

impl Objective {
    /// The policy's own promise.
    pub fn of(policy: &ServiceLevels) -> Self {
        Self {
            latency_ms: policy.latency_ms.value,
            availability: policy.availability.value,
            period: policy.period.value.get(),
        }
    }

    /// What the criteria of a plan `(metric, value, unit)` promise of the service: the strictest latency and availability that
    /// they name, and `floor` where they name none.
    pub fn stated<'a>(criteria: impl Iterator<Item = (&'a str, f64, &'a str)>, floor: Self) -> Self {
        let (mut latency, mut availability) = (f64::NAN, f64::NAN);
        for (metric, value, unit) in criteria {
            if metric.contains("latency") {
                let factor = if unit == "s" { 1000.0 } else { 1.0 };
                latency = latency.min(value * factor); // the minimum with NaN is the other
            } else if metric == "availability" {
                availability = availability.max(value);
            }
        }
        let or = |number: f64, floor: f64| if number.is_nan() { floor } else { number };
        Self {
            latency_ms: or(latency, floor.latency_ms),
            availability: or(availability, floor.availability),
            period: floor.period,
        }
    }

    /// The stricter of two promises in each of their parts, over the period of this one. What is no promise (a latency that
    /// is not above 0, an availability that is none or certainty) makes nothing stricter.
    #[must_use]
    pub fn stricter(self, other: Self) -> Self {
        let latency = if other.latency_ms > 0.0 { other.latency_ms } else { self.latency_ms };
        let availability = if other.availability < 1.0 { other.availability } else { self.availability };
        Self {
            latency_ms: self.latency_ms.min(latency),
            availability: self.availability.max(availability),
            ..self
        }
    }

    /// The promise of a plan.
    /// # Errors
    /// `OBJECTIVE_TOO_WEAK` if it promises less than the policy, or is no number.
    pub fn planned(latency_ms: f64, availability: f64, policy: &ServiceLevels) -> Result<Self, Rejection> {
        let floor = Self::of(policy);
        let mut found = Findings::new();
        found.require(
            latency_ms > 0.0 && latency_ms <= floor.latency_ms,
            &policy.latency_ms.clause,
            "latency objective",
            format!("at most {} ms", floor.latency_ms),
            format!("{latency_ms} ms"),
        );
        found.require(
            availability >= floor.availability && availability < 1.0,
            &policy.availability.clause,
            "availability objective",
            format!("at least {} and below 1", floor.availability),
            availability.to_string(),
        );
        found.into_result("OBJECTIVE_TOO_WEAK", "service-level objective")?;
        Ok(Self { latency_ms, availability, period: floor.period })
    }

    /// Time that may be bad within the period: 99.9 % of 30 days leave 43.2 minutes.
    pub fn budget(&self) -> Duration {
        Duration::try_from_secs_f64(self.period.as_secs_f64() * (1.0 - self.availability)).unwrap_or_default()
    }

    /// Budget that is left after `bad` time; zero when it is spent.
    pub fn remaining(&self, bad: Duration) -> Duration {
        self.budget().saturating_sub(bad)
    }

    /// Whether the budget is spent. A budget of exactly zero left is spent.
    pub fn is_spent(&self, bad: Duration) -> bool {
        bad >= self.budget()
    }

    /// How many times faster than allowed the budget burns; 1 spends it exactly at the end of the period.
    ///
    /// `None` without requests, or when the counts contradict each other.
    pub fn burn_rate(&self, bad: u64, requests: u64) -> Option<f64> {
        (requests > 0 && bad <= requests).then(|| (bad as f64 / requests as f64) / (1.0 - self.availability))
    }

    /// Whether one answer was good: it came, and strictly faster than promised.
    pub fn is_good(&self, answered: bool, latency_ms: f64) -> bool {
        answered && latency_ms < self.latency_ms
    }

    /// Whether a release may go on while the budget stands like this.
    /// # Errors
    /// `ERROR_BUDGET_SPENT`.
    pub fn require_budget(&self, bad: Duration) -> Result<(), Rejection> {
        if !self.is_spent(bad) {
            return Ok(());
        }
        let required = format!("below {:.1} min", self.budget().as_secs_f64() / 60.0);
        let observed = format!("{:.1} min", bad.as_secs_f64() / 60.0);
        refuse::one("ERROR_BUDGET_SPENT", "release", "§4.1", "bad time in the period", required, observed)
    }
}
