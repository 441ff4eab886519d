//! Ends runs that take longer than they may. One thread of the process watches them all.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use super::switch::Run;

/// How often the thread looks while something runs.
const TICK: Duration = Duration::from_millis(20);

#[derive(Default)]
struct Seen {
    runs: Vec<Option<(Arc<Run>, Instant)>>,
    /// Runs that began since the process did.
    begun: u64,
    /// The thread sleeps until it is woken.
    asleep: bool,
}

struct Watch {
    seen: Mutex<Seen>,
    wake: Condvar,
}

/// A run that is watched; dropping it ends the watch, not the run.
pub(super) struct Watched {
    at: usize,
    by: &'static Watch,
}

/// Ends a run that is still at work at `until`, a tick later at most. `None` where no thread can watch.
pub(super) fn watch(run: &Arc<Run>, until: Instant) -> Option<Watched> {
    let by = Watch::open()?;
    let mut seen = by.seen();
    let free = seen.runs.iter().position(Option::is_none);
    let at = free.unwrap_or_else(|| {
        seen.runs.push(None);
        seen.runs.len() - 1
    });
    seen.runs[at] = Some((run.clone(), until));
    seen.begun += 1;
    if std::mem::take(&mut seen.asleep) {
        by.wake.notify_one();
    }
    drop(seen);
    Some(Watched { at, by })
}

impl Drop for Watched {
    fn drop(&mut self) {
        if let Some(place) = self.by.seen().runs.get_mut(self.at) {
            *place = None;
        }
    }
}

impl Watch {
    /// The one of this process.
    fn open() -> Option<&'static Self> {
        static WATCH: OnceLock<Option<&'static Watch>> = OnceLock::new();
        *WATCH.get_or_init(|| {
            let watch: &'static Watch =
                Box::leak(Box::new(Watch { seen: Mutex::default(), wake: Condvar::new() }));
            let thread = std::thread::Builder::new().name("engine-watch".into());
            thread.spawn(move || watch.keep()).ok().map(|_| watch)
        })
    }

    fn keep(&self) {
        let mut seen = self.seen();
        loop {
            let begun = seen.begun;
            seen = self.wake.wait_timeout(seen, TICK).unwrap_or_else(PoisonError::into_inner).0;
            let now = Instant::now();
            for (run, _) in seen.runs.iter().flatten().filter(|(_, until)| *until <= now) {
                run.time_is_up();
            }
            // Nothing ran for a tick: sleeps until something does.
            while seen.begun == begun && seen.runs.iter().all(Option::is_none) {
                seen.asleep = true;
                seen = self.wake.wait(seen).unwrap_or_else(PoisonError::into_inner);
            }
        }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
