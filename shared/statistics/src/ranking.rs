//! Quality of a ranking by score: ROC curve, AUROC with DeLong's interval, average precision.
//!
//! Equal scores are one threshold (0.0 and -0.0 are equal). Conventions of scikit-learn 1.9. O(n log n).

use crate::error::{Error, Result, finite, open_unit, same_length, weights_or_ones};
use crate::interval::{Interval, Share, normal, wilson};
use crate::special::normal_two_sided;

/// One point per distinct score, from the highest score down.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RocPoint {
    /// Rows with a score of at least this are called positive.
    pub threshold: f64,
    /// Weight of positives called positive.
    pub true_positives: f64,
    /// Weight of negatives called positive.
    pub false_positives: f64,
}

/// The ROC curve as cumulative weights; the last point holds the totals.
pub fn roc_curve(truth: &[bool], score: &[f64], weights: Option<&[f64]>) -> Result<Vec<RocPoint>> {
    same_length(truth.len(), score.len())?;
    finite("score", score)?;
    let weights = weights_or_ones(weights, truth.len())?;
    let mut order: Vec<usize> = (0..truth.len()).filter(|&i| weights[i] > 0.0).collect();
    order.sort_unstable_by(|&a, &b| score[b].total_cmp(&score[a]));
    let mut points: Vec<RocPoint> = Vec::new();
    let (mut hits, mut alarms) = (0.0, 0.0);
    for i in order {
        if truth[i] {
            hits += weights[i];
        } else {
            alarms += weights[i];
        }
        let point = RocPoint { threshold: score[i], true_positives: hits, false_positives: alarms };
        match points.last_mut() {
            // not total_cmp: 0.0 and -0.0 tie
            Some(last) if (last.threshold - score[i]) == 0.0 => *last = point,
            _ => points.push(point),
        }
    }
    Ok(points)
}

/// Area under the ROC curve: the chance that a positive scores above a negative, ties counting half.
/// # Errors
/// [`Error::Undefined`] when one of the classes is missing.
pub fn auroc(truth: &[bool], score: &[f64], weights: Option<&[f64]>) -> Result<f64> {
    let points = roc_curve(truth, score, weights)?;
    let (hits, alarms) = totals(&points)?;
    let mut area = 0.0;
    let (mut x, mut y) = (0.0, 0.0);
    for point in points {
        area += (point.false_positives - x) * 0.5 * (point.true_positives + y);
        (x, y) = (point.false_positives, point.true_positives);
    }
    Ok(area / (hits * alarms))
}

/// AUROC up to a false-positive rate, standardised so that 0.5 is chance (McClish 1989).
pub fn partial_auroc(truth: &[bool], score: &[f64], weights: Option<&[f64]>, max_fpr: f64) -> Result<f64> {
    open_unit("max_fpr", max_fpr)?;
    let points = roc_curve(truth, score, weights)?;
    let (hits, alarms) = totals(&points)?;
    let (mut area, mut x, mut y) = (0.0, 0.0, 0.0);
    for point in points {
        let (nx, ny) = (point.false_positives / alarms, point.true_positives / hits);
        if nx >= max_fpr && nx > x {
            let cut = y + (ny - y) * (max_fpr - x) / (nx - x);
            area += (max_fpr - x) * 0.5 * (cut + y);
            break;
        }
        area += (nx - x) * 0.5 * (ny + y);
        (x, y) = (nx, ny);
    }
    let chance = 0.5 * max_fpr * max_fpr;
    Ok(0.5 * (1.0 + (area - chance) / (max_fpr - chance)))
}

