//! The gateway: the Open Inference Protocol over models that the registry lets through.
//!
//! # How it is made
//! - [`build`] puts the parts together; [`Gateway`] is what every handler and task shares.
//! - A request goes through `infer.rs`; `routing/` picks the version, `wire/` reads and writes the protocol.
//! - The route table comes in `tasks/follow_routes.rs`, is checked in `routing/table.rs`, and takes effect in
//!   `backends/reconcile.rs`: load and warm up first, then move traffic, then drain.
//! - `breaker/` takes a failing canary off traffic in this process before anyone is told.
//! - `local/` serves a folder of models in place of the route table, without the mesh: [`build_local`].
//! - `rest/` is the same protocol over HTTP, on the same handlers.
//! - `sequence/` runs requests that belong together in their order; `shared_memory/` takes tensors from callers on this host.
//! - `shadow/` copies a share of the requests to a staged version and compares what it answers.
//! - `quota/` keeps the limits of callers, `cache/` the answers that may be given again.
//! - `experiment/` counts the arms of a declared comparison of a canary with stable.
//! - `observe/` notes sketches for the monitor; `store/` keeps on disk what a restart without a registry needs.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod admission;
mod backends;
mod breaker;
mod cache;
mod config;
mod error;
mod experiment;
mod flight;
mod gateway;
mod handlers;
mod incoming;
mod infer;
mod local;
mod metrics;
mod observe;
mod preprocess;
mod quota;
mod rest;
mod routing;
mod sequence;
mod shadow;
mod shared_memory;
mod store;
mod tasks;
mod wire;

pub use config::Config;
pub use error::Error;
pub use gateway::{Clients, Gateway};
pub use local::{Control, EVERYTHING, LocalDeps, Repository, build_local};

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use arc_swap::ArcSwap;
use engine::Engine;
use lifecycle::Policy;
use runtime::{Clock, Credentials, Metrics, Peer, Readiness, Service, ServiceBuilder, Tasks};
use storage::Blobs;
use tokio::sync::{Notify, watch};

use crate::gateway::Parts;

/// What the gateway is given.
#[derive(Clone)]
pub struct Deps {
    /// Virtual time.
    pub clock: Clock,
    /// Runs models.
    pub engine: Arc<dyn Engine>,
    /// Who may call.
    pub credentials: Credentials,
    /// Registry and monitor.
    pub clients: Clients,
}

impl Deps {
    /// The real parts, for the binary. Nobody is called yet.
    ///
    /// # Errors
    /// If a file or address that the configuration names cannot be used.
    pub fn connect(config: &Config) -> anyhow::Result<Self> {
        let credentials = match config.access.credentials.as_str() {
            "" => Credentials::none(),
            path => Credentials::load(path)?,
        };
        let key = config.access.key()?;
        let tls = &config.transport.client;
        let peer =
            |url: &str| anyhow::Ok(Peer::connect_with(url, &key, tls)?.describe(contracts::DESCRIPTORS)?);
        let clients = Clients::over(peer(&config.peers.registry)?, peer(&config.peers.monitor)?);
        Ok(Self { clock: config.clock.build()?, engine: config.engine(), credentials, clients })
    }
}

/// Puts the gateway together and takes in what an earlier run left on disk. Registry, monitor and key-value store need not
/// be there.
///
/// # Errors
/// If the data folder cannot be used, or the key-value store's address is none.
pub async fn build(config: &Config, deps: Deps) -> anyhow::Result<Service> {
    let Deps { clock, engine, credentials, clients } = deps;
    let parts = Given { clock: clock.clone(), engine, clients, local: None };
    let (gateway, metrics) = parts.gateway(config).await?;
    restore(&gateway)?;
    let background = Tasks::new("gateway", clock);
    tasks::start(&background, &gateway);
    let (last, incoming) = (gateway.clone(), gateway.admission().incoming().clone());
    let service = mounted(&gateway, metrics, background)
        .access(contracts::access::TABLE, credentials)
        .on_stop(move || async move {
            last.look_at_the_rest().await;
            if let Err(error) = last.collect_observations(true).await {
                tracing::error!(%error, "the last observations are lost");
            }
            if let Err(error) = last.keep_breakers().await {
                tracing::error!(%error, "breakers were not written down");
            }
        })
        .build()?;
    with_rest(service, config, &incoming)
}

