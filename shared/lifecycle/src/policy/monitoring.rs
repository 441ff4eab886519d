//! §9 monitoring: alerts, drift, service levels, feedback.

use serde::{Deserialize, Serialize};

use super::{Cited, Span, problem::Problems};
use crate::alert::{Category, Metric};
use crate::drift::{Correction, DriftKind, DriftTest};
use crate::feedback::{Decision, FindingKind};
use crate::role::Role;
use crate::verdict::Strict;

/// §9.1 to §9.3, and the service levels of §4.1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Monitoring {
    /// Rows of the dashboard: what each category shows.
    pub dashboard: Vec<DashboardRow>,
    /// Alert rules.
    pub alerts: Vec<AlertRule>,
    /// Quiet windows after which an open alert closes.
    pub quiet_windows: Cited<u32>,
    /// Drift rules, one per kind.
    pub drift: Vec<DriftRule>,
    /// Service levels.
    pub service_levels: ServiceLevels,
    /// The feedback loop.
    pub feedback: FeedbackPolicy,
}

/// A row of §9.1: what is shown.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DashboardRow {
    /// Category.
    pub category: Category,
    /// As the procedure writes them.
    pub metrics: Vec<String>,
    /// Its clause.
    pub clause: String,
}

/// One alert threshold of §9.1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlertRule {
    /// Category.
    pub category: Category,
    /// What is measured.
    pub metric: Metric,
    /// Side on which it fires, strictly.
    pub fires: Strict,
    /// Threshold in the metric's unit.
    pub threshold: f64,
    /// Window that is judged.
    pub window: Span,
    /// Fewest samples that say anything.
    pub min_samples: u64,
    /// Its clause.
    pub clause: String,
}

/// How one kind of drift is judged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DriftRule {
    /// Which kind.
    pub kind: DriftKind,
    /// Tests that may bring evidence.
    pub tests: Vec<DriftTest>,
    /// False alarms allowed over all columns together.
    pub alpha: f64,
    /// How many columns at once are corrected for.
    pub correction: Correction,
    /// Fewest samples per column in the judged window.
    pub min_samples: u64,
    /// Population Stability Index above which a change matters; a p-value alone is no effect.
    pub psi_limit: f64,
    /// Absolute change above which an effect of another test matters.
    pub effect_limit: f64,
    /// Its clause.
    pub clause: String,
}

/// Service levels (§4.1, non-functional).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceLevels {
    /// Latency below which an answer is good, milliseconds.
    pub latency_ms: Cited<f64>,
    /// Share of the time (or of the requests) that is good.
    pub availability: Cited<f64>,
    /// Period of the error budget.
    pub period: Cited<Span>,
}

/// §9.3
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FeedbackPolicy {
    /// Kinds of analysis that a finding may be.
    pub analyses: Cited<Vec<FindingKind>>,
    /// Who decides what.
    pub deciders: Vec<DeciderRow>,
    /// Longest wait from collected to analyzed.
    pub analyze_within: Cited<Span>,
    /// Longest wait from analyzed to decided.
    pub decide_within: Cited<Span>,
    /// Longest wait from decided to closed.
    pub act_within: Cited<Span>,
}

/// Who may take a decision.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeciderRow {
    /// Which decision.
    pub decision: Decision,
    /// Roles that may take it.
    pub roles: Vec<Role>,
    /// Its clause.
    pub clause: String,
}

impl Monitoring {
    pub(super) fn check(&self, bad: &mut Problems) {
        bad.exactly("monitoring.dashboard", self.dashboard.iter().map(|row| row.category), Category::ALL);
        bad.exactly("monitoring.alerts", self.alerts.iter().map(|row| row.metric), Metric::ALL);
        for (at, row) in self.alerts.iter().enumerate() {
            let path = format!("monitoring.alerts[{at}]");
            bad.require(row.threshold.is_finite(), format!("{path}.threshold"), "must be a number");
            bad.require(!row.window.get().is_zero(), format!("{path}.window"), "must be above 0");
            bad.require(row.min_samples > 0, format!("{path}.min_samples"), "must be above 0");
        }
        bad.require(self.quiet_windows.value > 0, "monitoring.quiet_windows", "must be above 0");
        bad.exactly("monitoring.drift", self.drift.iter().map(|row| row.kind), DriftKind::ALL);
        for (at, row) in self.drift.iter().enumerate() {
            let path = format!("monitoring.drift[{at}]");
            bad.inner_share(&format!("{path}.alpha"), row.alpha);
            bad.positive(&format!("{path}.psi_limit"), row.psi_limit);
            bad.positive(&format!("{path}.effect_limit"), row.effect_limit);
            bad.require(row.min_samples > 0, format!("{path}.min_samples"), "must be above 0");
            bad.require(!row.tests.is_empty(), format!("{path}.tests"), "must not be empty");
        }
        bad.positive("monitoring.service_levels.latency_ms", self.service_levels.latency_ms.value);
        bad.inner_share("monitoring.service_levels.availability", self.service_levels.availability.value);
        let period = self.service_levels.period.value.get();
        bad.require(!period.is_zero(), "monitoring.service_levels.period", "must be above 0");
        let decisions = self.feedback.deciders.iter().map(|row| row.decision);
        bad.exactly("monitoring.feedback.deciders", decisions, Decision::ALL);
        for (at, row) in self.feedback.deciders.iter().enumerate() {
            let path = format!("monitoring.feedback.deciders[{at}].roles");
            bad.require(!row.roles.is_empty(), path, "must not be empty");
        }
    }
}
