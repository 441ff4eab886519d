//! The observer of one backend.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::reference::Reference;
use super::{Window, lock};
use crate::backends::Outcome;

/// Notes what a backend does, second by second.
#[derive(Debug)]
pub struct Observer {
    windows: Mutex<BTreeMap<u64, Window>>,
    reference: OnceLock<Arc<Reference>>,
    every: u64,
    seen: AtomicU64,
    /// Nobody collects what is noted: nothing is.
    idle: bool,
}

impl Observer {
    /// An observer that keeps that share of whole requests.
    pub fn new(sample_share: f64) -> Self {
        let every = if sample_share > 0.0 { (1.0 / sample_share.min(1.0)).round() as u64 } else { 0 };
        let (windows, seen) = (Mutex::default(), AtomicU64::new(0));
        Self { windows, reference: OnceLock::new(), every, seen, idle: false }
    }

    /// An observer where there is no monitor: it notes nothing.
    pub fn idle() -> Self {
        Self { idle: true, ..Self::new(0.0) }
    }

    /// Counts the end of a request in the second of `now`; see [`Window::note`].
    pub fn note(
        &self,
        now: SystemTime,
        outcome: Outcome,
        ran: bool,
        rows: usize,
        took: Duration,
        caller: Option<&str>,
    ) {
        if self.idle {
            return;
        }
        lock(&self.windows).entry(second(now)).or_default().note(outcome, ran, rows, took, caller);
    }

    /// Whether this request is one of the sample.
    pub fn samples(&self) -> bool {
        self.every > 0 && self.seen.fetch_add(1, Ordering::Relaxed).is_multiple_of(self.every)
    }

    /// What features and predictions are counted against, once it is known.
    pub fn reference(&self) -> Option<&Arc<Reference>> {
        self.reference.get()
    }

    /// Sets the reference; only the first counts.
    pub fn refer_to(&self, reference: Arc<Reference>) {
        let _ = self.reference.set(reference);
    }

    /// Adds to the window of a time.
    pub(super) fn with<T>(&self, time: SystemTime, work: impl FnOnce(&mut Window) -> T) -> T {
        work(lock(&self.windows).entry(second(time)).or_default())
    }

    /// Takes the windows that are over; all of them if `now` is `None`.
    pub(super) fn take(&self, now: Option<SystemTime>) -> BTreeMap<u64, Window> {
        let mut windows = lock(&self.windows);
        match now {
            None => std::mem::take(&mut *windows),
            Some(now) => {
                let later = windows.split_off(&second(now));
                std::mem::replace(&mut *windows, later)
            }
        }
    }
}

/// Whole seconds since the epoch.
fn second(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
