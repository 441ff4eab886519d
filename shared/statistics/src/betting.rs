//! A one-sided betting e-process with a stake that adapts to what was seen.

use serde::{Deserialize, Serialize};

use crate::error::{Result, open_unit};

/// Wealth of a bettor against H0 "the event rate is at most p0" whose stake before each outcome is
/// `max(0, (rate - p0) / (p0 (1 - p0)))`, capped at `0.5 / p0`, with `rate = (events + 0.5) / (trials + 1)`.
///
/// Order matters, so unlike [`crate::ErrorBudgetTest`] it cannot be merged by counts.
/// Source: Waudby-Smith and Ramdas 2024 (aGRAPA form).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BettingTest {
    p0: f64,
    events: u64,
    trials: u64,
    log_wealth: f64,
}

impl BettingTest {
    /// A bettor with wealth 1.
    pub fn new(p0: f64) -> Result<Self> {
        open_unit("p0", p0)?;
        Ok(Self { p0, events: 0, trials: 0, log_wealth: 0.0 })
    }

    /// Bets on one outcome, then learns from it.
    pub fn observe(&mut self, event: bool) {
        let rate = (self.events as f64 + 0.5) / (self.trials as f64 + 1.0);
        let stake = ((rate - self.p0) / (self.p0 * (1.0 - self.p0))).clamp(0.0, 0.5 / self.p0);
        self.log_wealth += (stake * (f64::from(u8::from(event)) - self.p0)).ln_1p();
        self.events += u64::from(event);
        self.trials += 1;
    }

    /// Evidence against H0 now; at least 1/alpha rejects at level alpha.
    pub fn e_value(&self) -> f64 {
        self.log_wealth.exp()
    }

    /// Natural logarithm of the evidence.
    pub fn log_e(&self) -> f64 {
        self.log_wealth
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bet_is_known_by_hand() {
        // rate 0.5, stake 0.45 / 0.0475, outcome 0: 1 - 0.05 * 9.4737
        let mut test = BettingTest::new(0.05).unwrap();
        test.observe(false);
        assert!((test.e_value() - 0.526_315_789_473_684_3).abs() < 1e-14);
    }
}
