//! Everything that can go wrong in the registry, and the one place where it becomes a status.

use lifecycle::Rejection;
use runtime::status::bad_request_for;
use runtime::{FieldViolation, PreconditionViolation, bad_request, precondition, retry_later, status};
use std::time::Duration;
use tonic::{Code, Status};
use tracing::error;

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Fields that cannot be used, all of them.
    #[error("{} fields cannot be used", .0.len())]
    BadRequest(Vec<FieldViolation>),
    /// A rule of the procedure said no.
    #[error(transparent)]
    Rejected(#[from] Rejection),
    /// The caller does not hold the role in which it wants to act.
    #[error("{clause} roles of {principal}: {observed}, required one of {required}")]
    RoleNotHeld {
        /// The clause that asks for a role.
        clause: String,
        /// Who called.
        principal: String,
        /// One of these would do.
        required: String,
        /// Roles that the caller holds.
        observed: String,
    },
    /// The database refused an approval: by a contributor, or twice by one person.
    #[error("separation of duties (§12): {principal} may not approve {subject}: {why}")]
    SeparationOfDuties {
        /// What was to be approved.
        subject: String,
        /// By whom.
        principal: String,
        /// Which constraint.
        why: String,
    },
    /// A model file that must not be served, with every reason.
    #[error("model refused: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    ModelRefused(Vec<engine::inspect::Finding>),
    /// An artifact, policy digest or other thing that is no record.
    #[error("{0} does not exist")]
    Missing(String),
    /// The same caller is uploading these bytes right now.
    #[error("{0} is being uploaded by the same caller")]
    UploadInProgress(String),
    /// Something is not finished that has to be.
    #[error("{subject} is {observed}, required {required}")]
    NotReady {
        /// What.
        subject: String,
        /// What it should be.
        required: String,
        /// What it is.
        observed: String,
    },
    /// The inference engine of this host cannot be used; says nothing about the model.
    #[error("the engine cannot try the model: {0}")]
    Engine(String),
    /// What was wrong with a later message of a stream, as it is told.
    #[error("{}", .0.message())]
    Sender(Status),
    /// Of a database.
    #[error(transparent)]
    Storage(#[from] storage::Error),
    /// Of the blob store.
    #[error(transparent)]
    Blob(#[from] storage::BlobError),
    /// Stored bytes that cannot be read.
    #[error("stored data cannot be read: {0}")]
    Damaged(String),
}

impl Error {
    /// One bad field.
    pub fn field(field: &str, why: impl Into<String>) -> Self {
        Self::BadRequest(vec![FieldViolation::new(field, why)])
    }
}

impl From<prost::DecodeError> for Error {
    fn from(error: prost::DecodeError) -> Self {
        Self::Damaged(error.to_string())
    }
}

impl From<sea_orm::DbErr> for Error {
    fn from(error: sea_orm::DbErr) -> Self {
        Self::Storage(error.into())
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
        let failed = |reason, kind: &str, subject: &str| {
            precondition(
                reason,
                text.clone(),
                vec![PreconditionViolation::new(kind, subject, text.clone())],
                [],
            )
        };
        match error {
            Error::BadRequest(bad) => bad_request(bad),
            Error::Rejected(why) => rejected(&why),
            Error::RoleNotHeld { .. } => status(Code::PermissionDenied, "ROLE_REQUIRED", text, []),
            Error::SeparationOfDuties { subject, .. } => failed("SEPARATION_OF_DUTIES", "§12", &subject),
            Error::ModelRefused(findings) => {
                let violations =
                    findings.into_iter().map(|one| PreconditionViolation::new(one.reason, one.at, one.why));
                precondition("MODEL_REFUSED", text, violations.collect(), [])
            }
            Error::Missing(_) => status(Code::NotFound, "RESOURCE_NOT_FOUND", text, []),
            Error::UploadInProgress(_) => {
                retry_later(Code::Aborted, "UPLOAD_IN_PROGRESS", text, Duration::from_millis(200))
            }
            Error::NotReady { subject, .. } => failed("NOT_READY", "state", &subject),
            Error::Engine(cause) => {
                error!(%cause, "the engine cannot be used");
                retry_later(Code::Unavailable, "ENGINE_UNAVAILABLE", text, Duration::from_secs(1))
            }
            Error::Sender(told) => told,
            Error::Storage(cause) => stored(cause),
            Error::Blob(cause) => blob(&cause),
            Error::Damaged(cause) => {
                error!(%cause, "stored data is damaged");
                status(Code::DataLoss, "DAMAGED", "stored data cannot be read", [])
            }
        }
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
            status(Code::Internal, "SETTING", "a setting of the registry cannot be used", [])
        }
        E::Database(cause) => {
            error!(%cause, "storage failed");
            status(Code::Internal, "STORAGE", "storage failed", [])
        }
    }
}

fn blob(cause: &storage::BlobError) -> Status {
    use storage::BlobError as E;
    let text = cause.to_string();
    match cause {
        E::NotFound(_) => status(Code::NotFound, "RESOURCE_NOT_FOUND", text, []),
        E::BadUploadId(_) | E::Io(_) => {
            error!(%cause, "the blob store failed");
            status(Code::Internal, "STORAGE", "the blob store failed", [])
        }
        E::OffsetMismatch { have, .. } => {
            status(Code::OutOfRange, "WRONG_OFFSET", text, [("received_bytes".into(), have.to_string())])
        }
        E::TooLarge { .. } => status(Code::ResourceExhausted, "TOO_LARGE", text, []),
        E::Incomplete { have, .. } => {
            let violation = PreconditionViolation::new("bytes", "upload", text.clone());
            precondition(
                "UPLOAD_INCOMPLETE",
                text,
                vec![violation],
                [("received_bytes".into(), have.to_string())],
            )
        }
        E::DigestMismatch { expected, actual } => {
            let facts = [("announced".into(), expected.to_string()), ("observed".into(), actual.to_string())];
            let why = format!("is {expected}, the bytes have {actual}");
            bad_request_for("DIGEST_MISMATCH", vec![FieldViolation::new("digest", why)], facts)
        }
        E::Damaged(_) => status(Code::DataLoss, "DAMAGED", text, []),
        E::BadRange { .. } => status(Code::OutOfRange, "WRONG_OFFSET", text, []),
        E::Full => {
            error!("no room is left for blobs");
            status(Code::ResourceExhausted, "STORAGE_FULL", text, [])
        }
        E::BrokenOff(_) => status(Code::Cancelled, "BROKEN_OFF", text, []),
    }
}
