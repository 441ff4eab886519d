//! Everything that can go wrong in the data-pipeline, and the one place where it becomes a status.

use runtime::{FieldViolation, PreconditionViolation, bad_request, precondition, retry_later, status};
use std::collections::HashMap;
use std::time::Duration;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};
use tracing::{error, warn};

/// Why a call or a build failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Fields that cannot be used, all of them.
    #[error("{}", .0.iter().map(|bad| format!("{}: {}", bad.field, bad.description)).collect::<Vec<_>>().join("; "))]
    BadRequest(Vec<FieldViolation>),
    /// An input file that cannot be read: which one, where, what.
    #[error("{input}: {what}")]
    BadData {
        /// `inputs[0] (sha256:…)`
        input: String,
        /// Line and cause.
        what: String,
    },
    /// An input that could not be read, for which it is not to blame.
    #[error("{input}: {what}")]
    Reader {
        /// `inputs[0] (sha256:…)`
        input: String,
        /// Cause.
        what: String,
    },
    /// A source that may not be used (§5.1).
    #[error("§5.1 {source_name}: required {required}, observed {observed}")]
    Source {
        /// `dataSources/s`
        source_name: String,
        /// What it must be.
        required: String,
        /// What it is.
        observed: String,
    },
    /// The plan asks of the data what it does not have.
    #[error(transparent)]
    Features(#[from] features::Error),
    /// A number that does not exist for this data.
    #[error(transparent)]
    Statistics(#[from] statistics::Error),
    /// Nothing of that name was built here.
    #[error("{0} does not exist")]
    Missing(String),
    /// The same caller is uploading these bytes right now.
    #[error("{0} is being uploaded by the same caller")]
    UploadInProgress(String),
    /// The registry said no.
    #[error("registry: {}", .0.message())]
    Registry(Status),
    /// The operation was asked to stop.
    #[error("cancelled")]
    Cancelled,
    /// The service stops; the operation goes on after the restart.
    #[error("the service is stopping")]
    Stopping,
    /// A version of that name was built before with another content.
    #[error("{name} exists with manifest {existing}, this build has {built}")]
    Conflict {
        /// Resource name.
        name: String,
        /// Its manifest.
        existing: String,
        /// The new one.
        built: String,
    },
    /// A version whose card lacks sections is not published.
    #[error("the data card of {name} lacks {}: nothing is recorded for {}", .sections.join(", "), if .sections.len() == 1 { "it" } else { "them" })]
    CardIncomplete {
        /// Resource name.
        name: String,
        /// `ethical-review`
        sections: Vec<String>,
    },
    /// Of a database.
    #[error(transparent)]
    Storage(#[from] storage::Error),
    /// Of the blob store.
    #[error(transparent)]
    Blob(#[from] storage::BlobError),
    /// Stored bytes that cannot be read.
    #[error("stored data cannot be read: {0}")]
    Damaged(String),
    /// The service ended in the middle of the operation again and again.
    #[error("the service ended {0} times while it worked on this: it is not tried again")]
    TooOften(u32),
    /// What is made of the data needs more room than there is.
    #[error("{what} needs more than {allowed} bytes")]
    TooLarge {
        /// Step or column.
        what: String,
        /// Bytes.
        allowed: usize,
    },
    /// A fault of ours.
    #[error("internal: {0}")]
    Internal(String),
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

impl From<arrow::error::ArrowError> for Error {
    fn from(error: arrow::error::ArrowError) -> Self {
        Self::Internal(error.to_string())
    }
}

impl From<parquet::errors::ParquetError> for Error {
    fn from(error: parquet::errors::ParquetError) -> Self {
        Self::Internal(error.to_string())
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
            Error::BadData { input, what } => {
                let field = input.split_whitespace().next().unwrap_or("inputs").to_owned();
                invalid("BAD_DATA", text, FieldViolation::new(field, what), [("input".into(), input)])
            }
            Error::Reader { .. } => {
                warn!(cause = text, "an input could not be read");
                retry_later(Code::Unavailable, "READER_FAILED", text, Duration::from_secs(1))
            }
            Error::Source { source_name, .. } => {
                let violation = PreconditionViolation::new("§5.1", source_name, text.clone());
                precondition("SOURCE_NOT_USABLE", text, vec![violation], [])
            }
            Error::Features(_) => {
                invalid("PLAN_DOES_NOT_FIT", text.clone(), FieldViolation::new("plan", text), [])
            }
            Error::Statistics(_) => status(Code::InvalidArgument, "NOT_MEASURABLE", text, []),
            Error::Missing(name) => {
                status(Code::NotFound, "RESOURCE_NOT_FOUND", text, [("name".into(), name)])
            }
            Error::UploadInProgress(_) => {
                retry_later(Code::Aborted, "UPLOAD_IN_PROGRESS", text, Duration::from_millis(200))
            }
            Error::Registry(status) => status,
            Error::Cancelled => status(Code::Cancelled, "CANCELLED", text, []),
            Error::Stopping => retry_later(Code::Unavailable, "STOPPING", text, Duration::from_secs(1)),
            Error::Conflict { name, .. } => {
                status(Code::AlreadyExists, "RESOURCE_EXISTS", text, [("name".into(), name)])
            }
            Error::CardIncomplete { name, sections } => {
                let lacks = sections.iter().map(|section| {
                    PreconditionViolation::new(
                        "§5.4",
                        format!("{name} data card"),
                        format!("{section} is empty"),
                    )
                });
                let facts = [("name".into(), name.clone()), ("sections".into(), sections.join(","))];
                precondition("DATA_CARD_INCOMPLETE", text, lacks.collect(), facts)
            }
            Error::Storage(cause) => stored(cause),
            Error::Blob(cause) => blob(cause),
            Error::Damaged(cause) => {
                error!(%cause, "stored data is damaged");
                status(Code::DataLoss, "DAMAGED", "stored data cannot be read", [])
            }
            Error::TooOften(_) => status(Code::Aborted, "INTERRUPTED", text, []),
            Error::TooLarge { .. } => status(Code::ResourceExhausted, "TOO_LARGE", text, []),
            Error::Internal(cause) => {
                error!(%cause, "the data-pipeline failed");
                status(Code::Internal, "INTERNAL", "the data-pipeline failed", [])
            }
        }
    }
}

/// INVALID_ARGUMENT with a reason of its own and the field that is meant.
fn invalid(
    reason: &str,
    text: String,
    violation: FieldViolation,
    facts: impl IntoIterator<Item = (String, String)>,
) -> Status {
    let mut details =
        ErrorDetails::with_error_info(reason, runtime::status::DOMAIN, HashMap::from_iter(facts));
    details.set_bad_request(vec![violation]);
    Status::with_error_details(Code::InvalidArgument, text, details)
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
            status(Code::Internal, "SETTING", "a setting of the data-pipeline cannot be used", [])
        }
        E::Database(cause) => {
            error!(%cause, "storage failed");
            status(Code::Internal, "STORAGE", "storage failed", [])
        }
    }
}

fn blob(cause: storage::BlobError) -> Status {
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
            status(Code::InvalidArgument, "DIGEST_MISMATCH", text, facts)
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
