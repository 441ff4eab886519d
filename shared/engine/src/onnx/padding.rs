//! Runs of few different shapes, on a device that pays for every change of them.
//!
//! Some operators of a device, cuDNN's convolutions above all, are planned anew whenever a run has another number of rows than
//! the run before: a hundred times the time of the run itself. A model that has such ones runs at a number of rows that
//! rarely changes. Requests are filled up to it with copies of a row, and what comes of the copies nobody sees: rows are
//! independent of each other, or requests would not run together at all.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::Tensor;

/// A change of shape is dear if each that was tried took so many times as long as a run without one,
const DEAR: u32 = 4;
/// and longer by this.
const MUCH: Duration = Duration::from_millis(2);
/// After so many runs in a row that needed half of the rows at most, fewer are run.
const SMALL_RUNS: u32 = 1024;

/// Whether a change of shape is dear: how long runs took that had the same number of rows as the run before, and those
/// that had not.
pub(super) fn is_dear(same: &[Duration], changed: &[Duration]) -> bool {
    let Some(least) = same.iter().min() else { return false };
    !changed.is_empty() && changed.iter().all(|took| *took > *least * DEAR && *took > *least + MUCH)
}

/// To how many rows the runs of a model are filled up; by default to none.
#[derive(Debug, Default)]
pub(super) struct Padding(Option<Mutex<Standing>>);

#[derive(Debug)]
struct Standing {
    /// A run may have no more.
    most: usize,
    /// What the last run had.
    rows: usize,
    /// Runs since one needed more than half of them, and what these needed at most.
    small: (u32, usize),
}

impl Padding {
    /// Of a model whose runs have `most` rows at most.
    pub fn up_to(most: usize) -> Self {
        Self(Some(Mutex::new(Standing { most, rows: 0, small: (0, 0) })))
    }

    /// How many rows a run of that many is filled up with.
    pub fn of(&self, rows: usize) -> usize {
        let Some(standing) = &self.0 else { return 0 };
        standing.lock().unwrap_or_else(PoisonError::into_inner).fill(rows)
    }
}

impl Standing {
    fn fill(&mut self, rows: usize) -> usize {
        if rows == 0 || rows > self.most {
            return 0; // it runs as it is
        }
        let needed = rows.checked_next_power_of_two().map_or(self.most, |power| power.min(self.most));
        let (runs, largest) = self.small;
        if needed >= self.rows {
            (self.rows, self.small) = (needed, (0, 0));
        } else if runs + 1 < SMALL_RUNS {
            self.small = (runs + 1, largest.max(needed));
        } else {
            (self.rows, self.small) = (largest.max(needed), (0, 0));
        }
        self.rows - rows
    }
}

/// A row that others are filled up with: the first of a request.
pub(super) fn row(inputs: &[Tensor]) -> Option<Vec<Tensor>> {
    let first = |tensor: &Tensor| {
        let rest = tensor.rows().checked_sub(1)?;
        tensor.split(&[1, rest]).ok()?.into_iter().next()
    };
    inputs.iter().map(first).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_dear_if_every_one_was() {
        let ms = |all: &[u64]| all.iter().map(|ms| Duration::from_millis(*ms)).collect::<Vec<_>>();
        assert!(is_dear(&ms(&[90, 1, 2]), &ms(&[180, 120, 60])));
        assert!(!is_dear(&ms(&[1, 1]), &ms(&[180, 2, 60])), "one was not");
        assert!(!is_dear(&ms(&[40]), &ms(&[90, 120])), "more rows take longer");
        assert!(!is_dear(&ms(&[0]), &ms(&[1, 1, 1])), "so short a time is no matter");
        assert!(!is_dear(&[], &ms(&[9])) && !is_dear(&ms(&[1]), &[]));
    }

    #[test]
    fn the_number_of_rows_rises_at_once_and_falls_late() {
        let padding = Padding::up_to(48);
        let runs = |rows: &[usize]| rows.iter().map(|rows| rows + padding.of(*rows)).collect::<Vec<_>>();
        assert_eq!(runs(&[1, 3, 2, 1, 33, 48, 5, 49, 7]), [1, 4, 4, 4, 48, 48, 48, 49, 48]);
        for _ in 0..SMALL_RUNS - 3 {
            assert_eq!(runs(&[3]), [48]);
        }
        assert_eq!(runs(&[1, 1, 5]), [8, 8, 8], "the largest of the last runs had 7 rows");
        assert_eq!(Padding::default().of(5), 0);
    }

    #[test]
    fn a_row_is_the_first_of_each_input() {
        let of = |rows: i64| vec![Tensor::of("x", vec![rows, 2], &vec![1.5_f32; rows as usize * 2]).unwrap()];
        assert_eq!(row(&of(3)), Some(of(1)));
        assert_eq!(row(&of(1)), Some(of(1)));
        assert_eq!(row(&of(0)), None);
    }
}
