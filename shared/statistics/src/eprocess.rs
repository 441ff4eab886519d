//! An anytime-valid test of "errors are at most p0" on a stream of requests that may turn bad at any time.
//!
//! A likelihood-ratio bet on the rate `q_k > p0` that starts at request `j` is worth
//! `L_kj = (q_k/p0)^errors ((1-q_k)/(1-p0))^successes` over the requests from `j` on. The evidence is the mixture
//! `E = sum_k w_k sum_j v_j L_kj` over rates and onsets, where a bet that has not started is worth one. Each bet is a
//! non-negative supermartingale for every true rate at most p0, also a varying one, and so is the mixture. By Ville's
//! inequality it ever reaches 1/alpha with probability at most alpha, however often one looks. Without the onsets a long
//! calm would count as evidence that a storm must first outweigh.
//! Source: ARCHITECTURE, reading 5; WLP-MLDEV-001 §8.3; Ville 1939; Ramdas et al., *Game-theoretic statistics and
//! safe anytime-valid inference*, 2023; Shin, Ramdas, Rinaldo, *E-detectors*, 2023 (onsets).

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result, open_unit};
use crate::special::{ln_beta, log_sum_exp};

/// Positions of the alternatives between p0 (0) and 1 (1), each with its weight. Half of the wealth is on
/// error storms, so that three errors in a row are worth 3000 against p0 = 0.05; the rest is spread over
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

/// Number of alternatives.
const RATES: usize = ALTERNATIVES.len();
/// Wealth on bets that start with the first request.
const FROM_START: f64 = 0.25;
/// The wealth on onsets after request `n` falls as `(1 + n / ONSET_SCALE)^-ONSET_DECAY`: nearly even over the first
/// minutes of a canary, and never used up. A storm of nothing but errors is rejected at level 0.001 after 4 requests from
/// the start, 5 after 100 good ones, 6 after 500, 8 after 36,000.
const ONSET_SCALE: f64 = 150.0;
const ONSET_DECAY: f64 = 0.5;

/// Sequential test of H0 "the error rate is at most `limit`".
///
/// Two tests of the same stream split over gateways are combined by taking in the other's counts as one step
/// ([`ErrorBudgetTest::merge`]), and a persisted one goes on where it stopped. Counts must be taken in
/// an order that does not depend on outcomes not yet counted (completion order is fine if failures are not
/// reported ahead of successes of the same age). The largest value ever seen is kept: evidence once strong
/// enough stays so, and the error budget is spent once over the whole rollout, never restarted per step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Stored")]
pub struct ErrorBudgetTest {
    limit: f64,
    errors: u64,
    requests: u64,
    /// Logarithm of what the bets that have started are worth, by alternative; `None` before the first request.
    started: Option<[f64; RATES]>,
    peak_log_e: f64,
}

/// The persisted form, checked before it becomes a test again.
#[derive(Deserialize)]
struct Stored {
    limit: f64,
    errors: u64,
    requests: u64,
    started: Option<[f64; RATES]>,
    peak_log_e: f64,
}

impl TryFrom<Stored> for ErrorBudgetTest {
    type Error = Error;

    fn try_from(stored: Stored) -> Result<Self> {
        let mut test = Self::new(stored.limit)?;
        test.observe(stored.errors, stored.requests)?;
        if let (Some(started), true) = (stored.started, stored.requests > 0) {
            crate::error::finite("started", &started)?;
            test.started = Some(started);
        }
        crate::error::finite("peak_log_e", &[stored.peak_log_e])?;
        test.peak_log_e = stored.peak_log_e.max(test.log_e()).max(0.0);
        Ok(test)
    }
}

impl ErrorBudgetTest {
    /// A test with no evidence yet. `limit` is the tolerated error rate, strictly between 0 and 1.
    pub fn new(limit: f64) -> Result<Self> {
        open_unit("limit", limit)?;
        Ok(Self { limit, errors: 0, requests: 0, started: None, peak_log_e: 0.0 })
    }

    /// Counts `errors` among `requests` new outcomes as one step: bets start before it or after it.
    /// # Errors
    /// [`Error::OutOfRange`] if there are more errors than requests; nothing is counted then.
    pub fn observe(&mut self, errors: u64, requests: u64) -> Result<()> {
        self.observe_within(errors, requests, self.limit)
    }

