//! Errors among requests: how likely they are under a rate, and which rates they refute.

use std::f64::consts::PI;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::special::ln_beta;

/// With this probability the true rate is at some look above [`Counts::upper`].
const DOUBT: f64 = 1e-5;

/// Errors among requests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Counts {
    pub(crate) errors: u64,
    pub(crate) requests: u64,
}

impl Counts {
    pub(crate) fn add(&mut self, errors: u64, requests: u64) -> Result<()> {
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

    pub(crate) fn plus(self, other: Self) -> Self {
        Self {
            errors: self.errors.saturating_add(other.errors),
            requests: self.requests.saturating_add(other.requests),
        }
    }

    pub(crate) fn rate(self) -> f64 {
        if self.requests == 0 { 0.0 } else { self.errors as f64 / self.requests as f64 }
    }

    pub(crate) fn log_likelihood(self, rate: f64) -> f64 {
        let term = |count: u64, p: f64| if count == 0 { 0.0 } else { count as f64 * p.ln() };
        term(self.errors, rate) + term(self.requests - self.errors, 1.0 - rate)
    }

    pub(crate) fn log_mixture(self) -> f64 {
        let errors = self.errors as f64;
        ln_beta(errors + 0.5, (self.requests - self.errors) as f64 + 0.5) - PI.ln()
    }

    /// The largest rate that these counts do not refute, or `floor` where that is larger: above the true rate at every look
    /// at once, but with probability [`DOUBT`] (the same mixture against each single rate, and Ville's inequality). For a
    /// rate that varies it bounds the mean.
    pub(crate) fn upper(self, floor: f64) -> f64 {
        if self.requests == 0 || floor >= 1.0 {
            return 1.0;
        }
        let refuted = self.log_mixture() + DOUBT.ln();
        if floor > self.rate() && self.log_likelihood(floor) <= refuted {
            return floor;
        }
        let (mut low, mut high) = (self.rate(), 1.0);
        for _ in 0..40 {
            let middle = 0.5 * (low + high);
            if self.log_likelihood(middle) <= refuted { high = middle } else { low = middle }
        }
        high.max(floor)
    }
}

/// Errors among about the last [`MEMORY`] requests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Recent {
    pub(crate) errors: f64,
    pub(crate) requests: f64,
}

/// Requests after which an outcome weighs a third.
const MEMORY: f64 = 200.0;

impl Recent {
    pub(crate) fn add(&mut self, errors: u64, requests: u64) {
        if requests == 0 {
            return;
        }
        let fades = (-(requests as f64) / MEMORY).exp();
        let weight = MEMORY * (1.0 - fades);
        self.errors = self.errors * fades + weight * (errors as f64 / requests as f64);
        self.requests = self.requests * fades + weight;
    }

    pub(crate) fn rate(self) -> f64 {
        if self.requests > 0.0 { self.errors / self.requests } else { 0.0 }
    }
}
