//! Corrections for many tests at once: Bonferroni, Holm, Benjamini-Hochberg, Benjamini-Yekutieli, e-BH.

use serde::{Deserialize, Serialize};

use crate::error::{Result, closed_unit, finite, open_unit};

/// Which correction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Correction {
    /// No false rejection at all with probability 1 - alpha; any dependence.
    Bonferroni,
    /// The same, never weaker than Bonferroni (Holm 1979).
    Holm,
    /// Share of false rejections, for independent or positively dependent tests (1995).
    BenjaminiHochberg,
    /// The same under any dependence (2001).
    BenjaminiYekutieli,
}

/// Adjusted p-values in the order of the input: a test is rejected at level alpha if its value is <= alpha.
pub fn adjust(p_values: &[f64], correction: Correction) -> Result<Vec<f64>> {
    finite("p-values", p_values)?;
    for &p in p_values {
        closed_unit("p-value", p)?;
    }
    let n = p_values.len();
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|&a, &b| p_values[a].total_cmp(&p_values[b]));
    let harmonic: f64 = (1..=n).map(|i| 1.0 / i as f64).sum();
    let factor = |rank: usize| match correction {
        Correction::Bonferroni => n as f64,
        Correction::Holm => (n - rank) as f64,
        Correction::BenjaminiHochberg => n as f64 / (rank + 1) as f64,
        Correction::BenjaminiYekutieli => n as f64 * harmonic / (rank + 1) as f64,
    };
    let mut adjusted = vec![0.0; n];
    let raw = |rank: usize| p_values[order[rank]] * factor(rank);
    if matches!(correction, Correction::BenjaminiHochberg | Correction::BenjaminiYekutieli) {
        let mut lowest = 1.0_f64;
        for rank in (0..n).rev() {
            lowest = lowest.min(raw(rank));
            adjusted[order[rank]] = lowest;
        }
    } else {
        let mut highest = 0.0_f64;
        for rank in 0..n {
            highest = highest.max(raw(rank)).min(1.0);
            adjusted[order[rank]] = highest;
        }
    }
    Ok(adjusted)
}

/// Rejections at false-discovery rate `alpha` from e-values, under any dependence (Wang and Ramdas 2022).
pub fn e_benjamini_hochberg(log_e_values: &[f64], alpha: f64) -> Result<Vec<bool>> {
    finite("e-values", log_e_values)?;
    open_unit("alpha", alpha)?;
    let n = log_e_values.len();
    let mut sorted = log_e_values.to_vec();
    sorted.sort_unstable_by(|a, b| b.total_cmp(a));
    let needed = |rank: usize| (n as f64 / (alpha * rank as f64)).ln();
    let count = (1..=n).rev().find(|rank| sorted[rank - 1] >= needed(*rank));
    Ok(log_e_values.iter().map(|e| count.is_some_and(|rank| *e >= needed(rank))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        let p = [0.01, 0.04, 0.03];
        let close = |got: Vec<f64>, want: [f64; 3]| {
            assert!(got.iter().zip(want).all(|(a, b)| (a - b).abs() < 1e-12), "{got:?}");
        };
        close(adjust(&p, Correction::Bonferroni).unwrap(), [0.03, 0.12, 0.09]);
        close(adjust(&p, Correction::Holm).unwrap(), [0.03, 0.06, 0.06]);
        close(adjust(&p, Correction::BenjaminiHochberg).unwrap(), [0.03, 0.04, 0.04]);
    }

    #[test]
    fn nonsense_is_refused() {
        assert!(adjust(&[0.1, f64::NAN], Correction::Holm).is_err());
        assert!(adjust(&[1.1], Correction::Holm).is_err());
        assert!(adjust(&[], Correction::Holm).is_err());
    }

    #[test]
    fn strong_evidence_is_found_among_many() {
        let found = e_benjamini_hochberg(&[8.0, 0.0, -1.0, 7.0], 0.05).unwrap();
        assert_eq!(found, [true, false, false, true]);
    }
}
