//! Answers in JSON, and every status as the HTTP status that it means.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::json;
use tonic::{Code, Status};

/// What an HTTP client that has gone away would have been told; the number is nginx's.
const CLIENT_CLOSED_REQUEST: u16 = 499;

/// A call that was refused: its status as HTTP.
#[derive(Debug)]
pub struct Refused(pub Status);

impl From<Status> for Refused {
    fn from(status: Status) -> Self {
        Self(status)
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let Self(status) = self;
        let code = status_of(&status);
        let mut response = (code, Json(json!({"error": text_of(&status)}))).into_response();
        if let Some(after) = runtime::status::retry_after(&status) {
            let seconds = HeaderValue::from(after.as_secs_f64().ceil().max(1.0) as u64);
            response.headers_mut().insert(header::RETRY_AFTER, seconds);
        }
        if code == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

/// A JSON answer.
pub fn ok(value: &impl Serialize) -> Response {
    Json(value).into_response()
}

/// Every bad field if there are any: a status has more room for them than for its message.
fn text_of(status: &Status) -> String {
    let bad = runtime::status::field_violations(status);
    if bad.is_empty() {
        return status.message().to_owned();
    }
    bad.iter().map(|one| format!("{}: {}", one.field, one.description)).collect::<Vec<_>>().join("; ")
}

fn status_of(status: &Status) -> StatusCode {
    let reason = runtime::status::reason(status);
    match (status.code(), reason.as_deref()) {
        (Code::ResourceExhausted, Some("MESSAGE_TOO_LARGE")) => StatusCode::PAYLOAD_TOO_LARGE,
        (Code::InvalidArgument, Some("UNKNOWN_ENCODING")) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        (Code::DeadlineExceeded, Some("BODY_TOO_SLOW")) => StatusCode::REQUEST_TIMEOUT,
        (Code::Ok, _) => StatusCode::OK,
        (Code::InvalidArgument | Code::FailedPrecondition, _) => StatusCode::BAD_REQUEST,
        (Code::Unauthenticated, _) => StatusCode::UNAUTHORIZED,
        (Code::PermissionDenied, _) => StatusCode::FORBIDDEN,
        (Code::NotFound, _) => StatusCode::NOT_FOUND,
        (Code::AlreadyExists | Code::Aborted, _) => StatusCode::CONFLICT,
        (Code::ResourceExhausted, _) => StatusCode::TOO_MANY_REQUESTS,
        (Code::Cancelled, _) => {
            StatusCode::from_u16(CLIENT_CLOSED_REQUEST).unwrap_or(StatusCode::BAD_REQUEST)
        }
        (Code::Unimplemented, _) => StatusCode::NOT_IMPLEMENTED,
        (Code::Unavailable, _) => StatusCode::SERVICE_UNAVAILABLE,
        (Code::DeadlineExceeded, _) => StatusCode::GATEWAY_TIMEOUT,
        (Code::Unknown | Code::OutOfRange | Code::Internal | Code::DataLoss, _) => {
            StatusCode::INTERNAL_SERVER_ERROR
        }
    }
}

/// No route of that path.
pub async fn not_found() -> Response {
    (StatusCode::NOT_FOUND, Json(json!({"error": "there is nothing at this path"}))).into_response()
}

/// A route, but not for this method.
pub async fn not_allowed() -> Response {
    let error = "this path does not take that method";
    (StatusCode::METHOD_NOT_ALLOWED, Json(json!({"error": error}))).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use runtime::{FieldViolation, retry_later, status};
    use std::time::Duration;

    #[test]
    fn every_code_has_its_http_status() {
        let of = |code| status_of(&status(code, "REASON", "text", [])).as_u16();
        for (code, http) in [
            (Code::InvalidArgument, 400),
            (Code::FailedPrecondition, 400),
            (Code::Unauthenticated, 401),
            (Code::PermissionDenied, 403),
            (Code::NotFound, 404),
            (Code::AlreadyExists, 409),
            (Code::Aborted, 409),
            (Code::ResourceExhausted, 429),
            (Code::Cancelled, 499),
            (Code::Internal, 500),
            (Code::Unknown, 500),
            (Code::DataLoss, 500),
            (Code::OutOfRange, 500),
            (Code::Unimplemented, 501),
            (Code::Unavailable, 503),
            (Code::DeadlineExceeded, 504),
        ] {
            assert_eq!(of(code), http, "{code:?}");
        }
        let too_large = status(Code::ResourceExhausted, "MESSAGE_TOO_LARGE", "text", []);
        assert_eq!(status_of(&too_large), StatusCode::PAYLOAD_TOO_LARGE);
    }

    #[tokio::test]
    async fn a_refusal_says_what_is_wrong_and_when_to_come_back() {
        let full = retry_later(Code::ResourceExhausted, "FULL", "no room", Duration::from_millis(50));
        let response = Refused(full).into_response();
        assert_eq!(response.headers()[header::RETRY_AFTER], "1");
        assert_eq!(response.headers()[header::CONTENT_TYPE], "application/json");
        let fields = ["a", "b"].map(|field| FieldViolation::new(field, "is wrong"));
        let response = Refused(runtime::bad_request(fields.to_vec())).into_response();
        let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
        assert_eq!(body, r#"{"error":"a: is wrong; b: is wrong"}"#);
    }
}
