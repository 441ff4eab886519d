//! How requests came out, counted.

use std::collections::BTreeMap;
use std::fmt;

/// Reason of the gateway for what the canary of a first version does not take: there is nothing else to give it to.
const UNROUTED: &str = "NO_STABLE_VERSION";

/// How a burst came out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Burst {
    /// Answers by version.
    pub answered: BTreeMap<String, u64>,
    /// Refusals and failures by code and reason.
    pub failed: BTreeMap<String, u64>,
    /// Answers to pictures as the data has them, compared with the digit that was meant.
    pub compared: u64,
    /// Of them, those that are right.
    pub right: u64,
}

impl Burst {
    /// Answers of all versions.
    pub fn answers(&self) -> u64 {
        self.answered.values().sum()
    }

    /// Requests without an answer.
    pub fn failures(&self) -> u64 {
        self.failed.values().sum()
    }

    /// Requests without an answer although a version was there to give one.
    pub fn faults(&self) -> u64 {
        self.failures() - self.failed.get(UNROUTED).copied().unwrap_or_default()
    }

    /// Share of the compared answers that are right; none without any.
    pub fn accuracy(&self) -> Option<f64> {
        (0 < self.compared).then(|| self.right as f64 / self.compared as f64)
    }

    /// Adds another.
    pub fn add(&mut self, other: &Self) {
        (self.compared, self.right) = (self.compared + other.compared, self.right + other.right);
        for (sum, part) in [(&mut self.answered, &other.answered), (&mut self.failed, &other.failed)] {
            for (name, count) in part {
                *sum.entry(name.clone()).or_default() += count;
            }
        }
    }
}

impl fmt::Display for Burst {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = self.answered.iter().chain(&self.failed);
        let parts: Vec<_> = parts.map(|(name, count)| format!("{name}: {count}")).collect();
        write!(f, "{}", if parts.is_empty() { "no requests".to_owned() } else { parts.join(", ") })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_first_canary_does_not_take_is_no_fault() {
        let failed = BTreeMap::from([(UNROUTED.to_owned(), 19), ("MODEL_FAULT".to_owned(), 2)]);
        let burst = Burst { failed, compared: 4, right: 3, ..Burst::default() };
        assert_eq!((burst.failures(), burst.faults(), burst.accuracy()), (21, 2, Some(0.75)));
    }
}
