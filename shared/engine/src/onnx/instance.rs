//! One loaded copy of a model.

use ort::memory::AllocationDevice;
use ort::session::Session;

use super::convert::{self, Values};
use super::switch::Run;
use super::transfer::{Ordinary, Pinned, Transfer};
use crate::{EngineError, Provider, Tensor};

/// A session and the way of its tensors.
pub(super) struct Instance {
    // Dropped before the session that its memory is of.
    way: Box<dyn Transfer>,
    session: Session,
}

impl Instance {
    /// A session that runs on a provider's device of that number.
    pub fn new(session: Session, provider: Provider, device: i32) -> Self {
        let way: Box<dyn Transfer> = match provider {
            Provider::Cpu => Box::new(Ordinary),
            Provider::Cuda | Provider::TensorRt => {
                match Pinned::new(&session, AllocationDevice::CUDA_PINNED, device) {
                    Ok(pinned) => Box::new(pinned),
                    Err(error) => {
                        let why = convert::text(error.message());
                        tracing::warn!(%provider, why, "no pinned memory: tensors are copied twice");
                        Box::new(Ordinary)
                    }
                }
            }
        };
        Self { way, session }
    }

    /// The inputs of requests as those of one run.
    ///
    /// # Errors
    /// As [`convert::inputs`].
    pub fn lay_out(&self, requests: &[&[Tensor]]) -> Result<Values, EngineError> {
        convert::inputs(requests, |parts| self.way.input(parts))
    }

    /// Runs the model once.
    ///
    /// # Errors
    /// [`EngineError::BadInput`] before any node runs, [`EngineError::ModelFault`] after.
    pub fn run(&mut self, inputs: Values, wanted: &[String], run: &Run) -> Result<Vec<Tensor>, EngineError> {
        self.way.run(&mut self.session, inputs, wanted, run)
    }

    #[cfg(test)]
    pub fn into_session(self) -> Session {
        self.session
    }
}
