//! Confidence intervals for shares (Wilson, Clopper-Pearson, Newcombe) and for means.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result, open_unit};
use crate::special::{beta_quantile, normal_quantile};

/// A confidence interval. `lower <= upper`, both finite, ends included.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// Lower end.
    pub lower: f64,
    /// Upper end.
    pub upper: f64,
}

/// A count of events among trials, `0 <= events <= trials`, `trials >= 1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    events: u64,
    trials: u64,
}

impl Share {
    /// Makes a share of `events` among `trials`.
    /// # Errors
    /// [`Error::Empty`] without trials, [`Error::OutOfRange`] with more events than trials.
    pub fn new(events: u64, trials: u64) -> Result<Self> {
        if trials == 0 {
            return Err(Error::Empty { what: "trials" });
        }
        if events > trials {
            return Err(Error::OutOfRange {
                what: "events",
                value: events as f64,
                expected: "at most the trials",
            });
        }
        Ok(Self { events, trials })
    }

    /// Number of events.
    pub fn events(self) -> u64 {
        self.events
    }

    /// Number of trials, at least 1.
    pub fn trials(self) -> u64 {
        self.trials
    }

    /// The observed share, 0..=1.
    pub fn value(self) -> f64 {
        self.events as f64 / self.trials as f64
    }
}

/// Wilson score interval, two-sided at `confidence` (0.95 = 2.5 % in each tail).
///
/// The two-sided interval at 0.90 gives the one-sided bounds at 95 %.
/// Source: Wilson 1927; Brown, Cai, DasGupta 2001.
pub fn wilson(share: Share, confidence: f64) -> Result<Interval> {
    open_unit("confidence", confidence)?;
    Ok(wilson_z(share.value(), share.trials as f64, normal_quantile(0.5 + 0.5 * confidence)))
}

/// Wilson's lower bound, one-sided at `confidence`.
pub fn wilson_lower(share: Share, confidence: f64) -> Result<f64> {
    open_unit("confidence", confidence)?;
    Ok(wilson_z(share.value(), share.trials as f64, normal_quantile(confidence)).lower)
}

/// Wilson's upper bound, one-sided at `confidence`.
pub fn wilson_upper(share: Share, confidence: f64) -> Result<f64> {
    open_unit("confidence", confidence)?;
    Ok(wilson_z(share.value(), share.trials as f64, normal_quantile(confidence)).upper)
}

/// Wilson's interval for an observed share `p` of `n` trials at normal quantile `z`.
pub(crate) fn wilson_z(p: f64, n: f64, z: f64) -> Interval {
    let z2 = z * z;
    let centre = (p + z2 / (2.0 * n)) / (1.0 + z2 / n);
    let half = z.abs() / (1.0 + z2 / n) * (p * (1.0 - p) / n + z2 / (4.0 * n * n)).sqrt();
    let lower = if p <= 0.0 { 0.0 } else { (centre - half).max(0.0) };
    let upper = if p >= 1.0 { 1.0 } else { (centre + half).min(1.0) };
    Interval { lower, upper }
}

/// Clopper-Pearson (exact) interval, two-sided at `confidence`; never covers less than it says.
///
/// Source: Clopper and Pearson 1934, in the beta form.
pub fn clopper_pearson(share: Share, confidence: f64) -> Result<Interval> {
    open_unit("confidence", confidence)?;
    let tail = 0.5 + 0.5 * confidence;
    Ok(Interval { lower: clopper_pearson_lower(share, tail)?, upper: clopper_pearson_upper(share, tail)? })
}

/// Clopper-Pearson lower bound, one-sided at `confidence`; 0 when there was no event.
pub fn clopper_pearson_lower(share: Share, confidence: f64) -> Result<f64> {
    open_unit("confidence", confidence)?;
    if share.events == 0 {
        return Ok(0.0);
    }
    Ok(beta_quantile(share.events as f64, (share.trials - share.events) as f64 + 1.0, 1.0 - confidence))
}

