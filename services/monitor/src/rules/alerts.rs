//! What each rule of §9.1 says about each of its windows.

use contracts::common::v1::Measurement as WireMeasurement;
use lifecycle::alert::{Measurement, Metric, judge};
use lifecycle::policy::Policy;
use lifecycle::policy::monitoring::AlertRule;
use lifecycle::{Finding, Strict};
use std::time::{Duration, SystemTime};

use crate::Error;
use crate::convert::alert::rule_word;
use crate::store::alerts::Judged;
use crate::windows::join::Stretch;
use crate::windows::{Scope, floor};

/// Judges one window of a rule that ends at `at`; joined windows are longer than the rule's own.
pub fn judged(rule: &AlertRule, value: Option<f64>, samples: u64, at: SystemTime, about: &str) -> Judged {
    let measured = Measurement { value, samples, window: rule.window.get() };
    let subject =
        if about.is_empty() { rule.metric.to_string() } else { format!("{} of {about}", rule.metric) };
    let shown = value.map_or_else(|| "undefined".to_owned(), |value| format!("{value:.4}"));
    // An alert fires on the wrong side of a threshold: what the clause wants is the other side, the threshold included.
    let wanted = match rule.fires {
        Strict::Above => "<=",
        Strict::Below => ">=",
    };
    Judged {
        judgement: judge(rule, &measured),
        at,
        finding: Finding::new(
            rule.clause.clone(),
            subject,
            format!("{wanted} {}", rule.threshold),
            format!("{shown} (n={samples})"),
        ),
        measurements: vec![WireMeasurement {
            metric: rule_word(rule.metric).to_owned(),
            value: value.unwrap_or(f64::NAN),
            sample_size: samples,
            convention: format!("window/{}", rule.window),
            ..WireMeasurement::default()
        }],
    }
}

/// Merges what is sorted by time into the rule's own windows.
///
/// # Errors
/// Of `add`.
pub fn by_window<T>(
    items: Vec<(SystemTime, T)>,
    length: Duration,
    add: impl Fn(&mut T, &T) -> Result<(), Error>,
) -> Result<Vec<Stretch<T>>, Error> {
    let mut windows: Vec<Stretch<T>> = Vec::new();
    for (time, item) in items {
        let start = floor(time, length);
        match windows.last_mut() {
            Some(last) if last.start == start => add(&mut last.seen, &item)?,
            _ => windows.push(Stretch { start, end: start + length, seen: item }),
        }
    }
    Ok(windows)
}

/// Where the alerts of a rule about `subject` stand, by name.
pub fn cursor_of(metric: Metric, subject: &[&str]) -> String {
    format!("alerts/{metric}/{}", subject.join("/"))
}

/// Every cursor that looks at requests of a version, and where it must stand so that the window of `start` is judged (again).
pub fn cursors_behind(policy: &Policy, scope: &Scope, start: SystemTime) -> Vec<(String, SystemTime)> {
    let (deployment, version) = (scope.deployment.as_str(), scope.version.as_str());
    let of_rule = |rule: &AlertRule| {
        let at = floor(start, rule.window.get());
        match rule.metric {
            Metric::ErrorRate | Metric::LatencyP95 | Metric::Disparity => {
                Some((cursor_of(rule.metric, &[deployment, version]), at))
            }
            Metric::VolumeDrop => Some((cursor_of(rule.metric, &[deployment]), at)),
            Metric::Accuracy | Metric::HallucinationRate | Metric::GpuUtilization | Metric::OomEvents => None,
        }
    };
    let mut all: Vec<_> = policy.monitoring.alerts.iter().filter_map(of_rule).collect();
    all.push((format!("drift/{deployment}/{version}"), start));
    all.push((production_cursor(scope), start));
    all
}

/// Where the watch of a version in production stands (§8.3 beyond the ladder).
pub fn production_cursor(scope: &Scope) -> String {
    format!("production/{}/{}", scope.deployment, scope.version)
}