    /// As [`ErrorBudgetTest::observe`], where H0 allows these requests less than the limit: `within`, which must be chosen
    /// before their outcomes are known. Above the limit it is the limit.
    /// # Errors
    /// [`Error::OutOfRange`] for more errors than requests or a `within` that is no rate; nothing is counted then.
    pub fn observe_within(&mut self, errors: u64, requests: u64, within: f64) -> Result<()> {
        let within = within.min(self.limit);
        open_unit("within", within)?;
        if errors > requests {
            return Err(Error::OutOfRange {
                what: "errors",
                value: errors as f64,
                expected: "at most the requests",
            });
        }
        if requests == 0 {
            return Ok(());
        }
        let before = waiting(self.requests);
        self.errors = self.errors.saturating_add(errors);
        self.requests = self.requests.saturating_add(requests);
        let starting = (before - waiting(self.requests)).ln();
        let worth = self.started.unwrap_or([f64::NEG_INFINITY; RATES]);
        let mut step = log_ratios(within, errors as f64, (requests - errors) as f64);
        for (step, worth) in step.iter_mut().zip(worth) {
            *step += log_sum_exp([worth, starting]);
        }
        self.started = Some(step);
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
        let Some(started) = self.started else { return 0.0 };
        let mut parts = [waiting(self.requests).ln(); RATES + 1];
        for (part, ((_, weight), worth)) in parts.iter_mut().zip(ALTERNATIVES.iter().zip(started)) {
            *part = weight.ln() + worth;
        }
        log_sum_exp(parts)
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

/// Wealth on bets that start only after `requests` requests.
fn waiting(requests: u64) -> f64 {
    match requests.checked_sub(1) {
        None => 1.0,
        Some(later) => (1.0 - FROM_START) * (1.0 + later as f64 / ONSET_SCALE).powf(-ONSET_DECAY),
    }
}

/// Logarithm of what each bet's worth is multiplied by.
fn log_ratios(limit: f64, errors: f64, successes: f64) -> [f64; RATES] {
    ALTERNATIVES.map(|(position, _)| {
        let rate = limit + position * (1.0 - limit);
        errors * (rate / limit).ln() + successes * ((1.0 - rate) / (1.0 - limit)).ln()
    })
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
        let starting: f64 = (0..10_000).map(|n| waiting(n) - waiting(n + 1)).sum();
        assert!((starting + waiting(10_000) - 1.0).abs() < 1e-9 && waiting(u64::MAX) >= 0.0);
        assert!(ErrorBudgetTest::new(0.05).unwrap().log_e().abs() < 1e-12);
    }

    /// Errors in a row until rejection at level 0.001, after `calm` good requests.
    fn storm_after(calm: u64) -> usize {
        let mut test = ErrorBudgetTest::new(0.05).unwrap();
        for _ in 0..calm {
            test.observe(0, 1).unwrap();
        }
        let mut errors = 0;
        while !test.rejects(0.001) {
            test.observe(1, 1).unwrap();
            errors += 1;
        }
        errors
    }

    #[test]
    fn an_error_storm_is_rejected_within_a_few_requests_however_long_the_calm() {
        assert_eq!([0, 50, 500, 3_600, 36_000].map(storm_after), [4, 5, 6, 7, 8]);
    }

    #[test]
    fn a_merge_is_one_step() {
        let mut left = ErrorBudgetTest::new(0.05).unwrap();
        let mut right = left.clone();
        let mut both = left.clone();
        left.observe(1, 40).unwrap();
        right.observe(9, 60).unwrap();
        both.observe(1, 40).unwrap();
        both.observe(9, 60).unwrap();
        left.merge(&right).unwrap();
        assert_eq!(left, both);
        assert!(left.merge(&ErrorBudgetTest::new(0.01).unwrap()).is_err());
    }

    #[test]
    fn a_persisted_test_goes_on_where_it_stopped() {
        let mut test = ErrorBudgetTest::new(0.05).unwrap();
        for _ in 0..200 {
            test.observe(0, 1).unwrap();
        }
        test.observe(2, 2).unwrap();
        let again: ErrorBudgetTest = serde_json::from_str(&serde_json::to_string(&test).unwrap()).unwrap();
        assert!((again.log_e() - test.log_e()).abs() < 1e-12 && again.requests() == test.requests());
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
            r#"{"limit":0.05,"errors":0,"requests":1,"started":[0.0],"peak_log_e":0.0}"#,
        ] {
            assert!(serde_json::from_str::<ErrorBudgetTest>(stored).is_err());
        }
    }
}
