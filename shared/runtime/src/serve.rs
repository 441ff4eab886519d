//! Serving on sockets, and the order of shutdown: not ready, stop accepting, drain, stop tasks, hooks; the telemetry
//! guard of `main` flushes last.

use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context;
use axum::http::StatusCode;
use axum::routing::get;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::transport::server::TcpConnectInfo;
use tower::ServiceExt;

use crate::config::Listen;
use crate::layers::metrics::Metrics;
use crate::readiness::Readiness;
use crate::service::{Service, Stack};
use crate::web;

/// How long calls may take to end after the stop.
const GRACE: Duration = Duration::from_secs(20);
/// How long open streams (watches) may go on after it, before they are ended with UNAVAILABLE.
const STREAM_GRACE: Duration = Duration::from_secs(2);
/// How long tasks may take after that.
const TASK_GRACE: Duration = Duration::from_secs(10);
/// A connection that has not sent a byte by then is closed.
const FIRST_BYTE: Duration = Duration::from_secs(5);
/// Calls at a time on one connection.
const STREAMS: u32 = 128;
/// Metadata of one call, in bytes.
const HEADER_LIST: u32 = 16 * 1024;

/// Serves until `shutdown`, then drains.
///
/// # Errors
/// If the addresses cannot be bound, or are reachable by others without real credentials.
pub async fn serve(
    listen: Listen,
    service: Service,
    shutdown: impl Future<Output = ()> + Send,
) -> anyhow::Result<()> {
    bind(listen).await?.serve(service, shutdown).await
}

/// Binds the addresses without serving yet, so that port 0 can be asked what it became.
///
/// # Errors
/// Of the operating system.
pub async fn bind(listen: Listen) -> anyhow::Result<Bound> {
    let at = |what: &'static str, address| {
        move || format!("cannot listen on {address} ({what}): is another service running there?")
    };
    let rpc = TcpListener::bind(listen.rpc).await.with_context(at("listen", listen.rpc))?;
    let metrics = match listen.metrics {
        Some(address) => Some(TcpListener::bind(address).await.with_context(at("metrics_listen", address))?),
        None => None,
    };
    let http = match listen.http {
        Some(address) => Some(TcpListener::bind(address).await.with_context(at("HTTP", address))?),
        None => None,
    };
    Ok(Bound { rpc_address: rpc.local_addr()?, rpc, metrics, http })
}

/// Sockets that listen already.
#[derive(Debug)]
pub struct Bound {
    rpc: TcpListener,
    rpc_address: SocketAddr,
    metrics: Option<TcpListener>,
    http: Option<TcpListener>,
}

impl Bound {
    /// The real address of gRPC.
    pub fn rpc_address(&self) -> SocketAddr {
        self.rpc_address
    }

    /// The real address of the metrics listener.
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics.as_ref().and_then(|listener| listener.local_addr().ok())
    }

    /// The real address of the service's own router.
    pub fn http_address(&self) -> Option<SocketAddr> {
        self.http.as_ref().and_then(|listener| listener.local_addr().ok())
    }

    /// Serves until `shutdown`, then drains.
    ///
    /// # Errors
    /// [`crate::credentials::CredentialsError::Exposed`], or an HTTP address of a service without a router.
    pub async fn serve(
        self,
        mut service: Service,
        shutdown: impl Future<Output = ()> + Send,
    ) -> anyhow::Result<()> {
        service.credentials.fit_for(self.rpc_address)?;
        if let Some(address) = self.http_address() {
            service.credentials.fit_for(address)?;
            anyhow::ensure!(service.http.is_some(), "{} serves no HTTP at {address}", service.name);
        }
        let (closing, gone) = (CancellationToken::new(), CancellationToken::new());
        let (connections, listeners) = (TaskTracker::new(), TaskTracker::new());
        let (stack, stop) = (service.stack.clone(), closing.clone());
        let open = move |stream| connection(stream, stack.clone(), stop.clone());
        let accepting = accept(self.rpc, open, connections.clone(), closing.clone(), gone.clone());
        let accepting = listeners.spawn(accepting);
        if let (Some(listener), Some(router)) = (self.http, service.http.take()) {
            let (name, stop) = (service.name, closing.clone());
            let open = move |stream| web::connection(stream, router.clone(), name, stop.clone());
            listeners.spawn(accept(listener, open, connections.clone(), closing.clone(), gone.clone()));
        }
        if let Some(listener) = self.metrics {
            let router = plain(service.metrics.clone(), service.readiness.clone());
            let gone = gone.clone();
            let server = axum::serve(listener, router).with_graceful_shutdown(gone.cancelled_owned());
            listeners.spawn(async move {
                if let Err(error) = server.await {
                    tracing::error!(%error, "the metrics listener failed");
                }
            });
        }
        service.tasks.start();
        tracing::info!(service = service.name, address = %self.rpc_address, "serving");

        tokio::pin!(shutdown);
        tokio::select! { () = &mut shutdown => {}, _ = accepting => {} }

        tracing::info!(service = service.name, "stopping");
        service.readiness.stopping().cancel();
        service.health.show(false).await;
        closing.cancel();
        let drained = drain(&connections, &service.readiness, &gone).await;
        service.tasks.stop(TASK_GRACE).await;
        for hook in service.on_stop.drain(..) {
            hook().await;
        }
        tracing::info!(service = service.name, drained, "stopped");
        Ok(())
    }
}

