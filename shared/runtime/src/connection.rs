//! One connection: through the door of its listener, then, of gRPC, HTTP/2 within limits until either side has enough.

use std::convert::Infallible;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::sync::CancellationToken;
use tonic::Status;
use tonic::body::Body;
use tonic::transport::server::TcpConnectInfo;
use tower::ServiceExt;

use crate::limits::{Gate, Seat};
use crate::messages::Messages;
use crate::service::Stack;
use crate::tls::{Certificates, Speaks};
use crate::transport::Transport;
use crate::wire::{Sent, Wire};

/// Bytes of answers that must go out between two looks at a connection that owes some.
const PROGRESS: u64 = 4096;

/// How connections come in at one listener.
pub(crate) struct Door {
    gate: Arc<Gate>,
    certificates: Option<Arc<Certificates>>,
    speaks: Speaks,
    pub(crate) limits: Arc<Transport>,
}

impl Door {
    pub(crate) fn new(
        gate: Arc<Gate>,
        certificates: Option<Arc<Certificates>>,
        speaks: Speaks,
        limits: Arc<Transport>,
    ) -> Arc<Self> {
        Arc::new(Self { gate, certificates, speaks, limits })
    }

    /// A place for a connection from there, if there is one left.
    pub(crate) fn seat(&self, from: IpAddr) -> Option<Seat> {
        self.gate.enter(from)
    }

    /// Shakes hands, and of gRPC reads the preface, in limited time and until `closing`.
    pub(crate) async fn open(&self, stream: TcpStream, closing: &CancellationToken) -> Option<Wire> {
        let until = Instant::now() + self.limits.preface();
        let acceptor = self.certificates.as_ref().map(|it| it.acceptor(self.speaks));
        let opened = async {
            let opened = timeout_at(until, Wire::open(stream, acceptor)).await;
            let mut wire = opened.ok().and_then(Result::ok).ok_or("handshake")?;
            if self.speaks == Speaks::Grpc {
                let read = timeout_at(until, wire.preface()).await;
                read.ok().and_then(Result::ok).filter(|it| *it).ok_or("preface")?;
            }
            Ok(wire)
        };
        let opened = tokio::select! { () = closing.cancelled() => return None, opened = opened => opened };
        opened.map_err(|why: &'static str| self.gate.closed(why)).ok()
    }

    fn closed(&self, why: &'static str) {
        self.gate.closed(why);
    }
}

/// Serves gRPC on a connection that has shown its preface. It ends when the other side goes, after `closing` with the last
/// call, or with the limit that it met.
pub(crate) async fn serve_grpc(wire: Wire, stack: Stack, door: Arc<Door>, closing: CancellationToken) {
    let limits = &*door.limits;
    let [local_addr, remote_addr] = wire.addresses;
    let info = TcpConnectInfo { local_addr, remote_addr };
    let life = Arc::new(Life::new(wire.sent()));
    let (calls, pause, whole) = (life.clone(), limits.pause(), limits.message());
    let handler = hyper::service::service_fn(move |request: Request<Incoming>| {
        let call = Call::begin(&calls);
        let mut request = request.map(|body| Body::new(Messages::new(body, pause, whole)));
        request.extensions_mut().insert(info.clone());
        let answer = stack.clone().oneshot(request);
        async move {
            let Ok(response) = answer.await;
            Ok::<_, Infallible>(response.map(|inner| Answering { inner, call }))
        }
    });
    let served = http2(limits).serve_connection(TokioIo::new(wire), handler);
    tokio::pin!(served);
    let (idle, aged) = (life.idle(limits.idle_ms), life.aged(limits.age_ms));
    tokio::pin!(idle, aged);
    let mut told = false;
    let ended = loop {
        let why = tokio::select! {
            ended = served.as_mut() => break ended,
            () = closing.cancelled(), if !told => None,
            () = idle.as_mut(), if !told => Some("idle"),
            () = aged.as_mut(), if !told => Some("age"),
            () = life.stalled(limits.stall_ms) => Some("stall"),
        };
        if let Some(why) = why {
            door.closed(why);
        }
        if told {
            // It does not take its answers, and does not go: there is nothing to wait for.
            return;
        }
        told = true;
        served.as_mut().graceful_shutdown();
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "connection ended");
    }
}

