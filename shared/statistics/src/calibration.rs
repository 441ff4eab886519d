//! Calibration of confidences: reliability bins, ECE and its relatives, each with a named binning.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result, closed_unit, finite, same_length};
use crate::percentile::interpolated;

/// How confidences are put into bins; part of the name of every number made with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Binning {
    /// Equal width, `[a, b)`, the last closed: numpy.histogram, netcal. The default of this project.
    LeftClosed(usize),
    /// Equal width, `(a, b]`, the first closed: scikit-learn's calibration_curve, Guo et al. 2017.
    RightClosed(usize),
    /// As `LeftClosed`, but a confidence of exactly 1 gets a bin of its own: torchmetrics 1.9.
    OneApart(usize),
    /// Edges at quantiles of the confidences, `[a, b)`, the last closed: netcal's ACE.
    EqualMass(usize),
}

/// One bin of a reliability diagram; only bins with rows are kept.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Bin {
    /// Position of the bin, from 0.
    pub index: usize,
    /// Rows in it, at least 1.
    pub count: u64,
    /// Mean confidence of these rows.
    pub confidence: f64,
    /// Share of these rows that were right.
    pub accuracy: f64,
}

/// A reliability diagram.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reliability {
    /// Non-empty bins in ascending order.
    pub bins: Vec<Bin>,
    /// All rows.
    pub count: u64,
}

impl Reliability {
    /// Expected calibration error: mean gap between confidence and accuracy, by rows. 0..=1, 0 is best.
    ///
    /// Source: WLP-MLDEV-001 §7.1 (calibration); Naeini et al. 2015.
    pub fn expected_error(&self) -> f64 {
        self.bins.iter().map(|b| b.count as f64 / self.count as f64 * b.gap()).sum()
    }

    /// Largest gap of any bin.
    pub fn maximum_error(&self) -> f64 {
        self.bins.iter().map(Bin::gap).fold(0.0, f64::max)
    }

    /// Mean gap, each non-empty bin alike.
    pub fn average_error(&self) -> f64 {
        self.bins.iter().map(Bin::gap).sum::<f64>() / self.bins.len() as f64
    }

    /// Root of the mean squared gap, by rows.
    pub fn root_mean_squared_error(&self) -> f64 {
        self.bins.iter().map(|b| b.count as f64 / self.count as f64 * b.gap().powi(2)).sum::<f64>().sqrt()
    }
}

impl Bin {
    fn gap(&self) -> f64 {
        (self.accuracy - self.confidence).abs()
    }
}

/// Puts rows of (confidence, was it right) into bins. `confidence` is 0..=1.
pub fn reliability(confidence: &[f64], correct: &[bool], binning: Binning) -> Result<Reliability> {
    same_length(confidence.len(), correct.len())?;
    finite("confidence", confidence)?;
    for &c in confidence {
        closed_unit("confidence", c)?;
    }
    let edges = edges(confidence, binning)?;
    let bins = edges.len() - 1;
    let mut sums = vec![(0_u64, 0.0, 0.0); bins + 1];
    for (&c, &hit) in confidence.iter().zip(correct) {
        let bin = match binning {
            Binning::RightClosed(_) => edges.partition_point(|e| *e < c).saturating_sub(1),
            Binning::OneApart(_) => edges.partition_point(|e| *e <= c).saturating_sub(1),
            _ => edges.partition_point(|e| *e <= c).saturating_sub(1).min(bins - 1),
        };
        sums[bin].0 += 1;
        sums[bin].1 += c;
        sums[bin].2 += f64::from(u8::from(hit));
    }
    let bins = sums.into_iter().enumerate().filter(|(_, (count, ..))| *count > 0);
    Ok(Reliability {
        bins: bins
            .map(|(index, (count, c, hit))| Bin {
                index,
                count,
                confidence: c / count as f64,
                accuracy: hit / count as f64,
            })
            .collect(),
        count: confidence.len() as u64,
    })
}

fn edges(confidence: &[f64], binning: Binning) -> Result<Vec<f64>> {
    let (Binning::LeftClosed(bins)
    | Binning::RightClosed(bins)
    | Binning::OneApart(bins)
    | Binning::EqualMass(bins)) = binning;
    if bins == 0 {
        return Err(Error::OutOfRange { what: "bins", value: 0.0, expected: "1 or more" });
    }
    // numpy.linspace: multiples of the step, the last exact; edge 3 of 10 is 0.30000000000000004
    let step = 1.0 / bins as f64;
    let grid = (0..=bins).map(|i| if i == bins { 1.0 } else { i as f64 * step });
    if !matches!(binning, Binning::EqualMass(_)) {
        return Ok(grid.collect());
    }
    let mut sorted = confidence.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    grid.map(|q| interpolated(&sorted, q)).collect()
}

/// Rows of class probabilities to (confidence of the winner, was it right); the lowest index wins a tie.
pub fn top_label(truth: &[usize], probabilities: &[Vec<f64>]) -> Result<(Vec<f64>, Vec<bool>)> {
    same_length(truth.len(), probabilities.len())?;
    let mut rows = (Vec::with_capacity(truth.len()), Vec::with_capacity(truth.len()));
    for (&t, row) in truth.iter().zip(probabilities) {
        finite("probabilities", row)?;
        let best = row
            .iter()
            .enumerate()
            .fold((0, f64::NEG_INFINITY), |b, (i, p)| if *p > b.1 { (i, *p) } else { b });
        rows.0.push(best.1);
        rows.1.push(best.0 == t);
    }
    Ok(rows)
}

/// Mean over classes of the calibration error of "is it this class", on all rows.
pub fn classwise_error(truth: &[usize], probabilities: &[Vec<f64>], binning: Binning) -> Result<f64> {
    same_length(truth.len(), probabilities.len())?;
    let classes = probabilities.first().map_or(0, Vec::len);
    if classes == 0 || probabilities.iter().any(|row| row.len() != classes) {
        return Err(Error::BinMismatch { why: "every row needs the same number of classes" });
    }
    let mut sum = 0.0;
    for class in 0..classes {
        let confidence: Vec<f64> = probabilities.iter().map(|row| row[class]).collect();
        let is: Vec<bool> = truth.iter().map(|t| *t == class).collect();
        sum += reliability(&confidence, &is, binning)?.expected_error();
    }
    Ok(sum / classes as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_that_is_closed_matters() {
        let (confidence, correct) = ([0.95, 1.0], [true, false]);
        let error = |b| reliability(&confidence, &correct, b).unwrap().expected_error();
        assert!((error(Binning::LeftClosed(10)) - 0.475).abs() < 1e-12);
        assert!((error(Binning::OneApart(10)) - 0.525).abs() < 1e-12);
    }

    #[test]
    fn nonsense_is_refused() {
        assert!(reliability(&[f64::NAN], &[true], Binning::LeftClosed(10)).is_err());
        assert!(reliability(&[1.1], &[true], Binning::LeftClosed(10)).is_err());
        assert!(reliability(&[0.5], &[true], Binning::LeftClosed(0)).is_err());
        assert!(reliability(&[], &[], Binning::EqualMass(3)).is_err());
    }
}
