//! What the rules of §9.1 say of hosts: GPU utilisation, out-of-memory events.

use lifecycle::alert::{Judgement, Metric};
use lifecycle::policy::Policy;
use lifecycle::policy::monitoring::AlertRule;
use std::time::SystemTime;

use crate::Error;
use crate::rules::alerts::{by_window, judged};
use crate::store::alerts::Judged;
use crate::store::hosts::Gauges;
use crate::windows::join::Stretch;

/// Whether a rule is about machines.
pub fn is_of_machines(rule: &AlertRule) -> bool {
    matches!(rule.metric, Metric::GpuUtilization | Metric::OomEvents)
}

/// Judges each window of a host, oldest first. What nobody could read says nothing.
///
/// # Errors
/// Of [`by_window`].
pub fn judge(rule: &AlertRule, host: &str, seen: &[Gauges]) -> Result<Vec<Judged>, Error> {
    let parts = seen.iter().map(|gauges| (gauges.start, vec![gauges.clone()])).collect();
    let windows = by_window(parts, rule.window.get(), |all, more| {
        all.extend_from_slice(more);
        Ok(())
    })?;
    let one = |window: &Stretch<Vec<Gauges>>| {
        let (value, samples) = measure(rule.metric, &window.seen);
        judged(rule, value, samples, window.end, &format!("host {host}"))
    };
    Ok(windows.iter().map(one).collect())
}

/// Ends of the windows in which a rule about machines fired over a host.
///
/// # Errors
/// As [`judge`].
pub fn fired(host: &str, seen: &[Gauges], policy: &Policy) -> Result<Vec<SystemTime>, Error> {
    let mut ends = Vec::new();
    for rule in policy.monitoring.alerts.iter().filter(|rule| is_of_machines(rule)) {
        let said = judge(rule, host, seen)?;
        ends.extend(said.iter().filter(|one| one.judgement == Judgement::Firing).map(|one| one.at));
    }
    Ok(ends)
}

fn measure(metric: Metric, parts: &[Gauges]) -> (Option<f64>, u64) {
    if metric == Metric::OomEvents {
        let events: u64 = parts.iter().map(|part| part.oom_events).sum();
        let readings = parts.iter().map(|part| part.oom_readings).sum();
        return ((readings > 0).then_some(events as f64), readings);
    }
    let samples: u64 = parts.iter().map(|part| part.gpu_readings).sum();
    let sum: f64 = parts.iter().filter_map(|part| Some(part.gpu? * part.gpu_readings as f64)).sum();
    ((samples > 0).then(|| sum / samples as f64), samples)
}
