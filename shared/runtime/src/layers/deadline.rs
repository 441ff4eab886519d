//! Deadlines, in real time: `grpc-timeout` is honoured, in process too, and a unary call without one gets the default.

use std::collections::HashSet;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body::Frame;
use tokio::time::{Instant, Sleep};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::body::Body;
use tonic::{Code, Status};
use tower::Service;

use super::{Answer, Inner};

/// What a unary call may take that asks for nothing else.
pub const DEFAULT: Duration = Duration::from_secs(30);

tokio::task_local! {
    static CURRENT: Instant;
}

/// Time left to the call that this task handles. A [`crate::Peer`] never waits longer than that for another service.
pub fn remaining() -> Option<Duration> {
    CURRENT.try_with(|until| until.saturating_duration_since(Instant::now())).ok()
}

/// Answers DEADLINE_EXCEEDED when the time of a call is over, and ends streams with UNAVAILABLE when the service drains.
#[derive(Clone)]
pub struct Deadline<S> {
    inner: S,
    default: Duration,
    streaming: Arc<HashSet<String>>,
    draining: CancellationToken,
}

impl<S> Deadline<S> {
    /// `streaming` are the paths without a default deadline.
    pub fn new(
        inner: S,
        default: Duration,
        streaming: Arc<HashSet<String>>,
        draining: CancellationToken,
    ) -> Self {
        Self { inner, default, streaming, draining }
    }
}

impl<S: Inner> Service<Request<Body>> for Deadline<S> {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answer;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Answer {
        let streams = self.streaming.contains(request.uri().path());
        let asked = timeout_of(request.headers());
        let allowed = if streams { asked } else { Some(asked.unwrap_or(self.default)) };
        let until = allowed.map(|time| Instant::now() + time);
        let drain = streams.then(|| self.draining.clone());
        let answer = self.inner.call(request);
        Box::pin(async move {
            let Some(until) = until else { return Ok(bounded(answer.await?, None, drain)) };
            if until <= Instant::now() {
                return Ok(exceeded().into_http());
            }
            tokio::select! {
                biased; // an answer that is there at once needs no timer
                response = CURRENT.scope(until, answer) => Ok(bounded(response?, Some(until), drain)),
                () = tokio::time::sleep_until(until) => Ok(exceeded().into_http()),
            }
        })
    }
}

/// The status of a call whose time is over, alike on every path.
pub(crate) fn exceeded() -> Status {
    crate::status(Code::DeadlineExceeded, "DEADLINE_EXCEEDED", "the deadline of the call has passed", [])
}

/// `grpc-timeout`, if it is there and well-formed; more than the clock can hold counts as absent.
pub(crate) fn timeout_of(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get("grpc-timeout")?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || 8 < digits.len() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let count: u64 = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(count * 3600),
        "M" => Duration::from_secs(count * 60),
        "S" => Duration::from_secs(count),
        "m" => Duration::from_millis(count),
        "u" => Duration::from_micros(count),
        "n" => Duration::from_nanos(count),
        _ => return None,
    })
}

/// A status as trailers.
pub(crate) fn trailers(status: &Status) -> Result<HeaderMap, Status> {
    let mut map = HeaderMap::new();
    status.add_header(&mut map)?;
    Ok(map)
}

/// Bounds the body of a response; one that is already whole is left alone.
pub(crate) fn bounded(
    response: Response<Body>,
    until: Option<Instant>,
    draining: Option<CancellationToken>,
) -> Response<Body> {
    if (until.is_none() && draining.is_none()) || http_body::Body::is_end_stream(response.body()) {
        return response;
    }
    response.map(|inner| {
        let drained = draining.map(|token| Box::pin(token.cancelled_owned()));
        Body::new(Bounded { inner, until, timer: None, drained, over: false })
    })
}

struct Bounded {
    inner: Body,
    until: Option<Instant>,
    /// Made when there is something to wait for.
    timer: Option<Pin<Box<Sleep>>>,
    drained: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
    over: bool,
}

impl Bounded {
    fn cut(&mut self, status: &Status) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        self.over = true;
        self.inner = Body::empty(); // drops the handler's stream at once
        Poll::Ready(Some(trailers(status).map(Frame::trailers)))
    }

    /// Whether the time is over; if not, and nothing is there yet, the task is woken when it is.
    fn is_late(&mut self, context: &mut Context<'_>) -> bool {
        let Some(until) = self.until else { return false };
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(until)));
        timer.as_mut().poll(context).is_ready()
    }
}

impl http_body::Body for Bounded {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if self.over {
            return Poll::Ready(None);
        }
        if self.until.is_some_and(|until| until <= Instant::now()) {
            return self.cut(&exceeded());
        }
        let polled = Pin::new(&mut self.inner).poll_frame(context);
        if polled.is_pending() && self.is_late(context) {
            return self.cut(&exceeded());
        }
        if polled.is_pending() && self.drained.as_mut().is_some_and(|it| it.as_mut().poll(context).is_ready())
        {
            let again = Duration::from_secs(1);
            let status = crate::retry_later(Code::Unavailable, "DRAINING", "the service is stopping", again);
            return self.cut(&status);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.over || self.inner.is_end_stream()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        http_body::SizeHint::default()
    }
}
