//! How a share stands against a threshold, and how many samples would settle it.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result, closed_unit, open_unit};
use crate::interval::{Share, clopper_pearson_upper, wilson_z};
use crate::special::normal_quantile;

/// Where the share lies, judged by one-sided Wilson bounds. A value on the boundary is never decided.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum Standing {
    /// The lower bound is above the threshold.
    Above,
    /// The upper bound is below the threshold.
    Below,
    /// The bounds lie on both sides. `sample_size` trials with the same observed share would decide;
    /// `None` when the observed share is the threshold itself, so that no sample of the kind would.
    Undecided {
        /// Total number of trials needed.
        sample_size: Option<u64>,
    },
}

/// Compares a share with `threshold`, strictly, at one-sided `confidence`.
///
/// Source: ARCHITECTURE, reading 3; Wilson 1927.
pub fn standing(share: Share, threshold: f64, confidence: f64) -> Result<Standing> {
    closed_unit("threshold", threshold)?;
    open_unit("confidence", confidence)?;
    let bounds = wilson_z(share.value(), share.trials() as f64, normal_quantile(confidence));
    if bounds.lower > threshold {
        return Ok(Standing::Above);
    }
    if bounds.upper < threshold {
        return Ok(Standing::Below);
    }
    Ok(Standing::Undecided { sample_size: share_sample_size(share.value(), threshold, confidence)? })
}

/// Smallest number of trials with which an observed share `share` is decided against `threshold` by the
/// one-sided Wilson bound at `confidence`; `None` if no number would (the share is the threshold).
pub fn share_sample_size(share: f64, threshold: f64, confidence: f64) -> Result<Option<u64>> {
    closed_unit("share", share)?;
    closed_unit("threshold", threshold)?;
    open_unit("confidence", confidence)?;
    let z = normal_quantile(confidence);
    let decided = |n: u64| {
        let bounds = wilson_z(share, n as f64, z);
        bounds.lower > threshold || bounds.upper < threshold
    };
    Ok(smallest(decided))
}

/// Smallest sample without a single event whose upper bound is below `limit`, one-sided at `confidence`.
pub fn zero_events_sample_size(limit: f64, confidence: f64) -> Result<u64> {
    open_unit("limit", limit)?;
    open_unit("confidence", confidence)?;
    let guess = ((1.0 - confidence).ln() / (-limit).ln_1p()).floor().max(1.0) as u64;
    for n in guess.saturating_sub(1).max(1)..=guess + 2 {
        if clopper_pearson_upper(Share::new(0, n)?, confidence)? < limit {
            return Ok(n);
        }
    }
    Err(Error::Undefined { what: "sample size", why: "the limit is too small to be reached" })
}

/// Smallest `n` for which a monotone predicate holds, up to 2^50; `None` beyond.
pub(crate) fn smallest(holds: impl Fn(u64) -> bool) -> Option<u64> {
    let high = (0..=50).map(|power| 1_u64 << power).find(|n| holds(*n))?;
    let (mut low, mut high) = (high / 2, high);
    while low + 1 < high {
        let middle = low.midpoint(high);
        if holds(middle) { high = middle } else { low = middle }
    }
    Some(high)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share(events: u64, trials: u64) -> Share {
        Share::new(events, trials).unwrap()
    }

    #[test]
    fn the_boundary_is_never_decided() {
        assert_eq!(standing(share(900, 1000), 0.9, 0.95), Ok(Standing::Undecided { sample_size: None }));
        assert_eq!(standing(share(947, 1000), 0.9, 0.95), Ok(Standing::Above));
        assert_eq!(standing(share(880, 1000), 0.9, 0.95), Ok(Standing::Below));
    }

    #[test]
    fn the_sample_size_decides_and_one_less_does_not() {
        let Ok(Standing::Undecided { sample_size: Some(n) }) = standing(share(905, 1000), 0.9, 0.95) else {
            panic!("expected undecided")
        };
        let z = normal_quantile(0.95);
        assert!(n > 1000 && wilson_z(0.905, n as f64, z).lower > 0.9);
        assert!(wilson_z(0.905, (n - 1) as f64, z).lower <= 0.9);
    }

    #[test]
    fn zero_errors_need_299_rows_for_one_percent() {
        assert_eq!(zero_events_sample_size(0.01, 0.95), Ok(299));
    }
}
