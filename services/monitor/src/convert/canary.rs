//! Canary health and rollouts.

use contracts::registry::v1::{CanaryHealth as Wire, Rollout as WireRollout, rollout::State};
use lifecycle::health::CanaryHealth;
use lifecycle::rollback::Trigger;
use lifecycle::rollout::Rollout;
use std::time::{Duration, SystemTime};

use super::{time, wire_time};

/// Health on the wire.
pub fn health(health: &CanaryHealth, from: SystemTime, to: SystemTime) -> Wire {
    Wire {
        requests: health.requests,
        model_faults: health.model_faults,
        error_rate: health.error_rate().unwrap_or(f64::NAN),
        latency_p95_ms: health.latency_p95_ms.unwrap_or(f64::NAN),
        soaked: Some(contracts::time::duration_to_wire(health.soaked)),
        windows: health.windows,
        windows_with_trigger: health.windows_with_trigger,
        windows_with_alert: health.windows_with_alert,
        open_alerts: health.open_alerts.clone(),
        traffic_percent: health.traffic_percent,
        longest_silence: health.longest_silence.map(contracts::time::duration_to_wire),
        triggers_now: health.triggers_now,
        breaker_log_e: health.breaker_log_e.unwrap_or(f64::NAN),
        window_start_time: wire_time(from),
        window_end_time: wire_time(to),
    }
}

/// Where a rollout stands, as far as it runs.
pub fn rollout(wire: &WireRollout) -> Rollout {
    let soaked = wire.step_soaked.as_ref().and_then(contracts::time::duration_from_wire).unwrap_or_default();
    let step = wire.step as usize;
    match wire.state() {
        State::Running => Rollout::Running { step, since: time(wire.step_start_time.as_ref()) },
        State::Paused => Rollout::Paused { step, soaked },
        State::Succeeded | State::Closed => Rollout::Succeeded,
        State::RolledBack => Rollout::RolledBack,
        State::Preparing | State::Unspecified => Rollout::Pending,
    }
}

/// Time at the present step, pauses not counted.
pub fn soaked(wire: &WireRollout, now: SystemTime) -> Duration {
    rollout(wire).soaked(now)
}

/// A row of §8.3 on the wire.
pub fn trigger(trigger: Trigger) -> contracts::registry::v1::RollbackTrigger {
    use contracts::registry::v1::RollbackTrigger as W;
    match trigger {
        Trigger::ErrorRate => W::ErrorRate,
        Trigger::LatencyP95 => W::Latency,
        Trigger::UserComplaints => W::UserComplaints,
        Trigger::SecurityIssue => W::Security,
    }
}

/// A severity on the wire.
pub fn severity(severity: lifecycle::incident::Severity) -> contracts::registry::v1::incident::Severity {
    use contracts::registry::v1::incident::Severity as W;
    use lifecycle::incident::Severity as S;
    match severity {
        S::Critical => W::Critical,
        S::High => W::High,
        S::Medium => W::Medium,
        S::Low => W::Low,
    }
}
