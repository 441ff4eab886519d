//! The most frequent values of a stream, mergeable, exact while they are few (Misra, Gries 1982).

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// A value, its hash and what was counted of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry<T> {
    /// The hash that tells it from others.
    pub hash: u64,
    /// Counted occurrences; the true number is at most [`Frequent::error`] larger.
    pub count: u64,
    /// The value.
    pub item: T,
}

/// Counts of at most `capacity` values.
///
/// When there are more, the median of the counts is taken off all of them and what is left with nothing goes. The sum of what was
/// taken off is the error: each count is at most that much too small, and a value that is not there occurred at most that
/// often. Until then all counts, and the number of different values, are exact. Values are told apart by a 64-bit hash.
/// Source: Misra, Gries 1982; taking off the median is Anderson et al. 2017.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Wire<T>", into = "Wire<T>")]
#[serde(bound(serialize = "T: Serialize + Clone", deserialize = "T: Deserialize<'de>"))]
pub struct Frequent<T> {
    capacity: usize,
    entries: Vec<Entry<T>>,
    /// Place of an entry plus one by the hash; a power of two of them, at most half taken.
    places: Vec<u32>,
    error: u64,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct Wire<T> {
    pub(crate) capacity: usize,
    pub(crate) entries: Vec<Entry<T>>,
    pub(crate) error: u64,
}

impl<T> From<Frequent<T>> for Wire<T> {
    fn from(frequent: Frequent<T>) -> Self {
        Self { capacity: frequent.capacity, entries: frequent.entries, error: frequent.error }
    }
}

impl<T> TryFrom<Wire<T>> for Frequent<T> {
    type Error = Error;

    fn try_from(wire: Wire<T>) -> Result<Self> {
        let mut made = Self::new(wire.capacity)?;
        if wire.capacity < wire.entries.len() {
            return Err(Error::BinMismatch { why: "more frequent values than their capacity" });
        }
        made.error = wire.error;
        for entry in wire.entries {
            let before = made.entries.len();
            made.add(entry.hash, entry.count, || entry.item);
            if made.entries.len() == before {
                return Err(Error::BinMismatch { why: "a frequent value stands twice" });
            }
        }
        Ok(made)
    }
}

impl<T> Frequent<T> {
    /// Room for `capacity` values: 1 to 1048576.
    pub fn new(capacity: usize) -> Result<Self> {
        if !(1..=1 << 20).contains(&capacity) {
            return Err(Error::OutOfRange {
                what: "capacity",
                value: capacity as f64,
                expected: "1 to 1048576",
            });
        }
        Ok(Self { capacity, entries: Vec::new(), places: vec![0; 16], error: 0 })
    }

    /// Counts a value `count` times; `item` is asked for where it is not among the counted ones.
    #[inline]
    pub fn add(&mut self, hash: u64, count: u64, item: impl FnOnce() -> T) {
        if let Some(at) = self.seen(hash, count) {
            self.insert(at, Entry { hash, count, item: item() });
        }
    }

    /// Counts a value unless it is new and there is no room: then nothing changes, and the answer is `false`.
    ///
    /// A caller that derives more from the exact counts takes them over before the first is lost.
    #[inline]
    pub fn add_exact(&mut self, hash: u64, count: u64, item: impl FnOnce() -> T) -> bool {
        let Some(at) = self.seen(hash, count) else { return true };
        if self.capacity == self.entries.len() {
            return false;
        }
        self.insert(at, Entry { hash, count, item: item() });
        true
    }

    /// Counts a value that is among the counted ones, or names the place for a new one.
    #[inline]
    fn seen(&mut self, hash: u64, count: u64) -> Option<usize> {
        let mask = self.places.len() - 1;
        let mut at = hash as usize & mask;
        loop {
            match self.places[at] {
                0 => return Some(at),
                place if self.entries[place as usize - 1].hash == hash => {
                    self.entries[place as usize - 1].count += count;
                    return None;
                }
                _ => at = (at + 1) & mask,
            }
        }
    }

    fn insert(&mut self, at: usize, entry: Entry<T>) {
        self.entries.push(entry);
        self.places[at] = self.entries.len() as u32;
        if self.capacity < self.entries.len() {
            self.take_off();
        } else if self.places.len() < 2 * self.entries.len() {
            self.place(2 * self.places.len());
        }
    }

