//! A quick hash of 128 bits for joins in memory: the same on every machine, and never stored or signed.
//!
//! Two independent lanes of folded products. It is not cryptographic: where rows come from strangers the caller gives a
//! seed that they do not know, and what is stored for ever is digested by SHA-256 instead.

use crate::column::Values;

const LANES: [u64; 2] = [0x9E37_79B9_7F4A_7C15, 0xC2B2_AE3D_27D4_EB4F];
const FACTORS: [u64; 2] = [0xD6E8_FEB8_6659_FD93, 0xA076_1D64_78BD_642F];

/// The state of one hash. Small and `Copy`, so that a column can be hashed into the states of its rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hash128([u64; 2]);

fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    (product as u64) ^ (product >> 64) as u64
}

impl Hash128 {
    /// The state before anything was written.
    pub fn new(seed: u64) -> Self {
        Self([fold(seed ^ LANES[0], FACTORS[1]), fold(seed ^ LANES[1], FACTORS[0])])
    }

    /// Writes a number.
    #[inline]
    pub fn word(&mut self, word: u64) {
        let [a, b] = self.0;
        self.0 = [
            fold(a ^ word, FACTORS[0]) ^ a.rotate_left(23),
            fold(b.wrapping_add(word) ^ LANES[0], FACTORS[1]) ^ b.rotate_left(41),
        ];
    }

    /// Writes bytes: their number, then themselves, so that two texts in a row never read as another two.
    #[inline]
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.word(bytes.len() as u64);
        let mut chunks = bytes.chunks_exact(8);
        for chunk in &mut chunks {
            let mut word = [0; 8];
            word.copy_from_slice(chunk);
            self.word(u64::from_le_bytes(word));
        }
        let rest = chunks.remainder();
        if !rest.is_empty() {
            let mut word = [0; 8];
            word[..rest.len()].copy_from_slice(rest);
            self.word(u64::from_le_bytes(word));
        }
    }

    /// 128 bits of all that was written.
    #[inline]
    pub fn finish(self) -> u128 {
        let [a, b] = self.0;
        let (x, y) = (fold(a ^ b.rotate_left(32), LANES[0]) ^ a, fold(b ^ a.rotate_left(17), LANES[1]) ^ b);
        u128::from(x) << 64 | u128::from(y)
    }

    /// The first 64 bits of [`Hash128::finish`].
    #[inline]
    pub fn finish64(self) -> u64 {
        (self.finish() >> 64) as u64
    }
}

/// The hash of one text.
pub fn text(seed: u64, text: &str) -> u64 {
    let mut hash = Hash128::new(seed);
    hash.bytes(text.as_bytes());
    hash.finish64()
}

/// Writes a column's value of each row into the state of that row: equal values as [`Values::encode`] sees them, equal
/// writes. `states` has one entry for each row.
pub fn column(values: &Values<'_>, states: &mut [Hash128]) {
    let fixed = |states: &mut [Hash128], tag: u64, word: &dyn Fn(usize) -> u64| {
        for (row, state) in states.iter_mut().enumerate() {
            if values.is_missing(row) {
                state.word(0);
            } else {
                state.word(tag);
                state.word(word(row));
            }
        }
    };
    match values {
        Values::Float64(array) => fixed(states, 1, &|row| (array.value(row) + 0.0).to_bits()),
        Values::Int64(array) => fixed(states, 2, &|row| array.value(row) as u64),
        Values::Bool(array) => fixed(states, 4, &|row| u64::from(array.value(row))),
        Values::Timestamp(array) => fixed(states, 5, &|row| array.value(row) as u64),
        Values::Utf8(array) => {
            for (row, state) in states.iter_mut().enumerate() {
                if values.is_missing(row) {
                    state.word(0);
                } else {
                    state.word(3);
                    state.bytes(array.value(row).as_bytes());
                }
            }
        }
    }
}

/// As [`column`], but of the values' text forms: 1, 1.0 and "1" are then equal. For columns that changed their type.
pub fn column_text(values: &Values<'_>, states: &mut [Hash128]) {
    for (row, state) in states.iter_mut().enumerate() {
        match values.text(row) {
            None => state.word(0),
            Some(text) => {
                state.word(3);
                state.bytes(text.as_bytes());
            }
        }
    }
}

/// One hash for each row over some columns in order.
pub fn rows(columns: &[Values<'_>], rows: usize, seed: u64) -> Vec<u128> {
    let mut states = vec![Hash128::new(seed); rows];
    for values in columns {
        column(values, &mut states);
    }
    states.into_iter().map(Hash128::finish).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn of(parts: &[&str]) -> u128 {
        let mut hash = Hash128::new(7);
        for part in parts {
            hash.bytes(part.as_bytes());
        }
        hash.finish()
    }

    #[test]
    fn texts_do_not_run_into_each_other() {
        let all = [
            of(&["ab", "c"]),
            of(&["a", "bc"]),
            of(&["abc"]),
            of(&["abc", ""]),
            of(&["", "abc"]),
            of(&["abc\0"]),
        ];
        assert_eq!(all.iter().collect::<HashSet<_>>().len(), all.len());
        assert_eq!(of(&["ab", "c"]), of(&["ab", "c"]));
    }

    #[test]
    fn every_bit_of_the_input_reaches_half_of_the_output() {
        for bit in 0..64 {
            let mut changed = 0;
            for number in 0..256_u64 {
                let one = |word: u64| {
                    let mut hash = Hash128::new(1);
                    hash.word(word);
                    hash.finish()
                };
                changed += (one(number) ^ one(number ^ (1 << bit))).count_ones();
            }
            let share = f64::from(changed) / (256.0 * 128.0);
            assert!((0.45..0.55).contains(&share), "bit {bit}: {share}");
        }
    }

    #[test]
    fn small_numbers_fill_the_low_and_high_halves() {
        let hashes: Vec<u128> = (0..100_000_u64)
            .map(|number| {
                let mut hash = Hash128::new(0);
                hash.word(number);
                hash.finish()
            })
            .collect();
        for shift in [0, 64] {
            let halves: HashSet<u64> = hashes.iter().map(|hash| (hash >> shift) as u64).collect();
            assert_eq!(halves.len(), hashes.len());
        }
    }
}
