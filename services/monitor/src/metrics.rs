//! What Prometheus sees of the monitor.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use runtime::Metrics;
use std::sync::atomic::AtomicU64;

/// Of an alert.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct RuleLabel {
    /// `error_rate`
    pub rule: String,
}

/// Of a rollout.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct RolloutLabel {
    /// `deployments/d/rollouts/r`
    pub rollout: String,
}

/// The monitor's own metrics, beside those of every service.
#[derive(Clone, Default)]
pub struct MonitorMetrics {
    /// `wlp_monitor_alerts_open`
    pub alerts_open: Family<RuleLabel, Gauge>,
    /// `wlp_monitor_windows`
    pub windows: Gauge,
    /// `wlp_monitor_observation_lag_seconds`
    pub lag: Gauge<f64, AtomicU64>,
    /// `wlp_monitor_batches_total`
    pub batches: Counter,
    /// `wlp_monitor_duplicate_batches_total`
    pub duplicates: Counter,
    /// `wlp_monitor_canary_error_rate`
    pub canary_error_rate: Family<RolloutLabel, Gauge<f64, AtomicU64>>,
    /// `wlp_monitor_duties_overdue`
    pub duties_overdue: Gauge,
    /// `wlp_monitor_feedback_overdue`
    pub feedback_overdue: Gauge,
    /// `wlp_monitor_registry_failures_total`
    pub registry_failures: Counter,
}

impl MonitorMetrics {
    /// Registers them all.
    pub fn register(metrics: &Metrics) -> Self {
        let own = Self::default();
        metrics.register(|registry| {
            let all = &own;
            registry.register("wlp_monitor_alerts_open", "Open alerts by rule", all.alerts_open.clone());
            registry.register("wlp_monitor_windows", "Windows that are kept", all.windows.clone());
            registry.register(
                "wlp_monitor_observation_lag_seconds",
                "Virtual seconds between the newest observed second of a batch and its arrival",
                all.lag.clone(),
            );
            registry.register("wlp_monitor_batches", "Batches of observations counted", all.batches.clone());
            registry.register(
                "wlp_monitor_duplicate_batches",
                "Batches that came again",
                all.duplicates.clone(),
            );
            registry.register(
                "wlp_monitor_canary_error_rate",
                "Share of a canary's requests at its step that the model failed",
                all.canary_error_rate.clone(),
            );
            registry.register("wlp_monitor_duties_overdue", "Overdue duties", all.duties_overdue.clone());
            registry.register(
                "wlp_monitor_feedback_overdue",
                "Open findings past their time",
                all.feedback_overdue.clone(),
            );
            registry.register(
                "wlp_monitor_registry_failures",
                "Calls of the registry by background tasks that failed",
                all.registry_failures.clone(),
            );
        });
        own
    }
}
