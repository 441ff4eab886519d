//! A client's fault is not a server's: tonic answers malformed protobuf with INTERNAL and oversized messages with
//! OUT_OF_RANGE. Whoever counts server errors (a rollout does) must not be fooled by garbage sent to it.

use std::convert::Infallible;
use std::task::{Context, Poll};

use http::{HeaderMap, Request, Response, StatusCode, header};
use tonic::body::Body;
use tonic::{Code, Status};
use tower::Service;

use super::{Answer, Inner};
use crate::observe::code_of;

/// How tonic and prost word the faults of a request that could not be read.
const MALFORMED: [&str; 6] = [
    "failed to decode Protobuf message",
    "protocol error: received message with compressed-flag",
    "protocol error: received message with invalid compression flag",
    "Error decompressing:",
    "Unexpected EOF decoding stream.",
    "Missing request message.",
];
const TOO_LARGE: &str = "Error, decoded message length too large";
/// These speak of an answer that this service got from another: not its caller's fault.
const NOT_THE_CALLERS: &str = "while receiving response";
/// Longest text of a decoder that is passed on; the rest only lists nested field names.
const ECHO_BYTES: usize = 200;

/// Gives requests that cannot be read the code they deserve, and refuses what is not gRPC with HTTP 415.
#[derive(Clone)]
pub struct WireCodes<S> {
    inner: S,
}

impl<S> WireCodes<S> {
    /// Corrects the answers of `inner`.
    pub fn new(inner: S) -> Self {
        Self { inner }
    }
}

impl<S: Inner> Service<Request<Body>> for WireCodes<S> {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answer;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Answer {
        let kind = request.headers().get(header::CONTENT_TYPE).map(http::HeaderValue::as_bytes);
        if !kind.is_some_and(is_grpc) {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::UNSUPPORTED_MEDIA_TYPE;
            return Box::pin(async move { Ok(response) });
        }
        let answer = self.inner.call(request);
        Box::pin(async move {
            let response = answer.await?;
            Ok(corrected(response.headers()).map_or(response, Status::into_http))
        })
    }
}

fn is_grpc(kind: &[u8]) -> bool {
    kind.strip_prefix(b"application/grpc")
        .is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';')))
}

/// The status that a request deserved which could not be read; none if the answer stands.
fn corrected(headers: &HeaderMap) -> Option<Status> {
    let code = code_of(headers)?;
    if !matches!(code, Code::Internal | Code::OutOfRange) || headers.contains_key("grpc-status-details-bin") {
        return None;
    }
    deserved(&Status::from_header_map(headers)?)
}

/// The status that the sender of an unreadable message deserved, where the transport blames itself; none for any other.
/// A handler that reads a stream of requests asks here, since its answer began before the message was read.
pub fn deserved(status: &Status) -> Option<Status> {
    let message = status.message();
    if message.contains(NOT_THE_CALLERS) {
        return None;
    }
    let text = &message[..message.floor_char_boundary(ECHO_BYTES.min(message.len()))];
    if status.code() == Code::OutOfRange && message.starts_with(TOO_LARGE) {
        return Some(crate::status(Code::ResourceExhausted, "MESSAGE_TOO_LARGE", text, []));
    }
    let unreadable =
        status.code() == Code::Internal && MALFORMED.iter().any(|start| message.starts_with(start));
    unreadable.then(|| crate::status(Code::InvalidArgument, "MALFORMED_REQUEST", text, []))
}
