//! An anytime-valid test of "errors are at most p0" on a stream of requests that may turn bad at any time.
//!
//! A likelihood-ratio bet on the rate `q_k > p0` that starts at request `j` is worth
//! `L_kj = (q_k/p0)^errors ((1-q_k)/(1-p0))^successes` over the requests from `j` on. The evidence is the mixture
//! `E = sum_k w_k sum_j v_j L_kj` over rates and onsets, where a bet that has not started is worth one. Each bet is a
//! non-negative supermartingale for every true rate at most p0, also a varying one, and so is the mixture. By Ville's
//! inequality it ever reaches 1/alpha with probability at most alpha, however often one looks. Without the onsets a long
//! calm would count as evidence that a storm must first outweigh. All bets on one rate that have started gain and lose by
//! the same factor, so the state is one number for each rate and one for what waits.
//! Source: ARCHITECTURE, reading 5; WLP-MLDEV-001 §8.3; Ville 1939; Ramdas et al., *Game-theoretic statistics and
//! safe anytime-valid inference*, 2023; Shin, Ramdas, Rinaldo, *E-detectors*, 2023 (onsets).

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result, closed_unit, finite, open_unit};
use crate::special::ln_beta;

/// Positions of the alternatives between p0 (0) and 1 (1), each with its weight. Half of the wealth is on
/// error storms, so that three errors in a row are worth 3000 against p0 = 0.05; the rest is spread over
/// milder excesses, down to 1.2 times p0, which need many requests to be seen at all.
const ALTERNATIVES: [(f64, f64); 8] = [
    (0.01, 0.04),
    (0.025, 0.04),
    (0.05, 0.07),
    (0.10, 0.10),
    (0.25, 0.20),
    (0.50, 0.10),
    (0.80, 0.15),
    (0.95, 0.30),
];

/// Number of alternatives.
const RATES: usize = ALTERNATIVES.len();
/// Wealth on bets that start with the first request.
const FROM_START: f64 = 0.3;
/// The wealth that still waits after request `n` falls as `(1 + (n - 1) / ONSET_SCALE)^-ONSET_DECAY`: a good part is spent
/// in the first minutes of a canary, and it is never used up. A step of the ladder begins no bets of its own: then trouble
/// of canary and stable that begins with the step, before stable's requests have shown it, would tell against the canary.
const ONSET_SCALE: f64 = 50.0;
const ONSET_DECAY: f64 = 0.25;
/// No bet is counted as worth more, so that evidence stays a number; far above any level.
const MOST: f64 = 1e300;

/// Sequential test of H0 "the error rate is at most `limit`".
///
/// Two tests of the same stream split over gateways are combined by taking in the other's counts as one batch
/// ([`ErrorBudgetTest::merge`]), and a persisted one goes on where it stopped. Counts must be taken in
/// an order that does not depend on outcomes not yet counted (completion order is fine if failures are not
/// reported ahead of successes of the same age). The largest value ever seen is kept: evidence once strong
/// enough stays so, and the error budget is spent once over the whole rollout, never restarted per step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Stored", into = "Stored")]
pub struct ErrorBudgetTest {
    limit: f64,
    errors: u64,
    requests: u64,
    /// What the bets that have started are worth, by alternative.
    started: [f64; RATES],
    /// Wealth that the schedule of onsets spends: 1, or less where another schedule spent some before.
    reserve: f64,
    /// Wealth that waits now.
    waiting: f64,
    peak_log_e: f64,
}

/// The persisted form, checked before it becomes a test again.
#[derive(Serialize, Deserialize)]
struct Stored {
    limit: f64,
    errors: u64,
    requests: u64,
    /// Logarithms; absent before the first request.
    started: Option<[f64; RATES]>,
    /// Absent in what was stored when onsets had another schedule.
    #[serde(default)]
    reserve: Option<f64>,
    peak_log_e: f64,
}

impl From<ErrorBudgetTest> for Stored {
    fn from(test: ErrorBudgetTest) -> Self {
        // Nothing is worth so little that its logarithm could not be written.
        let logs = test.started.map(|worth| worth.max(f64::MIN_POSITIVE).ln());
        Self {
            limit: test.limit,
            errors: test.errors,
            requests: test.requests,
            started: (test.requests > 0).then_some(logs),
            reserve: Some(test.reserve),
            peak_log_e: test.peak_log_e,
        }
    }
}

impl TryFrom<Stored> for ErrorBudgetTest {
    type Error = Error;

    fn try_from(stored: Stored) -> Result<Self> {
        let mut test = Self::new(stored.limit)?;
        test.observe(stored.errors, stored.requests)?;
        if let (Some(started), true) = (stored.started, stored.requests > 0) {
            finite("started", &started)?;
            test.started = started.map(|log| log.exp().min(MOST));
            let reserve =
                stored.reserve.unwrap_or_else(|| waited_once(stored.requests) / pace(stored.requests));
            closed_unit("reserve", reserve)?;
            test.reserve = reserve;
            test.waiting = reserve * pace(stored.requests);
        }
        finite("peak_log_e", &[stored.peak_log_e])?;
        test.peak_log_e = stored.peak_log_e.max(test.log_e()).max(0.0);
        Ok(test)
    }
}

