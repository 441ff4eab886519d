//! A change detector: a rate that was at most p0 has become worse at some unknown time.

use serde::{Deserialize, Serialize};

use crate::error::{Result, open_unit};
use crate::special::log_sum_exp;

/// Shiryaev-Roberts e-detector on a 0/1 stream (for example wrong answers among labelled requests).
///
/// Before each outcome every bettor gets one new unit of wealth, so evidence can start at any time. While the
/// rate stays at most p0 the mean time to a false alarm at threshold `1/alpha` is at least `1/alpha` outcomes.
/// Source: WLP-MLDEV-001 §9.2 (concept drift); Shin, Ramdas, Rinaldo, *E-detectors*, 2023.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChangeDetector {
    p0: f64,
    log_sums: Vec<f64>,
    outcomes: u64,
}

/// Positions of the alternatives between p0 and 1; equal weights.
const ALTERNATIVES: [f64; 5] = [0.025, 0.05, 0.1, 0.25, 0.6];

impl ChangeDetector {
    /// A detector of rates above `p0`.
    pub fn new(p0: f64) -> Result<Self> {
        open_unit("p0", p0)?;
        Ok(Self { p0, log_sums: vec![f64::NEG_INFINITY; ALTERNATIVES.len()], outcomes: 0 })
    }

    /// Takes one outcome, in order of time.
    pub fn observe(&mut self, event: bool) {
        self.outcomes += 1;
        for (log_sum, position) in self.log_sums.iter_mut().zip(ALTERNATIVES) {
            let rate = self.p0 + position * (1.0 - self.p0);
            let bet = if event { rate / self.p0 } else { (1.0 - rate) / (1.0 - self.p0) };
            *log_sum = log_sum_exp([*log_sum, 0.0]) + bet.ln();
        }
    }

    /// Natural logarithm of the evidence for a change at some time before now; negative infinity at first.
    pub fn log_e(&self) -> f64 {
        log_sum_exp(self.log_sums.iter().copied()) - (ALTERNATIVES.len() as f64).ln()
    }

    /// Whether the evidence now reaches `1/alpha`. False for an alpha that is not a level.
    pub fn alarms(&self, alpha: f64) -> bool {
        open_unit("alpha", alpha).is_ok() && self.log_e() >= -alpha.ln()
    }

    /// Outcomes seen.
    pub fn outcomes(&self) -> u64 {
        self.outcomes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::SplitMix64;

    #[test]
    fn a_late_change_is_found_soon() {
        let mut detector = ChangeDetector::new(0.10).unwrap();
        let mut rng = SplitMix64::new(5);
        for _ in 0..2_000 {
            detector.observe(rng.next_f64() < 0.06);
        }
        assert!(!detector.alarms(1e-5));
        let delay = (1..500).find(|_| {
            detector.observe(rng.next_f64() < 0.35);
            detector.alarms(1e-5)
        });
        assert!(delay.is_some_and(|d| d < 120), "{delay:?}");
    }
}
