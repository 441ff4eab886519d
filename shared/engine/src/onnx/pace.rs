//! How fast a model is, and what ran: whether a request is worth the way to another thread.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use super::padding::Padding;
use super::sizes::Sizes;
use crate::Counts;

/// A run that takes less than this costs less on its caller's thread than the two wake-ups that another thread costs.
pub(super) const QUICK: Duration = Duration::from_micros(300);

/// Requests in a row that ran alone, after which one does not look for company any more,
const SOLITARY: u32 = 32;
/// but for every so many of them.
const LOOK_AGAIN: u32 = 128;

/// The pace of one model.
#[derive(Debug, Default)]
pub(super) struct Pace {
    quick: AtomicBool,
    solitary: AtomicU32,
    runs: AtomicU64,
    rows: AtomicU64,
    sizes: Sizes,
    padding: Padding,
}

impl Pace {
    /// Of a model whose runs have the best of these sizes, and are filled up like this.
    pub fn of(sizes: Sizes, padding: Padding) -> Self {
        Self { sizes, padding, ..Self::default() }
    }

    /// How many rows a run of that many is filled up with.
    pub fn missing(&self, rows: usize) -> usize {
        self.padding.of(rows)
    }

    /// A run ended.
    pub fn ran(&self, rows: usize, took: Duration) {
        self.runs.fetch_add(1, Ordering::Relaxed);
        self.rows.fetch_add(rows as u64, Ordering::Relaxed);
        self.quick.store(took < QUICK, Ordering::Relaxed);
    }

    /// A run of that many rows succeeded.
    pub fn succeeded(&self, rows: usize, took: Duration) {
        self.sizes.ran(rows, took.as_secs_f64());
    }

    /// How many of the rows that wait the next run takes at most; `None` where it takes all it may.
    pub fn size_of(&self, waiting: usize) -> Option<usize> {
        self.sizes.next(waiting)
    }

    /// So many requests ran together.
    pub fn ran_together(&self, requests: usize) {
        if requests > 1 {
            self.solitary.store(0, Ordering::Relaxed);
        } else {
            self.solitary.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Whether others are likely to come along with a request: it then lets them, before it runs.
    pub fn has_company(&self) -> bool {
        let solitary = self.solitary.load(Ordering::Relaxed);
        solitary < SOLITARY || solitary.is_multiple_of(LOOK_AGAIN)
    }

    /// Whether the last run was quick.
    pub fn is_quick(&self) -> bool {
        self.quick.load(Ordering::Relaxed)
    }

    pub fn counts(&self) -> Counts {
        Counts { runs: self.runs.load(Ordering::Relaxed), rows: self.rows.load(Ordering::Relaxed) }
    }
}