/// Waits for the calls to end; streams are ended soon; at the end connections are dropped.
async fn drain(connections: &TaskTracker, readiness: &Readiness, gone: &CancellationToken) -> bool {
    connections.close();
    let quiet = connections.wait();
    tokio::pin!(quiet);
    let ended = tokio::time::timeout(STREAM_GRACE, &mut quiet).await.is_ok();
    readiness.draining().cancel();
    let ended = ended || tokio::time::timeout(GRACE.saturating_sub(STREAM_GRACE), &mut quiet).await.is_ok();
    gone.cancel();
    tokio::time::timeout(Duration::from_secs(1), connections.wait()).await.is_ok() && ended
}

/// Takes connections and serves each by `open`, until `closing`; what is left of them is dropped when `gone`.
async fn accept<F>(
    listener: TcpListener,
    open: impl Fn(TcpStream) -> F,
    connections: TaskTracker,
    closing: CancellationToken,
    gone: CancellationToken,
) where
    F: Future<Output = ()> + Send + 'static,
{
    loop {
        let accepted = tokio::select! {
            () = closing.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                let (serving, gone) = (open(stream), gone.clone());
                connections.spawn(async move {
                    tokio::select! { () = gone.cancelled() => {}, () = serving => {} }
                });
            }
            Err(error) => {
                // Out of descriptors, mostly: others may end soon.
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

/// One connection: HTTP/2 with prior knowledge, within limits.
async fn connection(stream: TcpStream, stack: Stack, closing: CancellationToken) {
    let _ = stream.set_nodelay(true);
    let mut first = [0];
    let spoke = tokio::time::timeout(FIRST_BYTE, stream.peek(&mut first));
    tokio::select! {
        () = closing.cancelled() => return,
        spoke = spoke => if !matches!(spoke, Ok(Ok(1..))) { return },
    }
    let info = TcpConnectInfo { local_addr: stream.local_addr().ok(), remote_addr: stream.peer_addr().ok() };
    let handler = stack.map_request(move |request: http::Request<hyper::body::Incoming>| {
        let mut request = request.map(tonic::body::Body::new);
        request.extensions_mut().insert(info.clone());
        request
    });
    let mut builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(HEADER_LIST)
        .initial_stream_window_size(1 << 20)
        .initial_connection_window_size(4 << 20)
        .keep_alive_interval(Duration::from_secs(20))
        .keep_alive_timeout(Duration::from_secs(10));
    let served = builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(handler));
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

/// `/metrics`, `/livez`, `/readyz`.
fn plain(metrics: Metrics, readiness: Readiness) -> axum::Router {
    let show = async move || {
        if let Ok(text) = metrics.encode() {
            let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            (StatusCode::OK, [(http::header::CONTENT_TYPE, kind)], text)
        } else {
            let text = "a metric cannot be written\n".to_owned();
            (StatusCode::INTERNAL_SERVER_ERROR, [(http::header::CONTENT_TYPE, "text/plain")], text)
        }
    };
    let ready = async move || match readiness.unmet() {
        unmet if unmet.is_empty() => (StatusCode::OK, "ready\n".to_owned()),
        unmet => (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {}\n", unmet.join(", "))),
    };
    axum::Router::new()
        .route("/metrics", get(show))
        .route("/livez", get(async || "alive\n"))
        .route("/readyz", get(ready))
}

/// Completes with the first SIGTERM or Ctrl-C.
pub async fn shutdown_signal() {
    let interrupted = async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        match signal(SignalKind::terminate()) {
            Ok(mut terminate) => tokio::select! { () = interrupted => {}, _ = terminate.recv() => {} },
            Err(_) => interrupted.await,
        }
    }
    #[cfg(not(unix))]
    interrupted.await;
}
