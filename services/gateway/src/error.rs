//! Everything that a request can be refused for, and the one place where it becomes a status.

use std::time::Duration;

use crate::breaker::Fault;
use crate::shared_memory::RegionError;
use engine::{EngineError, FaultKind, FieldError};
use runtime::status::{QuotaViolation, over_quota};
use runtime::{FieldViolation, bad_request, retry_later, status};
use tonic::{Code, Status};

/// When a caller may try again after a condition that passes by itself.
const SOON: Duration = Duration::from_millis(200);

/// Why a request was not answered.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// Fields that cannot be used, all of them.
    #[error("{} fields cannot be used", .0.len())]
    BadRequest(Vec<FieldError>),
    /// Too many requests or bytes at a time.
    #[error("the gateway is full: {what}")]
    Full {
        /// Which limit.
        what: &'static str,
        /// When to come back.
        after: Duration,
    },
    /// The caller is over a limit of its own.
    #[error("over the limit of {}: {allowed}", called(.principal))]
    Limited {
        /// Field of `[limits]` that says so.
        limit: &'static str,
        /// Who calls; empty without a key.
        principal: String,
        /// What it may ask for.
        allowed: String,
        /// When to come back.
        after: Duration,
    },
    /// No route of that name.
    #[error("Request for unknown model: {0:?} is not served here")]
    UnknownEndpoint(String),
    /// The version is not one of the endpoint's.
    #[error("version {version:?} of {endpoint} is not served here")]
    UnknownVersion {
        /// Endpoint asked for.
        endpoint: String,
        /// Version asked for.
        version: String,
    },
    /// The version stands by without traffic (staged, rolled back or not yet advanced to).
    #[error("version {version} of {endpoint} takes no traffic")]
    NoTraffic {
        /// Endpoint asked for.
        endpoint: String,
        /// Version asked for.
        version: String,
    },
    /// A first rollout serves the canary's share only; this request is not in it.
    #[error("{0} has no stable version yet: only the canary's share of requests is served")]
    NoStableVersion(String),
    /// The endpoint has no backend at all.
    #[error("{0} has no version that takes traffic")]
    NoBackend(String),
    /// No route table has come yet.
    #[error("the gateway has no routes yet")]
    NoRoutes,
    /// The folder that is served has no such model.
    #[error("failed to load or unload {0:?}: it is not in the repository")]
    NotInRepository(String),
    /// A model of a folder was not loaded.
    #[error("failed to load {model:?}: {why}")]
    NotLoaded {
        /// Model asked for.
        model: String,
        /// The file, line or field, and what is wrong there.
        why: String,
    },
    /// What the protocol has and this server has not.
    #[error("{0}")]
    Unsupported(&'static str),
    /// The engine said no.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The model answered NaN, or infinity where that is a fault.
    #[error("the model answered a number that is not finite in {0}")]
    NonFinite(String),
    /// A region of shared memory is not to be had.
    #[error(transparent)]
    Region(#[from] RegionError),
    /// A file of the gateway cannot be read or written.
    #[error("the gateway's files: {0}")]
    Files(String),
}

impl Error {
    /// Whose fault it is (ARCHITECTURE, reading 5).
    pub fn fault(&self) -> Fault {
        match self {
            Self::BadRequest(_)
            | Self::Limited { .. }
            | Self::UnknownEndpoint(_)
            | Self::UnknownVersion { .. }
            | Self::NoTraffic { .. }
            | Self::NotInRepository(_)
            | Self::NotLoaded { .. }
            | Self::Region(_)
            | Self::Unsupported(_) => Fault::Client,
            Self::Full { .. }
            | Self::NoStableVersion(_)
            | Self::NoBackend(_)
            | Self::NoRoutes
            | Self::Files(_) => Fault::Platform,
            Self::NonFinite(_) => Fault::Model,
            Self::Engine(EngineError::Deadline { .. } | EngineError::Cancelled) => Fault::Deadline,
            Self::Engine(cause) => match cause.fault() {
                FaultKind::Model => Fault::Model,
                FaultKind::Caller => Fault::Client,
                FaultKind::Host => Fault::Platform,
            },
        }
    }
}

/// A caller, in words.
fn called(principal: &str) -> &str {
    if principal.is_empty() { "callers without a key" } else { principal }
}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        Self::Files(error.to_string())
    }
}

