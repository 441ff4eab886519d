//! The error budget of a deployment (§4.1): 99.9 % over 30 days leave 43.2 minutes; a plan that promises more leaves less.

use contracts::monitor::v1::ErrorBudget;
use lifecycle::slo::Objective;
use std::time::SystemTime;

use crate::convert::wire_time;
use crate::store::objectives;
use crate::store::volumes::{Spent, spent};
use crate::{Error, Monitor};

/// The budget over the period that ends now.
///
/// # Errors
/// Of the database.
pub async fn of(monitor: &Monitor, deployment: &str) -> Result<ErrorBudget, Error> {
    let (now, policy) = (monitor.now(), monitor.policy());
    let objective = objectives::of(monitor.db().connection(), deployment, &policy).await?;
    let from = now.checked_sub(objective.period).unwrap_or(SystemTime::UNIX_EPOCH);
    let used = spent(monitor.db().connection(), deployment, from, now + monitor.skew()).await?;
    Ok(ErrorBudget {
        deployment: deployment.to_owned(),
        period_start_time: wire_time(from),
        ..budget(&objective, used)
    })
}

/// The arithmetic: shares are NaN where there were no requests, because silence is not availability.
pub fn budget(objective: &Objective, used: Spent) -> ErrorBudget {
    let minutes = |time: std::time::Duration| time.as_secs_f64() / 60.0;
    let share = |part: u64| if used.requests > 0 { part as f64 / used.requests as f64 } else { f64::NAN };
    ErrorBudget {
        availability: share(used.requests - used.bad_requests.min(used.requests)),
        target: objective.availability,
        latency_target_ms: objective.latency_ms,
        budget_minutes: minutes(objective.budget()),
        spent_minutes: minutes(used.bad_time),
        latency_share_below_target: share(used.fast.min(used.requests)),
        requests: used.requests,
        ..ErrorBudget::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lifecycle::Policy;
    use std::time::Duration;

    #[test]
    fn a_month_at_three_nines_leaves_43_minutes() {
        let objective = Objective::of(&Policy::builtin().monitoring.service_levels);
        let used = Spent { requests: 1_000, bad_requests: 10, fast: 950, bad_time: Duration::from_mins(10) };
        let budget = budget(&objective, used);
        assert!((budget.budget_minutes - 43.2).abs() < 1e-6, "{}", budget.budget_minutes);
        assert!((budget.spent_minutes - 10.0).abs() < 1e-9 && (budget.availability - 0.99).abs() < 1e-12);
        assert!((budget.latency_share_below_target - 0.95).abs() < 1e-12);
        assert!(super::budget(&objective, Spent::default()).availability.is_nan());
    }
}
