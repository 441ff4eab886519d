//! Watches a response to its end: the gRPC code may be in the headers (an error, or a trailers-only answer) or come
//! with the trailers of a stream.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, Response};
use http_body::Frame;
use tonic::Code;
use tonic::body::Body;
use tracing::Span;

type OnEnd = Box<dyn FnOnce(Code) + Send>;

/// Calls `on_end` once with the code of the call; a body dropped before its trailers is CANCELLED. `span` is entered
/// while the body is read and lives as long as it.
pub(crate) fn observe(
    response: Response<Body>,
    span: Span,
    on_end: impl FnOnce(Code) + Send + 'static,
) -> Response<Body> {
    if let Some(code) = code_of(response.headers()) {
        on_end(code);
        return response;
    }
    response.map(|inner| Body::new(Observed { inner, span, on_end: Some(Box::new(on_end)) }))
}

/// The code in headers or trailers.
pub(crate) fn code_of(headers: &HeaderMap) -> Option<Code> {
    headers.get("grpc-status").map(|value| Code::from_bytes(value.as_bytes()))
}

/// The name of a code as gRPC writes it.
pub(crate) fn name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

struct Observed {
    inner: Body,
    span: Span,
    on_end: Option<OnEnd>,
}

impl Observed {
    fn end(&mut self, code: Code) {
        if let Some(on_end) = self.on_end.take() {
            let _entered = self.span.enter();
            on_end(code);
        }
    }
}

impl http_body::Body for Observed {
    type Data = Bytes;
    type Error = tonic::Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, tonic::Status>>> {
        let span = self.span.clone();
        let polled = span.in_scope(|| Pin::new(&mut self.inner).poll_frame(context));
        match &polled {
            Poll::Ready(Some(Ok(frame))) => {
                if let Some(code) = frame.trailers_ref().and_then(code_of) {
                    self.end(code);
                }
            }
            Poll::Ready(Some(Err(status))) => self.end(status.code()),
            Poll::Ready(None) => self.end(Code::Unknown),
            Poll::Pending => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.inner.size_hint()
    }
}

impl Drop for Observed {
    fn drop(&mut self) {
        self.end(Code::Cancelled);
    }
}
