//! The mesh in this process: what `wlp up` and `wlp demo` have in common.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::Args;
use engine::{OnnxRuntime, ProbeOptions};
use runtime::Clock;
use runtime::config::Telemetry;

use crate::keys::Keyring;
use crate::mesh::{Local, Mesh, MeshOptions, Sockets};
use crate::reach::{Reach, To};

/// Exit status of a command that a signal ended.
pub const INTERRUPTED: u8 = 130;

/// Flags of both commands.
#[derive(Debug, Args)]
pub struct Embedded {
    /// Ports that the system picks, in place of the usual ones.
    #[arg(long)]
    free_ports: bool,
    /// OTLP over gRPC for traces, `http://127.0.0.1:4317`.
    #[arg(long, env = "WLP_OTLP_ENDPOINT", default_value = "")]
    otlp_endpoint: String,
}

impl Embedded {
    /// Where the five listen.
    pub fn sockets(&self, host: IpAddr) -> Sockets {
        Sockets { host, free_ports: self.free_ports }
    }

    /// Where traces are sent; none if nowhere.
    pub fn traces(&self) -> Option<&str> {
        Some(self.otlp_endpoint.as_str()).filter(|endpoint| !endpoint.is_empty())
    }

    /// What is configured, with `RUST_LOG` and the endpoint of the command line before it.
    pub fn telemetry(&self, configured: Telemetry) -> Telemetry {
        telemetry(configured, self.traces())
    }
}

/// What is configured, with `RUST_LOG` and an endpoint for traces before it.
pub fn telemetry(configured: Telemetry, traces: Option<&str>) -> Telemetry {
    let filter = std::env::var("RUST_LOG").unwrap_or(configured.filter);
    let otlp_endpoint = traces.map_or(configured.otlp_endpoint, str::to_owned);
    Telemetry { filter, otlp_endpoint, ..configured }
}

/// A configured mesh over ONNX Runtime, with its data in `folder`. All five load by the same engine, so a model is tried
/// once: when it is registered.
pub fn options(
    folder: PathBuf,
    sockets: Sockets,
    clock: Clock,
    keys: Keyring,
    probe: &ProbeOptions,
) -> MeshOptions {
    MeshOptions {
        engine: probe.around(OnnxRuntime::new(), folder.join("validated")),
        data_dir: Some(folder),
        clock,
        keys,
        sockets: Some(sockets),
        configured: true,
    }
}

/// Where a service is called; empty without a socket.
pub fn address(reach: &Local, to: To) -> String {
    reach.address(to).map_or_else(String::new, |at| at.to_string())
}

/// Where each service is called, in a column of `width`, where it shows its metrics and speaks REST; a line for each.
pub fn addresses(reach: &Local, width: usize) -> [String; 5] {
    To::ALL.map(|to| {
        let (name, rpc) = (to.name(), address(reach, to));
        let metrics = reach.metrics_address(to).map_or_else(String::new, |at| format!("http://{at}/metrics"));
        let rest = reach.http_address(to).map_or_else(String::new, |at| format!("  http://{at}/v2"));
        format!("{name:14} grpc {rpc:width$} {metrics}{rest}")
    })
}

/// Lets a mesh serve until a signal comes, and stops it.
///
/// # Errors
/// What a service failed with.
pub async fn serve(mut mesh: Mesh) -> anyhow::Result<()> {
    let failed = tokio::select! {
        () = runtime::shutdown_signal() => None,
        error = mesh.broken() => Some(error),
    };
    stop(mesh).await?;
    failed.map_or(Ok(()), Err)
}

/// Stops a mesh; whoever asks for it once more does not wait.
///
/// # Errors
/// What a service failed with, or that it was asked for once more.
pub async fn stop(mesh: Mesh) -> anyhow::Result<()> {
    tokio::select! {
        stopped = mesh.stop() => stopped,
        () = runtime::shutdown_signal() => anyhow::bail!("interrupted while stopping"),
    }
}
