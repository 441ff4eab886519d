//! Where a request is, and how to stop it there.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ort::session::RunOptions;

use super::convert;
use crate::EngineError;

/// A run of the model on behalf of one request or several.
pub(super) struct Run {
    pub options: RunOptions,
    /// Requests that still wait for it.
    wanted: AtomicUsize,
    overran: AtomicBool,
}

impl Run {
    /// A run that `wanted` requests wait for.
    pub fn new(wanted: usize) -> Result<Arc<Self>, EngineError> {
        let options = RunOptions::new().map_err(|error| EngineError::Host(convert::text(error.message())))?;
        Ok(Arc::new(Self { options, wanted: AtomicUsize::new(wanted), overran: AtomicBool::new(false) }))
    }

    /// One request waits no more; with the last of them the run ends.
    pub fn leave(&self) {
        if self.wanted.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.end();
        }
    }

    /// It took longer than it may: the run ends, whoever waits.
    pub fn time_is_up(&self) {
        if !self.overran.swap(true, Ordering::AcqRel) {
            self.end();
        }
    }

    /// Whether its time was up.
    pub fn overran(&self) -> bool {
        self.overran.load(Ordering::Acquire)
    }

    fn end(&self) {
        if let Err(error) = self.options.terminate() {
            tracing::error!(%error, "a run could not be terminated");
        }
    }
}

/// The switch of one request.
#[derive(Default)]
pub(super) struct Switch(Mutex<Stage>);

#[derive(Default)]
enum Stage {
    #[default]
    Waiting,
    Running(Arc<Run>),
    Off,
}

impl Switch {
    /// The request starts, or starts again in another run; `false` if it was given up.
    pub fn start(&self, run: &Arc<Run>) -> bool {
        let mut stage = self.stage();
        let wanted = !matches!(*stage, Stage::Off);
        if wanted {
            *stage = Stage::Running(run.clone());
        }
        wanted
    }

    /// Stops the request wherever it is; says whether it was running. A run goes on while others wait for it.
    pub fn stop(&self) -> bool {
        let stage = std::mem::replace(&mut *self.stage(), Stage::Off);
        if let Stage::Running(run) = stage {
            run.leave();
            return true;
        }
        false
    }

    pub fn is_off(&self) -> bool {
        matches!(*self.stage(), Stage::Off)
    }

    fn stage(&self) -> MutexGuard<'_, Stage> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
