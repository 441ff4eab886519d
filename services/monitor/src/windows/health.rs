//! A canary's health at one step of the ladder, from its windows: what G4 and every step are decided on.

use lifecycle::alert::{Judgement, Measurement, Metric, judge};
use lifecycle::health::CanaryHealth;
use lifecycle::policy::Policy;
use lifecycle::rollback::{Observed, fired};
use statistics::ErrorBudgetTest;
use std::time::{Duration, SystemTime};

use super::{Window, error_rate, judged, latency, merge, timed};
use crate::Error;
use contracts::monitor::v1::VersionObservation;

/// The step that is looked at.
#[derive(Debug, Clone, Copy)]
pub struct Step {
    /// When its traffic began.
    pub since: SystemTime,
    /// How long it has lasted, pauses not counted.
    pub soaked: Duration,
    /// Percent of the traffic.
    pub traffic_percent: u32,
}

/// Health over `windows`, all of the same version. Windows that begin before the step are looked at for triggers and
/// alerts, and not counted: their requests belong to the step before.
///
/// # Errors
/// If stored windows contradict each other.
pub fn canary(
    windows: &[Window],
    step: Step,
    open_alerts: Vec<String>,
    policy: &Policy,
) -> Result<CanaryHealth, Error> {
    let mut all = VersionObservation::default();
    let (mut count, mut triggered, mut alerted) = (0, 0, 0);
    for window in windows.iter().filter(|window| window.end() > step.since) {
        if window.start >= step.since {
            merge::counters(&mut all, &window.seen)?;
            count += 1;
        }
        triggered += u32::from(has_trigger(window, policy));
        alerted += u32::from(has_alert(window, policy));
    }
    Ok(CanaryHealth {
        requests: judged(&all),
        model_faults: all.model_faults,
        latency_p95_ms: latency(&all, 0.95),
        soaked: step.soaked,
        windows: count,
        windows_with_trigger: triggered,
        windows_with_alert: alerted,
        open_alerts,
        traffic_percent: step.traffic_percent,
    })
}

/// Requests below which a window says nothing about a metric: what §9.1 asks of its alert (reading 4).
fn least(metric: Metric, policy: &Policy) -> u64 {
    policy
        .monitoring
        .alerts
        .iter()
        .filter(|rule| rule.metric == metric)
        .map(|rule| rule.min_samples)
        .max()
        .unwrap_or(0)
}

/// Whether a row of §8.3 fired in this window.
pub fn has_trigger(window: &Window, policy: &Policy) -> bool {
    let seen = &window.seen;
    let observed = Observed {
        error_rate: error_rate(seen).filter(|_| judged(seen) >= least(Metric::ErrorRate, policy)),
        latency_p95_ms: latency(seen, 0.95).filter(|_| timed(seen) >= least(Metric::LatencyP95, policy)),
        ..Observed::default()
    };
    !fired(&observed, &policy.rollout).is_empty()
}

/// Whether a rule of §9.1 that looks at requests fires in this window.
pub fn has_alert(window: &Window, policy: &Policy) -> bool {
    policy.monitoring.alerts.iter().any(|rule| {
        // A rule with a longer window still sees this one as a part of it: what fires here is an alert of reading 7.
        let measured = Measurement { window: rule.window.get(), ..measure(rule.metric, &window.seen) };
        judge(rule, &measured) == Judgement::Firing
    })
}

/// What a window says about a metric of requests; nothing for metrics that come from elsewhere.
pub fn measure(metric: Metric, seen: &VersionObservation) -> Measurement {
    let (value, samples) = match metric {
        Metric::ErrorRate => (error_rate(seen), judged(seen)),
        Metric::LatencyP95 => (latency(seen, 0.95), timed(seen)),
        Metric::Disparity => disparity(seen),
        Metric::Accuracy
        | Metric::HallucinationRate
        | Metric::GpuUtilization
        | Metric::OomEvents
        | Metric::VolumeDrop => (None, 0),
    };
    Measurement { value, samples, window: Duration::ZERO }
}

/// The largest difference of selection rates, over each group column by itself (`sex=Female`), and the rows of the
/// smallest group that it rests on. `None` without two groups.
pub fn disparity(seen: &VersionObservation) -> (Option<f64>, u64) {
    let groups = seen.groups.iter().map(|one| (one.group.as_str(), one.rows, one.favourable));
    largest_gap(groups)
}

/// As [`disparity`], over `(group, rows, favourable rows)`.
pub fn largest_gap<'a>(groups: impl Iterator<Item = (&'a str, u64, u64)>) -> (Option<f64>, u64) {
    let mut columns: std::collections::BTreeMap<&str, Vec<(u64, f64)>> = std::collections::BTreeMap::new();
    for (group, rows, favourable) in groups.filter(|(_, rows, favourable)| *rows > 0 && favourable <= rows) {
        let column = group.split_once('=').map_or("", |(column, _)| column);
        columns.entry(column).or_default().push((rows, favourable as f64 / rows as f64));
    }
    let mut worst: (Option<f64>, u64) = (None, 0);
    for shares in columns.into_values().filter(|shares| shares.len() > 1) {
        let highest = shares.iter().map(|(_, share)| *share).fold(f64::NEG_INFINITY, f64::max);
        let lowest = shares.iter().map(|(_, share)| *share).fold(f64::INFINITY, f64::min);
        let rows = shares.iter().map(|(rows, _)| *rows).sum();
        if worst.0.is_none_or(|before| highest - lowest > before) {
            worst = (Some(highest - lowest), rows);
        }
    }
    worst
}

/// The largest evidence that the gateway's breaker must have seen over the whole ladder (reading 5), replayed over the
/// windows. It decides nothing that the gateway's own test has not: it spends no budget of its own.
///
/// # Errors
/// If the policy's limit is no share, or a window has more faults than requests.
pub fn replayed_evidence(windows: &[Window], policy: &Policy) -> Result<f64, Error> {
    let mut test = ErrorBudgetTest::new(policy.rollout.breaker.max_error_rate.value)?;
    for window in windows {
        let requests = judged(&window.seen);
        test.observe(window.seen.model_faults.min(requests), requests)?;
    }
    Ok(test.peak_log_e())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disparity_is_the_largest_difference_within_one_column() {
        let groups = [("sex=F", 100, 30), ("sex=M", 100, 50), ("age=old", 50, 50), ("region=x", 10, 0)];
        let (gap, rows) = largest_gap(groups.into_iter());
        assert!(gap.is_some_and(|gap| (gap - 0.2).abs() < 1e-12) && rows == 200, "{gap:?} {rows}");
        assert_eq!(largest_gap([("sex=F", 100, 30)].into_iter()), (None, 0));
    }
}
