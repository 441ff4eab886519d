//! Everything that can go wrong in the evaluator, and the one place where it becomes a status.

use engine::{EngineError, FaultKind};
use runtime::{FieldViolation, PreconditionViolation, bad_request, precondition, retry_later, status};
use std::time::Duration;
use tonic::{Code, Status};
use tracing::error;

/// Why a call or an evaluation failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Fields that cannot be used, all of them.
    #[error("{}", .0.iter().map(|bad| format!("{}: {}", bad.field, bad.description)).collect::<Vec<_>>().join("; "))]
    BadRequest(Vec<FieldViolation>),
    /// Someone else's operation.
    #[error("{operation} belongs to {owner}")]
    NotYours {
        /// The operation.
        operation: String,
        /// Who asked for it.
        owner: String,
    },
    /// The evaluation is there already, made by another plan or person.
    #[error("{0} exists already")]
    Exists(String),
    /// The model, the data and the plan do not fit each other.
    #[error("{subject} does not fit: {why}")]
    DoesNotFit {
        /// Input, output or column.
        subject: String,
        /// What is required and what was observed.
        why: String,
    },
    /// More than the limits allow.
    #[error("{what} is {observed}, at most {allowed} is taken")]
    TooLarge {
        /// Rows, bytes or values.
        what: String,
        /// How much there is.
        observed: String,
        /// How much may be.
        allowed: usize,
    },
    /// Bytes that came are not those that were announced, or cannot be read.
    #[error("{0}")]
    Damaged(String),
    /// Another service said no, or nobody answered.
    #[error("{call}: {}", .status.message())]
    Peer {
        /// What was asked for.
        call: &'static str,
        /// The answer.
        status: Box<Status>,
    },
    /// The policy in force cannot be used.
    #[error("the policy in force cannot be used: {0}")]
    Policy(String),
    /// The engine cannot load or run the model.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The evaluation took longer than it may.
    #[error("the evaluation took longer than {} s", .0.as_secs())]
    Deadline(Duration),
    /// It stopped because it was asked to.
    #[error("cancelled")]
    Cancelled,
    /// Of the database.
    #[error(transparent)]
    Storage(#[from] storage::Error),
    /// A fault of ours.
    #[error("the evaluation broke off: {0}")]
    Broken(String),
    /// What this service does not do.
    #[error("{0}")]
    Unsupported(&'static str),
}

impl Error {
    /// What another service answered to `call`.
    pub fn peer(call: &'static str) -> impl FnOnce(Status) -> Self {
        move |status| Self::Peer { call, status: Box::new(status) }
    }

    /// Model, data and plan do not fit each other.
    pub fn unfit(subject: impl Into<String>, why: impl Into<String>) -> Self {
        Self::DoesNotFit { subject: subject.into(), why: why.into() }
    }

    /// Whether the same evaluation may succeed later without anybody doing anything.
    pub fn passes_by_itself(&self) -> bool {
        match self {
            Self::Peer { status, .. } => {
                matches!(status.code(), Code::Unavailable | Code::DeadlineExceeded | Code::Aborted)
            }
            Self::Storage(storage::Error::Busy(_) | storage::Error::Unavailable(_)) => true,
            _ => false,
        }
    }
}

impl storage::Transient for Error {
    fn is_transient(&self) -> bool {
        matches!(self, Self::Storage(error) if error.is_transient())
    }
}

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        let text = error.to_string();
        match error {
            Error::BadRequest(bad) => bad_request(bad),
            Error::NotYours { .. } => status(Code::PermissionDenied, "NOT_YOURS", text, []),
            Error::Exists(name) => {
                status(Code::AlreadyExists, "RESOURCE_EXISTS", text, [("name".into(), name)])
            }
            Error::DoesNotFit { subject, why } => {
                let violation = PreconditionViolation::new("fit", subject, why);
                precondition("DOES_NOT_FIT", text, vec![violation], [])
            }
            Error::TooLarge { .. } => status(Code::ResourceExhausted, "TOO_LARGE", text, []),
            Error::Damaged(_) => status(Code::DataLoss, "DAMAGED", text, []),
            Error::Peer { call, status: answer } => {
                if answer.details().is_empty() {
                    return status(
                        answer.code(),
                        "PEER_FAILED",
                        text,
                        [("call".to_owned(), call.to_owned())],
                    );
                }
                // The other service's own details: its reason, its fields, its preconditions.
                Status::with_details(answer.code(), text, answer.details().to_vec().into())
            }
            Error::Policy(_) => precondition(
                "POLICY_UNUSABLE",
                text.clone(),
                vec![PreconditionViolation::new("policy", "policy", text)],
                [],
            ),
            Error::Engine(cause) => engine_status(&cause, text),
            Error::Deadline(_) => status(Code::DeadlineExceeded, "EVALUATION_TOO_LONG", text, []),
            Error::Cancelled => status(Code::Cancelled, "CANCELLED", text, []),
            Error::Storage(cause) => stored(cause),
            Error::Broken(cause) => {
                error!(%cause, "an evaluation broke off");
                status(Code::Internal, "INTERNAL", "the evaluation broke off by a fault of the evaluator", [])
            }
            Error::Unsupported(_) => status(Code::Unimplemented, "UNSUPPORTED", text, []),
        }
    }
}

