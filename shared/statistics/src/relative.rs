//! An anytime-valid test of "the canary is no worse than stable".
//!
//! Universal inference: the evidence is the Krichevsky-Trofimov mixture likelihood of both streams, divided by
//! the largest likelihood that H0 allows. It is at most a martingale under every pair of rates in H0, so
//! Ville's inequality holds under continuous looking and any interleaving of the two streams. A canary that is
//! never above the tolerance may vary as it likes: there only bets on rates above the tolerance gain. "No worse than
//! stable" is about two rates that stay within a step of the ladder.
//! Source: ARCHITECTURE, reading 5; Wasserman, Ramdas, Balakrishnan, *Universal inference*, 2020; Krichevsky and
//! Trofimov 1981.

use std::f64::consts::LN_2;

use serde::{Deserialize, Serialize};

use crate::counts::{Counts, Recent};
use crate::error::{Error, Result, closed_unit, finite, open_unit};
use crate::special::log_sum_exp;

/// Sequential test of H0 "the canary's error rate is at most the larger of stable's rate and `tolerance`".
///
/// `tolerance` is the error rate below which a canary is healthy whatever stable does: without it, a canary
/// with 0.5 % errors would in the end be rejected beside a stable version with 0.1 %. State and merge rules
/// are those of [`crate::ErrorBudgetTest`]; counts are of the step of the ladder under way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Stored")]
pub struct RelativeTest {
    tolerance: f64,
    /// Of this step of the ladder.
    canary: Counts,
    /// Of this step of the ladder.
    stable: Counts,
    /// Of the steps before.
    earlier: Earlier,
    /// Stable's newest requests, older ones fading.
    recent: Recent,
    peak_log_e: f64,
    /// What follows from the counts, so that a request changes only what it must.
    #[serde(skip)]
    now: Now,
}

/// What follows from the counts.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Now {
    /// Logarithm of the mixture likelihood of the canary's requests of this step.
    canary: f64,
    /// Of stable's.
    stable: f64,
    allowed: f64,
    log_e: f64,
}

impl Default for Now {
    fn default() -> Self {
        Self { canary: 0.0, stable: 0.0, allowed: 1.0, log_e: 0.0 }
    }
}

/// What the steps before left.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Earlier {
    canary: Counts,
    stable: Counts,
    /// Logarithm of the wealth that bets in this step, as it was when the step began.
    betting: f64,
    /// Logarithm of the wealth kept for later steps.
    kept: f64,
}

impl Default for Earlier {
    fn default() -> Self {
        let (canary, stable) = (Counts::default(), Counts::default());
        Self { canary, stable, betting: -LN_2, kept: -LN_2 }
    }
}

/// The persisted form, checked before it becomes a test again.
#[derive(Deserialize)]
struct Stored {
    tolerance: f64,
    canary: Counts,
    stable: Counts,
    #[serde(default)]
    earlier: Earlier,
    #[serde(default)]
    recent: Recent,
    peak_log_e: f64,
}

impl TryFrom<Stored> for RelativeTest {
    type Error = Error;

    fn try_from(stored: Stored) -> Result<Self> {
        let mut test = Self::new(stored.tolerance)?;
        test.canary.add(stored.canary.errors, stored.canary.requests)?;
        test.stable.add(stored.stable.errors, stored.stable.requests)?;
        finite("recent", &[stored.recent.errors, stored.recent.requests])?;
        test.recent = stored.recent;
        finite("earlier", &[stored.earlier.betting, stored.earlier.kept])?;
        test.earlier = stored.earlier;
        finite("peak_log_e", &[stored.peak_log_e])?;
        test.peak_log_e = stored.peak_log_e.max(0.0);
        test.saw_all();
        Ok(test)
    }
}

impl RelativeTest {
    /// A test with no evidence yet; `tolerance` is a share, 0 for "no worse than stable" alone.
    pub fn new(tolerance: f64) -> Result<Self> {
        closed_unit("tolerance", tolerance)?;
        let (canary, stable, recent) = (Counts::default(), Counts::default(), Recent::default());
        let (earlier, now) = (Earlier::default(), Now::default());
        Ok(Self { tolerance, canary, stable, earlier, recent, peak_log_e: 0.0, now })
    }

    /// Counts new outcomes of the canary.
    pub fn observe_canary(&mut self, errors: u64, requests: u64) -> Result<()> {
        self.canary.add(errors, requests)?;
        if requests > 0 {
            self.saw_canary();
        }
        Ok(())
    }

    /// Counts new outcomes of the stable version.
    pub fn observe_stable(&mut self, errors: u64, requests: u64) -> Result<()> {
        self.stable.add(errors, requests)?;
        if requests > 0 {
            self.recent.add(errors, requests);
            self.saw_stable();
        }
        Ok(())
    }

    /// A new step of the ladder begins: the canary's share of the traffic changes. Rates are compared within a step only.
    /// The canary takes more of the later traffic than of the earlier, so trouble that comes late to both would, counted
    /// over all, be held against the canary (Simpson's paradox). Evidence goes on: what bets is carried over, and half of
    /// what is kept begins to bet.
    pub fn step(&mut self) {
        if self.canary.requests == 0 && self.stable.requests == 0 {
            return;
        }
        let Earlier { betting, kept, .. } = self.earlier;
        self.earlier = Earlier {
            canary: self.earlier.canary.plus(self.canary),
            stable: self.earlier.stable.plus(self.stable),
            betting: log_sum_exp([betting + self.log_ratio(), kept - LN_2]),
            kept: kept - LN_2,
        };
        (self.canary, self.stable) = (Counts::default(), Counts::default());
        self.saw_all();
    }

