//! Rows by the value of a column of few values: how much is missing in each, and how labels lie in them.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use super::duplicates::{OTHER, name_group};

/// Different values at most; with more the column is no group column. Each has a name in the hash of a row.
const LEVELS: usize = super::duplicates::OTHER as usize;

/// Names of the values of one group column, as they appear in the hashes of rows: a value keeps its name, whichever thread met
/// it first. Which name it is says nothing.
#[derive(Debug, Default)]
pub struct Names(Mutex<HashMap<u64, u8>>);

impl Names {
    /// Puts each row's group into its tag.
    pub fn put(&self, column: usize, hashes: &[u64], tags: &mut [u64]) {
        let mut names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (hash, tag) in hashes.iter().zip(tags) {
            let name = match names.get(hash) {
                Some(name) => *name,
                // A value that came when all names were given has none, each time.
                None if names.len() < LEVELS => {
                    let name = names.len() as u8;
                    names.insert(*hash, name);
                    name
                }
                None => OTHER,
            };
            name_group(tag, column, name);
        }
    }

    /// The name of a value.
    pub fn of(&self, hash: u64) -> Option<u8> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&hash).copied()
    }
}

/// Counts by the values of one column, which are named by their hash.
#[derive(Debug, Clone, Default)]
pub struct Groups {
    /// Place of each value in `levels`.
    places: HashMap<u64, usize>,
    /// Hash of the value and rows that have it, in order of appearance.
    pub levels: Vec<(u64, u64)>,
    /// For each level and column, rows without a value.
    pub missing: Vec<Vec<u64>>,
    /// For each level, rows by the hash of the label.
    pub labels: Vec<HashMap<u64, u64>>,
    /// There were too many values.
    pub too_many: bool,
    columns: usize,
}

impl Groups {
    /// Nothing seen, of so many columns.
    pub fn new(columns: usize) -> Self {
        Self { columns, ..Self::default() }
    }

    fn place(&mut self, hash: u64) -> usize {
        if let Some(place) = self.places.get(&hash) {
            return *place;
        }
        let place = self.levels.len();
        self.places.insert(hash, place);
        self.levels.push((hash, 0));
        self.missing.push(vec![0; self.columns]);
        self.labels.push(HashMap::new());
        self.too_many = LEVELS < self.levels.len();
        place
    }

    /// The level of each row, by the hashes of the group column; counts them.
    pub fn begin(&mut self, hashes: &[u64], levels: &mut Vec<usize>) {
        levels.clear();
        for hash in hashes {
            if self.too_many {
                return levels.clear();
            }
            let place = self.place(*hash);
            self.levels[place].1 += 1;
            levels.push(place);
        }
    }

    /// Counts the rows without a value in a column.
    pub fn add_missing(&mut self, column: usize, missing: &[bool], levels: &[usize]) {
        for (level, _) in levels.iter().zip(missing).filter(|(_, missing)| **missing) {
            self.missing[*level][column] += 1;
        }
    }

    /// Counts labels.
    pub fn add_labels(&mut self, labels: &[u64], levels: &[usize]) {
        for (level, label) in levels.iter().zip(labels) {
            *self.labels[*level].entry(*label).or_default() += 1;
        }
    }

    /// Adds what came after.
    pub fn merge(&mut self, later: &Self) {
        if self.too_many || later.too_many {
            *self = Self { too_many: true, columns: self.columns, ..Self::default() };
            return;
        }
        for (at, (hash, rows)) in later.levels.iter().enumerate() {
            let place = self.place(*hash);
            self.levels[place].1 += rows;
            self.missing[place].iter_mut().zip(&later.missing[at]).for_each(|(a, b)| *a += b);
            for (label, count) in &later.labels[at] {
                *self.labels[place].entry(*label).or_default() += count;
            }
        }
        if self.too_many {
            *self = Self { too_many: true, columns: self.columns, ..Self::default() };
        }
    }
}
