//! Errors on the wire: a gRPC status with `google.rpc` details, and how a client reads them again.

use std::collections::HashMap;
use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};
pub use tonic_types::{FieldViolation, PreconditionViolation, QuotaViolation};

/// `ErrorInfo.domain` of every error of ours.
pub const DOMAIN: &str = "wlp";
/// Details travel in trailers, which common clients cap at 8 KiB, base64 included.
const DETAIL_BYTES: usize = 4096;
/// Longest message, for the same reason.
const MESSAGE_BYTES: usize = 1024;

/// A status with `google.rpc.ErrorInfo`: `reason` is UPPER_SNAKE, the domain is [`DOMAIN`].
pub fn status(
    code: Code,
    reason: &str,
    message: impl Into<String>,
    metadata: impl IntoIterator<Item = (String, String)>,
) -> Status {
    Status::with_error_details(code, short(message.into()), info(reason, metadata))
}

/// INVALID_ARGUMENT that names every bad field.
pub fn bad_request(violations: Vec<FieldViolation>) -> Status {
    bad_request_for("BAD_REQUEST", violations, [])
}

/// [`bad_request`] with a reason of its own and what a program may want to know.
pub fn bad_request_for(
    reason: &str,
    violations: Vec<FieldViolation>,
    metadata: impl IntoIterator<Item = (String, String)>,
) -> Status {
    let message = violations.iter().map(|bad| format!("{}: {}", bad.field, bad.description));
    let message = short(message.collect::<Vec<_>>().join("; "));
    let mut details = info(reason, metadata);
    details.set_bad_request(fit(
        violations,
        |bad| bad.field.len() + bad.description.len(),
        |left| FieldViolation::new("...", format!("and {left} more")),
    ));
    Status::with_error_details(Code::InvalidArgument, message, details)
}

/// FAILED_PRECONDITION with one violation for each thing that was found wanting.
pub fn precondition(
    reason: &str,
    message: impl Into<String>,
    violations: Vec<PreconditionViolation>,
    metadata: impl IntoIterator<Item = (String, String)>,
) -> Status {
    let mut details = info(reason, metadata);
    let size = |bad: &PreconditionViolation| bad.r#type.len() + bad.subject.len() + bad.description.len();
    details.set_precondition_failure(fit(violations, size, |left| {
        PreconditionViolation::new("...", "...", format!("and {left} more"))
    }));
    Status::with_error_details(Code::FailedPrecondition, short(message.into()), details)
}

/// An error that passes by itself (UNAVAILABLE, RESOURCE_EXHAUSTED, ABORTED), with `google.rpc.RetryInfo`.
pub fn retry_later(code: Code, reason: &str, message: impl Into<String>, after: Duration) -> Status {
    let mut details = info(reason, []);
    details.set_retry_info(Some(after));
    Status::with_error_details(code, short(message.into()), details)
}

/// RESOURCE_EXHAUSTED because a caller is over a limit of its own, with `google.rpc.QuotaFailure` and `RetryInfo`.
pub fn over_quota(
    reason: &str,
    message: impl Into<String>,
    violation: QuotaViolation,
    after: Duration,
    metadata: impl IntoIterator<Item = (String, String)>,
) -> Status {
    let mut details = info(reason, metadata);
    details.set_quota_failure(vec![violation]).set_retry_info(Some(after));
    Status::with_error_details(Code::ResourceExhausted, short(message.into()), details)
}

/// The limits that a status names.
pub fn quota_violations(status: &Status) -> Vec<QuotaViolation> {
    status.get_details_quota_failure().map(|bad| bad.violations).unwrap_or_default()
}

/// The `ErrorInfo.reason` of a status, if it carries one.
pub fn reason(status: &Status) -> Option<String> {
    status.get_details_error_info().map(|info| info.reason)
}

/// The `ErrorInfo.metadata` of a status.
pub fn metadata(status: &Status) -> HashMap<String, String> {
    status.get_details_error_info().map(|info| info.metadata).unwrap_or_default()
}

/// The bad fields that a status names.
pub fn field_violations(status: &Status) -> Vec<FieldViolation> {
    status.get_details_bad_request().map(|bad| bad.field_violations).unwrap_or_default()
}

/// The failed preconditions that a status names.
pub fn precondition_violations(status: &Status) -> Vec<PreconditionViolation> {
    status.get_details_precondition_failure().map(|bad| bad.violations).unwrap_or_default()
}

/// When to try again, if the status says so.
pub fn retry_after(status: &Status) -> Option<Duration> {
    status.get_details_retry_info().and_then(|info| info.retry_delay)
}

fn info(reason: &str, metadata: impl IntoIterator<Item = (String, String)>) -> ErrorDetails {
    let mut room = DETAIL_BYTES / 2;
    let fits = |(key, value): &(String, String)| {
        let size = key.len() + value.len();
        let fits = size <= room;
        room -= if fits { size } else { 0 };
        fits
    };
    ErrorDetails::with_error_info(
        reason,
        DOMAIN,
        metadata.into_iter().filter(fits).collect::<HashMap<_, _>>(),
    )
}

/// Cuts a message to the space that a status has, at a character boundary.
pub(crate) fn short(mut message: String) -> String {
    if MESSAGE_BYTES < message.len() {
        message.truncate(message.floor_char_boundary(MESSAGE_BYTES));
        message.push_str("...");
    }
    message
}

fn fit<V>(all: Vec<V>, size: impl Fn(&V) -> usize, rest: impl Fn(usize) -> V) -> Vec<V> {
    let (total, mut used, mut kept) = (all.len(), 0, Vec::new());
    for one in all {
        used += size(&one) + 8;
        if DETAIL_BYTES / 2 < used {
            kept.push(rest(total - kept.len()));
            break;
        }
        kept.push(one);
    }
    kept
}
