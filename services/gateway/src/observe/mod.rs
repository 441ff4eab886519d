//! What is noted of requests for the monitor: mergeable sketches per version and second, and a sample of whole requests.
//!
//! Nothing here makes a request wait: counts and latency go into the second's sketch, tensors are handed to a task through
//! a bounded channel, batches go to a bounded spool on disk and are delivered at least once.

mod collect;
mod columns;
mod deliver;
mod groups;
mod look;
mod observer;
mod profile;
mod reference;
mod seen;
mod spool;
mod window;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use contracts::monitor::v1::SampledRequest;
use tokio::sync::{Notify, mpsc};

pub use look::Detail;
pub use observer::Observer;
pub use reference::Reference;
pub use seen::Seen;
pub use spool::Spool;
pub use window::Window;

use crate::backends::Backend;
use crate::config;

/// Samples that wait for the next batch at most.
const MOST_SAMPLES: usize = 1000;

/// The shared parts of observing.
#[derive(Debug)]
pub struct Observing {
    details: mpsc::Sender<Detail>,
    looked: tokio::sync::Mutex<mpsc::Receiver<Detail>>,
    samples: Mutex<Vec<SampledRequest>>,
    leaving: Mutex<Vec<(Arc<Backend>, bool)>>,
    spool: Arc<Mutex<Spool>>,
    filled: Notify,
    /// The next delivery has no trace yet; asked by every request, so that none waits for the lock behind it.
    untraced: AtomicBool,
    /// `traceparent` of the request whose trace the next delivery goes in.
    trace: Mutex<Option<String>>,
}

impl Observing {
    /// Observing into that spool.
    pub fn new(config: &config::Observe, spool: Spool) -> Self {
        let (details, looked) = mpsc::channel(config.queue.max(1));
        Self {
            details,
            looked: tokio::sync::Mutex::new(looked),
            samples: Mutex::default(),
            leaving: Mutex::default(),
            spool: Arc::new(Mutex::new(spool)),
            filled: Notify::new(),
            untraced: AtomicBool::new(true),
            trace: Mutex::default(),
        }
    }

    /// Hands the tensors of a request over to be looked at; false if there is no room, and they are not.
    pub fn hand_over(&self, detail: Detail) -> bool {
        self.details.try_send(detail).is_ok()
    }

    /// A backend is no longer served: its last seconds are still to be collected.
    pub fn leaves(&self, backend: &Arc<Backend>, canary: bool) {
        lock(&self.leaving).push((backend.clone(), canary));
    }

    /// The next delivery goes in the trace of this request, unless an earlier one waits for it: a batch has one trace, that of
    /// the first recorded request since the last.
    pub fn trace_this(&self) {
        if self.untraced.load(Ordering::Relaxed)
            && let Some(parent) = runtime::trace::traceparent()
            && self.untraced.swap(false, Ordering::Relaxed)
        {
            *lock(&self.trace) = Some(parent);
        }
    }

    /// The trace of the delivery that begins now; the next request gives the one after.
    fn take_trace(&self) -> Option<String> {
        let trace = lock(&self.trace).take();
        self.untraced.store(true, Ordering::Relaxed);
        trace
    }

    fn keep_sample(&self, sample: SampledRequest) {
        let mut samples = lock(&self.samples);
        if samples.len() < MOST_SAMPLES {
            samples.push(sample);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
