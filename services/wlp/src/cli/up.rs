//! `wlp up`: the five in one process.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use engine::OnnxRuntime;
use runtime::config::{ClockConfig, Telemetry};

use crate::keys::{Keyring, files};
use crate::mesh::{Mesh, MeshOptions, Sockets};
use crate::reach::{Reach, To};
use crate::settings::Settings;

#[derive(Debug, Args)]
pub struct Up {
    /// Address to listen on; any but loopback needs real credentials.
    #[arg(long, default_value = "127.0.0.1")]
    listen: IpAddr,
    /// Ports that the system picks, in place of the usual ones.
    #[arg(long)]
    free_ports: bool,
    /// Folder of all data.
    #[arg(long, env = "WLP_DATA_DIR", default_value = "data")]
    data_dir: PathBuf,
    /// Credentials file of real keys (`wlp keys create`), in place of development keys.
    #[arg(long, requires = "service_keys")]
    credentials: Option<PathBuf>,
    /// JSON file `{"registry": "wlp_…", …}`: the keys by which the five call each other.
    #[arg(long, requires = "credentials")]
    service_keys: Option<PathBuf>,
    /// OTLP over gRPC for traces, `http://127.0.0.1:4317`.
    #[arg(long, env = "WLP_OTLP_ENDPOINT", default_value = "")]
    otlp_endpoint: String,
    /// Virtual seconds in a real second.
    #[arg(long, default_value_t = 1.0)]
    speed: f64,
}

impl Up {
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        let mut settings = Settings::read()?;
        settings.check(Some(self.listen))?;
        let configured = settings.telemetry()?.unwrap_or_default();
        let _telemetry = runtime::telemetry::init("wlp", &telemetry(configured, &self.otlp_endpoint))?;
        let keys = self.keys()?;
        keys.credentials().fit_for((self.listen, 0).into())?;
        let sockets = Sockets { host: self.listen, free_ports: self.free_ports };
        sockets.free(&mut settings)?;
        tokio::select! {
            library = crate::onnxruntime::ensure() => library.map(|_| ())?,
            () = runtime::shutdown_signal() => return Ok(super::INTERRUPTED.into()),
        }
        let clock = ClockConfig { speed: self.speed, file: String::new() }.build()?;
        let mut mesh = Mesh::start(MeshOptions {
            data_dir: Some(self.data_dir.clone()),
            clock,
            engine: Arc::new(OnnxRuntime::new()),
            keys,
            sockets: Some(sockets),
            configured: true,
        })
        .await?;
        show(&mesh, self.credentials.is_none().then_some(self.data_dir.as_path()));
        tokio::select! {
            () = runtime::shutdown_signal() => {}
            error = mesh.broken() => {
                super::stop(mesh).await?;
                return Err(error);
            }
        }
        super::stop(mesh).await?;
        Ok(ExitCode::SUCCESS)
    }

    fn keys(&self) -> anyhow::Result<Keyring> {
        match (&self.credentials, &self.service_keys) {
            (Some(credentials), Some(service_keys)) => Keyring::real(credentials, service_keys),
            _ if self.listen.is_loopback() => Keyring::development(&self.data_dir),
            _ => anyhow::bail!(
                "refused to listen on {}: development keys are good on loopback only; give --credentials and --service-keys",
                self.listen
            ),
        }
    }
}

/// What is configured, with `RUST_LOG` and the endpoint of the command line before it.
pub fn telemetry(configured: Telemetry, otlp_endpoint: &str) -> Telemetry {
    let filter = std::env::var("RUST_LOG").unwrap_or(configured.filter);
    let given = Some(otlp_endpoint).filter(|endpoint| !endpoint.is_empty()).map(str::to_owned);
    let otlp_endpoint = given.unwrap_or(configured.otlp_endpoint);
    Telemetry { filter, otlp_endpoint, ..configured }
}

/// Where everything is.
fn show(mesh: &Mesh, development: Option<&Path>) {
    let reach = mesh.reach();
    for to in To::ALL {
        let rpc = reach.address(to).map_or_else(String::new, |at| at.to_string());
        let metrics = reach.metrics_address(to).map_or_else(String::new, |at| format!("http://{at}/metrics"));
        let rest = reach.http_address(to).map_or_else(String::new, |at| format!("  http://{at}/v2"));
        println!("{:14} grpc {rpc:22} {metrics}{rest}", to.name());
    }
    if let Some(data_dir) = development {
        println!("\ndevelopment keys (also in {}):", files(data_dir).1.display());
        for (principal, key) in reach.keys().all() {
            println!("{principal:18} {key}");
        }
    }
}
