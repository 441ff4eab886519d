//! Label metrics from one confusion matrix: accuracy, precision, recall, F, balanced accuracy, MCC, kappa.
//!
//! Conventions of scikit-learn 1.9. The matrix is a mergeable sufficient statistic: parts of a data set are
//! counted apart and added.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result, same_length, weights_or_ones};

/// Counts (or weights) by true class and predicted class.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ConfusionMatrix {
    classes: usize,
    cells: Vec<f64>,
}

/// What a rate 0/0 counts as (scikit-learn's `zero_division`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ZeroDivision {
    /// Counts as 0.
    Zero,
    /// Counts as 1.
    One,
    /// Left out of means; an error if nothing is left.
    Undefined,
}

/// How rates of classes become one number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Average {
    /// The rate of one class, for example class 1 of a binary task.
    Class(usize),
    /// Mean over classes, each alike.
    Macro,
    /// From the summed counts.
    Micro,
    /// Mean over classes, by their number of true rows.
    Weighted,
}

/// Weights of disagreement in Cohen's kappa.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum KappaWeights {
    /// Every disagreement alike.
    None,
    /// By the distance of the class positions.
    Linear,
    /// By its square.
    Quadratic,
}

#[derive(Clone, Copy, Default)]
struct Rates {
    hit: f64,
    predicted: f64,
    truth: f64,
}

impl ConfusionMatrix {
    /// Counts rows of class indices, `0..classes`.
    /// # Errors
    /// Empty input, different lengths, an index that is no class, bad weights.
    pub fn from_indices(
        truth: &[usize],
        predicted: &[usize],
        classes: usize,
        weights: Option<&[f64]>,
    ) -> Result<Self> {
        same_length(truth.len(), predicted.len())?;
        if truth.is_empty() {
            return Err(Error::Empty { what: "rows" });
        }
        let weights = weights_or_ones(weights, truth.len())?;
        let mut cells = vec![0.0; classes * classes];
        for ((&t, &p), w) in truth.iter().zip(predicted).zip(weights) {
            let worst = t.max(p);
            if worst >= classes {
                return Err(Error::OutOfRange {
                    what: "class",
                    value: worst as f64,
                    expected: "a known class",
                });
            }
            cells[t * classes + p] += w;
        }
        Ok(Self { classes, cells })
    }

    /// Counts rows of any labels; the classes are `labels`, or the sorted union of what occurs.
    /// Returns the classes in the order of the matrix.
    pub fn from_labels<L: Ord + Clone>(
        truth: &[L],
        predicted: &[L],
        labels: Option<&[L]>,
        weights: Option<&[f64]>,
    ) -> Result<(Vec<L>, Self)> {
        let mut known: Vec<L> =
            labels.map_or_else(|| truth.iter().chain(predicted).cloned().collect(), <[L]>::to_vec);
        known.sort();
        known.dedup();
        let index = |rows: &[L]| {
            rows.iter()
                .map(|l| {
                    known
                        .binary_search(l)
                        .map_err(|_| Error::Undefined { what: "class", why: "unknown label" })
                })
                .collect::<Result<Vec<usize>>>()
        };
        let matrix = Self::from_indices(&index(truth)?, &index(predicted)?, known.len(), weights)?;
        Ok((known, matrix))
    }

    /// Adds the counts of another part of the same data set.
    pub fn merge(&mut self, other: &Self) -> Result<()> {
        if self.classes != other.classes {
            return Err(Error::BinMismatch { why: "the matrices have different classes" });
        }
        self.cells.iter_mut().zip(&other.cells).for_each(|(a, b)| *a += b);
        Ok(())
    }

    /// Number of classes.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// Count of rows of class `truth` predicted as `predicted`; 0 outside the matrix.
    pub fn cell(&self, truth: usize, predicted: usize) -> f64 {
        if predicted >= self.classes {
            return 0.0;
        }
        self.cells.get(truth * self.classes + predicted).copied().unwrap_or(0.0)
    }

    /// Number (or weight) of all rows, above 0.
    pub fn total(&self) -> f64 {
        self.cells.iter().sum()
    }

    /// Share of rows predicted right, 0..=1. WLP-MLDEV-001 §7.3.
    pub fn accuracy(&self) -> f64 {
        (0..self.classes).map(|c| self.cell(c, c)).sum::<f64>() / self.total()
    }

    /// Mean recall over the classes that occur in the truth.
    pub fn balanced_accuracy(&self) -> Result<f64> {
        let recalls: Vec<f64> =
            self.rates().iter().filter(|r| r.truth > 0.0).map(|r| r.hit / r.truth).collect();
        if recalls.is_empty() {
            return Err(Error::Undefined { what: "balanced accuracy", why: "no class occurs" });
        }
        Ok(recalls.iter().sum::<f64>() / recalls.len() as f64)
    }

    /// Matthews correlation coefficient, -1..=1; 0 when one side has a single class (scikit-learn).
    pub fn matthews(&self) -> f64 {
        let (rates, n) = (self.rates(), self.total());
        let sum = |f: fn(&Rates) -> f64| rates.iter().map(f).sum::<f64>();
        let agreement = sum(|r| r.hit) * n - sum(|r| r.truth * r.predicted);
        let product = (n * n - sum(|r| r.predicted * r.predicted)) * (n * n - sum(|r| r.truth * r.truth));
        if product <= 0.0 { 0.0 } else { agreement / product.sqrt() }
    }