/// Average precision: sum of precision times the step in recall, without interpolation.
/// # Errors
/// [`Error::Undefined`] without positives (scikit-learn answers 0 with a warning).
pub fn average_precision(truth: &[bool], score: &[f64], weights: Option<&[f64]>) -> Result<f64> {
    let points = roc_curve(truth, score, weights)?;
    let positives = points.last().map_or(0.0, |p| p.true_positives);
    if positives <= 0.0 {
        return Err(Error::Undefined { what: "average precision", why: "no positives" });
    }
    let (mut sum, mut before) = (0.0, 0.0);
    for point in points {
        let precision = point.true_positives / (point.true_positives + point.false_positives);
        sum += precision * (point.true_positives - before) / positives;
        before = point.true_positives;
    }
    Ok(sum)
}

/// Largest true-positive rate at a false-positive rate of at most `max_fpr`, without interpolation.
pub fn tpr_at_fpr(truth: &[bool], score: &[f64], max_fpr: f64) -> Result<f64> {
    crate::error::closed_unit("max_fpr", max_fpr)?;
    let points = roc_curve(truth, score, None)?;
    let (hits, alarms) = totals(&points)?;
    Ok(points
        .iter()
        .filter(|p| p.false_positives / alarms <= max_fpr)
        .map(|p| p.true_positives / hits)
        .fold(0.0, f64::max))
}

/// Mean of AUROC over "this class against the rest", each class alike.
pub fn auroc_one_vs_rest(truth: &[usize], scores: &[Vec<f64>], classes: usize) -> Result<f64> {
    same_length(truth.len(), scores.len())?;
    if classes < 2 || scores.iter().any(|row| row.len() != classes) {
        return Err(Error::BinMismatch {
            why: "every row needs one score per class, of two classes or more",
        });
    }
    let mut sum = 0.0;
    for class in 0..classes {
        let is: Vec<bool> = truth.iter().map(|&t| t == class).collect();
        let score: Vec<f64> = scores.iter().map(|row| row[class]).collect();
        sum += auroc(&is, &score, None)?;
    }
    Ok(sum / classes as f64)
}

/// AUROC of one or two scores on the same rows, with standard errors.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DeLong {
    /// AUROC of the first score.
    pub first: f64,
    /// AUROC of the second score.
    pub second: f64,
    /// Standard error of the first.
    pub first_error: f64,
    /// Standard error of the second.
    pub second_error: f64,
    /// Covariance of the two.
    pub covariance: f64,
    /// Rows of the smaller class.
    pub smaller_class: u64,
}

impl DeLong {
    /// z statistic and two-sided p-value of "the two areas are equal".
    pub fn test(&self) -> Result<(f64, f64)> {
        let variance = self.first_error.powi(2) + self.second_error.powi(2) - 2.0 * self.covariance;
        if variance <= 0.0 {
            return Err(Error::Undefined { what: "DeLong's z", why: "the two scores rank alike" });
        }
        let z = (self.first - self.second) / variance.sqrt();
        Ok((z, normal_two_sided(z)))
    }

    /// Normal interval of the first area, not clipped to 0..=1.
    pub fn first_interval(&self, confidence: f64) -> Result<Interval> {
        normal(self.first, self.first_error, confidence)
    }

    /// As [`DeLong::first_interval`], within 0..=1. Where the classes do not overlap the standard error is 0 whatever the
    /// sample; then it is Wilson's interval of a share that is observed in each row of the smaller class.
    pub fn first_bounds(&self, confidence: f64) -> Result<Interval> {
        let at_end = self.first <= 0.0 || 1.0 <= self.first;
        if at_end && self.first_error <= 0.0 {
            let events = if self.first <= 0.0 { 0 } else { self.smaller_class };
            return wilson(Share::new(events, self.smaller_class)?, confidence);
        }
        let open = self.first_interval(confidence)?;
        Ok(Interval { lower: open.lower.max(0.0), upper: open.upper.min(1.0) })
    }
}

