//! The five services in one process: each is built by its own `build` and called by the next through its own layers, so
//! that nothing in them knows how it is run.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use engine::Engine;
use runtime::{Clock, Listen, Peer, Service};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::keys::Keyring;
use crate::reach::{Reach, To};
use crate::settings::Settings;

/// How long tasks of a service without sockets may take to end.
const GRACE: Duration = Duration::from_secs(5);

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

/// Where the five listen.
#[derive(Debug, Clone, Copy)]
pub struct Sockets {
    /// Address of the host.
    pub host: IpAddr,
    /// Ports that the system picks, in place of the usual ones.
    pub free_ports: bool,
}

impl Sockets {
    /// The usual ports on loopback.
    pub const USUAL: Self = Self { host: IpAddr::V4(Ipv4Addr::LOCALHOST), free_ports: false };
    /// Free ports on loopback, for tests.
    pub const FREE: Self = Self { host: IpAddr::V4(Ipv4Addr::LOCALHOST), free_ports: true };

    /// Refuses at once where ports of the five are taken.
    ///
    /// # Errors
    /// Every port that is taken, and whose it is.
    pub fn free(self, settings: &mut Settings) -> anyhow::Result<()> {
        if self.free_ports {
            return Ok(());
        }
        // All are held until the last was tried, so that two of the five on one port are seen too.
        let (mut held, mut taken) = (Vec::new(), Vec::new());
        for (to, listen) in settings.addresses()? {
            let all = [
                Some(("", listen.rpc)),
                listen.metrics.map(|at| (" metrics", at)),
                listen.http.map(|at| (" REST", at)),
            ];
            for (what, address) in all.into_iter().flatten() {
                let address = SocketAddr::new(self.host, address.port());
                match TcpListener::bind(address) {
                    Ok(listener) => held.push(listener),
                    Err(error) => taken.push(format!("{address} ({}{what}): {error}", to.name())),
                }
            }
        }
        anyhow::ensure!(
            taken.is_empty(),
            "cannot listen on {}; stop what is there, or give --free-ports for ports that the system picks",
            taken.join(", ")
        );
        Ok(())
    }

    /// A configured address (`127.0.0.1:9001`) on this host.
    fn at(self, configured: &str) -> anyhow::Result<SocketAddr> {
        let given: SocketAddr =
            configured.parse().with_context(|| format!("{configured:?} is no host:port"))?;
        Ok(SocketAddr::new(self.host, if self.free_ports { 0 } else { given.port() }))
    }
}

/// Five running services.
pub struct Mesh {
    running: Vec<(To, Running)>,
    reach: Arc<Local>,
    clock: Clock,
    monitor: monitor::Monitor,
    folder: Folder,
}

/// How the services of this process are reached; lives on beside the mesh.
pub struct Local {
    parts: Vec<Part>,
    keys: Keyring,
}

struct Part {
    to: To,
    peer: Peer,
    rpc: Option<SocketAddr>,
    metrics: Option<SocketAddr>,
    http: Option<SocketAddr>,
}

enum Running {
    Served { stop: CancellationToken, task: JoinHandle<anyhow::Result<()>> },
    Quiet(Service),
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
        let keys = options.keys.clone();
        let (clock, engine, credentials) =
            (options.clock.clone(), options.engine.clone(), keys.credentials());

        let config = settings.registry;
        let deps =
            registry::Deps { clock: clock.clone(), engine: engine.clone(), credentials: credentials.clone() };
        let registry = registry::build(&config, deps).await?;
        let asked = |by: To| registry.peer(keys.key(by.name())?).map_err(anyhow::Error::from);
        let listen_registry = [config.listen, config.metrics_listen, String::new()];

        let config = settings.data_pipeline;
        let deps = data_pipeline::Deps::new(&asked(To::DataPipeline)?, clock.clone(), credentials.clone());
        let pipeline = data_pipeline::build(&config, deps).await?;
        let listen_pipeline = [config.listen, config.metrics_listen, String::new()];

        let config = settings.evaluator;
        let splits = pipeline.peer(keys.key(To::Evaluator.name())?)?;
        let deps = evaluator::Deps::new(
            clock.clone(),
            credentials.clone(),
            engine.clone(),
            asked(To::Evaluator)?,
            splits,
        );
        let evaluator = evaluator::build(&config, deps).await?;
        let listen_evaluator = [config.listen, config.metrics_listen, String::new()];

