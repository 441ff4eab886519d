//! One of the five while it runs: behind sockets, or for the callers of this process alone.

use std::net::SocketAddr;
use std::time::Duration;

use runtime::{Listen, Service};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::Sockets;
use super::local::Part;
use crate::reach::To;

/// How long tasks of a service without sockets may take to end.
const GRACE: Duration = Duration::from_secs(5);

/// A service that runs.
pub(super) enum Running {
    /// It listens.
    Served { stop: CancellationToken, task: JoinHandle<anyhow::Result<()>> },
    /// It has no sockets.
    Quiet(Box<Service>),
}

/// Starts a service at its configured addresses of gRPC, metrics and HTTP (the last two may be empty), or without any.
pub(super) async fn serve(
    to: To,
    service: Service,
    sockets: Option<Sockets>,
    [rpc, metrics, http]: &[String; 3],
) -> anyhow::Result<(Part, Running)> {
    let peer = service.peer("")?;
    let Some(sockets) = sockets else {
        service.tasks().start();
        return Ok((
            Part { to, peer, rpc: None, metrics: None, http: None },
            Running::Quiet(Box::new(service)),
        ));
    };
    let other = |address: &str| -> anyhow::Result<Option<SocketAddr>> {
        if address.is_empty() { Ok(None) } else { sockets.at(address).map(Some) }
    };
    let listen = Listen { rpc: sockets.at(rpc)?, metrics: other(metrics)?, http: other(http)? };
    let bound = runtime::bind(listen).await?;
    let (rpc, metrics, http) = (Some(bound.rpc_address()), bound.metrics_address(), bound.http_address());
    let part = Part { to, peer, rpc, metrics, http };
    let stop = CancellationToken::new();
    let stopped = stop.clone();
    let task = tokio::spawn(async move { bound.serve(service, stopped.cancelled_owned()).await });
    Ok((part, Running::Served { stop, task }))
}

impl Running {
    pub(super) async fn stop(self) -> anyhow::Result<()> {
        match self {
            Self::Served { stop, task } => {
                stop.cancel();
                task.await?
            }
            Self::Quiet(service) => {
                service.stop(GRACE).await;
                Ok(())
            }
        }
    }
}