    /// Adds what another test counted on disjoint requests.
    /// # Errors
    /// [`Error::BinMismatch`] if the tolerances differ.
    pub fn merge(&mut self, other: &Self) -> Result<()> {
        if self.tolerance.to_bits() != other.tolerance.to_bits() {
            return Err(Error::BinMismatch { why: "the tests have different tolerances" });
        }
        let (canary, stable) =
            (other.earlier.canary.plus(other.canary), other.earlier.stable.plus(other.stable));
        self.canary.add(canary.errors, canary.requests)?;
        self.stable.add(stable.errors, stable.requests)?;
        self.recent.add(stable.errors, stable.requests);
        self.saw_all();
        Ok(())
    }

    /// The largest error rate that H0 allows the canary, as far as stable's requests tell: no less than the tolerance, no
    /// less than what stable may have, and twice what it had lately, so that trouble of both is not held against one.
    pub fn allowed(&self) -> f64 {
        self.now.allowed
    }

    /// Errors and requests of the canary.
    pub fn canary(&self) -> (u64, u64) {
        let all = self.earlier.canary.plus(self.canary);
        (all.errors, all.requests)
    }

    /// Natural logarithm of the evidence against H0 now.
    pub fn log_e(&self) -> f64 {
        self.now.log_e
    }

    fn saw_canary(&mut self) {
        self.now.canary = self.canary.log_mixture();
        self.look();
    }

    fn saw_stable(&mut self) {
        self.now.stable = self.stable.log_mixture();
        let floor = self.tolerance.max(2.0 * self.recent.rate()).min(1.0);
        self.now.allowed = self.earlier.stable.plus(self.stable).upper(floor);
        self.look();
    }

    /// Looks once both are known: half of a change is no evidence.
    fn saw_all(&mut self) {
        self.now.canary = self.canary.log_mixture();
        self.saw_stable();
    }

    fn look(&mut self) {
        self.now.log_e = log_sum_exp([self.earlier.betting + self.log_ratio(), self.earlier.kept]);
        self.peak_log_e = self.peak_log_e.max(self.now.log_e);
    }

    /// Of this step alone.
    fn log_ratio(&self) -> f64 {
        self.now.canary + self.now.stable - self.best_null()
    }

    /// Evidence against H0 now.
    pub fn e_value(&self) -> f64 {
        self.log_e().exp()
    }

    /// Largest logarithm of the evidence at any look so far.
    pub fn peak_log_e(&self) -> f64 {
        self.peak_log_e
    }

    /// Whether H0 was rejected at level `alpha` at any look so far.
    pub fn rejects(&self, alpha: f64) -> bool {
        open_unit("alpha", alpha).is_ok() && self.peak_log_e >= -alpha.ln()
    }

    /// Largest log-likelihood over `{canary <= stable}` united with `{canary <= tolerance}`.
    fn best_null(&self) -> f64 {
        let (canary, stable) = (self.canary.rate(), self.stable.rate());
        if canary <= stable || canary <= self.tolerance {
            return self.canary.log_likelihood(canary) + self.stable.log_likelihood(stable);
        }
        let pooled = self.canary.plus(self.stable);
        let together = pooled.log_likelihood(pooled.rate());
        let tolerated = self.canary.log_likelihood(self.tolerance) + self.stable.log_likelihood(stable);
        together.max(tolerated)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_data_is_no_evidence() {
        assert!(RelativeTest::new(0.0).unwrap().log_e().abs() < 1e-12);
        assert!((RelativeTest::new(0.01).unwrap().allowed() - 1.0).abs() < 1e-12);
    }

    #[test]
    fn what_is_allowed_follows_stable() {
        let mut test = RelativeTest::new(0.01).unwrap();
        test.observe_stable(0, 100_000).unwrap();
        assert!((test.allowed() - 0.01).abs() < 1e-12);
        test.observe_stable(8, 200).unwrap(); // trouble of stable is allowed the canary too
        assert!(test.allowed() > 0.04, "{}", test.allowed());
        let mut bad = RelativeTest::new(0.01).unwrap();
        bad.observe_stable(3_000, 100_000).unwrap();
        assert!((0.03..0.07).contains(&bad.allowed()), "{}", bad.allowed());
    }

    /// Both get worse together when the canary takes half of the traffic: it is as good as stable all the time.
    #[test]
    fn trouble_of_both_at_a_later_step_is_not_held_against_the_canary() {
        let mut test = RelativeTest::new(0.01).unwrap();
        test.observe_stable(38, 19_000).unwrap();
        test.observe_canary(2, 1_000).unwrap();
        let mut without = test.clone();
        test.step();
        for one in [&mut test, &mut without] {
            one.observe_stable(180, 6_000).unwrap();
            one.observe_canary(180, 6_000).unwrap();
        }
        assert!(without.rejects(0.001), "counted over all it looks worse");
        assert!(!test.rejects(0.001), "{}", test.log_e());
        test.observe_canary(400, 3_000).unwrap();
        assert!(test.rejects(0.001), "and a worse one is still found");
        let again: RelativeTest = serde_json::from_str(&serde_json::to_string(&test).unwrap()).unwrap();
        assert!((again.log_e() - test.log_e()).abs() < 1e-9);
    }

    #[test]
    fn a_canary_within_tolerance_is_never_worse() {
        let mut test = RelativeTest::new(0.01).unwrap();
        test.observe_stable(0, 1_000_000).unwrap();
        test.observe_canary(900, 100_000).unwrap();
        assert!(!test.rejects(0.001));
    }
}
