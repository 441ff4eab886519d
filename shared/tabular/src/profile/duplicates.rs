//! How many rows equal an earlier one: 128-bit hashes, in parts by their first byte, beyond a budget in a temporary file.

use std::fs::File;
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};

use serde::Serialize;

/// Parts; each is counted by itself.
const PARTS: usize = 256;
/// Hashes that are kept in memory, 16 bytes each.
const BUDGET: usize = 4 << 20;

/// Bits that name the group of a row in one group column.
const GROUP_BITS: u32 = 6;
/// Group columns whose groups a hash can name; the 74 bits before them tell rows apart.
pub const GROUP_COLUMNS: usize = 9;
/// Name of a group that has none of its own.
pub const OTHER: u8 = (1 << GROUP_BITS) - 1;

/// A hash that ends with the names of its row's groups, by which duplicates are counted. Equal rows are of equal groups.
pub fn tagged(hash: u128, tag: u64) -> u128 {
    let mask = (1 << (GROUP_BITS as usize * GROUP_COLUMNS)) - 1;
    hash & !mask | u128::from(tag)
}

/// Puts the name of a group into a tag.
pub fn name_group(tag: &mut u64, column: usize, group: u8) {
    *tag |= u64::from(group.min(OTHER)) << (GROUP_BITS as usize * column);
}

/// The name of a group in a hash.
pub fn group_of(hash: u128, column: usize) -> u8 {
    (hash >> (GROUP_BITS as usize * column)) as u8 & OTHER
}

/// Hashes of rows or keys. Which rows are equal does not depend on their order, so threads may add in any.
///
/// Two different rows are taken as equal with a probability of about `rows^2 / 2^129`, or `rows^2 / 2^75` where hashes name
/// groups.
pub struct Duplicates {
    parts: Vec<Vec<u128>>,
    held: usize,
    budget: usize,
    spilled: Option<Spilled>,
    count: u64,
}

struct Spilled {
    file: File,
    /// Part, place in the file and number of hashes.
    pieces: Vec<(usize, u64, usize)>,
    end: u64,
}

/// What was counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Repeats {
    /// Rows in all.
    pub rows: u64,
    /// Rows that equal an earlier one.
    pub duplicates: u64,
    /// Different rows that occur more than once.
    pub groups: u64,
    /// How often the most frequent row occurs.
    pub most: u64,
}

impl Default for Duplicates {
    fn default() -> Self {
        Self::new(BUDGET)
    }
}

impl Duplicates {
    /// Keeps so many hashes in memory.
    pub fn new(budget: usize) -> Self {
        Self { parts: vec![Vec::new(); PARTS], held: 0, budget, spilled: None, count: 0 }
    }

    /// Takes hashes.
    ///
    /// # Errors
    /// If the temporary file cannot be written.
    pub fn add(&mut self, hashes: &[u128]) -> io::Result<()> {
        for hash in hashes {
            self.parts[(hash >> 120) as usize].push(*hash);
        }
        self.held += hashes.len();
        self.count += hashes.len() as u64;
        if self.budget < self.held { self.spill() } else { Ok(()) }
    }

    fn spill(&mut self) -> io::Result<()> {
        if self.spilled.is_none() {
            self.spilled = Some(Spilled { file: tempfile::tempfile()?, pieces: Vec::new(), end: 0 });
        }
        let Some(spilled) = &mut self.spilled else { return Ok(()) };
        let mut writer = BufWriter::with_capacity(1 << 18, &spilled.file);
        for (part, hashes) in self.parts.iter_mut().enumerate().filter(|(_, hashes)| !hashes.is_empty()) {
            for hash in hashes.iter() {
                writer.write_all(&hash.to_le_bytes())?;
            }
            spilled.pieces.push((part, spilled.end, hashes.len()));
            spilled.end += hashes.len() as u64 * 16;
            hashes.clear();
        }
        writer.flush()?;
        self.held = 0;
        Ok(())
    }

    /// Counts.
    ///
    /// # Errors
    /// If the temporary file cannot be read.
    pub fn finish(self) -> io::Result<Repeats> {
        self.finish_with(|_, _| {})
    }

    /// Counts, and tells of each hash that occurs more than once how often it does so beyond the first.
    ///
    /// # Errors
    /// If the temporary file cannot be read.
    pub fn finish_with(mut self, mut each: impl FnMut(u128, u64)) -> io::Result<Repeats> {
        let mut told = Repeats { rows: self.count, ..Repeats::default() };
        for part in 0..PARTS {
            let mut hashes = std::mem::take(&mut self.parts[part]);
            if let Some(spilled) = &mut self.spilled {
                let mut bytes = Vec::new();
                for (_, at, count) in spilled.pieces.iter().filter(|piece| piece.0 == part) {
                    bytes.resize(count * 16, 0);
                    spilled.file.seek(SeekFrom::Start(*at))?;
                    spilled.file.read_exact(&mut bytes)?;
                    hashes.extend(bytes.as_chunks::<16>().0.iter().map(|bytes| u128::from_le_bytes(*bytes)));
                }
            }
            hashes.sort_unstable();
            for equal in hashes.chunk_by(|a, b| a == b).filter(|equal| equal.len() > 1) {
                told.duplicates += equal.len() as u64 - 1;
                each(equal[0], equal.len() as u64 - 1);
                told.groups += 1;
                told.most = told.most.max(equal.len() as u64);
            }
        }
        told.most = told.most.max(u64::from(told.rows > 0));
        Ok(told)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;
    use statistics::hashing::mix;

    #[test]
    fn hashes_name_groups() {
        let mut tag = 0;
        (0..GROUP_COLUMNS).for_each(|column| name_group(&mut tag, column, 7 * column as u8));
        let hash = tagged(u128::MAX, tag);
        assert!((0..GROUP_COLUMNS).all(|column| group_of(hash, column) == 7 * column as u8));
        assert_eq!(hash >> 54, u128::MAX >> 54, "what tells rows apart stays");
    }

    proptest! {
        /// The counts are exact, with and without a temporary file.
        #[test]
        fn counts_are_exact(values in vec(0_u64..300, 0..400), budget in 1_usize..500) {
            let hash = |value: &u64| u128::from(mix(*value)) << 64 | u128::from(*value);
            let hashes: Vec<u128> = values.iter().map(hash).collect();
            let mut duplicates = Duplicates::new(budget);
            for piece in hashes.chunks(37) {
                duplicates.add(piece).unwrap();
            }
            let told = duplicates.finish().unwrap();
            let mut counts = std::collections::BTreeMap::<u64, u64>::new();
            values.iter().for_each(|value| *counts.entry(*value).or_default() += 1);
            prop_assert_eq!(told.rows, values.len() as u64);
            prop_assert_eq!(told.duplicates, values.len() as u64 - counts.len() as u64);
            prop_assert_eq!(told.groups, counts.values().filter(|count| **count > 1).count() as u64);
            prop_assert_eq!(told.most, counts.values().copied().max().unwrap_or(0));
        }
    }
}
