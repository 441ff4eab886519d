//! Names of metrics on the wire, and measurements made of numbers with their intervals.

use contracts::common::v1::Measurement;
use lifecycle::acceptance::Metric;
use statistics::Interval;
use statistics::interval::{Share, wilson};

/// The wire's name of a metric of §7.3.
pub fn name(metric: Metric) -> &'static str {
    match metric {
        Metric::TaskAccuracy => "accuracy",
        Metric::LatencyP95 => "latency_p95_ms",
        Metric::HallucinationRate => "hallucination_rate",
        Metric::DemographicParity => "demographic_parity",
        Metric::HarmfulContentRate => "harmful_content_rate",
        Metric::AdversarialSuccessRate => "adversarial_success",
    }
}

/// Makes measurements that all have the confidence of the policy in force.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scale {
    /// Two-sided confidence of every interval, 0..1.
    pub confidence: f64,
}

impl Scale {
    /// One-sided confidence of each end of an interval.
    pub fn one_sided(self) -> f64 {
        0.5 + 0.5 * self.confidence
    }

    /// A number without an interval.
    pub fn bare(self, metric: &str, value: f64, sample_size: usize, convention: &str) -> Measurement {
        Measurement {
            metric: metric.to_owned(),
            value,
            sample_size: sample_size as u64,
            confidence: self.confidence,
            convention: convention.to_owned(),
            ..Measurement::default()
        }
    }

    /// A number with its interval.
    pub fn with(
        self,
        metric: &str,
        value: f64,
        n: usize,
        interval: Interval,
        convention: &str,
    ) -> Measurement {
        Measurement {
            // A percentile bootstrap may leave the point out by a hair; the interval always holds it.
            lower: Some(interval.lower.min(value)),
            upper: Some(interval.upper.max(value)),
            ..self.bare(metric, value, n, convention)
        }
    }

    /// A quantity that this input does not have: never a number that could pass.
    pub fn undefined(self, metric: &str, n: usize, why: impl ToString) -> Measurement {
        Measurement { undefined_reason: why.to_string(), ..self.bare(metric, f64::NAN, n, "") }
    }

    /// A share of events among trials with Wilson's interval.
    pub fn share(self, metric: &str, events: usize, trials: usize) -> Measurement {
        let made = Share::new(events as u64, trials as u64)
            .and_then(|share| Ok((share.value(), wilson(share, self.confidence)?)));
        match made {
            Ok((value, interval)) => self.with(metric, value, trials, interval, "wilson"),
            Err(why) => self.undefined(metric, trials, why),
        }
    }

    /// A mean of values with the normal interval of its standard error.
    pub fn mean(self, metric: &str, values: &[f64], convention: &str) -> Measurement {
        let n = values.len();
        if n < 2 || values.iter().any(|value| !value.is_finite()) {
            return self.undefined(metric, n, "fewer than two finite values");
        }
        let mean = values.iter().sum::<f64>() / n as f64;
        let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (n - 1) as f64;
        match statistics::interval::normal(mean, (variance / n as f64).sqrt(), self.confidence) {
            Ok(interval) => self.with(metric, mean, n, interval, convention),
            Err(why) => self.undefined(metric, n, why),
        }
    }

    /// A statistic with its interval, or the reason why there is none.
    pub fn statistic(
        self,
        metric: &str,
        n: usize,
        value: statistics::Result<(f64, Interval)>,
        convention: &str,
    ) -> Measurement {
        match value {
            Ok((value, interval)) => self.with(metric, value, n, interval, convention),
            Err(why) => self.undefined(metric, n, why),
        }
    }
}

/// The same measurement for a part of the rows, for example `sex=Female`.
#[must_use]
pub fn sliced(mut measurement: Measurement, slice: impl Into<String>) -> Measurement {
    measurement.slice = slice.into();
    measurement
}

/// The same measurement with a unit.
#[must_use]
pub fn in_unit(mut measurement: Measurement, unit: &str) -> Measurement {
    unit.clone_into(&mut measurement.unit);
    measurement
}