fn engine_status(cause: &EngineError, text: String) -> Status {
    match cause.fault() {
        FaultKind::Model => precondition(
            "MODEL_FAILED",
            text.clone(),
            vec![PreconditionViolation::new("model", "artifact", text)],
            [],
        ),
        FaultKind::Caller => status(Code::Internal, "ENGINE_INPUT", text, []),
        FaultKind::Host => {
            error!(%cause, "the engine cannot be used");
            retry_later(Code::Unavailable, "ENGINE_UNAVAILABLE", text, Duration::from_secs(1))
        }
    }
}

fn stored(cause: storage::Error) -> Status {
    use storage::Error as E;
    let text = cause.to_string();
    let soon = Duration::from_millis(200);
    match cause {
        E::NotFound { name, .. } => {
            status(Code::NotFound, "RESOURCE_NOT_FOUND", text, [("name".into(), name)])
        }
        E::AlreadyExists { name, .. } => {
            status(Code::AlreadyExists, "RESOURCE_EXISTS", text, [("name".into(), name)])
        }
        E::Stale { name, .. } => status(Code::Aborted, "STALE_ETAG", text, [("name".into(), name)]),
        E::RequestReused { request_id } => {
            status(Code::AlreadyExists, "REQUEST_ID_REUSED", text, [("request_id".into(), request_id)])
        }
        E::OperationOver { name } => {
            let violation = PreconditionViolation::new("state", name, "running is required");
            precondition("OPERATION_OVER", text, vec![violation], [])
        }
        E::Busy(_) => retry_later(Code::Aborted, "CONTENTION", "too many writers at once", soon),
        E::Unavailable(cause) => {
            error!(%cause, "the database cannot be reached");
            retry_later(Code::Unavailable, "DATABASE_UNAVAILABLE", "the database cannot be reached", soon)
        }
        E::Full(cause) => {
            error!(%cause, "no room is left");
            status(Code::ResourceExhausted, "DATABASE_FULL", "no room is left", [])
        }
        E::Damaged(cause) => {
            error!(%cause, "stored data is damaged");
            status(Code::DataLoss, "DAMAGED", "stored data is damaged", [])
        }
        E::Setting(cause) => {
            error!(%cause, "a setting cannot be used");
            status(Code::Internal, "SETTING", "a setting of the evaluator cannot be used", [])
        }
        E::Database(cause) => {
            error!(%cause, "storage failed");
            status(Code::Internal, "STORAGE", "storage failed", [])
        }
    }
}
