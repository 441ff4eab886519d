//! What each rule of §9.1 says about each of its windows.

use contracts::common::v1::Measurement as WireMeasurement;
use lifecycle::Finding;
use lifecycle::alert::{Measurement, judge};
use lifecycle::policy::monitoring::AlertRule;
use std::time::{Duration, SystemTime};

use crate::convert::alert::rule_word;
use crate::store::alerts::Judged;

/// Judges one window of a rule that ends at `at`.
pub fn judged(rule: &AlertRule, value: Option<f64>, samples: u64, at: SystemTime, about: &str) -> Judged {
    let measured = Measurement { value, samples, window: rule.window.get() };
    let subject =
        if about.is_empty() { rule.metric.to_string() } else { format!("{} of {about}", rule.metric) };
    let shown = value.map_or_else(|| "undefined".to_owned(), |value| format!("{value:.4}"));
    // An alert fires on the wrong side of a threshold: what the clause wants is the other side, the threshold included.
    let wanted = match rule.fires {
        lifecycle::Strict::Above => "<=",
        lifecycle::Strict::Below => ">=",
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

/// Splits what is sorted by time into the rule windows that it falls in: start of each, and its items.
pub fn by_window<T>(items: Vec<(SystemTime, T)>, length: Duration) -> Vec<(SystemTime, Vec<T>)> {
    let mut windows: Vec<(SystemTime, Vec<T>)> = Vec::new();
    for (time, item) in items {
        let start = crate::windows::floor(time, length);
        match windows.last_mut() {
            Some((last, inside)) if *last == start => inside.push(item),
            _ => windows.push((start, vec![item])),
        }
    }
    windows
}
