//! The five services in one process: each is built by its own `build` and called by the next through its own layers, so
//! that nothing in them knows how it is run.

mod local;
mod running;
mod services;
mod sockets;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use engine::Engine;
use runtime::Clock;

pub use local::Local;
pub use sockets::Sockets;

use crate::keys::Keyring;
use crate::reach::To;
use crate::settings::Settings;
use running::{Running, serve};

/// What a mesh is made of.
pub struct MeshOptions {
    /// Folder with one folder for each service; none: databases in memory, files in a temporary folder.
    pub data_dir: Option<PathBuf>,
    /// Virtual time of all five.
    pub clock: Clock,
    /// Runs models, in registry, evaluator and gateway.
    pub engine: Arc<dyn Engine>,
    /// Who may call, and the services' own keys.
    pub keys: Keyring,
    /// Where to listen; none: no sockets, callers come through [`Mesh::reach`].
    pub sockets: Option<Sockets>,
    /// Reads `<service>.toml` and `WLP_<SERVICE>__*`; otherwise the built-in defaults hold.
    pub configured: bool,
}

/// Five running services.
pub struct Mesh {
    running: Vec<(To, Running)>,
    reach: Arc<Local>,
    clock: Clock,
    monitor: monitor::Monitor,
    folder: Folder,
}

enum Folder {
    Given(PathBuf),
    Temporary(tempfile::TempDir),
}

impl Folder {
    fn path(&self) -> &Path {
        match self {
            Self::Given(path) => path,
            Self::Temporary(folder) => folder.path(),
        }
    }
}

impl Mesh {
    /// Builds the five, each over the ones before it, and serves them.
    ///
    /// # Errors
    /// If a folder, database or address cannot be used, or an address is reachable by others without real credentials.
    pub async fn start(options: MeshOptions) -> anyhow::Result<Self> {
        Box::pin(Self::assemble(options)).await
    }

    async fn assemble(options: MeshOptions) -> anyhow::Result<Self> {
        let folder = match &options.data_dir {
            Some(path) => Folder::Given(std::path::absolute(path)?),
            None => Folder::Temporary(tempfile::tempdir()?),
        };
        let mut settings = if options.configured { Settings::read()? } else { Settings::default() };
        settings.check(options.sockets.map(|sockets| sockets.host))?;
        settings.place(folder.path(), options.data_dir.is_none())?;
        let (services, monitor) = Box::pin(services::build(settings, &options)).await?;
        let (mut parts, mut running) = (Vec::new(), Vec::new());
        for (to, service, listen) in services {
            let (part, runs) = serve(to, service, options.sockets, &listen).await?;
            parts.push(part);
            running.push((to, runs));
        }
        let reach = Arc::new(Local::new(parts, options.keys));
        Ok(Self { running, reach, clock: options.clock, monitor, folder })
    }

    /// Virtual time of the mesh.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// How its services are reached.
    pub fn reach(&self) -> Arc<Local> {
        self.reach.clone()
    }

    /// The monitor's loops, for tests that turn them by hand.
    pub fn monitor(&self) -> &monitor::Monitor {
        &self.monitor
    }

    /// The folder of the data.
    pub fn data_dir(&self) -> &Path {
        self.folder.path()
    }

    /// Completes when a service ends by itself: it failed.
    ///
    /// # Errors
    /// What it failed with.
    pub async fn broken(&mut self) -> anyhow::Error {
        let running = self.running.iter_mut().enumerate().filter_map(|(place, (_, running))| match running {
            Running::Served { task, .. } => Some(Box::pin(async move { (place, task.await) })),
            Running::Quiet(_) => None,
        });
        let running: Vec<_> = running.collect();
        if running.is_empty() {
            return std::future::pending().await;
        }
        let ((place, ended), ..) = futures::future::select_all(running).await;
        // It has ended: there is nothing of it to be stopped.
        let (to, _) = self.running.remove(place);
        match ended {
            Ok(Ok(())) => anyhow::anyhow!("the {} stopped", to.name()),
            Ok(Err(error)) => error.context(format!("the {} failed", to.name())),
            Err(error) => anyhow::anyhow!("the {} failed: {error}", to.name()),
        }
    }

    /// Stops the five, callers before those they call.
    ///
    /// # Errors
    /// The first failure of a service.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        let mut outcome = Ok(());
        while let Some((to, running)) = self.running.pop() {
            let ended = running.stop().await.with_context(|| format!("the {} failed", to.name()));
            outcome = outcome.and(ended);
        }
        outcome
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_mesh_that_broke_is_stopped_without_what_ended() {
        let parts = Mesh::start(MeshOptions {
            data_dir: None,
            clock: Clock::real(),
            engine: Arc::new(engine::fake::FakeEngine::new()),
            keys: Keyring::generate().expect("keys"),
            sockets: Some(Sockets::FREE),
            configured: false,
        });
        let mut mesh = parts.await.expect("a mesh");
        if let Some((To::Gateway, Running::Served { stop, .. })) = mesh.running.last() {
            stop.cancel();
        }
        let why = mesh.broken().await.to_string();
        assert_eq!(why, "the gateway stopped");
        mesh.stop().await.expect("the other four stop");
    }
}