fn http2(limits: &Transport) -> hyper::server::conn::http2::Builder<TokioExecutor> {
    let mut builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.streams)
        .max_header_list_size(limits.header_bytes)
        .max_pending_accept_reset_streams(limits.pending_resets)
        .max_local_error_reset_streams(limits.error_resets)
        .initial_stream_window_size(1 << 20)
        .initial_connection_window_size(4 << 20)
        .keep_alive_interval(Duration::from_millis(limits.keep_alive_ms))
        .keep_alive_timeout(Duration::from_millis(limits.keep_alive_timeout_ms));
    builder
}

/// What a connection is doing.
struct Life {
    began: Instant,
    calls: AtomicUsize,
    /// When the last call ended, milliseconds since it began.
    quiet_since: AtomicU64,
    /// Bytes of answers that were given to the transport.
    given: AtomicU64,
    sent: Arc<Sent>,
}

impl Life {
    fn new(sent: Arc<Sent>) -> Self {
        let (calls, quiet_since, given) = (AtomicUsize::new(0), AtomicU64::new(0), AtomicU64::new(0));
        Self { began: Instant::now(), calls, quiet_since, given, sent }
    }

    /// Completes when there was no call for that long; never if that is 0.
    async fn idle(&self, most_ms: u64) {
        let most = limit(most_ms).await;
        loop {
            let quiet = if 0 < self.calls.load(Ordering::Relaxed) {
                Duration::ZERO
            } else {
                let since = Duration::from_millis(self.quiet_since.load(Ordering::Relaxed));
                self.began.elapsed().saturating_sub(since)
            };
            if most <= quiet {
                return;
            }
            sleep(most.saturating_sub(quiet)).await;
        }
    }

    /// Completes after that time, a tenth more or less; never if that is 0.
    async fn aged(&self, most_ms: u64) {
        let most = limit(most_ms).await;
        let mut random = [0; 2];
        // Without randomness connections that began together go together, which is all that is lost.
        let _ = getrandom::fill(&mut random);
        let jitter = f64::from(u16::from_be_bytes(random)) / f64::from(u16::MAX) * 0.2 - 0.1;
        sleep(most.mul_f64(1.0 + jitter)).await;
    }

    /// Completes when answers wait to be sent, and for that long next to nothing of them was. What was given to a call
    /// that its caller then reset counts as waiting; such a connection is told to go when nothing else happens on it, and ends
    /// when nothing happens for that long again.
    async fn stalled(&self, most_ms: u64) {
        let most = Duration::from_millis(most_ms);
        loop {
            let before = self.sent.bytes();
            let owed = before < self.given.load(Ordering::Relaxed);
            sleep(most).await;
            let now = self.sent.bytes();
            if owed && now < self.given.load(Ordering::Relaxed) && now - before < PROGRESS {
                return;
            }
        }
    }
}

/// Never ends for 0, which stands for no limit.
async fn limit(ms: u64) -> Duration {
    if ms == 0 {
        std::future::pending::<()>().await;
    }
    Duration::from_millis(ms)
}

/// A call on a connection, until it is dropped.
struct Call(Arc<Life>);

impl Call {
    fn begin(life: &Arc<Life>) -> Self {
        life.calls.fetch_add(1, Ordering::Relaxed);
        Self(life.clone())
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.0.quiet_since.store(self.0.began.elapsed().as_millis() as u64, Ordering::Relaxed);
        self.0.calls.fetch_sub(1, Ordering::Relaxed);
    }
}

/// An answer on its way to the transport.
struct Answering {
    inner: Body,
    call: Call,
}

impl http_body::Body for Answering {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let polled = Pin::new(&mut self.inner).poll_frame(context);
        if let Poll::Ready(Some(Ok(frame))) = &polled
            && let Some(data) = frame.data_ref()
        {
            self.call.0.given.fetch_add(data.len() as u64, Ordering::Relaxed);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
