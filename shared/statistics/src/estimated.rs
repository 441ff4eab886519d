//! Performance estimated without labels from calibrated probabilities (CBPE, closed form).
//!
//! Assumes that the probabilities are calibrated on the current data: no concept drift. It says nothing when
//! that fails, so it accompanies measured performance and never replaces it. Source: WLP-MLDEV-001 §9.2;
//! NannyML's confidence-based performance estimation, without its recalibration.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result, closed_unit, finite};

/// Expected confusion counts of a binary classifier.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Estimated {
    /// Expected true positives.
    pub true_positives: f64,
    /// Expected false positives.
    pub false_positives: f64,
    /// Expected false negatives.
    pub false_negatives: f64,
    /// Expected true negatives.
    pub true_negatives: f64,
    /// Standard deviation of the accuracy, if the probabilities are right.
    pub accuracy_error: f64,
}

/// Expected counts when `probability >= threshold` is called positive.
pub fn estimate(probability: &[f64], threshold: f64) -> Result<Estimated> {
    check(probability)?;
    closed_unit("threshold", threshold)?;
    let mut e = Estimated {
        true_positives: 0.0,
        false_positives: 0.0,
        false_negatives: 0.0,
        true_negatives: 0.0,
        accuracy_error: 0.0,
    };
    let mut variance = 0.0;
    for &p in probability {
        if p >= threshold {
            e.true_positives += p;
            e.false_positives += 1.0 - p;
        } else {
            e.false_negatives += p;
            e.true_negatives += 1.0 - p;
        }
        variance += p * (1.0 - p);
    }
    e.accuracy_error = variance.sqrt() / probability.len() as f64;
    Ok(e)
}

impl Estimated {
    /// Expected accuracy, 0..=1.
    pub fn accuracy(&self) -> f64 {
        let right = self.true_positives + self.true_negatives;
        right / (right + self.false_positives + self.false_negatives)
    }

    /// Precision of the expected counts; undefined when nothing is called positive.
    pub fn precision(&self) -> Result<f64> {
        ratio("precision", self.true_positives, self.true_positives + self.false_positives)
    }

    /// Recall of the expected counts; undefined when no positive is expected.
    pub fn recall(&self) -> Result<f64> {
        ratio("recall", self.true_positives, self.true_positives + self.false_negatives)
    }

    /// F1 of the expected counts.
    pub fn f1(&self) -> Result<f64> {
        let hits = 2.0 * self.true_positives;
        ratio("F1", hits, hits + self.false_positives + self.false_negatives)
    }
}

/// Expected AUROC of the probabilities as scores: each row is a positive with weight p, a negative with 1 - p.
pub fn estimated_auroc(probability: &[f64]) -> Result<f64> {
    check(probability)?;
    let mut sorted = probability.to_vec();
    sorted.sort_unstable_by(|a, b| b.total_cmp(a));
    let (mut hits, mut alarms, mut area) = (0.0, 0.0, 0.0);
    for group in sorted.chunk_by(|a, b| a - b == 0.0) {
        let positive: f64 = group.iter().sum();
        let negative = group.len() as f64 - positive;
        area += negative * (hits + 0.5 * positive);
        hits += positive;
        alarms += negative;
    }
    ratio("AUROC", area, hits * alarms)
}

fn check(probability: &[f64]) -> Result<()> {
    finite("probability", probability)?;
    probability.iter().try_for_each(|p| closed_unit("probability", *p))
}

fn ratio(what: &'static str, part: f64, whole: f64) -> Result<f64> {
    if whole > 0.0 { Ok(part / whole) } else { Err(Error::Undefined { what, why: "nothing to divide by" }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        let e = estimate(&[0.9, 0.2], 0.5).unwrap();
        assert!((e.accuracy() - 0.85).abs() < 1e-15);
        assert!((e.precision().unwrap() - 0.9).abs() < 1e-15);
        assert!(estimate(&[0.1], 0.5).unwrap().precision().is_err());
        assert!(estimate(&[f64::NAN], 0.5).is_err());
    }
}
