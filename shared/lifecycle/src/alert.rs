//! §9.1 alerts: strict thresholds over a window with enough samples, and the life of one alert.

use std::time::{Duration, SystemTime};

use crate::kinds::kinds;
use crate::policy::monitoring::AlertRule;
use crate::refuse;
use crate::rejection::Rejection;

kinds! {
    /// Categories of the dashboard.
    Category {
        /// Latency, throughput, errors.
        Performance = "performance",
        /// Accuracy, hallucination.
        Quality = "quality",
        /// Parity between groups.
        Fairness = "fairness",
        /// Processors and memory.
        Resources = "resources",
        /// Volume and satisfaction.
        Business = "business",
    }
}

kinds! {
    /// What an alert rule measures, with its unit.
    Metric {
        /// 95th percentile of latency, milliseconds.
        LatencyP95 = "latency-p95-ms",
        /// Share failed by the model.
        ErrorRate = "error-rate",
        /// Share answered rightly, from delayed labels.
        Accuracy = "accuracy",
        /// Share of hallucinated answers.
        HallucinationRate = "hallucination-rate",
        /// Largest difference of selection rates.
        Disparity = "disparity",
        /// Share of the GPU in use.
        GpuUtilization = "gpu-utilization",
        /// Out-of-memory events, a count.
        OomEvents = "oom-events",
        /// Share by which requests fell against the same hour of earlier weeks.
        VolumeDrop = "volume-drop",
    }
}

/// One metric over one window.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Measurement {
    /// The value in the metric's unit; `None` if there is none.
    pub value: Option<f64>,
    /// Samples behind it. For a volume drop: requests of the baseline.
    pub samples: u64,
    /// How long the window was.
    pub window: Duration,
}

/// What one window says about one rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judgement {
    /// The threshold is strictly exceeded.
    Firing,
    /// It is not.
    Quiet,
    /// Too few samples, or the window is not full.
    Inconclusive {
        /// Samples that are needed.
        needed: u64,
    },
    /// Absent or not a number.
    Undefined,
}

/// Judges one window (§9.1, reading 2: the threshold itself raises nothing).
pub fn judge(rule: &AlertRule, measured: &Measurement) -> Judgement {
    if measured.samples < rule.min_samples || measured.window < rule.window.get() {
        return Judgement::Inconclusive { needed: rule.min_samples };
    }
    match measured.value {
        Some(value) if value.is_nan() => Judgement::Undefined,
        None => Judgement::Undefined,
        Some(value) if rule.fires.holds(value, rule.threshold) => Judgement::Firing,
        Some(_) => Judgement::Quiet,
    }
}

/// Share by which `requests` fell below the median of the same hour in earlier weeks; negative if they rose.
///
/// `None` without a baseline above zero. The median keeps one outage of the past from moving the baseline.
pub fn volume_drop(requests: u64, same_hour_before: &[u64]) -> Option<f64> {
    let baseline = volume_baseline(same_hour_before)?;
    (baseline > 0.0).then(|| (baseline - requests as f64) / baseline)
}

/// Median of the request counts of the same hour in earlier weeks.
pub fn volume_baseline(same_hour_before: &[u64]) -> Option<f64> {
    let mut counts = same_hour_before.to_vec();
    counts.sort_unstable();
    let middle = counts.len() / 2;
    let upper = *counts.get(middle)? as f64;
    if counts.len() % 2 == 1 {
        return Some(upper);
    }
    let lower = *counts.get(middle.checked_sub(1)?)? as f64;
    Some(f64::midpoint(lower, upper))
}

/// The life of one alert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Alert {
    /// Firing, nobody has answered.
    Open {
        /// Since when.
        since: SystemTime,
        /// Quiet windows in a row.
        quiet: u32,
    },
    /// Firing, somebody looks at it.
    Acknowledged {
        /// Since when it is open.
        since: SystemTime,
        /// Who answered.
        by: String,
        /// When.
        at: SystemTime,
        /// Quiet windows in a row.
        quiet: u32,
    },
    /// Over. The next firing window opens another alert.
    Closed {
        /// Since when it was open.
        since: SystemTime,
        /// When it closed.
        at: SystemTime,
    },
}

impl Alert {
    /// The stored name of the state.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Open { .. } => "OPEN",
            Self::Acknowledged { .. } => "ACKNOWLEDGED",
            Self::Closed { .. } => "CLOSED",
        }
    }

    /// Answers an alert.
    /// # Errors
    /// `ALERT_NOT_OPEN`, or `NOBODY_NAMED`.
    pub fn acknowledge(self, by: &str, now: SystemTime) -> Result<Self, Rejection> {
        if by.trim().is_empty() {
            return refuse::one("NOBODY_NAMED", "acknowledgement", "§9.1", "principal", "named", "missing");
        }
        match self {
            Self::Open { since, quiet } => {
                Ok(Self::Acknowledged { since, by: by.to_owned(), at: now, quiet })
            }
            other => {
                refuse::one("ALERT_NOT_OPEN", "acknowledgement", "§9.1", "alert", "OPEN", other.as_str())
            }
        }
    }
}

/// The alert after one more window. Only quiet windows close it: silence and doubt leave it as it is.
pub fn step(current: Option<Alert>, judged: Judgement, now: SystemTime, quiet_windows: u32) -> Option<Alert> {
    let closes = |quiet: u32| quiet.saturating_add(1) >= quiet_windows;
    match (current, judged) {
        (None | Some(Alert::Closed { .. }), Judgement::Firing) => Some(Alert::Open { since: now, quiet: 0 }),
        (Some(Alert::Open { since, .. }), Judgement::Firing) => Some(Alert::Open { since, quiet: 0 }),
        (Some(Alert::Acknowledged { since, by, at, .. }), Judgement::Firing) => {
            Some(Alert::Acknowledged { since, by, at, quiet: 0 })
        }
        (Some(Alert::Open { since, quiet } | Alert::Acknowledged { since, quiet, .. }), Judgement::Quiet)
            if closes(quiet) =>
        {
            Some(Alert::Closed { since, at: now })
        }
        (Some(Alert::Open { since, quiet }), Judgement::Quiet) => {
            Some(Alert::Open { since, quiet: quiet + 1 })
        }
        (Some(Alert::Acknowledged { since, by, at, quiet }), Judgement::Quiet) => {
            Some(Alert::Acknowledged { since, by, at, quiet: quiet + 1 })
        }
        (current, _) => current,
    }
}
