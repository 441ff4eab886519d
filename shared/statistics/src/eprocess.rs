//! An anytime-valid test of "errors are at most p0" on a stream of requests.
//!
//! A mixture of likelihood-ratio bets, `E = sum_k w_k (q_k/p0)^errors ((1-q_k)/(1-p0))^successes` with every
//! `q_k > p0`, is a non-negative supermartingale for every true rate at most p0, also a varying one. By
//! Ville's inequality it ever reaches 1/alpha with probability at most alpha, however often one looks.
//! Source: MISSION reading 5; WLP-MLDEV-001 §8.3; Ville 1939; Ramdas et al., *Game-theoretic statistics and
//! safe anytime-valid inference*, 2023; Waudby-Smith and Ramdas 2024 (betting).

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result, open_unit};
use crate::special::{ln_beta, log_sum_exp};

/// Positions of the alternatives between p0 (0) and 1 (1), each with its weight. Half of the wealth is on
/// error storms, so that three errors in a row are worth 1000 against p0 = 0.05; the rest is spread over
/// milder excesses, down to 1.2 times p0, which need many requests to be seen at all.
const ALTERNATIVES: [(f64, f64); 8] = [
    (0.01, 0.05),
    (0.025, 0.05),
    (0.05, 0.10),
    (0.10, 0.10),
    (0.25, 0.10),
    (0.50, 0.10),
    (0.80, 0.20),
    (0.95, 0.30),
];

/// Sequential test of H0 "the error rate is at most `limit`".
///
/// The counts are the whole state: two tests of the same stream split over gateways are combined by adding
/// counts ([`ErrorBudgetTest::merge`]), and a persisted one goes on where it stopped. Counts must be taken in
/// an order that does not depend on outcomes not yet counted (completion order is fine if failures are not
/// reported ahead of successes of the same age). The largest value ever seen is kept: evidence once strong
/// enough stays so, and the error budget is spent once over the whole rollout, never restarted per step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Stored")]
pub struct ErrorBudgetTest {
    limit: f64,
    errors: u64,
    requests: u64,
    peak_log_e: f64,
}

/// The persisted form, checked before it becomes a test again.
#[derive(Deserialize)]
struct Stored {
    limit: f64,
    errors: u64,
    requests: u64,
    peak_log_e: f64,
}

impl TryFrom<Stored> for ErrorBudgetTest {
    type Error = Error;

    fn try_from(stored: Stored) -> Result<Self> {
        let mut test = Self::new(stored.limit)?;
        test.observe(stored.errors, stored.requests)?;
        crate::error::finite("peak_log_e", &[stored.peak_log_e])?;
        test.peak_log_e = test.peak_log_e.max(stored.peak_log_e);
        Ok(test)
    }
}

impl ErrorBudgetTest {
    /// A test with no evidence yet. `limit` is the tolerated error rate, strictly between 0 and 1.
    pub fn new(limit: f64) -> Result<Self> {
        open_unit("limit", limit)?;
        Ok(Self { limit, errors: 0, requests: 0, peak_log_e: 0.0 })
    }

    /// Counts `errors` among `requests` new outcomes.
    /// # Errors
    /// [`Error::OutOfRange`] if there are more errors than requests; nothing is counted then.
    pub fn observe(&mut self, errors: u64, requests: u64) -> Result<()> {
        if errors > requests {
            return Err(Error::OutOfRange {
                what: "errors",
                value: errors as f64,
                expected: "at most the requests",
            });
        }
        self.errors = self.errors.saturating_add(errors);
        self.requests = self.requests.saturating_add(requests);
        self.peak_log_e = self.peak_log_e.max(self.log_e());
        Ok(())
    }

    /// Adds what another test of the same hypothesis counted on disjoint requests.
    /// # Errors
    /// [`Error::BinMismatch`] if the limits differ.
    pub fn merge(&mut self, other: &Self) -> Result<()> {
        if self.limit.to_bits() != other.limit.to_bits() {
            return Err(Error::BinMismatch { why: "the tests have different limits" });
        }
        self.observe(other.errors, other.requests)
    }

    /// Natural logarithm of the evidence against H0 now; 0 without data.
    pub fn log_e(&self) -> f64 {
        log_evidence(self.limit, self.errors as f64, (self.requests - self.errors) as f64)
    }

