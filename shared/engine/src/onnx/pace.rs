//! How fast a model is, and what ran: whether a request is worth the way to another thread.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use crate::Counts;

/// A run that takes less than this costs less on its caller's thread than the two wake-ups that another thread costs.
pub(super) const QUICK: Duration = Duration::from_micros(300);

/// Requests in a row that ran alone, after which one does not look for company any more,
const SOLITARY: u32 = 32;
/// but for every so many of them.
const LOOK_AGAIN: u32 = 16;

/// The pace of one model.
#[derive(Debug, Default)]
pub(super) struct Pace {
    quick: AtomicBool,
    solitary: AtomicU32,
    runs: AtomicU64,
    rows: AtomicU64,
}

impl Pace {
    /// A run ended.
    pub fn ran(&self, rows: usize, took: Duration) {
        self.runs.fetch_add(1, Ordering::Relaxed);
        self.rows.fetch_add(rows as u64, Ordering::Relaxed);
        self.took(took);
    }

    /// How long the last run took.
    pub fn took(&self, took: Duration) {
        self.quick.store(took < QUICK, Ordering::Relaxed);
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
