//! Serving on sockets, and the order of shutdown: not ready, stop accepting, drain, stop tasks, hooks; the telemetry
//! guard of `main` flushes last.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use axum::http::StatusCode;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::Listen;
use crate::connection::{self, Door};
use crate::exposition::Form;
use crate::layers::metrics::Metrics;
use crate::limits::{Gate, Meters};
use crate::readiness::Readiness;
use crate::service::Service;
use crate::tls::{Certificates, Speaks};
use crate::web;
use crate::wire::Wire;

/// How long calls may take to end after the stop.
const GRACE: Duration = Duration::from_secs(20);
/// How long open streams (watches) may go on after it, before they are ended with UNAVAILABLE.
const STREAM_GRACE: Duration = Duration::from_secs(2);
/// How long tasks may take after that.
const TASK_GRACE: Duration = Duration::from_secs(10);
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

type Shutdown<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;
type Served<'a> = Pin<Box<dyn Future<Output = anyhow::Result<()>> + Send + 'a>>;

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
    /// [`crate::credentials::CredentialsError::Exposed`], an HTTP address of a service without a router, or
    /// [`crate::config::ConfigError`] of its `[transport]`: limits and certificates that cannot be used.
    pub async fn serve(
        self,
        service: Service,
        shutdown: impl Future<Output = ()> + Send,
    ) -> anyhow::Result<()> {
        self.serve_until(service, Box::pin(shutdown)).await
    }

    /// Neither generic nor async, so that the whole transport is compiled here, once and with this crate's optimisation,
    /// and not in each program that serves.
    fn serve_until(self, service: Service, shutdown: Shutdown<'_>) -> Served<'_> {
        Box::pin(self.run(service, shutdown))
    }

    async fn run(self, mut service: Service, mut shutdown: Shutdown<'_>) -> anyhow::Result<()> {
        service.credentials.fit_for(self.rpc_address)?;
        if let Some(address) = self.http_address() {
            service.credentials.fit_for(address)?;
            anyhow::ensure!(service.http.is_some(), "{} serves no HTTP at {address}", service.name);
        }
        service.transport.check()?;
        let certificates = Certificates::load(&service.transport.tls)?;
        let (closing, gone) = (CancellationToken::new(), CancellationToken::new());
        let (connections, listeners) = (TaskTracker::new(), TaskTracker::new());
        if let Some(certificates) = &certificates {
            listeners.spawn(certificates.clone().follow(closing.clone()));
        }
        let (limits, meters) =
            (Arc::new(service.transport.clone()), Meters::new(service.name, &service.metrics));
        let tls = certificates.is_some();
        let door = |speaks, listener| {
            let gate = Gate::new(&limits, meters.of(listener));
            Door::new(gate, certificates.clone(), speaks, limits.clone())
        };

        let (stack, stop, grpc) = (service.stack.clone(), closing.clone(), door(Speaks::Grpc, "grpc"));
        let (of, ends) = (grpc.clone(), Ends { closing: closing.clone(), gone: gone.clone() });
        let open = move |wire| connection::serve_grpc(wire, stack.clone(), of.clone(), stop.clone());
        let accepting = listeners.spawn(accept(self.rpc, grpc, open, connections.clone(), ends.clone()));
        if let (Some(listener), Some(router)) = (self.http, service.http.take()) {
            let (name, stop, limits) = (service.name, closing.clone(), limits.clone());
            let open = move |wire| web::connection(wire, router.clone(), name, limits.clone(), stop.clone());
            listeners.spawn(accept(listener, door(Speaks::Http, "http"), open, connections.clone(), ends));
        }
        if let Some(listener) = self.metrics {
            // Probes and scrapers are answered until the calls have ended, and are not waited for.
            let ends = Ends { closing: gone.clone(), gone: gone.clone() };
            let router = plain(service.metrics.clone(), service.readiness.clone());
            let (stop, limits) = (gone.clone(), limits.clone());
            let open = move |wire| web::plain(wire, router.clone(), limits.clone(), stop.clone());
            let door = door(Speaks::Metrics, "metrics");
            listeners.spawn(accept(listener, door, open, TaskTracker::new(), ends));
        }
        service.tasks.start();
        tracing::info!(service = service.name, address = %self.rpc_address, tls, "serving");

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

/// When connections end.
#[derive(Clone)]
struct Ends {
    /// No new ones, and those there are end with their calls.
    closing: CancellationToken,
    /// What is left of them is dropped.
    gone: CancellationToken,
}

/// Takes connections through the `door` and serves each by `open`. What becomes of one is nothing to the others: nothing
/// here waits for a caller.
async fn accept<F>(
    listener: TcpListener,
    door: Arc<Door>,
    open: impl Fn(Wire) -> F + Clone + Send + Sync + 'static,
    connections: TaskTracker,
    ends: Ends,
) where
    F: Future<Output = ()> + Send + 'static,
{
    loop {
        let accepted = tokio::select! {
            () = ends.closing.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, from)) => {
                let Some(seat) = door.seat(from.ip()) else { continue };
                let (door, open, ends) = (door.clone(), open.clone(), ends.clone());
                connections.spawn(async move {
                    let _seat = seat;
                    let serving = async {
                        if let Some(wire) = door.open(stream, &ends.closing).await {
                            open(wire).await;
                        }
                    };
                    tokio::select! { () = ends.gone.cancelled() => {}, () = serving => {} }
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

/// `/metrics`, `/livez`, `/readyz`.
fn plain(metrics: Metrics, readiness: Readiness) -> axum::Router {
    let show = async move |headers: http::HeaderMap| {
        let form = Form::asked(&headers);
        let shown = match form {
            Form::Text => metrics.encode().map(String::into_bytes),
            Form::Protobuf => metrics.encode_protobuf(),
        };
        if let Ok(shown) = shown {
            (StatusCode::OK, [(http::header::CONTENT_TYPE, form.media_type())], shown)
        } else {
            let text = "a metric cannot be written\n".to_owned().into_bytes();
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
