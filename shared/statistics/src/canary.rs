//! The breaker's evidence: two tests of a canary under one error budget.
//!
//! H0 of a healthy canary is an intersection: its errors are within the limit **and** no worse than stable or the
//! tolerance. So the absolute test bets against the smaller of the limit and what stable's requests leave the canary, which
//! is known before the canary's next outcome: an error is then worth up to 95 instead of 19, and a storm after a long calm
//! is found as soon as one from the start. Source: ARCHITECTURE, reading 5; WLP-MLDEV-001 §8.3.

use serde::{Deserialize, Serialize};

use crate::eprocess::ErrorBudgetTest;
use crate::error::{Error, Result, open_unit};
use crate::relative::RelativeTest;
use crate::special::log_sum_exp;

/// Wealth of [`CanaryTest`] on its absolute part: storms must be seen at once, a small lag behind stable may take longer.
const ON_BUDGET: f64 = 0.8;

/// Both canary tests under one error budget: "errors at most `limit`" (§8.3) and "no worse than stable".
///
/// A weighted mean of the two e-values is itself an e-value against "both hold", so one alpha is spent once, whatever the
/// number of looks and steps. What is guaranteed, for [`CanaryTest::rejects`] at level alpha:
/// - A canary that fails at most `tolerance` of its requests (given what came before, also where that varies) is rejected
///   with probability at most alpha, whatever stable does.
/// - A canary above the tolerance, no worse than stable and within the limit, is rejected with probability at most alpha +
///   1e-5 while both rates stay what they are over the rollout. Where they change between steps of the ladder,
///   [`CanaryTest::step`] keeps the comparison fair; where stable gets worse on the way, its newest requests raise what the
///   canary is allowed. That is a precaution, seen in simulations to suffice, without a bound.
/// - At alpha 0.001 a canary that fails every request is rejected by its fifth failure, after any calm of up to 36,000 good
///   requests, while it takes at most a quarter of the traffic and stable did not fail lately; beside a stable version with
///   as many requests, or none, it may take a sixth, or an eighth. Late, beside a stable version that itself fails near the
///   tolerance, it takes six or seven: what is allowed then is twice stable's newest rate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CanaryTest {
    budget: ErrorBudgetTest,
    relative: RelativeTest,
    peak_log_e: f64,
}

impl CanaryTest {
    /// `limit` is the tolerated error rate, `tolerance` the rate that is healthy whatever stable does.
    pub fn new(limit: f64, tolerance: f64) -> Result<Self> {
        Ok(Self {
            budget: ErrorBudgetTest::new(limit)?,
            relative: RelativeTest::new(tolerance)?,
            peak_log_e: 0.0,
        })
    }

    /// Counts new outcomes of the canary.
    pub fn observe_canary(&mut self, errors: u64, requests: u64) -> Result<()> {
        // What these requests are allowed is known before they are looked at.
        self.budget.observe_within(errors, requests, self.relative.allowed())?;
        self.relative.observe_canary(errors, requests)?;
        self.look();
        Ok(())
    }

    /// Counts new outcomes of the stable version.
    pub fn observe_stable(&mut self, errors: u64, requests: u64) -> Result<()> {
        self.relative.observe_stable(errors, requests)?;
        self.look();
        Ok(())
    }

    /// A new step of the ladder begins (see [`RelativeTest::step`]).
    pub fn step(&mut self) {
        self.relative.step();
        self.look();
    }

    /// Adds what another gateway counted on disjoint requests of the same rollout, as one batch.
    /// # Errors
    /// [`Error::BinMismatch`] if limits or tolerances differ.
    pub fn merge(&mut self, other: &Self) -> Result<()> {
        if self.budget.limit().to_bits() != other.budget.limit().to_bits() {
            return Err(Error::BinMismatch { why: "the tests have different limits" });
        }
        let mut relative = self.relative.clone();
        relative.merge(&other.relative)?;
        let (errors, requests) = other.relative.canary();
        self.budget.observe_within(errors, requests, self.relative.allowed())?;
        self.relative = relative;
        self.look();
        Ok(())
    }

    /// Natural logarithm of the combined evidence now.
    pub fn log_e(&self) -> f64 {
        let budget = ON_BUDGET.ln() + self.budget.log_e();
        log_sum_exp([budget, (1.0 - ON_BUDGET).ln() + self.relative.log_e()])
    }

    /// Combined evidence now; 1 without data.
    pub fn e_value(&self) -> f64 {
        self.log_e().exp()
    }

