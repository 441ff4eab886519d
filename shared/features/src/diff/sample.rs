//! A sample of a table's rows: those whose keys' hashes are smallest. It does not depend on batches, and both sides sample
//! the same keys, so that equal tables have equal samples. Without keys a row's place is its key.

use std::collections::HashSet;

use crate::column::Values;

/// Bytes of a text that are kept.
const TEXT: usize = 256;

/// The values of one column.
pub(super) enum Column {
    Numbers(Vec<f64>),
    Texts(Vec<Option<String>>),
}

pub(super) struct Sample {
    most: usize,
    below: u128,
    keys: Vec<u128>,
    pub(super) columns: Vec<Column>,
}

impl Sample {
    /// `numeric` has one entry for each column.
    pub(super) fn new(most: usize, numeric: &[bool]) -> Self {
        let column =
            |numeric: &bool| if *numeric { Column::Numbers(Vec::new()) } else { Column::Texts(Vec::new()) };
        Self { most, below: u128::MAX, keys: Vec::new(), columns: numeric.iter().map(column).collect() }
    }

    /// Takes the rows of a batch, `columns` in the order of the sample's.
    pub(super) fn add(&mut self, keys: &[u128], columns: &[Values<'_>]) {
        for (row, key) in keys.iter().enumerate() {
            if self.below <= *key {
                continue;
            }
            self.keys.push(*key);
            for (own, values) in self.columns.iter_mut().zip(columns) {
                match own {
                    Column::Numbers(numbers) => numbers.push(values.number(row).unwrap_or(f64::NAN)),
                    Column::Texts(texts) => texts.push(values.text(row).map(|text| beginning(&text))),
                }
            }
            if 2 * self.most.max(1) <= self.keys.len() {
                self.prune();
            }
        }
    }

    /// Keeps the rows of the smallest keys.
    fn prune(&mut self) {
        if self.keys.len() <= self.most {
            return;
        }
        let mut sorted = self.keys.clone();
        let (_, bound, _) = sorted.select_nth_unstable(self.most);
        self.below = *bound;
        let keep: Vec<bool> = self.keys.iter().map(|key| key < bound).collect();
        self.retain(&keep);
    }

    /// Ends the sample: of rows with one key the first is kept, because they are sampled together and say nothing new.
    pub(super) fn finish(&mut self) {
        self.prune();
        let mut seen = HashSet::new();
        let keep: Vec<bool> = self.keys.iter().map(|key| seen.insert(*key)).collect();
        self.retain(&keep);
    }

    fn retain(&mut self, keep: &[bool]) {
        retain(&mut self.keys, keep);
        for column in &mut self.columns {
            match column {
                Column::Numbers(numbers) => retain(numbers, keep),
                Column::Texts(texts) => retain(texts, keep),
            }
        }
    }

    pub(super) fn rows(&self) -> u64 {
        self.keys.len() as u64
    }
}

fn retain<T>(items: &mut Vec<T>, keep: &[bool]) {
    let mut keep = keep.iter();
    items.retain(|_| keep.next().copied().unwrap_or(false));
}

fn beginning(text: &str) -> String {
    let mut end = text.len().min(TEXT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}
