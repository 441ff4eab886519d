//! Outcomes that count for a verdict.

use serde::{Deserialize, Serialize};

/// Errors among requests, of canary and stable.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Model faults of the canary.
    pub canary_errors: u64,
    /// Requests that the canary answered or failed by itself.
    pub canary_requests: u64,
    /// Model faults of stable.
    pub stable_errors: u64,
    /// Requests that stable answered or failed by itself.
    pub stable_requests: u64,
}

impl Counts {
    /// The sum of both.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        self.each(other, u64::saturating_add)
    }

    /// What is new since `earlier`; nothing where a counter went back (its gateway lost its disk).
    #[must_use]
    pub fn since(self, earlier: Self) -> Self {
        self.each(earlier, u64::saturating_sub)
    }

    /// The smaller of both, each by each.
    #[must_use]
    pub fn at_most(self, other: Self) -> Self {
        self.each(other, u64::min)
    }

    fn each(self, other: Self, with: impl Fn(u64, u64) -> u64) -> Self {
        Self {
            canary_errors: with(self.canary_errors, other.canary_errors),
            canary_requests: with(self.canary_requests, other.canary_requests),
            stable_errors: with(self.stable_errors, other.stable_errors),
            stable_requests: with(self.stable_requests, other.stable_requests),
        }
    }
}