    /// Adds what another has counted.
    pub fn merge(&mut self, other: Self) {
        self.error += other.error;
        for entry in other.entries {
            self.add(entry.hash, entry.count, || entry.item);
        }
    }

    /// By how much a count may be too small; 0 means that nothing was ever taken off: all counts are exact.
    pub fn error(&self) -> u64 {
        self.error
    }

    /// The counted values, in the order in which they came.
    pub fn entries(&self) -> &[Entry<T>] {
        &self.entries
    }

    /// The `top` most frequent ones, the most frequent first; of equals the one with the smaller hash.
    pub fn top(&self, top: usize) -> Vec<&Entry<T>> {
        let mut order: Vec<&Entry<T>> = self.entries.iter().collect();
        order.sort_unstable_by(|a, b| b.count.cmp(&a.count).then(a.hash.cmp(&b.hash)));
        order.truncate(top);
        order
    }

    fn take_off(&mut self) {
        let mut counts: Vec<u64> = self.entries.iter().map(|entry| entry.count).collect();
        let middle = counts.len() / 2;
        let median = *counts.select_nth_unstable(middle).1;
        self.error += median;
        self.entries.retain_mut(|entry| {
            entry.count = entry.count.saturating_sub(median);
            entry.count > 0
        });
        self.place(self.places.len());
    }

    fn place(&mut self, length: usize) {
        self.places.clear();
        self.places.resize(length, 0);
        for (place, entry) in self.entries.iter().enumerate() {
            let mut at = entry.hash as usize & (length - 1);
            while self.places[at] != 0 {
                at = (at + 1) & (length - 1);
            }
            self.places[at] = place as u32 + 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hashing::of_integer;
    use proptest::collection::vec;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn of(values: &[i64], capacity: usize) -> Frequent<i64> {
        let mut frequent = Frequent::new(capacity).unwrap();
        values.iter().for_each(|value| frequent.add(of_integer(*value), 1, || *value));
        frequent
    }

    #[test]
    fn few_values_are_exact() {
        let frequent = of(&[1, 2, 2, 3, 3, 3], 4);
        assert_eq!((frequent.error(), frequent.entries().len()), (0, 3));
        let top: Vec<_> = frequent.top(2).into_iter().map(|entry| (entry.item, entry.count)).collect();
        assert_eq!(top, [(3, 3), (2, 2)]);
        assert!(Frequent::<i64>::new(0).is_err());
        let mut full = of(&[1, 2], 2);
        assert!(full.add_exact(of_integer(2), 1, || 2) && !full.add_exact(of_integer(3), 1, || 3));
        assert_eq!((full.error(), full.entries().len(), full.top(1)[0].count), (0, 2, 2));
    }

    #[test]
    fn stored_and_read_again() {
        let frequent = of(&[5, 5, 7], 8);
        let text = serde_json::to_string(&frequent).unwrap();
        assert_eq!(serde_json::from_str::<Frequent<i64>>(&text).unwrap(), frequent);
        let twice = r#"{"capacity":4,"error":0,"entries":[{"hash":1,"count":1,"item":1},{"hash":1,"count":1,"item":1}]}"#;
        assert!(serde_json::from_str::<Frequent<i64>>(twice).is_err());
    }

    proptest! {
        /// Each count is between what is said and what is said plus the error, in one stream and in merged parts.
        #[test]
        fn counts_are_within_the_error(parts in vec(vec(0_i64..40, 0..200), 1..5), capacity in 1_usize..60) {
            let mut exact: BTreeMap<i64, u64> = BTreeMap::new();
            parts.iter().flatten().for_each(|value| *exact.entry(*value).or_default() += 1);
            let mut merged = Frequent::new(capacity).unwrap();
            parts.iter().for_each(|part| merged.merge(of(part, capacity)));
            for frequent in [merged, of(&parts.concat(), capacity)] {
                prop_assert!(frequent.entries().len() <= capacity);
                for (value, count) in &exact {
                    let told = frequent.entries().iter().find(|it| it.item == *value).map_or(0, |it| it.count);
                    prop_assert!(told <= *count && *count <= told + frequent.error(), "{value}: {told} {count}");
                }
                if exact.len() <= capacity {
                    prop_assert_eq!(frequent.error(), 0);
                    prop_assert_eq!(frequent.entries().len(), exact.len());
                }
            }
        }
    }
}
