//! The bounded queue in front of a session's instances, and the switch that stops one request.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::oneshot;

use crate::{Answer, EngineError, Tensor};

/// One request on its way.
pub(super) struct Job {
    pub inputs: Vec<Tensor>,
    pub outputs: Vec<String>,
    pub queued_at: Instant,
    pub switch: Arc<Switch>,
    pub reply: oneshot::Sender<Result<Answer, EngineError>>,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    closed: bool,
}

/// First come, first served; a full queue refuses.
pub(super) struct Queue {
    state: Mutex<State>,
    wake: Condvar,
    capacity: usize,
}

impl Queue {
    pub fn new(capacity: usize) -> Self {
        Self { state: Mutex::default(), wake: Condvar::new(), capacity: capacity.max(1) }
    }

    pub fn push(&self, job: Job) -> Result<(), EngineError> {
        let mut state = lock(&self.state);
        if state.closed {
            return Err(EngineError::Closed);
        }
        // Requests that were given up make room.
        if state.jobs.len() >= self.capacity {
            state.jobs.retain(|job| !job.switch.is_off());
        }
        if state.jobs.len() >= self.capacity {
            return Err(EngineError::Busy { capacity: self.capacity });
        }
        state.jobs.push_back(job);
        self.wake.notify_one();
        Ok(())
    }

    /// Waits for the next request; `None` once the queue is closed and empty.
    pub fn pop(&self) -> Option<Job> {
        let mut state = lock(&self.state);
        loop {
            if let Some(job) = state.jobs.pop_front() {
                return Some(job);
            }
            if state.closed {
                return None;
            }
            state = self.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Lets what waits run and takes nothing more.
    pub fn close(&self) {
        lock(&self.state).closed = true;
        self.wake.notify_all();
    }
}

/// Where a request is, and how to stop it there.
#[derive(Default)]
pub(super) struct Switch(Mutex<Stage>);

#[derive(Default)]
enum Stage {
    #[default]
    Waiting,
    Running(Arc<ort::session::RunOptions>),
    Off,
}

impl Switch {
    /// The request starts; `false` if it was given up.
    pub fn start(&self, run: Arc<ort::session::RunOptions>) -> bool {
        let mut stage = lock(&self.0);
        let waiting = matches!(*stage, Stage::Waiting);
        if waiting {
            *stage = Stage::Running(run);
        }
        waiting
    }

    /// Stops the request wherever it is; says whether it was running.
    pub fn stop(&self) -> bool {
        let stage = std::mem::replace(&mut *lock(&self.0), Stage::Off);
        if let Stage::Running(run) = stage {
            if let Err(error) = run.terminate() {
                tracing::error!(%error, "a run could not be terminated");
            }
            return true;
        }
        false
    }

    pub fn is_off(&self) -> bool {
        matches!(*lock(&self.0), Stage::Off)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
