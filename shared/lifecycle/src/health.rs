//! What was observed of a canary: the input of G4 and of every step of a rollout.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Strict;
use crate::alert::{Judgement, Measurement, Metric, judge};
use crate::policy::{Policy, Span};
use crate::rejection::{Finding, Findings};
use crate::rollback::{Breaker, Observed, Trigger, breaker, fired};

/// Health of a canary at one step of the ladder, as the monitor observed it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CanaryHealth {
    /// Requests that the canary answered or failed in the stretch that is judged.
    pub requests: u64,
    /// Of those, failed by the model: no malformed requests, no deadline of a client.
    pub model_faults: u64,
    /// 95th percentile of latency in milliseconds; `None` where too few requests give none.
    pub latency_p95_ms: Option<f64>,
    /// How long the canary has stood at this step without a pause.
    pub soaked: Duration,
    /// Windows with enough requests to say something, within that stretch.
    pub windows: u32,
    /// Windows of the stretch in which a rollback trigger (§8.3) fired.
    pub windows_with_trigger: u32,
    /// Windows of the stretch in which an alert (§9.1) fired.
    pub windows_with_alert: u32,
    /// Names of alerts that are open now.
    pub open_alerts: Vec<String>,
    /// Traffic at this step, percent.
    pub traffic_percent: u32,
    /// Longest part of the stretch without one observed request; `None` where nobody looked.
    pub longest_silence: Option<Duration>,
    /// Windows in which a rollback trigger fires now, those that are not over among them: no proof yet, and no health.
    #[serde(default)]
    pub triggers_now: u32,
    /// Natural logarithm of the largest evidence of the sequential test against the canary over the whole ladder (reading 5),
    /// 0 for none; `None` where it is no number.
    #[serde(default = "no_evidence")]
    pub breaker_log_e: Option<f64>,
}

/// Of health that was stored without it.
#[allow(clippy::unnecessary_wraps)] // as the field is
fn no_evidence() -> Option<f64> {
    Some(0.0)
}

impl CanaryHealth {
    /// Share of requests failed by the model; `None` without requests, or when the counts contradict each other.
    pub fn error_rate(&self) -> Option<f64> {
        (self.requests > 0 && self.model_faults <= self.requests)
            .then(|| self.model_faults as f64 / self.requests as f64)
    }

    fn p95(&self) -> Option<f64> {
        self.latency_p95_ms.filter(|p95| p95.is_finite() && *p95 >= 0.0)
    }

    /// Everything that makes a canary unhealthy: its own numbers by the triggers of §8.3 and the alerts of §9.1, what
    /// fired in its windows, open alerts, silence, which is not health (reading 7), and evidence of the sequential test that
    /// is no number or reached its limit (reading 5).
    pub fn flaws(&self, policy: &Policy) -> Vec<Finding> {
        let mut found = Findings::new();
        self.judge_numbers(&mut found, policy);
        let triggers = self.windows_with_trigger.max(self.triggers_now);
        found.require(triggers == 0, "§8.3", "windows with a rollback trigger", "0", triggers.to_string());
        let alerts = self.windows_with_alert;
        found.require(alerts == 0, "reading 7", "windows with an alert", "0", alerts.to_string());
        let open = self.open_alerts.join(", ");
        found.require(self.open_alerts.is_empty(), "§9.1", "open alerts", "none", open);
        let limit = &policy.rollout.max_silence;
        let silence =
            self.longest_silence.map_or_else(|| "not measured".to_owned(), |time| Span(time).to_string());
        found.require(
            self.longest_silence.is_some_and(|time| time <= limit.value.get()),
            &limit.clause,
            "time without observed requests of the canary",
            format!("at most {}", limit.value),
            silence,
        );
        let (rules, log_e) = (&policy.rollout.breaker, self.breaker_log_e.unwrap_or(f64::NAN));
        found.require(
            breaker(log_e, rules) == Breaker::Hold,
            &rules.max_error_rate.clause,
            "evidence against the canary",
            "a number below the limit",
            format!("log e-value {log_e}"),
        );
        found.into_vec()
    }

    fn judge_numbers(&self, found: &mut Findings, policy: &Policy) {
        let observed =
            Observed { error_rate: self.error_rate(), latency_p95_ms: self.p95(), ..Observed::default() };
        for row in fired(&observed, &policy.rollout) {
            let seen = match row.trigger {
                Trigger::LatencyP95 => self.p95(),
                _ => self.error_rate(),
            };
            found.add(
                &row.clause,
                format!("canary {}", row.trigger),
                format!("<= {}", row.above),
                self.shown(seen),
            );
        }
        for rule in &policy.monitoring.alerts {
            let value = match rule.metric {
                Metric::ErrorRate => self.error_rate(),
                Metric::LatencyP95 => self.p95(),
                _ => continue,
            };
            let subject = format!("canary {}", rule.metric);
            let measured = Measurement { value, samples: self.requests, window: rule.window.get() };
            match judge(rule, &measured) {
                Judgement::Firing => {
                    let side = if rule.fires == Strict::Above { "<=" } else { ">=" };
                    found.add(&rule.clause, subject, format!("{side} {}", rule.threshold), self.shown(value));
                }
                Judgement::Undefined => found.add(&rule.clause, subject, "measured", "undefined"),
                Judgement::Quiet | Judgement::Inconclusive { .. } => {}
            }
        }
    }

    fn shown(&self, value: Option<f64>) -> String {
        format!("{} (n={})", value.unwrap_or(f64::NAN), self.requests)
    }
}

/// Fewest requests on which G4 or a step is decided: what it asks for itself, and no less than the alerts that judge
/// the same requests (reading 4).
pub fn least_requests(own: u64, policy: &Policy) -> u64 {
    let rules = policy.monitoring.alerts.iter();
    rules
        .filter(|rule| matches!(rule.metric, Metric::ErrorRate | Metric::LatencyP95))
        .map(|rule| rule.min_samples)
        .fold(own, u64::max)
}
