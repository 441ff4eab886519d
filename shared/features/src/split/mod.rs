//! Splits that do not leak: each row's part from a seed and shares, the same on every machine and however the rows are
//! cut into batches.
//!
//! Every method takes units, the rows that must stay together ([`Units`]): rows of a group, equal rows, near-duplicates,
//! or any of these joined. Parts are numbered in the order of their shares; parts of share 0 stay empty.

pub mod balanced;
pub mod entity;
pub mod ordered;
pub mod time;
pub mod units;

pub use units::Units;

use crate::error::{Error, Result};

/// The part of each row; `None` is a row that no part may have (embargo, no time).
pub type Parts = Vec<Option<u8>>;

/// Shares of the parts: at most [`Shares::MOST`], none negative, together 1.
#[derive(Debug, Clone, PartialEq)]
pub struct Shares(Vec<f64>);

impl Shares {
    /// Parts at most.
    pub const MOST: usize = 64;

    /// Checks the shares.
    ///
    /// # Errors
    /// [`Error::Parameter`] if there is none or too many, if one is no share, or if they do not sum to 1.
    pub fn new(shares: &[f64]) -> Result<Self> {
        let wrong = |why: String| Err(Error::Parameter { column: "splits".into(), why });
        if shares.is_empty() || Self::MOST < shares.len() {
            return wrong(format!("{} shares, from 1 to {} are taken", shares.len(), Self::MOST));
        }
        if let Some(bad) = shares.iter().find(|share| !(0.0..=1.0).contains(*share)) {
            return wrong(format!("a share of {bad} is not between 0 and 1"));
        }
        let sum: f64 = shares.iter().sum();
        if 1e-9 <= (sum - 1.0).abs() {
            return wrong(format!("the shares sum to {sum}, not to 1"));
        }
        Ok(Self(shares.to_vec()))
    }

    /// The shares in order.
    pub fn as_slice(&self) -> &[f64] {
        &self.0
    }

    /// The part that a point of the unit interval falls in; one at or beyond the end falls in the last part that has a
    /// share.
    pub fn part_at(&self, point: f64) -> u8 {
        let mut upper = 0.0;
        let mut last = 0;
        for (part, share) in self.0.iter().enumerate().filter(|(_, share)| 0.0 < **share) {
            upper += share;
            last = part as u8;
            if point < upper {
                break;
            }
        }
        last
    }
}

/// Rows in each part, and those in none.
pub fn counts(parts: &[Option<u8>], shares: &Shares) -> (Vec<u64>, u64) {
    let (mut rows, mut none) = (vec![0; shares.as_slice().len()], 0);
    for part in parts {
        match part.and_then(|part| rows.get_mut(usize::from(part))) {
            Some(count) => *count += 1,
            None => none += 1,
        }
    }
    (rows, none)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_fall_in_parts_that_have_a_share() {
        let shares = Shares::new(&[0.5, 0.0, 0.5, 0.0]).unwrap();
        assert_eq!([0.0, 0.49, 0.5, 0.99, 1.0, 2.0].map(|at| shares.part_at(at)), [0, 0, 2, 2, 2, 2]);
        assert_eq!(Shares::new(&[1.0, 0.0]).unwrap().part_at(1.0), 0);
    }

    #[test]
    fn what_is_no_set_of_shares_is_refused() {
        for bad in [&[][..], &[0.5, 0.6], &[f64::NAN, 1.0], &[-0.5, 1.5], &[0.0; 65]] {
            assert!(Shares::new(bad).is_err(), "{bad:?}");
        }
    }
}
