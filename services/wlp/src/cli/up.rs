//! `wlp up`: the five in one process.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use runtime::config::ClockConfig;

use super::embedded::{self, Embedded, INTERRUPTED};
use crate::keys::{Keyring, files};
use crate::mesh::Mesh;
use crate::settings::Settings;

#[derive(Debug, Args)]
pub struct Up {
    /// Address to listen on; any but loopback needs real credentials.
    #[arg(long, default_value = "127.0.0.1")]
    listen: IpAddr,
    /// Folder of all data.
    #[arg(long, env = "WLP_DATA_DIR", default_value = "data")]
    data_dir: PathBuf,
    /// Credentials file of real keys (`wlp keys create`), in place of development keys.
    #[arg(long, requires = "service_keys")]
    credentials: Option<PathBuf>,
    /// JSON file `{"registry": "wlp_…", …}`: the keys by which the five call each other.
    #[arg(long, requires = "credentials")]
    service_keys: Option<PathBuf>,
    #[command(flatten)]
    embedded: Embedded,
    /// Virtual seconds in a real second.
    #[arg(long, default_value_t = 1.0)]
    speed: f64,
}

impl Up {
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        let mut settings = Settings::read()?;
        settings.check(Some(self.listen))?;
        let configured = settings.telemetry()?.unwrap_or_default();
        let _telemetry = runtime::telemetry::init("wlp", &self.embedded.telemetry(configured))?;
        let keys = self.keys()?;
        keys.credentials().fit_for((self.listen, 0).into())?;
        let sockets = self.embedded.sockets(self.listen);
        sockets.free(&mut settings)?;
        tokio::select! {
            library = crate::onnxruntime::ensure() => library.map(|_| ())?,
            () = runtime::shutdown_signal() => return Ok(INTERRUPTED.into()),
        }
        let clock = ClockConfig { speed: self.speed, file: String::new() }.build()?;
        let probe = settings.probe()?;
        let mesh =
            Mesh::start(embedded::options(self.data_dir.clone(), sockets, clock, keys, &probe)).await?;
        show(&mesh, self.credentials.is_none().then_some(self.data_dir.as_path()));
        embedded::serve(mesh).await?;
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

/// Where everything is.
fn show(mesh: &Mesh, development: Option<&Path>) {
    let reach = mesh.reach();
    for line in embedded::addresses(&reach, 22) {
        println!("{line}");
    }
    if let Some(data_dir) = development {
        println!("\ndevelopment keys (also in {}):", files(data_dir).1.display());
        for (principal, key) in reach.keys().all() {
            println!("{principal:18} {key}");
        }
    }
}
