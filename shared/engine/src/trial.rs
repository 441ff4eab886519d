//! What a registration does with a model: inspect it, load it without optimisation, compare what both say.

use std::sync::Arc;

use bytes::Bytes;

use crate::{
    Engine, EngineError, InspectError, Inspection, Limits, LoadOptions, Optimization, Session, inspect,
};

/// How a model is tried.
#[derive(Debug, Clone, Default)]
pub struct TrialOptions {
    /// What the file may hold.
    pub limits: Limits,
}

/// A model that passed.
#[derive(Debug, Clone)]
pub struct Trial {
    /// What is in the file.
    pub inspection: Inspection,
    /// The loaded model, unoptimised, on the CPU.
    pub session: Arc<dyn Session>,
}

/// Why a model is refused at registration.
#[derive(Debug, Clone, thiserror::Error)]
pub enum TrialError {
    /// Before ONNX Runtime saw it.
    #[error(transparent)]
    Inspect(#[from] InspectError),
    /// By ONNX Runtime.
    #[error(transparent)]
    Load(EngineError),
    /// The runtime reads another signature than the inspection did.
    #[error("the runtime reads another signature: {0}")]
    Signature(String),
    /// The engine itself is not usable: says nothing about the model.
    #[error(transparent)]
    Engine(EngineError),
}

/// Tries a model. Nothing is optimised, so constants that ask for a terabyte are not computed, and nothing runs.
///
/// # Errors
/// [`TrialError`]; all but [`TrialError::Engine`] are the model's fault.
pub async fn trial(engine: &dyn Engine, model: Bytes, options: TrialOptions) -> Result<Trial, TrialError> {
    let (file, limits) = (model.clone(), options.limits.clone());
    // Hashing a gigabyte takes seconds: not on a thread that serves others.
    let inspection = tokio::task::spawn_blocking(move || inspect(&file, &limits))
        .await
        .map_err(|error| TrialError::Engine(EngineError::Host(error.to_string())))??;
    let load =
        LoadOptions { optimization: Optimization::Off, limits: options.limits, ..LoadOptions::default() };
    let session = engine.load(model, load).await.map_err(|error| match error {
        EngineError::Load(_) | EngineError::ModelFault(_) => TrialError::Load(error),
        other => TrialError::Engine(other),
    })?;
    if *session.signature() != inspection.signature {
        return Err(TrialError::Signature(format!("{:?}", session.signature())));
    }
    Ok(Trial { inspection, session })
}