/// Clopper-Pearson upper bound, one-sided at `confidence`; 1 when every trial was an event.
pub fn clopper_pearson_upper(share: Share, confidence: f64) -> Result<f64> {
    open_unit("confidence", confidence)?;
    if share.events == 0 {
        return zero_events_upper(share.trials, confidence);
    }
    if share.events == share.trials {
        return Ok(1.0);
    }
    Ok(beta_quantile(share.events as f64 + 1.0, (share.trials - share.events) as f64, confidence))
}

/// Upper bound of a rate of which nothing was seen in `trials`: `1 - (1 - confidence)^(1/trials)`.
///
/// At 95 % this is close to 3/trials, the rule of three. WLP-MLDEV-001 §7.3 ("0 %" needs a sample).
pub fn zero_events_upper(trials: u64, confidence: f64) -> Result<f64> {
    open_unit("confidence", confidence)?;
    if trials == 0 {
        return Err(Error::Empty { what: "trials" });
    }
    Ok(-((1.0 - confidence).ln() / trials as f64).exp_m1())
}

/// Newcombe's hybrid score interval for the difference `a - b` of two independent shares.
///
/// Source: Newcombe 1998, method 10 (no continuity correction).
pub fn newcombe(a: Share, b: Share, confidence: f64) -> Result<Interval> {
    open_unit("confidence", confidence)?;
    Ok(newcombe_z(a, b, normal_quantile(0.5 + 0.5 * confidence)))
}

pub(crate) fn newcombe_z(a: Share, b: Share, z: f64) -> Interval {
    let (p, q) = (a.value(), b.value());
    let wa = wilson_z(p, a.trials as f64, z);
    let wb = wilson_z(q, b.trials as f64, z);
    Interval {
        lower: (p - q - (p - wa.lower).hypot(wb.upper - q)).max(-1.0),
        upper: (p - q + (wa.upper - p).hypot(q - wb.lower)).min(1.0),
    }
}

/// Normal interval for a mean with standard error `standard_error`, two-sided.
pub fn normal(mean: f64, standard_error: f64, confidence: f64) -> Result<Interval> {
    open_unit("confidence", confidence)?;
    crate::error::finite("mean and standard error", &[mean, standard_error])?;
    if standard_error < 0.0 {
        return Err(Error::OutOfRange {
            what: "standard error",
            value: standard_error,
            expected: "0 or more",
        });
    }
    let half = normal_quantile(0.5 + 0.5 * confidence) * standard_error;
    Ok(Interval { lower: mean - half, upper: mean + half })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wilson_of_905_in_1000_includes_ninety_percent() {
        let interval = wilson(Share::new(905, 1000).unwrap(), 0.90).unwrap();
        assert!((interval.lower - 0.888_637_121_466_204_4).abs() < 1e-12);
        assert!(interval.lower < 0.9 && 0.9 < interval.upper);
    }

    #[test]
    fn nothing_seen_still_has_an_upper_bound() {
        let upper = zero_events_upper(299, 0.95).unwrap();
        assert!(upper < 0.01 && zero_events_upper(298, 0.95).unwrap() > 0.01);
        assert!(zero_events_upper(0, 0.95).is_err());
        let exact = clopper_pearson_upper(Share::new(0, 50).unwrap(), 0.95).unwrap();
        assert!((exact - (1.0 - 0.05_f64.powf(0.02))).abs() < 1e-14);
    }

    #[test]
    fn newcombe_matches_its_paper() {
        // Newcombe 1998, table II, case (a): 56/70 - 48/80, method 10.
        let got = newcombe(Share::new(56, 70).unwrap(), Share::new(48, 80).unwrap(), 0.95).unwrap();
        assert!((got.lower - 0.0524).abs() < 5e-5 && (got.upper - 0.3339).abs() < 5e-5, "{got:?}");
    }

    #[test]
    fn bad_counts_and_levels_are_refused() {
        assert!(Share::new(1, 0).is_err());
        assert!(Share::new(2, 1).is_err());
        assert!(wilson(Share::new(1, 2).unwrap(), f64::NAN).is_err());
        assert!(wilson(Share::new(1, 2).unwrap(), 1.0).is_err());
    }
}
