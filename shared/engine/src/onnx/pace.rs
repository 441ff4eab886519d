//! How fast a model is, and what ran: whether a request is worth the way to another thread.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crate::Counts;

/// A run that takes less than this costs less on its caller's thread than the two wake-ups that another thread costs.
const QUICK: Duration = Duration::from_micros(300);

/// The pace of one model.
#[derive(Debug, Default)]
pub(super) struct Pace {
    quick: AtomicBool,
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

    /// Whether the last run was quick.
    pub fn is_quick(&self) -> bool {
        self.quick.load(Ordering::Relaxed)
    }

    pub fn counts(&self) -> Counts {
        Counts { runs: self.runs.load(Ordering::Relaxed), rows: self.rows.load(Ordering::Relaxed) }
    }
}
