//! The threads that models run on, and waiting for them when a process ends: the libraries of a device break off if the process
//! takes them down while a model is still let go of.

use std::sync::{Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use crate::EngineError;

/// How long the end of a process waits for models that are still at work.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often it looks.
const LOOK: Duration = Duration::from_millis(2);

/// Those of this process.
pub(super) static RUNNING: Threads = Threads(Mutex::new(Vec::new()));

/// Threads that were started and may still be at work.
pub(super) struct Threads(Mutex<Vec<JoinHandle<()>>>);

impl Threads {
    /// Starts one.
    ///
    /// # Errors
    /// [`EngineError::Host`] if the host gives no thread.
    pub fn start(&self, name: &str, work: impl FnOnce() + Send + 'static) -> Result<(), EngineError> {
        let started = Builder::new().name(name.into()).spawn(work);
        let thread = started.map_err(|error| EngineError::Host(error.to_string()))?;
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|thread| !thread.is_finished());
        all.push(thread);
        Ok(())
    }

    /// Waits until all have ended, or the time is up; says whether they have.
    fn settle(&self, within: Duration) -> bool {
        let until = Instant::now() + within;
        loop {
            let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            all.retain(|thread| !thread.is_finished());
            if all.is_empty() || Instant::now() >= until {
                return all.is_empty();
            }
            drop(all);
            std::thread::sleep(LOOK);
        }
    }
}

/// To be called when a process ends, after everything that holds a model is gone: waits until the models are, ten seconds
/// at most.
pub fn settle() {
    if !RUNNING.settle(PATIENCE) {
        tracing::warn!("a model is still at work while the process ends");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_waits_for_who_is_at_work() {
        let threads = Threads(Mutex::default());
        assert!(threads.settle(Duration::ZERO), "nobody is");
        let (stop, stopped) = std::sync::mpsc::channel::<()>();
        let work = move || {
            let _ = stopped.recv();
        };
        threads.start("at-work", work).unwrap();
        assert!(!threads.settle(Duration::from_millis(20)));
        drop(stop);
        assert!(threads.settle(Duration::from_secs(60)));
    }
}