/// Engine field errors as wire violations.
pub fn violations(bad: &[FieldError]) -> Vec<FieldViolation> {
    bad.iter().map(|one| FieldViolation::new(one.field.clone(), one.description.clone())).collect()
}

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        let text = error.to_string();
        match error {
            Error::BadRequest(bad) => bad_request(violations(&bad)),
            Error::Full { after, .. } => retry_later(Code::ResourceExhausted, "GATEWAY_FULL", text, after),
            Error::Limited { limit, principal, allowed, after } => {
                let mut violation = QuotaViolation::new(format!("caller:{principal}"), allowed);
                violation.quota_id = limit.to_owned();
                over_quota("CALLER_LIMIT", text, violation, after, [("limit".into(), limit.to_owned())])
            }
            Error::UnknownEndpoint(name) => {
                status(Code::NotFound, "MODEL_NOT_SERVED", text, [("model".into(), name)])
            }
            Error::UnknownVersion { endpoint, version } => {
                let facts = [("model".into(), endpoint), ("version".into(), version)];
                status(Code::NotFound, "VERSION_NOT_SERVED", text, facts)
            }
            Error::NoTraffic { endpoint, version } => {
                let facts = [("model".into(), endpoint), ("version".into(), version)];
                status(Code::FailedPrecondition, "VERSION_WITHOUT_TRAFFIC", text, facts)
            }
            Error::NoStableVersion(_) => retry_later(Code::Unavailable, "NO_STABLE_VERSION", text, SOON),
            Error::NoBackend(_) => retry_later(Code::Unavailable, "NO_BACKEND", text, SOON),
            Error::NoRoutes => retry_later(Code::Unavailable, "NO_ROUTES", text, SOON),
            Error::NotInRepository(name) => {
                status(Code::NotFound, "MODEL_NOT_IN_REPOSITORY", text, [("model".into(), name)])
            }
            Error::NotLoaded { model, .. } => {
                status(Code::FailedPrecondition, "MODEL_NOT_LOADED", text, [("model".into(), model)])
            }
            Error::Region(RegionError::Exists(name)) => {
                status(Code::AlreadyExists, "REGION_EXISTS", text, [("region".into(), name)])
            }
            Error::Region(RegionError::Unknown(name)) => {
                status(Code::NotFound, "REGION_NOT_FOUND", text, [("region".into(), name)])
            }
            Error::Region(RegionError::Full) => status(Code::ResourceExhausted, "REGIONS_FULL", text, []),
            Error::Unsupported(_) => status(Code::Unimplemented, "NOT_SUPPORTED", text, []),
            Error::NonFinite(_) => status(Code::Internal, "MODEL_FAULT", text, []),
            Error::Engine(cause) => engine_status(cause, text),
            Error::Files(cause) => {
                tracing::error!(%cause, "files of the gateway failed");
                status(Code::Internal, "STORAGE", "the gateway's files cannot be used", [])
            }
        }
    }
}

fn engine_status(cause: EngineError, text: String) -> Status {
    match cause {
        EngineError::BadInput(bad) => bad_request(violations(&bad)),
        EngineError::ModelFault(_) => status(Code::Internal, "MODEL_FAULT", text, []),
        EngineError::TooLong { .. } => status(Code::DeadlineExceeded, "MODEL_TOO_SLOW", text, []),
        EngineError::Deadline { .. } => status(Code::DeadlineExceeded, "DEADLINE_EXCEEDED", text, []),
        EngineError::Cancelled => status(Code::Cancelled, "CANCELLED", text, []),
        EngineError::Busy { .. } => retry_later(Code::ResourceExhausted, "QUEUE_FULL", text, SOON),
        EngineError::Closed => retry_later(Code::Unavailable, "BACKEND_CLOSED", text, SOON),
        EngineError::Load(_)
        | EngineError::Provider { .. }
        | EngineError::NotInstalled(_)
        | EngineError::Host(_) => {
            tracing::error!(cause = %text, "the engine failed");
            status(Code::Internal, "ENGINE", "the engine failed", [])
        }
    }
}