/// Compares two scores on the same rows; give the same score twice for one interval.
///
/// Needs two rows of each class. Source: DeLong 1988 in the O(n log n) form of Sun and Xu 2014.
pub fn delong(truth: &[bool], first: &[f64], second: &[f64]) -> Result<DeLong> {
    same_length(truth.len(), first.len())?;
    same_length(truth.len(), second.len())?;
    let positives = truth.iter().filter(|t| **t).count();
    if positives < 2 || truth.len() - positives < 2 {
        return Err(Error::Undefined { what: "DeLong's variance", why: "fewer than two rows of a class" });
    }
    let (a, b) = (placements(truth, first)?, placements(truth, second)?);
    let covariance = |x: &Placements, y: &Placements| {
        sample_covariance(&x.of_positives, &y.of_positives) / x.of_positives.len() as f64
            + sample_covariance(&x.of_negatives, &y.of_negatives) / x.of_negatives.len() as f64
    };
    Ok(DeLong {
        first: mean(&a.of_positives),
        second: mean(&b.of_positives),
        first_error: covariance(&a, &a).sqrt(),
        second_error: covariance(&b, &b).sqrt(),
        covariance: covariance(&a, &b),
        smaller_class: positives.min(truth.len() - positives) as u64,
    })
}

struct Placements {
    of_positives: Vec<f64>,
    of_negatives: Vec<f64>,
}

fn placements(truth: &[bool], score: &[f64]) -> Result<Placements> {
    finite("score", score)?;
    let of = |class: bool| -> Vec<f64> {
        truth.iter().zip(score).filter(|(t, _)| **t == class).map(|(_, s)| *s).collect()
    };
    let (positive, negative) = (of(true), of(false));
    let share = |sorted: &[f64], value: f64| {
        let below = sorted.partition_point(|s| *s < value);
        let up_to = sorted.partition_point(|s| *s <= value);
        0.5 * (below + up_to) as f64 / sorted.len() as f64
    };
    let sorted = |values: &[f64]| {
        let mut values = values.to_vec();
        values.sort_unstable_by(f64::total_cmp);
        values
    };
    let (sp, sn) = (sorted(&positive), sorted(&negative));
    Ok(Placements {
        of_positives: positive.iter().map(|s| share(&sn, *s)).collect(),
        of_negatives: negative.iter().map(|s| 1.0 - share(&sp, *s)).collect(),
    })
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn sample_covariance(x: &[f64], y: &[f64]) -> f64 {
    let (mx, my) = (mean(x), mean(y));
    x.iter().zip(y).map(|(a, b)| (a - mx) * (b - my)).sum::<f64>() / (x.len() - 1) as f64
}

fn totals(points: &[RocPoint]) -> Result<(f64, f64)> {
    match points.last() {
        Some(p) if p.true_positives > 0.0 && p.false_positives > 0.0 => {
            Ok((p.true_positives, p.false_positives))
        }
        _ => Err(Error::Undefined { what: "ROC curve", why: "one of the two classes is missing" }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_count_half() {
        assert_eq!(auroc(&[true, false], &[0.5, 0.5], None), Ok(0.5));
        assert_eq!(auroc(&[true, false, true, false], &[2.0, 1.0, 0.0, -0.0], None), Ok(0.625));
    }

    #[test]
    fn one_class_has_no_area() {
        assert!(auroc(&[true, true], &[0.1, 0.2], None).is_err());
        assert!(average_precision(&[false], &[0.1], None).is_err());
    }

    #[test]
    fn few_rows_that_do_not_overlap_prove_little() {
        let area = |n: usize| {
            let truth: Vec<bool> = (0..2 * n).map(|at| at < n).collect();
            let score: Vec<f64> = (0..2 * n).map(|at| -(at as f64)).collect();
            delong(&truth, &score, &score).unwrap().first_bounds(0.9).unwrap()
        };
        assert!(area(3).lower < 0.6 && area(300).lower > 0.98);
        assert!(area(3).upper <= 1.0);
    }

    #[test]
    fn not_a_number_is_refused() {
        assert!(auroc(&[true, false], &[f64::NAN, 0.5], None).is_err());
        assert!(auroc(&[true, false], &[f64::INFINITY, 0.5], None).is_err());
    }
}
