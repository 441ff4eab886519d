//! What can go wrong in an engine, by whose fault it is.

use crate::{FieldError, Provider};

/// Why an engine or a session did not do what was asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum EngineError {
    /// The model failed inside its graph: counts against the version.
    #[error("the model failed while running: {0}")]
    ModelFault(String),
    /// The request does not fit the model: the caller's fault, every wrong field.
    #[error("bad input: {}", join(.0))]
    BadInput(Vec<FieldError>),
    /// The deadline passed; `running` says whether the model was already at work.
    #[error("deadline exceeded while {}", if *.running { "running" } else { "queued" })]
    Deadline {
        /// The model was running, not waiting.
        running: bool,
    },
    /// A run took longer than it may, whatever its caller allowed: counts against the version.
    #[error("the model ran longer than {} ms", .limit.as_millis())]
    TooLong {
        /// How long it may take.
        limit: std::time::Duration,
    },
    /// The caller gave up.
    #[error("cancelled")]
    Cancelled,
    /// The session's queue is full.
    #[error("the queue of {capacity} requests is full")]
    Busy {
        /// Requests that may wait.
        capacity: usize,
    },
    /// The model cannot be loaded.
    #[error("the model does not load: {0}")]
    Load(String),
    /// The wanted execution provider is not to be had, and falling back is not allowed.
    #[error("execution provider {wanted} is not available here: {why}")]
    Provider {
        /// What the policy asks for.
        wanted: Provider,
        /// What was found.
        why: String,
    },
    /// ONNX Runtime is not installed or cannot be opened.
    #[error(
        "ONNX Runtime is not usable: {0}; `wlp runtime install` installs it, ORT_DYLIB_PATH names another"
    )]
    NotInstalled(String),
    /// The host failed: no thread, no memory for one.
    #[error("the engine failed: {0}")]
    Host(String),
    /// The session has been closed or its thread is gone.
    #[error("the session is closed")]
    Closed,
}

/// Whose fault an [`EngineError`] is (ARCHITECTURE, reading 5: only faults of the model count for a rollback).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// The model's: counts.
    Model,
    /// The caller's: never counts.
    Caller,
    /// The host's: does not count against a version.
    Host,
}

impl EngineError {
    /// Whose fault it is. A deadline that passes while the model runs is the caller's: what the model may take by itself
    /// is [`crate::RunOptions::limit`].
    pub fn fault(&self) -> FaultKind {
        match self {
            Self::ModelFault(_) | Self::Load(_) | Self::TooLong { .. } => FaultKind::Model,
            Self::BadInput(_) | Self::Deadline { .. } | Self::Cancelled => FaultKind::Caller,
            Self::Busy { .. }
            | Self::Provider { .. }
            | Self::NotInstalled(_)
            | Self::Host(_)
            | Self::Closed => FaultKind::Host,
        }
    }
}

fn join(fields: &[FieldError]) -> String {
    fields.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}
