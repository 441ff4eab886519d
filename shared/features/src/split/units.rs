//! What stays together: a label for each row, and the union of several such labellings.

use std::collections::HashMap;
use std::hash::Hash;

use crate::error::{Error, Result};

/// Disjoint sets over `0..n`, the smallest member of a set being its name.
#[derive(Debug, Clone)]
pub struct UnionFind(Vec<u32>);

impl UnionFind {
    /// Each element alone.
    pub fn new(elements: usize) -> Self {
        Self((0..elements as u32).collect())
    }

    /// The smallest member of the element's set.
    pub fn find(&mut self, mut element: u32) -> u32 {
        while self.0[element as usize] != element {
            let above = self.0[element as usize];
            self.0[element as usize] = self.0[above as usize]; // halve the path
            element = above;
        }
        element
    }

    /// Joins two sets; whether they were two.
    pub fn union(&mut self, a: u32, b: u32) -> bool {
        let (a, b) = (self.find(a), self.find(b));
        self.0[a.max(b) as usize] = a.min(b);
        a != b
    }
}

/// For each row the number of its unit. Units are numbered from 0 in the order of their first rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Units {
    of: Vec<u32>,
    first: Vec<u32>,
}

impl Units {
    /// Rows at most: numbers of rows have 32 bits.
    pub const MOST_ROWS: usize = u32::MAX as usize - 1;

    /// Every row is a unit of its own.
    ///
    /// # Errors
    /// [`Error::Parameter`] for more than [`Units::MOST_ROWS`] rows, as everywhere here.
    pub fn single(rows: usize) -> Result<Self> {
        Self::check(rows)?;
        let of: Vec<u32> = (0..rows as u32).collect();
        Ok(Self { first: of.clone(), of })
    }

    /// Rows with equal labels belong together.
    ///
    /// # Errors
    /// As [`Units::single`].
    pub fn of_labels<T: Eq + Hash>(labels: impl IntoIterator<Item = T>) -> Result<Self> {
        let (mut seen, mut of, mut first) = (HashMap::new(), Vec::new(), Vec::new());
        for (row, label) in labels.into_iter().enumerate() {
            Self::check(row)?;
            let unit = *seen.entry(label).or_insert_with(|| {
                first.push(row as u32);
                first.len() as u32 - 1
            });
            of.push(unit);
        }
        Ok(Self { of, first })
    }

    /// The sets of a union-find over the rows.
    pub fn of_sets(mut sets: UnionFind) -> Self {
        let (rows, mut of, mut first) = (sets.0.len(), Vec::new(), Vec::new());
        for row in 0..rows as u32 {
            let name = sets.find(row);
            if name == row {
                of.push(first.len() as u32);
                first.push(row);
            } else {
                of.push(of[name as usize]); // the name is smaller, so it was numbered before
            }
        }
        Self { of, first }
    }

    /// The finest units that tear neither these nor those apart: a row's group and its near-duplicates stay together.
    ///
    /// # Errors
    /// [`Error::Parameter`] if the numbers of rows differ.
    pub fn joined(&self, other: &Self) -> Result<Self> {
        if self.of.len() != other.of.len() {
            let why = format!("units of {} and of {} rows", self.of.len(), other.of.len());
            return Err(Error::Parameter { column: "splits".into(), why });
        }
        let mut sets = UnionFind::new(self.of.len());
        for units in [self, other] {
            for (row, unit) in units.of.iter().enumerate() {
                sets.union(row as u32, units.first[*unit as usize]);
            }
        }
        Ok(Self::of_sets(sets))
    }

    /// The unit of each row.
    pub fn of_rows(&self) -> &[u32] {
        &self.of
    }

    /// The first row of each unit.
    pub fn first_rows(&self) -> &[u32] {
        &self.first
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.of.len()
    }

    /// Number of units.
    pub fn len(&self) -> usize {
        self.first.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.of.is_empty()
    }

    /// Rows of each unit.
    pub fn sizes(&self) -> Vec<u64> {
        let mut sizes = vec![0; self.len()];
        for unit in &self.of {
            sizes[*unit as usize] += 1;
        }
        sizes
    }

    fn check(rows: usize) -> Result<()> {
        if Self::MOST_ROWS < rows {
            let why = format!("{rows} rows, at most {} are split", Self::MOST_ROWS);
            return Err(Error::Parameter { column: "splits".into(), why });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn joined_units_tear_neither_apart() {
        let groups = Units::of_labels(["a", "a", "b", "c", "b", "d"]).unwrap();
        let twins = Units::of_labels([0, 1, 1, 2, 3, 4]).unwrap();
        let joined = groups.joined(&twins).unwrap();
        assert_eq!(joined.of_rows(), [0, 0, 0, 1, 0, 2]);
        assert_eq!((joined.first_rows(), joined.sizes()), ([0, 3, 5].as_slice(), vec![4, 1, 1]));
        assert!(groups.joined(&Units::single(5).unwrap()).is_err());
    }
}