    /// Evidence against H0 now; 1 without data, at least 1/alpha rejects at level alpha.
    pub fn e_value(&self) -> f64 {
        self.log_e().exp()
    }

    /// Largest logarithm of the evidence at any look so far.
    pub fn peak_log_e(&self) -> f64 {
        self.peak_log_e
    }

    /// Whether H0 was rejected at level `alpha` at any look so far. False for an alpha that is not a level.
    pub fn rejects(&self, alpha: f64) -> bool {
        open_unit("alpha", alpha).is_ok() && self.peak_log_e >= -alpha.ln()
    }

    /// Errors counted.
    pub fn errors(&self) -> u64 {
        self.errors
    }

    /// Requests counted.
    pub fn requests(&self) -> u64 {
        self.requests
    }

    /// The tolerated error rate of H0.
    pub fn limit(&self) -> f64 {
        self.limit
    }
}

fn log_evidence(limit: f64, errors: f64, successes: f64) -> f64 {
    log_sum_exp(ALTERNATIVES.map(|(position, weight)| {
        let rate = limit + position * (1.0 - limit);
        weight.ln() + errors * (rate / limit).ln() + successes * ((1.0 - rate) / (1.0 - limit)).ln()
    }))
}

/// Logarithm of the two-sided Beta(a, b) mixture e-value against the point null "the rate is `p0`".
///
/// Two-sided: it also grows when the rate is below p0, so it is for calibration checks, not for budgets.
/// Source: Robbins 1970; Howard et al. 2021.
pub fn beta_mixture_log_e(events: u64, trials: u64, p0: f64, a: f64, b: f64) -> Result<f64> {
    open_unit("p0", p0)?;
    if events > trials {
        return Err(Error::OutOfRange {
            what: "events",
            value: events as f64,
            expected: "at most the trials",
        });
    }
    if !(a > 0.0 && b > 0.0 && a.is_finite() && b.is_finite()) {
        return Err(Error::OutOfRange {
            what: "beta parameter",
            value: a.min(b),
            expected: "above 0, finite",
        });
    }
    let (k, m) = (events as f64, (trials - events) as f64);
    Ok(ln_beta(a + k, b + m) - ln_beta(a, b) - k * p0.ln() - m * (-p0).ln_1p())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_weights_are_one_unit_of_wealth() {
        assert!((ALTERNATIVES.iter().map(|(_, w)| w).sum::<f64>() - 1.0).abs() < 1e-12);
        assert!(ErrorBudgetTest::new(0.05).unwrap().log_e().abs() < 1e-12);
    }

    #[test]
    fn an_error_storm_is_rejected_at_the_third_request() {
        let mut test = ErrorBudgetTest::new(0.05).unwrap();
        let rejected_at = (1..=10).find(|_| {
            test.observe(1, 1).unwrap();
            test.rejects(0.001)
        });
        assert_eq!(rejected_at, Some(3));
    }

    #[test]
    fn merging_is_the_same_as_counting_together() {
        let mut left = ErrorBudgetTest::new(0.05).unwrap();
        let mut right = left.clone();
        let mut both = left.clone();
        left.observe(1, 40).unwrap();
        right.observe(9, 60).unwrap();
        both.observe(10, 100).unwrap();
        left.merge(&right).unwrap();
        assert!((left.log_e() - both.log_e()).abs() < 1e-12);
        assert!(left.merge(&ErrorBudgetTest::new(0.01).unwrap()).is_err());
    }

    #[test]
    fn a_rejection_is_never_taken_back() {
        let mut test = ErrorBudgetTest::new(0.05).unwrap();
        test.observe(8, 8).unwrap();
        test.observe(0, 10_000).unwrap();
        assert!(test.log_e() < 0.0 && test.rejects(0.001));
    }

    #[test]
    fn bad_input_is_refused_and_not_counted() {
        assert!(ErrorBudgetTest::new(f64::NAN).is_err());
        let mut test = ErrorBudgetTest::new(0.05).unwrap();
        assert!(test.observe(2, 1).is_err());
        assert_eq!(test.requests(), 0);
        assert!(!test.rejects(f64::NAN));
        for stored in [
            r#"{"limit":2.0,"errors":0,"requests":1,"peak_log_e":0.0}"#,
            r#"{"limit":0.05,"errors":2,"requests":1,"peak_log_e":0.0}"#,
        ] {
            assert!(serde_json::from_str::<ErrorBudgetTest>(stored).is_err());
        }
    }
}
