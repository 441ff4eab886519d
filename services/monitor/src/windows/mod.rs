//! Windows: what a version did in a stretch of time, merged from observations of single seconds.

pub mod groups;
pub mod health;
pub mod join;
pub mod merge;
pub mod replay;

use contracts::monitor::v1::VersionObservation;
use statistics::LatencySketch;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::convert::sketch;

/// Whose window it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scope {
    /// `deployments/{d}`
    pub deployment: String,
    /// `models/{m}/versions/{v}`
    pub version: String,
}

/// What one version did in one window.
#[derive(Debug, Clone)]
pub struct Window {
    /// Whose.
    pub scope: Scope,
    /// When it begins.
    pub start: SystemTime,
    /// How long it is.
    pub length: Duration,
    /// Everything that was counted, without histograms of features and predictions.
    pub seen: VersionObservation,
}

impl Window {
    /// When it ends.
    pub fn end(&self) -> SystemTime {
        self.start + self.length
    }
}

/// Requests that the model answered or failed: what was malformed, and what never reached it, say nothing about it.
pub fn judged(seen: &VersionObservation) -> u64 {
    seen.requests.saturating_sub(seen.client_faults).saturating_sub(seen.server_faults)
}

/// Share of the judged requests that the model failed; `None` without any.
pub fn error_rate(seen: &VersionObservation) -> Option<f64> {
    let judged = judged(seen);
    (judged > 0 && seen.model_faults <= judged).then(|| seen.model_faults as f64 / judged as f64)
}

/// A quantile of latency in milliseconds; `None` where nothing was measured.
pub fn latency(seen: &VersionObservation, quantile: f64) -> Option<f64> {
    sketch_of(seen)?.quantile(quantile).ok()
}

/// Requests with a measured latency.
pub fn timed(seen: &VersionObservation) -> u64 {
    sketch_of(seen).map_or(0, |sketch| sketch.count())
}

/// The latencies; `None` where there is no sketch.
pub fn sketch_of(seen: &VersionObservation) -> Option<LatencySketch> {
    seen.latency.as_ref().and_then(|wire| sketch::from_wire(wire).ok())
}

/// The beginning of the window of `length` that holds `time`, counted from the epoch.
pub fn floor(time: SystemTime, length: Duration) -> SystemTime {
    let (since, length) =
        (time.duration_since(UNIX_EPOCH).unwrap_or_default(), length.max(Duration::from_secs(1)));
    let over = since.as_micros() % length.as_micros();
    time - Duration::from_micros(u64::try_from(over).unwrap_or_default())
        - Duration::from_nanos(u64::from(since.subsec_nanos() % 1000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_counted_from_the_epoch() {
        let minute = Duration::from_mins(1);
        assert_eq!(floor(UNIX_EPOCH + Duration::from_millis(119_999), minute), UNIX_EPOCH + minute);
        assert_eq!(floor(UNIX_EPOCH + Duration::from_mins(2), minute), UNIX_EPOCH + 2 * minute);
    }

    #[test]
    fn what_the_client_broke_is_not_judged() {
        let seen = VersionObservation {
            requests: 10,
            client_faults: 4,
            server_faults: 1,
            model_faults: 1,
            ..VersionObservation::default()
        };
        assert_eq!((judged(&seen), error_rate(&seen)), (5, Some(0.2)));
        assert_eq!(error_rate(&VersionObservation::default()), None);
    }
}
