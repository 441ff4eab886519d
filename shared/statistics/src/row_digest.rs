//! A digest of rows that does not depend on their order: what proves that two ways of reading a table saw the same rows.

/// The sum of the rows' 128-bit hashes modulo 2^128, and their number.
///
/// Addition has no order, so parts of a table may be digested anywhere and merged in any grouping. A row that stands twice
/// counts twice. It finds mistakes, not attacks: who may choose rows can find others with the same sum.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RowDigest {
    pub(crate) rows: u64,
    pub(crate) sum: u128,
}

impl RowDigest {
    /// Takes the hash of one row.
    #[inline]
    pub fn add(&mut self, hash: u128) {
        self.rows += 1;
        self.sum = self.sum.wrapping_add(hash);
    }

    /// Adds the rows of another digest.
    pub fn merge(&mut self, other: &Self) {
        self.rows += other.rows;
        self.sum = self.sum.wrapping_add(other.sum);
    }

    /// Rows taken.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// The sum of their hashes.
    pub fn sum(&self) -> u128 {
        self.sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    fn of(hashes: &[u128]) -> RowDigest {
        let mut digest = RowDigest::default();
        hashes.iter().for_each(|hash| digest.add(*hash));
        digest
    }

    #[test]
    fn a_row_more_or_another_row_shows() {
        let digest = of(&[1, u128::MAX, 7]);
        assert_eq!((digest.rows(), digest.sum()), (3, 7));
        assert_ne!(digest, of(&[1, u128::MAX, 7, 0]));
        assert_ne!(digest, of(&[1, u128::MAX, 8]));
        assert_ne!(of(&[5]), of(&[5, 5]));
    }

    proptest! {
        #[test]
        fn order_and_parts_change_nothing(hashes in vec(any::<u128>(), 0..50), cut in 0_usize..50) {
            let whole = of(&hashes);
            let (left, right) = hashes.split_at(cut.min(hashes.len()));
            let mut merged = of(right);
            merged.merge(&of(left));
            prop_assert_eq!(merged, whole);
            let turned: Vec<u128> = hashes.iter().rev().copied().collect();
            prop_assert_eq!(of(&turned), whole);
        }
    }
}
