//! A panic in a handler answers INTERNAL: over TCP the task would die alone, in process it would take its caller along.

use std::any::Any;
use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::FutureExt;
use http::{Request, Response};
use http_body::Frame;
use tonic::body::Body;
use tonic::{Code, Status};
use tower::Service;

use super::{Answer, Inner};

/// Turns panics of `inner`, also while a stream is read, into INTERNAL.
#[derive(Clone)]
pub struct CatchPanic<S> {
    inner: S,
}

impl<S> CatchPanic<S> {
    /// Guards `inner`.
    pub fn new(inner: S) -> Self {
        Self { inner }
    }
}

impl<S: Inner> Service<Request<Body>> for CatchPanic<S> {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answer;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Answer {
        let path = request.uri().path().to_owned();
        let answer = match catch_unwind(AssertUnwindSafe(|| self.inner.call(request))) {
            Ok(answer) => answer,
            Err(panic) => return Box::pin(async move { Ok(caught(&path, panic.as_ref()).into_http()) }),
        };
        Box::pin(async move {
            match AssertUnwindSafe(answer).catch_unwind().await {
                Ok(response) => response
                    .map(|response| response.map(|inner| Body::new(Guarded { inner, path, over: false }))),
                Err(panic) => Ok(caught(&path, panic.as_ref()).into_http()),
            }
        })
    }
}

/// What a panic says, as far as it is text.
pub(crate) fn panic_text(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no text")
}

fn caught(path: &str, panic: &(dyn Any + Send)) -> Status {
    tracing::error!(method = path, panic = panic_text(panic), "handler panicked");
    crate::status(Code::Internal, "PANIC", "the handler failed", [])
}

struct Guarded {
    inner: Body,
    path: String,
    over: bool,
}

impl http_body::Body for Guarded {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if self.over {
            return Poll::Ready(None);
        }
        match catch_unwind(AssertUnwindSafe(|| Pin::new(&mut self.inner).poll_frame(context))) {
            Ok(polled) => polled,
            Err(panic) => {
                self.over = true;
                let status = caught(&self.path, panic.as_ref());
                Poll::Ready(Some(super::deadline::trailers(&status).map(Frame::trailers)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.over || self.inner.is_end_stream()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.inner.size_hint()
    }
}
