//! Shadow traffic: a staged version gets a copy of a share of an endpoint's requests, and its answers, which reach nobody,
//! are compared with those that the callers got.
//!
//! Next to nothing of it stands on a request's path: a request that is in the share keeps its inputs (their bytes are shared,
//! not copied) and hands them over once it is answered, with a copy of its outputs, which may be a slice of a whole batch. What waits is bounded by number and by bytes, and what does not fit is
//! dropped and counted. One copy runs at a time, behind everything else that waits for its model. Neither the breaker, nor
//! the counts of requests, nor the observations for the monitor see a shadow; runs of the session count it. Which version is in the shadow, and of what share, the
//! signed route table says.

mod compare;
mod known;
mod meters;
mod report;
mod tally;

pub use known::{Known, Shadow};
pub use tally::Tally;

use std::sync::Arc;
use std::time::Duration;

use contracts::registry::v1 as registry;
use engine::{EngineError, FaultKind, RunOptions, Tensor};
use runtime::Metrics;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use crate::backends::Loaded;
use crate::gateway::Gateway;
use crate::{cache, config, infer, wire};
use tally::Ended;

/// Behind every request of a caller.
const LAST: u32 = u32::MAX;
/// Bytes are counted in units of this many, so that a permit count fits 32 bits.
const UNIT: usize = 1024;

/// What a request in the share asked: raw columns, where callers send them. The version in the shadow has its own
/// preprocessing.
#[derive(Debug)]
pub struct Asked {
    shadow: Arc<Shadow>,
    inputs: Vec<Tensor>,
    outputs: Vec<String>,
}

impl Asked {
    /// Of a request that is in the share; `None` for another one.
    pub fn of(shadow: Option<&Arc<Shadow>>, inputs: &[Tensor], outputs: &[String]) -> Option<Self> {
        let shadow = shadow.filter(|shadow| shadow.takes())?.clone();
        Some(Self { shadow, inputs: inputs.to_vec(), outputs: outputs.to_vec() })
    }

    /// It was answered with that, after that time in the model.
    pub fn answered(self, outputs: &[Tensor], took: Duration) -> Copied {
        Copied { asked: self, answer: outputs.to_vec(), took, _room: None }
    }
}

/// A request that was answered, for the version in the shadow.
#[derive(Debug)]
pub struct Copied {
    asked: Asked,
    answer: Vec<Tensor>,
    took: Duration,
    _room: Option<OwnedSemaphorePermit>,
}

impl Copied {
    fn units(&self) -> u32 {
        let bytes: usize = self.asked.inputs.iter().chain(&self.answer).map(Tensor::byte_len).sum();
        u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX)
    }
}

/// The shared parts of shadows.
#[derive(Debug)]
pub struct Shadows {
    known: Known,
    meters: meters::Meters,
    waiting: mpsc::Sender<Copied>,
    next: tokio::sync::Mutex<mpsc::Receiver<Copied>>,
    room: Arc<Semaphore>,
}

impl Shadows {
    /// No shadows yet.
    pub fn new(config: &config::Shadow, metrics: &Metrics) -> Self {
        let (waiting, next) = mpsc::channel(config.queue.max(1));
        let units = usize::try_from(config.bytes).unwrap_or(usize::MAX).div_ceil(UNIT);
        Self {
            known: Known::default(),
            meters: meters::Meters::new(metrics),
            waiting,
            next: tokio::sync::Mutex::new(next),
            room: Arc::new(Semaphore::new(units.clamp(1, Semaphore::MAX_PERMITS))),
        }
    }

    /// Hands a copy over; it is dropped and counted where there is no room for it.
    pub fn hand_over(&self, copied: Copied) {
        let tally = copied.asked.shadow.tally.clone();
        let room = self.room.clone().try_acquire_many_owned(copied.units()).ok();
        let own = room.and_then(|room| {
            let answer = cache::copied(&copied.answer)?.to_vec();
            Some(Copied { answer, _room: Some(room), ..copied })
        });
        if own.is_none_or(|own| self.waiting.try_send(own).is_err()) {
            tally.ended(Ended::Dropped);
        }
    }

    /// A route has that version in its shadow. `stand` is its session, if it is ready, or why it never will be.
    pub fn stands(
        &self,
        endpoint: &str,
        (asked, backend): (&registry::Shadow, &registry::Backend),
        stand: Result<Option<Loaded>, String>,
        now: std::time::SystemTime,
    ) -> Option<Arc<Shadow>> {
        let number = contracts::name::last(&backend.version);
        let tally = || Tally::new(self.meters.version(endpoint, number));
        self.known.stands(endpoint, (asked, backend), stand, now, tally)
    }

    /// What is known of versions in the shadow.
    pub fn known(&self) -> &Known {
        &self.known
    }
}

impl Gateway {
    /// Runs copies until none comes any more, one at a time.
    pub async fn run_shadows(&self) {
        let mut next = self.shadows().next.lock().await;
        while let Some(copied) = next.recv().await {
            self.run_copy(copied).await;
            tokio::task::yield_now().await;
        }
    }

    async fn run_copy(&self, copied: Copied) {
        let Copied { asked: Asked { shadow, inputs, outputs }, answer, took, _room } = copied;
        let odd = inputs.iter().any(|tensor| tensor.is_empty() || wire::odd_text(tensor).is_some());
        let limit = self.config().infer.run_limit();
        let options = RunOptions { limit: Some(limit), priority: LAST, ..RunOptions::within(2 * limit) };
        let inputs = match &shadow.preprocessor {
            None => Ok(inputs),
            Some(preprocessor) => preprocessor.applied(&inputs).await,
        };
        let Ok(inputs) = inputs else {
            shadow.tally.ended(Ended::Incompatible);
            return;
        };
        let ran = shadow.session.run(inputs, outputs, options).await;
        match ran {
            Ok(given) => match infer::finite(&given.outputs, self.config().infer.infinity_is_fault) {
                Ok(()) => {
                    let tally = shadow.tally.clone();
                    // Large outputs take their time, which no request shall wait for.
                    let compare =
                        move || tally.compared((&answer, took), (&given.outputs, given.timings.run()));
                    if let Err(error) = tokio::task::spawn_blocking(compare).await {
                        tracing::error!(%error, "an answer in the shadow was not compared");
                    }
                }
                Err(_) => shadow.tally.ended(Ended::ModelFault),
            },
            Err(error) => shadow.tally.ended(how(&error, odd)),
        }
    }
}

/// How a copy that was not answered ended. A model need not take tensors without elements, or bytes for text (`odd`).
fn how(error: &EngineError, odd: bool) -> Ended {
    match error {
        EngineError::BadInput(_) => Ended::Incompatible,
        EngineError::ModelFault(_) if odd => Ended::Incompatible,
        error if error.fault() == FaultKind::Model => Ended::ModelFault,
        _ => Ended::HostFault,
    }
}
