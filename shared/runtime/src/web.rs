//! A service's own router over HTTP/1.1: bounded headers, bodies that keep coming, a span for each request, and the stop
//! that gRPC has.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::{BoxError, Router};
use bytes::Bytes;
use http::{Request, Response, header};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::time::{Instant, Sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;
use tracing::{Instrument, Span, field};
use tracing_opentelemetry::OpenTelemetrySpanExt;

use crate::trace;
use crate::transport::Transport;
use crate::wire::Wire;

/// A connection without a whole request head for that long is closed: one that is idle, or whose sender dawdles.
const HEAD: Duration = Duration::from_secs(30);
/// How long what is left of a body is taken in before its request is answered.
const LINGER: Duration = Duration::from_secs(2);
/// Characters of a path that are logged.
const SHOWN: usize = 128;

/// Serves one connection until it ends, or until its request under way is answered after `closing`.
pub(crate) async fn connection(
    wire: Wire,
    router: Router,
    name: &'static str,
    limits: Arc<Transport>,
    closing: CancellationToken,
) {
    let (header_bytes, pause, whole) = (limits.header_bytes, limits.pause(), limits.message());
    let answered = move |request: Request<Incoming>| {
        let request = request.map(|body| Arriving::new(body, pause, whole));
        answer(router.clone(), request, name)
    };
    http1(wire, answered, header_bytes, closing).await;
}

/// As [`connection`], of requests that nobody wants to hear of: probes and scrapes.
pub(crate) async fn plain(wire: Wire, router: Router, limits: Arc<Transport>, closing: CancellationToken) {
    let answered = move |request: Request<Incoming>| {
        let answer = router.clone().oneshot(request.map(axum::body::Body::new));
        async move {
            let Ok(response) = answer.await;
            response
        }
    };
    http1(wire, answered, limits.header_bytes, closing).await;
}

async fn http1<F>(
    wire: Wire,
    answered: impl Fn(Request<Incoming>) -> F,
    header_bytes: u32,
    closing: CancellationToken,
) where
    F: Future<Output = Response<axum::body::Body>>,
{
    let handler = hyper::service::service_fn(move |request| {
        let answer = answered(request);
        async move { Ok::<_, Infallible>(answer.await) }
    });
    let mut builder = hyper::server::conn::http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD).max_header_size(header_bytes as usize);
    let served = builder.serve_connection(TokioIo::new(wire), handler);
    tokio::pin!(served);
    let ended = tokio::select! {
        ended = served.as_mut() => ended,
        () = closing.cancelled() => {
            served.as_mut().graceful_shutdown();
            served.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "connection ended");
    }
}

/// Answers one request inside a span of its own. The answer waits for what the handler left of the body: a client that is
/// still sending would otherwise meet a closed connection in its place.
async fn answer(
    router: Router,
    request: Request<Arriving>,
    name: &'static str,
) -> Response<axum::body::Body> {
    let began = Instant::now();
    let path: String = request.uri().path().chars().take(SHOWN).collect();
    let (method, span) = (request.method().clone(), server_span(name, &request, &path));
    // Fails only where no telemetry is set up, and then there is nothing to tie together.
    let _ = span.set_parent(trace::extract(request.headers()));
    let asks_first = request.headers().contains_key(header::EXPECT);
    let (head, body) = request.into_parts();
    let rest = body.clone();
    let answered = async {
        let Ok(response) = router.oneshot(Request::from_parts(head, body)).await;
        rest.discard(asks_first).await;
        let (status, ms) = (response.status().as_u16(), began.elapsed().as_secs_f64() * 1e3);
        Span::current().record("http.response.status_code", status);
        if status >= 500 {
            Span::current().record("otel.status_code", "ERROR");
        }
        if status >= 400 {
            tracing::info!(service = name, %method, path = path.as_str(), status, ms, "http");
        } else {
            tracing::debug!(service = name, %method, path = path.as_str(), status, ms, "http");
        }
        response
    };
    answered.instrument(span).await
}

fn server_span(name: &'static str, request: &Request<Arriving>, path: &str) -> Span {
    tracing::info_span!(
        parent: None,
        "http.server",
        otel.name = request.method().as_str(),
        otel.kind = "server",
        otel.status_code = field::Empty,
        service.name = name,
        http.request.method = request.method().as_str(),
        http.response.status_code = field::Empty,
        url.path = path,
    )
}

/// A request's body, within limits of time. Clones are the same body, so that what a handler left of it can be
/// taken in after the handler is gone.
#[derive(Clone)]
struct Arriving(Arc<Mutex<Inner>>);

struct Inner {
    body: Incoming,
    /// When it must have come as a whole.
    until: Instant,
    /// Longest pause inside it.
    pause: Duration,
    /// Runs while a part is waited for.
    timer: Option<Pin<Box<Sleep>>>,
    /// Somebody has read of it.
    touched: bool,
    /// It took too long.
    over: bool,
}

impl Arriving {
    fn new(body: Incoming, pause: Duration, whole: Duration) -> Self {
        let until = Instant::now() + whole;
        Self(Arc::new(Mutex::new(Inner { body, until, pause, timer: None, touched: false, over: false })))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in and drops the rest, for a moment. A client that waits to be asked for its body (`asks_first`) is not asked
    /// for one that nobody wants.
    async fn discard(mut self, asks_first: bool) {
        if self.is_end_stream() || (asks_first && !self.lock().touched) {
            return;
        }
        let rest = async { while let Some(Ok(_)) = self.frame().await {} };
        let _ = timeout(LINGER, rest).await;
    }
}

impl Body for Arriving {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let mut inner = self.lock();
        inner.touched = true;
        if inner.over {
            return Poll::Ready(None);
        }
        if let Poll::Ready(frame) = Pin::new(&mut inner.body).poll_frame(context) {
            inner.timer = None;
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        let until = inner.until.min(Instant::now() + inner.pause);
        let timer = inner.timer.get_or_insert_with(|| Box::pin(sleep_until(until)));
        if timer.as_mut().poll(context).is_pending() {
            return Poll::Pending;
        }
        inner.over = true;
        let why = std::io::Error::new(std::io::ErrorKind::TimedOut, "the request's body came too slowly");
        Poll::Ready(Some(Err(why.into())))
    }

    fn is_end_stream(&self) -> bool {
        let inner = self.lock();
        inner.over || inner.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.lock().body.size_hint()
    }
}

/// True if a body broke off because it came too slowly; `error` is what reading it gave.
pub fn too_slow(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if error.downcast_ref::<std::io::Error>().is_some_and(|it| it.kind() == std::io::ErrorKind::TimedOut)
        {
            return true;
        }
        cause = error.source();
    }
    false
}