/// What every gateway is given beside its configuration.
struct Given {
    clock: Clock,
    engine: Arc<dyn Engine>,
    clients: Clients,
    /// It serves a folder, and no route table.
    local: Option<local::Local>,
}

impl Given {
    /// The shared parts, with nothing served yet, and the metrics that they count in.
    async fn gateway(self, config: &Config) -> anyhow::Result<(Gateway, Metrics)> {
        let folder = Path::new(&config.data_dir);
        let files = store::Files::open(folder)?;
        let metrics = Metrics::new();
        let spool = observe::Spool::open(&files.path("spool"), config.observe.spool_bytes)?;
        let kv = storage::kv::connect_lazily(&config.kv.url, "gateway")?;
        // What is in memory is in the cache itself already.
        let shared = (config.kv.url != "memory:").then(|| kv.clone());
        let gateway = Gateway::new(Parts {
            quotas: quota::Quotas::new(&config.limits, kv.clone(), self.clock.clone(), &metrics)?,
            cache: cache::Cache::new(&config.cache, shared, &metrics)?,
            id: files.identity(&config.routes.gateway)?,
            blobs: Blobs::open(&folder.join("artifacts"), config.infer.max_artifact_bytes).await?,
            kv,
            admission: admission::Admission::new(&config.admission),
            meters: metrics::Meters::new(&metrics),
            breakers: breaker::Breakers::default(),
            observing: observe::Observing::new(&config.observe, spool),
            experiments: experiment::Known::default(),
            shadows: shadow::Shadows::new(&config.shadow, &metrics),
            readiness: Readiness::new(),
            policy: ArcSwap::from_pointee(Policy::builtin().clone()),
            live: ArcSwap::from_pointee(routing::Live::default()),
            board: backends::Board::default(),
            wanted: watch::Sender::new(None),
            changed: Notify::new(),
            reachable: AtomicBool::new(false),
            files,
            config: config.clone(),
            clock: self.clock,
            engine: self.engine,
            clients: self.clients,
            local: self.local,
        });
        gateway.readiness().set("routes", false);
        Ok((gateway, metrics))
    }
}

/// The handlers on a service, with all that is the same for every gateway.
fn mounted(gateway: &Gateway, metrics: Metrics, tasks: Tasks) -> ServiceBuilder {
    handlers::mount(Service::builder("gateway"), gateway)
        .descriptors(contracts::DESCRIPTORS)
        .transport(gateway.config().transport.clone())
        .tolerant(&["inference.GRPCInferenceService"])
        .clock(gateway.clock().clone())
        .metrics(metrics)
        .readiness(gateway.readiness().clone())
        .tasks(tasks)
}

/// The protocol over HTTP beside gRPC.
fn with_rest(service: Service, config: &Config, incoming: &incoming::Incoming) -> anyhow::Result<Service> {
    let rest = rest::router(service.peer("")?, config.admission.message_bytes, incoming);
    Ok(service.with_http(rest))
}

/// The state on disk: policy, trips that are still to be told, the last route table. Its signature is checked again.
fn restore(gateway: &Gateway) -> anyhow::Result<()> {
    let Some(table) = gateway.files().route_table()? else {
        gateway.breakers().restore_unacknowledged(gateway);
        return Ok(());
    };
    let Some(key) = gateway.files().registry_key(&gateway.config().routes.registry_key_file)? else {
        gateway.breakers().restore_unacknowledged(gateway);
        return Ok(());
    };
    if let Err(error) = gateway.accept(&table, key) {
        tracing::error!(%error, "the route table on disk is refused");
    }
    let digest = gateway.wanted().borrow().as_ref().map(|accepted| accepted.routes.policy_digest.clone());
    if let Some(policy) = digest.and_then(|digest| gateway.files().policy(&digest)) {
        gateway.adopt(policy);
    }
    gateway.breakers().restore_unacknowledged(gateway);
    Ok(())
}
