//! Counts of categories over the levels of a reference, mergeable, of bounded size.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Counts of known levels, of everything else, and of absent values.
///
/// The levels are fixed by the reference (its most frequent ones), so that memory does not grow with what
/// callers send; a level never seen in the reference lands in `other`, where a new value shows as a shift.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Categories {
    levels: Vec<String>,
    counts: Vec<u64>,
    other: u64,
    missing: u64,
}

impl Categories {
    /// An empty counter over `levels` (sorted and deduplicated here).
    pub fn new<S: Into<String>>(levels: impl IntoIterator<Item = S>) -> Self {
        let mut levels: Vec<String> = levels.into_iter().map(Into::into).collect();
        levels.sort();
        levels.dedup();
        Self { counts: vec![0; levels.len()], levels, other: 0, missing: 0 }
    }

    /// A reference: the `top` most frequent levels of `counts` (ties by name), the rest summed as other.
    pub fn from_reference(counts: &BTreeMap<String, u64>, missing: u64, top: usize) -> Result<Self> {
        if counts.is_empty() {
            return Err(Error::Empty { what: "counts" });
        }
        let mut order: Vec<(&String, u64)> = counts.iter().map(|(level, count)| (level, *count)).collect();
        order.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
        let mut reference = Self::new(order.iter().take(top).map(|(level, _)| (*level).clone()));
        reference.missing = missing;
        for (level, count) in counts {
            reference.add(level, *count);
        }
        Ok(reference)
    }

    /// A counter with known counts, for example from the wire; `levels` ascend.
    pub fn from_counts(levels: Vec<String>, counts: Vec<u64>, other: u64, missing: u64) -> Result<Self> {
        if levels.len() != counts.len() || levels.windows(2).any(|l| l[0] >= l[1]) {
            return Err(Error::BinMismatch { why: "levels must ascend, one count each" });
        }
        Ok(Self { levels, counts, other, missing })
    }

    /// An empty counter over the same levels.
    #[must_use]
    pub fn empty_like(&self) -> Self {
        Self { counts: vec![0; self.levels.len()], levels: self.levels.clone(), other: 0, missing: 0 }
    }

    /// Counts `count` values of one level.
    pub fn add(&mut self, level: &str, count: u64) {
        match self.levels.binary_search_by(|l| l.as_str().cmp(level)) {
            Ok(i) => self.counts[i] += count,
            Err(_) => self.other += count,
        }
    }

    /// Counts values that were absent.
    pub fn add_missing(&mut self, count: u64) {
        self.missing += count;
    }

    /// Adds the counts of another counter over the same levels.
    pub fn merge(&mut self, other: &Self) -> Result<()> {
        if self.levels != other.levels {
            return Err(Error::BinMismatch { why: "the counters have different levels" });
        }
        self.counts.iter_mut().zip(&other.counts).for_each(|(a, b)| *a += b);
        self.other += other.other;
        self.missing += other.missing;
        Ok(())
    }

    /// Known levels, ascending.
    pub fn levels(&self) -> &[String] {
        &self.levels
    }

    /// Counts of the known levels, then of all others: what drift is computed from.
    pub fn bins(&self) -> Vec<u64> {
        self.counts.iter().copied().chain([self.other]).collect()
    }

    /// Count of levels outside the known ones.
    pub fn other(&self) -> u64 {
        self.other
    }

    /// Values that were absent.
    pub fn missing(&self) -> u64 {
        self.missing
    }

    /// Values present.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum::<u64>() + self.other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tail_becomes_other() {
        let counts = BTreeMap::from([("a".to_owned(), 5), ("b".to_owned(), 1), ("c".to_owned(), 3)]);
        let reference = Categories::from_reference(&counts, 2, 2).unwrap();
        assert_eq!(reference.levels(), ["a", "c"]);
        assert_eq!(reference.bins(), [5, 3, 1]);
        let mut current = reference.empty_like();
        current.add("new", 1);
        assert_eq!(current.bins(), [0, 0, 1]);
    }
}