    /// Largest logarithm of the combined evidence at any look so far.
    pub fn peak_log_e(&self) -> f64 {
        self.peak_log_e
    }

    /// Whether the canary was found unhealthy at level `alpha` at any look so far.
    pub fn rejects(&self, alpha: f64) -> bool {
        open_unit("alpha", alpha).is_ok() && self.peak_log_e >= -alpha.ln()
    }

    /// The absolute part, for display and for its counts: "errors at most the limit, and at most what stable leaves it".
    pub fn budget(&self) -> &ErrorBudgetTest {
        &self.budget
    }

    /// The relative part.
    pub fn relative(&self) -> &RelativeTest {
        &self.relative
    }

    fn look(&mut self) {
        self.peak_log_e = self.peak_log_e.max(self.log_e());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_storm_is_rejected_within_four_requests() {
        for stable in [0, 200, 100_000] {
            let mut test = CanaryTest::new(0.05, 0.01).unwrap();
            test.observe_stable(stable / 200, stable).unwrap();
            let at = (1..=10).find(|_| {
                test.observe_canary(1, 1).unwrap();
                test.rejects(0.001)
            });
            assert!(at.is_some_and(|n| n <= 4), "{at:?} with {stable} stable requests");
        }
    }

    /// Failed requests until the canary is found, after `calm` good ones, with `stable` requests of stable beside each.
    fn failed(calm: u64, stable: u64) -> u64 {
        let mut test = CanaryTest::new(0.05, 0.01).unwrap();
        for _ in 0..calm {
            test.observe_stable(0, stable).unwrap();
            test.observe_canary(0, 1).unwrap();
        }
        let at = (1..=100).find(|_| {
            test.observe_stable(0, stable).unwrap();
            test.observe_canary(1, 1).unwrap();
            test.rejects(0.001)
        });
        at.unwrap_or(u64::MAX)
    }

    /// ARCHITECTURE, reading 5: at most five failed requests, at the first two steps of the ladder and however late.
    #[test]
    fn a_storm_after_a_calm_is_rejected_within_five_requests() {
        for calm in [0, 1, 2, 5, 10, 20, 50, 100, 200, 300, 1_000, 5_000, 36_000] {
            for (stable, share) in [(19, 5), (3, 25)] {
                let failed = failed(calm, stable);
                assert!(failed <= 5, "{failed} failed after {calm} good ones at {share} %");
            }
        }
    }

    #[test]
    fn with_little_or_no_stable_traffic_a_late_storm_costs_a_few_more() {
        for (stable, most) in [(1, 6), (0, 8)] {
            for calm in [50, 300, 1_000, 36_000] {
                let failed = failed(calm, stable);
                assert!(failed <= most, "{failed} failed after {calm} good ones beside {stable}");
            }
        }
    }

    #[test]
    fn it_goes_on_where_it_stopped() {
        let mut whole = CanaryTest::new(0.05, 0.01).unwrap();
        let mut kept = whole.clone();
        for at in 0..300_u64 {
            for one in [&mut whole, &mut kept] {
                one.observe_stable(u64::from(at % 90 == 0), 3).unwrap();
                one.observe_canary(u64::from(at % 100 == 0), 1).unwrap();
                if at == 150 {
                    one.step();
                }
            }
            kept = serde_json::from_str(&serde_json::to_string(&kept).unwrap()).unwrap();
        }
        assert!((whole.log_e() - kept.log_e()).abs() < 1e-9);
        assert!((whole.peak_log_e() - kept.peak_log_e()).abs() < 1e-9);
    }

    #[test]
    fn a_merge_is_one_batch_and_a_refusal_changes_nothing() {
        let mut one = CanaryTest::new(0.05, 0.01).unwrap();
        let mut other = one.clone();
        one.observe_canary(1, 40).unwrap();
        other.observe_canary(9, 60).unwrap();
        let mut both = one.clone();
        both.observe_canary(9, 60).unwrap();
        one.merge(&other).unwrap();
        assert!((one.log_e() - both.log_e()).abs() < 1e-9);
        let before = one.clone();
        assert!(one.merge(&CanaryTest::new(0.02, 0.01).unwrap()).is_err());
        assert!(one.merge(&CanaryTest::new(0.05, 0.02).unwrap()).is_err());
        assert_eq!(one, before);
    }

    #[test]
    fn a_canary_worse_than_stable_is_found_below_the_limit() {
        let mut test = CanaryTest::new(0.05, 0.01).unwrap();
        test.observe_stable(100, 20_000).unwrap();
        test.observe_canary(120, 3_000).unwrap();
        assert!(test.rejects(0.001));
    }
}