impl ErrorBudgetTest {
    /// A test with no evidence yet. `limit` is the tolerated error rate, strictly between 0 and 1.
    pub fn new(limit: f64) -> Result<Self> {
        open_unit("limit", limit)?;
        let (started, reserve, waiting) = ([0.0; RATES], 1.0, 1.0);
        Ok(Self { limit, errors: 0, requests: 0, started, reserve, waiting, peak_log_e: 0.0 })
    }

    /// Counts `errors` among `requests` new outcomes as one batch: bets start before it or after it.
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
        self.errors = self.errors.saturating_add(errors);
        self.requests = self.requests.saturating_add(requests);
        let waits = (self.reserve * pace(self.requests)).min(self.waiting);
        let starting = self.waiting - waits;
        self.waiting = waits;
        for (worth, factor) in self.started.iter_mut().zip(ratios(within, errors, requests - errors)) {
            *worth = ((*worth + starting) * factor).min(MOST);
        }
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
        self.e_value().ln()
    }

    /// Evidence against H0 now; 1 without data, at least 1/alpha rejects at level alpha.
    pub fn e_value(&self) -> f64 {
        let betting = ALTERNATIVES.iter().zip(self.started).map(|((_, weight), worth)| weight * worth);
        // What waits is spent so slowly that it never reaches nothing.
        betting.sum::<f64>() + self.waiting.max(f64::MIN_POSITIVE)
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

/// Share of the reserve that waits after so many requests.
fn pace(requests: u64) -> f64 {
    match requests.checked_sub(1) {
        None => 1.0,
        Some(later) => (1.0 - FROM_START) * (1.0 + later as f64 / ONSET_SCALE).powf(-ONSET_DECAY),
    }
}

/// Wealth that waited after so many requests by the schedule of tests that were stored without a reserve. They go on with
/// what they have left: what has started to bet must not wait a second time.
fn waited_once(requests: u64) -> f64 {
    let new = pace(requests);
    requests.checked_sub(1).map_or(1.0, |later| 0.75 * (1.0 + later as f64 / 150.0).powf(-0.5)).min(new)
}

/// What each bet's worth is multiplied by: `q/p` for an error and `(1-q)/(1-p)` for a success, with `q = p + x (1 - p)`
/// at position `x`.
fn ratios(limit: f64, errors: u64, successes: u64) -> [f64; RATES] {
    let odds = (1.0 - limit) / limit;
    ALTERNATIVES.map(|(position, _)| match (errors, successes) {
        (0, 1) => 1.0 - position,
        (1, 0) => 1.0 + position * odds,
        _ => (errors as f64 * (position * odds).ln_1p() + successes as f64 * (-position).ln_1p())
            .exp()
            .min(MOST),
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
        let starting: f64 = (0..10_000).map(|n| pace(n) - pace(n + 1)).sum();
        assert!((starting + pace(10_000) - 1.0).abs() < 1e-9 && pace(u64::MAX) >= 0.0);
        assert!(ErrorBudgetTest::new(0.05).unwrap().log_e().abs() < 1e-12);
    }

    /// As the gateway wrote it when onsets had another schedule.
    #[test]
    fn what_was_stored_by_an_older_schedule_goes_on() {
        let stored = r#"{"limit":0.05,"errors":1,"requests":101,
            "started":[-3.0,-3.0,-3.0,-3.0,-3.0,-3.0,-3.0,-3.0],"peak_log_e":1.5}"#;
        let mut test: ErrorBudgetTest = serde_json::from_str(stored).unwrap();
        let waits = 0.75 / (1.0_f64 + 100.0 / 150.0).sqrt();
        assert!(
            (test.e_value() - waits.min(pace(101)) - (-3.0_f64).exp()).abs() < 1e-9,
            "{}",
            test.e_value()
        );
        assert!((test.peak_log_e() - 1.5).abs() < 1e-12 && test.requests() == 101);
        test.observe(6, 6).unwrap();
        assert!(test.rejects(0.001));
        let again: ErrorBudgetTest = serde_json::from_str(&serde_json::to_string(&test).unwrap()).unwrap();
        assert!((again.log_e() - test.log_e()).abs() < 1e-9);
    }

    /// However much is counted at once, evidence is a number.
    #[test]
    fn evidence_stays_a_number() {
        let mut test = ErrorBudgetTest::new(0.05).unwrap();
        for (errors, requests) in [(0, 1 << 40), (1 << 40, 1 << 40), (0, 1 << 60), (1 << 60, 1 << 61), (0, 1)]
        {
            test.observe(errors, requests).unwrap();
            assert!(test.log_e().is_finite() && test.peak_log_e().is_finite());
            let text = serde_json::to_string(&test).unwrap();
            assert!(serde_json::from_str::<ErrorBudgetTest>(&text).unwrap().log_e().is_finite(), "{text}");
        }
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
            r#"{"limit":0.05,"errors":0,"requests":1,"started":[0,0,0,0,0,0,0,0],"reserve":1.5,"peak_log_e":0}"#,
        ] {
            assert!(serde_json::from_str::<ErrorBudgetTest>(stored).is_err());
        }
    }
}
