//! Everything that can go wrong in the monitor, and the one place where it becomes a status.

use lifecycle::Rejection;
use runtime::{FieldViolation, PreconditionViolation, bad_request, precondition, retry_later, status};
use std::time::Duration;
use tonic::{Code, Status};
use tracing::error;

/// Why a call or a task failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Fields that cannot be used, all of them.
    #[error("{}", .0.iter().map(|bad| format!("{}: {}", bad.field, bad.description)).collect::<Vec<_>>().join("; "))]
    BadRequest(Vec<FieldViolation>),
    /// A rule of the procedure said no.
    #[error(transparent)]
    Rejected(#[from] Rejection),
    /// The caller does not hold the role in which it must act.
    #[error("§12 roles of {principal}: {observed}, required one of {required}")]
    RoleNotHeld {
        /// Who called.
        principal: String,
        /// One of these would do.
        required: String,
        /// Roles that the caller holds.
        observed: String,
    },
    /// Something that is no record: a reference profile, traffic of a version.
    #[error("{0} does not exist")]
    Missing(String),
    /// The registry refused or could not be reached.
    #[error("registry: {} ({:?})", .0.message(), .0.code())]
    Registry(Box<Status>),
    /// A computation over numbers that contradict each other.
    #[error(transparent)]
    Statistics(#[from] statistics::Error),
    /// Of the database.
    #[error(transparent)]
    Storage(#[from] storage::Error),
    /// Stored bytes that cannot be read.
    #[error("stored data cannot be read: {0}")]
    Damaged(String),
}

impl From<Status> for Error {
    fn from(status: Status) -> Self {
        Self::Registry(Box::new(status))
    }
}

impl From<prost::DecodeError> for Error {
    fn from(error: prost::DecodeError) -> Self {
        Self::Damaged(error.to_string())
    }
}

impl From<serde_json::Error> for Error {
    fn from(error: serde_json::Error) -> Self {
        Self::Damaged(error.to_string())
    }
}

impl From<sea_orm::DbErr> for Error {
    fn from(error: sea_orm::DbErr) -> Self {
        Self::Storage(error.into())
    }
}

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        let text = error.to_string();
        match error {
            Error::BadRequest(bad) => bad_request(bad),
            Error::Rejected(why) => rejected(&why),
            Error::RoleNotHeld { .. } => status(Code::PermissionDenied, "ROLE_REQUIRED", text, []),
            Error::Missing(_) => status(Code::NotFound, "RESOURCE_NOT_FOUND", text, []),
            Error::Registry(cause) => passed_on(&cause, text),
            Error::Statistics(_) => {
                let violation = PreconditionViolation::new("evidence", "statistics", text.clone());
                precondition("UNDEFINED", text, vec![violation], [])
            }
            Error::Storage(cause) => stored(cause),
            Error::Damaged(cause) => {
                error!(%cause, "stored data is damaged");
                status(Code::DataLoss, "DAMAGED", "stored data cannot be read", [])
            }
        }
    }
}

/// What the registry said, for a call that needs it. Its NOT_FOUND is about the caller's name; what it could not do for
/// us is our unavailability.
fn passed_on(cause: &Status, text: String) -> Status {
    match cause.code() {
        Code::NotFound => status(Code::NotFound, "RESOURCE_NOT_FOUND", text, []),
        Code::InvalidArgument => status(Code::InvalidArgument, "REGISTRY_REFUSED", text, []),
        Code::FailedPrecondition => status(Code::FailedPrecondition, "REGISTRY_REFUSED", text, []),
        _ => retry_later(Code::Unavailable, "REGISTRY_UNAVAILABLE", text, Duration::from_secs(1)),
    }
}

/// The clause, what it requires and what was observed: in the message, and one violation for each finding.
fn rejected(why: &Rejection) -> Status {
    let violations = why.findings().iter().map(|finding| {
        let text = format!("{}, required {}", finding.observed, finding.required);
        PreconditionViolation::new(finding.clause.clone(), finding.subject.clone(), text)
    });
    let facts =
        [("subject".to_owned(), why.subject().to_owned()), ("clause".to_owned(), why.clause().to_owned())];
    precondition(why.reason(), why.to_string(), violations.collect(), facts)
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
        E::Stale { name, seen, current } => {
            let facts = [("name".into(), name), ("seen".into(), seen), ("current".into(), current)];
            status(Code::Aborted, "STALE_ETAG", text, facts)
        }
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
            status(Code::Internal, "SETTING", "a setting of the monitor cannot be used", [])
        }
        E::Database(cause) => {
            error!(%cause, "storage failed");
            status(Code::Internal, "STORAGE", "storage failed", [])
        }
    }
}
