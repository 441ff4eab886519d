//! Scores of predicted probabilities: log loss, Brier score, top-k accuracy.

use crate::error::{Error, Result, closed_unit, finite, same_length};

/// What to do with rows of probabilities that do not sum to one exactly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowSum {
    /// Take the probability of the true class as it stands (scikit-learn from 1.5).
    AsGiven,
    /// Divide each row by its sum first.
    Normalise,
}

/// Mean negative log-likelihood in nats over rows of class probabilities, shape `[rows][classes]`.
///
/// Probabilities are clipped to `[2^-52, 1 - 2^-52]`, so a certain wrong answer costs 36.04, not infinity.
pub fn log_loss(truth: &[usize], probabilities: &[Vec<f64>], sums: RowSum) -> Result<f64> {
    check_rows(truth, probabilities)?;
    let total: f64 = truth
        .iter()
        .zip(probabilities)
        .map(|(&t, row)| {
            let sum = if sums == RowSum::Normalise { row.iter().sum() } else { 1.0 };
            -(row[t] / sum).clamp(f64::EPSILON, 1.0 - f64::EPSILON).ln()
        })
        .sum();
    Ok(total / truth.len() as f64)
}

/// Mean squared error of the predicted probability of the positive class, 0..=1.
pub fn brier(truth: &[bool], probability: &[f64]) -> Result<f64> {
    same_length(truth.len(), probability.len())?;
    finite("probability", probability)?;
    for &p in probability {
        closed_unit("probability", p)?;
    }
    let sum: f64 = truth.iter().zip(probability).map(|(&t, p)| (p - f64::from(u8::from(t))).powi(2)).sum();
    Ok(sum / truth.len() as f64)
}

/// Multi-class Brier score: squared error summed over classes, mean over rows, 0..=2.
pub fn brier_multiclass(truth: &[usize], probabilities: &[Vec<f64>]) -> Result<f64> {
    check_rows(truth, probabilities)?;
    let sum: f64 = truth
        .iter()
        .zip(probabilities)
        .map(|(&t, row)| {
            row.iter().enumerate().map(|(c, p)| (p - f64::from(u8::from(c == t))).powi(2)).sum::<f64>()
        })
        .sum();
    Ok(sum / truth.len() as f64)
}

/// Share of rows whose true class is among the `k` largest scores.
///
/// Among equal scores the higher class index is preferred, as scikit-learn does.
pub fn top_k_accuracy(truth: &[usize], scores: &[Vec<f64>], k: usize) -> Result<f64> {
    same_length(truth.len(), scores.len())?;
    if k == 0 {
        return Err(Error::OutOfRange { what: "k", value: 0.0, expected: "1 or more" });
    }
    let mut hits = 0_u64;
    for (&t, row) in truth.iter().zip(scores) {
        finite("scores", row)?;
        let own = *row.get(t).ok_or(Error::OutOfRange {
            what: "class",
            value: t as f64,
            expected: "a known class",
        })?;
        let ahead = row.iter().enumerate().filter(|(c, s)| **s > own || (**s >= own && *c > t)).count();
        hits += u64::from(ahead < k);
    }
    if truth.is_empty() { Err(Error::Empty { what: "rows" }) } else { Ok(hits as f64 / truth.len() as f64) }
}

fn check_rows(truth: &[usize], probabilities: &[Vec<f64>]) -> Result<()> {
    same_length(truth.len(), probabilities.len())?;
    if truth.is_empty() {
        return Err(Error::Empty { what: "rows" });
    }
    for (&t, row) in truth.iter().zip(probabilities) {
        finite("probabilities", row)?;
        if t >= row.len() {
            return Err(Error::OutOfRange { what: "class", value: t as f64, expected: "a known class" });
        }
        for &p in row {
            closed_unit("probability", p)?;
        }
        let sum: f64 = row.iter().sum();
        if (sum - 1.0).abs() > 1e-3 {
            return Err(Error::OutOfRange {
                what: "sum of probabilities",
                value: sum,
                expected: "1 within 0.001",
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_coin_costs_ln_two() {
        let loss = log_loss(&[0, 1], &[vec![0.5, 0.5], vec![0.5, 0.5]], RowSum::AsGiven).unwrap();
        assert!((loss - std::f64::consts::LN_2).abs() < 1e-15);
    }

    #[test]
    fn nonsense_is_refused() {
        assert!(log_loss(&[0], &[vec![f64::NAN, 1.0]], RowSum::AsGiven).is_err());
        assert!(brier(&[true], &[1.5]).is_err());
        assert!(brier(&[], &[]).is_err());
        assert!(top_k_accuracy(&[5], &[vec![0.1, 0.9]], 1).is_err());
    }

    #[test]
    fn brier_by_hand() {
        assert!((brier(&[true, false], &[0.8, 0.4]).unwrap() - 0.1).abs() < 1e-15);
    }
}
