//! The observer of one backend.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::reference::Reference;
use super::{Seen, Window, lock};
use crate::backends::Outcome;

/// Notes what a backend does, second by second.
#[derive(Debug)]
pub struct Observer {
    /// Every request takes this lock, for a few counters.
    windows: Mutex<BTreeMap<u64, Window>>,
    /// Whoever looks at tensors holds this one for as long as that takes: no request waits for it.
    looked: Mutex<BTreeMap<u64, Seen>>,
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
        let (windows, looked) = (Mutex::default(), Mutex::default());
        let (reference, seen) = (OnceLock::new(), AtomicU64::new(0));
        Self { windows, looked, reference, every, seen, idle: false }
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

    /// Adds to what was seen in the second of a time.
    pub(super) fn look<T>(&self, time: SystemTime, work: impl FnOnce(&mut Seen) -> T) -> T {
        work(lock(&self.looked).entry(second(time)).or_default())
    }

    /// Takes the seconds that are over; all of them if `now` is `None`. A request may have been counted and not yet looked
    /// at: what is seen of it comes with the next take.
    pub(super) fn take(&self, now: Option<SystemTime>) -> BTreeMap<u64, (Window, Seen)> {
        let mut all: BTreeMap<u64, (Window, Seen)> = BTreeMap::new();
        for (second, window) in over(&self.windows, now) {
            all.entry(second).or_default().0 = window;
        }
        for (second, seen) in over(&self.looked, now) {
            all.entry(second).or_default().1 = seen;
        }
        all
    }
}

fn over<T>(seconds: &Mutex<BTreeMap<u64, T>>, now: Option<SystemTime>) -> BTreeMap<u64, T> {
    let mut seconds = lock(seconds);
    match now {
        None => std::mem::take(&mut *seconds),
        Some(now) => {
            let later = seconds.split_off(&second(now));
            std::mem::replace(&mut *seconds, later)
        }
    }
}

/// Whole seconds since the epoch.
fn second(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A request ends while another one's tensors are looked at.
    #[test]
    fn no_request_waits_for_one_that_is_looked_at() {
        let (observer, now) = (Arc::new(Observer::new(1.0)), UNIX_EPOCH + Duration::from_secs(7));
        let (noted, told) = std::sync::mpsc::channel();
        observer.look(now, |_| {
            let other = observer.clone();
            std::thread::spawn(move || {
                other.note(now, Outcome::Answered, true, 1, Duration::from_millis(1), None);
                noted.send(()).unwrap();
            });
            told.recv_timeout(Duration::from_secs(10)).expect("the request waits");
        });
        let taken = observer.take(Some(now + Duration::from_secs(1)));
        assert_eq!(taken.keys().collect::<Vec<_>>(), [&7], "one observation of both");
        assert!(observer.take(None).is_empty());
    }
}
