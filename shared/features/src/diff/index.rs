//! Hashes of one side's rows, found by key: open addressing over flat columns, so that a row costs its bytes and no more.

use super::prepare::Hashed;
use crate::error::{Error, Result};

/// No row.
const NONE: u32 = u32::MAX;

/// Rows as columns of hashes.
#[derive(Default)]
pub(super) struct Rows {
    pub(super) keys: Vec<u128>,
    pub(super) rows: Vec<u128>,
    pub(super) cells: Vec<u64>,
    pub(super) splits: Vec<u16>,
    pub(super) places: Vec<u64>,
    width: usize,
}

impl Rows {
    pub(super) fn new(width: usize) -> Self {
        Self { width, ..Self::default() }
    }

    pub(super) fn push(&mut self, hashed: &Hashed, row: usize, place: u64) {
        self.keys.push(hashed.keys[row]);
        self.rows.push(hashed.rows[row]);
        self.cells.extend_from_slice(&hashed.cells[row * self.width..(row + 1) * self.width]);
        self.splits.push(hashed.splits[row]);
        self.places.push(place);
    }

    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    /// The values of a row.
    pub(super) fn cells(&self, row: usize) -> &[u64] {
        &self.cells[row * self.width..(row + 1) * self.width]
    }

    /// Bytes in use, with those of the index over them.
    pub(super) fn bytes(&self) -> usize {
        self.len() * (16 + 16 + 8 * self.width + 2 + 8 + 4 + 8 + 1)
    }
}

/// Rows found by their key; the rows of one key are a chain.
pub(super) struct Index {
    slots: Vec<u32>,
    next: Vec<u32>,
    mask: usize,
    /// Keys that differ.
    pub(super) distinct: u64,
}

impl Index {
    pub(super) fn new(rows: &Rows) -> Result<Self> {
        if NONE as usize <= rows.len() {
            return Err(Error::Arrow(format!("{} rows at a time are too many", rows.len())));
        }
        let size = (rows.len() * 2).next_power_of_two().max(2);
        let mut index =
            Self { slots: vec![NONE; size], next: vec![NONE; rows.len()], mask: size - 1, distinct: 0 };
        for (row, key) in rows.keys.iter().enumerate() {
            let slot = index.slot(rows, *key);
            index.distinct += u64::from(index.slots[slot] == NONE);
            index.next[row] = index.slots[slot];
            index.slots[slot] = row as u32;
        }
        Ok(index)
    }

    /// The slot of a key, or the free one where it would be.
    fn slot(&self, rows: &Rows, key: u128) -> usize {
        let mut slot = key as usize & self.mask;
        while self.slots[slot] != NONE && rows.keys[self.slots[slot] as usize] != key {
            slot = (slot + 1) & self.mask;
        }
        slot
    }

    /// The first row of a key's chain.
    pub(super) fn head(&self, rows: &Rows, key: u128) -> Option<u32> {
        Some(self.slots[self.slot(rows, key)]).filter(|row| *row != NONE)
    }

    /// Whether a row is the last of its chain.
    pub(super) fn is_last(&self, row: u32) -> bool {
        self.next[row as usize] == NONE
    }

    /// The rows of a chain.
    pub(super) fn chain(&self, head: u32) -> impl Iterator<Item = u32> + '_ {
        std::iter::successors(Some(head), |row| Some(self.next[*row as usize]).filter(|row| *row != NONE))
    }
}
