//! What was observed of a canary: the input of G4 and of every step of a rollout.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Health of a canary at one step of the ladder, as the monitor observed it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CanaryHealth {
    /// Requests that the canary answered or failed.
    pub requests: u64,
    /// Of those, failed by the model: no malformed requests, no deadline of a client.
    pub model_faults: u64,
    /// 95th percentile of latency in milliseconds; `None` where too few requests give none.
    pub latency_p95_ms: Option<f64>,
    /// How long the canary has stood at this step.
    pub soaked: Duration,
    /// Judged windows within that time.
    pub windows: u32,
    /// Of those, windows in which a rollback trigger (§8.3) fired.
    pub windows_with_trigger: u32,
    /// Of those, windows in which an alert (§9.1) fired.
    pub windows_with_alert: u32,
    /// Names of alerts that are open now.
    pub open_alerts: Vec<String>,
    /// Traffic at this step, percent.
    pub traffic_percent: u32,
}

impl CanaryHealth {
    /// Share of requests failed by the model; `None` without requests, or when the counts contradict each other.
    pub fn error_rate(&self) -> Option<f64> {
        (self.requests > 0 && self.model_faults <= self.requests)
            .then(|| self.model_faults as f64 / self.requests as f64)
    }
}