    /// Cohen's kappa. Undefined when chance alone agrees always (one class on both sides).
    pub fn kappa(&self, weights: KappaWeights) -> Result<f64> {
        let (rates, n) = (self.rates(), self.total());
        let (mut observed, mut expected) = (0.0, 0.0);
        for (t, row) in rates.iter().enumerate() {
            for (p, column) in rates.iter().enumerate() {
                let apart = t.abs_diff(p) as f64;
                let weight = match weights {
                    KappaWeights::None => f64::from(u8::from(t != p)),
                    KappaWeights::Linear => apart,
                    KappaWeights::Quadratic => apart * apart,
                };
                observed += weight * self.cell(t, p);
                expected += weight * row.truth * column.predicted / n;
            }
        }
        if expected <= 0.0 {
            return Err(Error::Undefined { what: "kappa", why: "one class on both sides" });
        }
        Ok(1.0 - observed / expected)
    }

    /// Precision: right among predicted.
    pub fn precision(&self, average: Average, zero: ZeroDivision) -> Result<f64> {
        self.averaged("precision", average, zero, |r| (r.hit, r.predicted))
    }

    /// Recall: right among true.
    pub fn recall(&self, average: Average, zero: ZeroDivision) -> Result<f64> {
        self.averaged("recall", average, zero, |r| (r.hit, r.truth))
    }

    /// F-beta, `beta` 1 for F1: `(1+b²)tp / (predicted + b² true)`, 0/0 only if all counts are 0.
    pub fn f_beta(&self, beta: f64, average: Average, zero: ZeroDivision) -> Result<f64> {
        if !(beta > 0.0 && beta.is_finite()) {
            return Err(Error::OutOfRange { what: "beta", value: beta, expected: "above 0, finite" });
        }
        let square = beta * beta;
        self.averaged("F", average, zero, |r| ((1.0 + square) * r.hit, r.predicted + square * r.truth))
    }

    /// F1, the harmonic mean of precision and recall.
    pub fn f1(&self, average: Average, zero: ZeroDivision) -> Result<f64> {
        self.f_beta(1.0, average, zero)
    }

    /// Jaccard index: right among predicted or true.
    pub fn jaccard(&self, average: Average, zero: ZeroDivision) -> Result<f64> {
        self.averaged("jaccard", average, zero, |r| (r.hit, r.predicted + r.truth - r.hit))
    }

    /// Rows of each true class.
    pub fn support(&self) -> Vec<f64> {
        self.rates().iter().map(|r| r.truth).collect()
    }

    fn rates(&self) -> Vec<Rates> {
        let mut rates = vec![Rates::default(); self.classes];
        for t in 0..self.classes {
            for p in 0..self.classes {
                let weight = self.cell(t, p);
                rates[t].truth += weight;
                rates[p].predicted += weight;
                if t == p {
                    rates[t].hit = weight;
                }
            }
        }
        rates
    }

    fn averaged(
        &self,
        what: &'static str,
        average: Average,
        zero: ZeroDivision,
        ratio: impl Fn(&Rates) -> (f64, f64),
    ) -> Result<f64> {
        let rates = self.rates();
        let rate = |r: &Rates| match (ratio(r), zero) {
            ((part, whole), _) if whole > 0.0 => Some(part / whole),
            (_, ZeroDivision::Zero) => Some(0.0),
            (_, ZeroDivision::One) => Some(1.0),
            (_, ZeroDivision::Undefined) => None,
        };
        let undefined = Error::Undefined { what, why: "nothing to divide by" };
        let mean = |weight: fn(&Rates) -> f64| {
            let (sum, total) = rates
                .iter()
                .filter_map(|r| rate(r).map(|value| (value * weight(r), weight(r))))
                .fold((0.0, 0.0), |(s, t), (v, w)| (s + v, t + w));
            (total > 0.0).then(|| sum / total)
        };
        match average {
            Average::Class(class) => rates.get(class).and_then(rate),
            Average::Macro => mean(|_| 1.0),
            Average::Weighted => mean(|r| r.truth),
            Average::Micro => {
                let sum = |f: fn(&Rates) -> f64| rates.iter().map(f).sum();
                rate(&Rates { hit: sum(|r| r.hit), predicted: sum(|r| r.predicted), truth: sum(|r| r.truth) })
            }
        }
        .ok_or(undefined)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matrix() -> ConfusionMatrix {
        ConfusionMatrix::from_indices(&[0, 0, 1, 1, 1], &[0, 1, 1, 1, 0], 2, None).unwrap()
    }

    #[test]
    fn binary_rates_by_hand() {
        let m = matrix();
        assert!((m.accuracy() - 0.6).abs() < 1e-15);
        assert_eq!(m.precision(Average::Class(1), ZeroDivision::Undefined), Ok(2.0 / 3.0));
        assert_eq!(m.recall(Average::Class(0), ZeroDivision::Undefined), Ok(0.5));
        assert!((m.matthews() - 1.0 / 6.0).abs() < 1e-15);
    }

    #[test]
    fn a_class_that_never_occurs_has_no_recall() {
        let m = ConfusionMatrix::from_indices(&[0, 0], &[0, 0], 2, None).unwrap();
        assert!(m.recall(Average::Class(1), ZeroDivision::Undefined).is_err());
        assert!(m.recall(Average::Class(9), ZeroDivision::Zero).is_err());
        assert!(m.kappa(KappaWeights::None).is_err());
    }

    #[test]
    fn parts_add_up() {
        let (mut a, b) = (matrix(), matrix());
        a.merge(&b).unwrap();
        assert!((a.total() - 10.0).abs() < 1e-15 && (a.accuracy() - b.accuracy()).abs() < 1e-15);
    }
}
