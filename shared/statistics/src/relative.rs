//! An anytime-valid test of "the canary is no worse than stable", and the two canary tests as one.
//!
//! Universal inference: the evidence is the Krichevsky-Trofimov mixture likelihood of both streams, divided by
//! the largest likelihood that H0 allows. It is at most a martingale under every pair of rates in H0, so
//! Ville's inequality holds under continuous looking and any interleaving of the two streams.
//! Source: MISSION reading 5; Wasserman, Ramdas, Balakrishnan, *Universal inference*, 2020; Krichevsky and
//! Trofimov 1981.

use serde::{Deserialize, Serialize};

use crate::eprocess::ErrorBudgetTest;
use crate::error::{Error, Result, closed_unit, open_unit};
use crate::special::ln_beta;

/// Sequential test of H0 "the canary's error rate is at most the larger of stable's rate and `tolerance`".
///
/// `tolerance` is the error rate below which a canary is healthy whatever stable does: without it, a canary
/// with 0.5 % errors would in the end be rejected beside a stable version with 0.1 %. State and merge rules
/// are those of [`ErrorBudgetTest`]: four counts, added.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Stored")]
pub struct RelativeTest {
    tolerance: f64,
    canary: Counts,
    stable: Counts,
    peak_log_e: f64,
}

/// The persisted form, checked before it becomes a test again.
#[derive(Deserialize)]
struct Stored {
    tolerance: f64,
    canary: Counts,
    stable: Counts,
    peak_log_e: f64,
}

impl TryFrom<Stored> for RelativeTest {
    type Error = Error;

    fn try_from(stored: Stored) -> Result<Self> {
        let mut test = Self::new(stored.tolerance)?;
        test.canary.add(stored.canary.errors, stored.canary.requests)?;
        test.stable.add(stored.stable.errors, stored.stable.requests)?;
        crate::error::finite("peak_log_e", &[stored.peak_log_e])?;
        test.peak_log_e = stored.peak_log_e.max(test.log_e()).max(0.0);
        Ok(test)
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
struct Counts {
    errors: u64,
    requests: u64,
}

impl Counts {
    fn add(&mut self, errors: u64, requests: u64) -> Result<()> {
        if errors > requests {
            return Err(Error::OutOfRange {
                what: "errors",
                value: errors as f64,
                expected: "at most the requests",
            });
        }
        self.errors = self.errors.saturating_add(errors);
        self.requests = self.requests.saturating_add(requests);
        Ok(())
    }

    fn rate(self) -> f64 {
        if self.requests == 0 { 0.0 } else { self.errors as f64 / self.requests as f64 }
    }

    fn log_likelihood(self, rate: f64) -> f64 {
        let term = |count: u64, p: f64| if count == 0 { 0.0 } else { count as f64 * p.ln() };
        term(self.errors, rate) + term(self.requests - self.errors, 1.0 - rate)
    }

    fn log_mixture(self) -> f64 {
        let errors = self.errors as f64;
        ln_beta(errors + 0.5, (self.requests - self.errors) as f64 + 0.5) - ln_beta(0.5, 0.5)
    }
}

impl RelativeTest {
    /// A test with no evidence yet; `tolerance` is a share, 0 for "no worse than stable" alone.
    pub fn new(tolerance: f64) -> Result<Self> {
        closed_unit("tolerance", tolerance)?;
        Ok(Self { tolerance, canary: Counts::default(), stable: Counts::default(), peak_log_e: 0.0 })
    }

    /// Counts new outcomes of the canary.
    pub fn observe_canary(&mut self, errors: u64, requests: u64) -> Result<()> {
        self.canary.add(errors, requests)?;
        self.peak_log_e = self.peak_log_e.max(self.log_e());
        Ok(())
    }

    /// Counts new outcomes of the stable version.
    pub fn observe_stable(&mut self, errors: u64, requests: u64) -> Result<()> {
        self.stable.add(errors, requests)?;
        self.peak_log_e = self.peak_log_e.max(self.log_e());
        Ok(())
    }

    /// Adds what another test counted on disjoint requests.
    /// # Errors
    /// [`Error::BinMismatch`] if the tolerances differ.
    pub fn merge(&mut self, other: &Self) -> Result<()> {
        if self.tolerance.to_bits() != other.tolerance.to_bits() {
            return Err(Error::BinMismatch { why: "the tests have different tolerances" });
        }
        self.canary.add(other.canary.errors, other.canary.requests)?;
        self.stable.add(other.stable.errors, other.stable.requests)?;
        self.peak_log_e = self.peak_log_e.max(self.log_e());
        Ok(())
    }

    /// Natural logarithm of the evidence against H0 now.
    pub fn log_e(&self) -> f64 {
        self.canary.log_mixture() + self.stable.log_mixture() - self.best_null()
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
        let mut pooled = self.canary;
        pooled.errors = pooled.errors.saturating_add(self.stable.errors);
        pooled.requests = pooled.requests.saturating_add(self.stable.requests);
        let together = pooled.log_likelihood(pooled.rate());
        let tolerated = self.canary.log_likelihood(self.tolerance) + self.stable.log_likelihood(stable);
        together.max(tolerated)
    }
}

/// Both canary tests under one error budget: "errors at most `limit`" (§8.3) and "no worse than stable".
///
/// The mean of the two e-values is itself an e-value against "both hold", so one alpha is spent once.
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
        self.budget.observe(errors, requests)?;
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

    /// Adds what another gateway counted on disjoint requests of the same rollout.
    pub fn merge(&mut self, other: &Self) -> Result<()> {
        let mut relative = self.relative.clone();
        relative.merge(&other.relative)?;
        self.budget.merge(&other.budget)?;
        self.relative = relative;
        self.look();
        Ok(())
    }

    /// Natural logarithm of the combined evidence now.
    pub fn log_e(&self) -> f64 {
        let (a, b) = (self.budget.log_e(), self.relative.log_e());
        let top = a.max(b);
        top + (0.5 * ((a - top).exp() + (b - top).exp())).ln()
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

    /// The absolute part, for display and for its counts.
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
    fn no_data_is_no_evidence() {
        assert!(RelativeTest::new(0.0).unwrap().log_e().abs() < 1e-12);
        assert!(CanaryTest::new(0.05, 0.01).unwrap().log_e().abs() < 1e-12);
    }

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

    #[test]
    fn a_canary_worse_than_stable_is_found_below_the_limit() {
        let mut test = CanaryTest::new(0.05, 0.01).unwrap();
        test.observe_stable(100, 20_000).unwrap();
        test.observe_canary(120, 3_000).unwrap();
        assert!(test.rejects(0.001) && !test.budget().rejects(0.001));
    }

    #[test]
    fn a_canary_within_tolerance_is_never_worse() {
        let mut test = RelativeTest::new(0.01).unwrap();
        test.observe_stable(0, 1_000_000).unwrap();
        test.observe_canary(900, 100_000).unwrap();
        assert!(!test.rejects(0.001));
    }
}
