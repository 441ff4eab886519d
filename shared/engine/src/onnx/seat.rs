//! Leave to run a model on a thread of the async runtime, which such a run blocks: all but one of them at a time.

use std::sync::atomic::{AtomicUsize, Ordering};

static TAKEN: AtomicUsize = AtomicUsize::new(0);

/// One blocked thread; dropping it frees the seat.
pub(super) struct Seat(());

impl Seat {
    /// None outside a runtime of several threads, or where all but one of them are taken.
    pub fn take() -> Option<Self> {
        let threads = tokio::runtime::Handle::try_current().ok()?.metrics().num_workers();
        let seat = TAKEN.fetch_add(1, Ordering::AcqRel);
        let seated = Self(()); // gives back what was too much
        (seat + 1 < threads).then_some(seated)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        TAKEN.fetch_sub(1, Ordering::AcqRel);
    }
}