        let config = settings.monitor;
        let clients = monitor::RegistryClients::over(&asked(To::Monitor)?);
        let deps =
            monitor::Deps { clock: clock.clone(), credentials: credentials.clone(), registry: clients };
        let (monitor, monitor_parts) = monitor::assemble(&config, deps).await?;
        let listen_monitor = [config.listen, config.metrics_listen, String::new()];

        let config = settings.gateway;
        let clients =
            gateway::Clients::over(asked(To::Gateway)?, monitor.peer(keys.key(To::Gateway.name())?)?);
        let deps = gateway::Deps { clock: clock.clone(), engine, credentials, clients };
        let gateway = gateway::build(&config, deps).await?;
        let listen_gateway = [config.listen, config.metrics_listen, config.rest_listen];

        let (mut parts, mut running) = (Vec::new(), Vec::new());
        for (to, service, listen) in [
            (To::Registry, registry, listen_registry),
            (To::DataPipeline, pipeline, listen_pipeline),
            (To::Evaluator, evaluator, listen_evaluator),
            (To::Monitor, monitor, listen_monitor),
            (To::Gateway, gateway, listen_gateway),
        ] {
            let (part, runs) = serve(to, service, options.sockets, &listen).await?;
            parts.push(part);
            running.push((to, runs));
        }
        let reach = Arc::new(Local { parts, keys });
        Ok(Self { running, reach, clock, monitor: monitor_parts, folder })
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

impl Local {
    fn part(&self, to: To) -> Option<&Part> {
        self.parts.iter().find(|part| part.to == to)
    }

    /// The keys of everybody.
    pub fn keys(&self) -> &Keyring {
        &self.keys
    }

    /// Where a service shows its metrics.
    pub fn metrics_address(&self, to: To) -> Option<SocketAddr> {
        self.part(to).and_then(|part| part.metrics)
    }

    /// Where a service speaks HTTP beside gRPC.
    pub fn http_address(&self, to: To) -> Option<SocketAddr> {
        self.part(to).and_then(|part| part.http)
    }
}

impl Reach for Local {
    fn peer(&self, to: To, principal: &str) -> anyhow::Result<Peer> {
        let part = self.part(to).with_context(|| format!("the {} is not here", to.name()))?;
        Ok(part.peer.clone().with_key(self.keys.key(principal)?)?)
    }

    fn key(&self, principal: &str) -> anyhow::Result<String> {
        Ok(self.keys.key(principal)?.to_owned())
    }

    fn address(&self, to: To) -> Option<SocketAddr> {
        self.part(to).and_then(|part| part.rpc)
    }
}

/// Serves on the configured addresses of gRPC, metrics and HTTP, of which the last two may be empty.
async fn serve(
    to: To,
    service: Service,
    sockets: Option<Sockets>,
    [rpc, metrics, http]: &[String; 3],
) -> anyhow::Result<(Part, Running)> {
    let peer = service.peer("")?;
    let Some(sockets) = sockets else {
        service.tasks().start();
        return Ok((Part { to, peer, rpc: None, metrics: None, http: None }, Running::Quiet(service)));
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
    async fn stop(self) -> anyhow::Result<()> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_port_that_is_taken_is_named_with_the_way_out() {
        let other = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let mut settings = Settings::default();
        settings.monitor.listen = other.local_addr().expect("its address").to_string();
        settings.gateway.metrics_listen = settings.monitor.listen.clone();
        for address in [
            &mut settings.registry.listen,
            &mut settings.registry.metrics_listen,
            &mut settings.data_pipeline.listen,
            &mut settings.data_pipeline.metrics_listen,
            &mut settings.evaluator.listen,
            &mut settings.evaluator.metrics_listen,
            &mut settings.monitor.metrics_listen,
            &mut settings.gateway.listen,
            &mut settings.gateway.rest_listen,
        ] {
            *address = "127.0.0.1:0".into();
        }
        let refused = Sockets::USUAL.free(&mut settings).expect_err("taken").to_string();
        assert!(refused.contains("(monitor)") && refused.contains("(gateway metrics)"), "{refused}");
        assert!(refused.contains("--free-ports") && !refused.contains("(registry"), "{refused}");
        Sockets::FREE.free(&mut settings).expect("the system picks");
    }

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
