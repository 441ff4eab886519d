//! The data-pipeline: builds dataset versions through the seven steps of §5.3, measures the eight dimensions of §5.2,
//! writes Parquet and a data card (§5.4), and registers each version with the registry.
//!
//! - [`build`] puts the parts together; [`Pipeline`] is what every handler shares.
//! - A build is a long-running operation ([`job`](self)): its request is stored with the operation, so an unfinished one is
//!   taken up again after a restart. Everything it writes is content-addressed, so doing it twice changes nothing.
//! - Each step is a file under `steps/`: a function from table to table and the record of what it did.
//! - Rows are kept in one Arrow batch with the line they came from; limits of the configuration bound it.

mod blocking;
mod build;
mod card;
mod config;
mod convert;
mod croissant;
mod described;
mod difference;
mod error;
mod export;
#[cfg(test)]
mod fixture;
mod handlers;
mod input;
mod job;
pub mod local;
mod number;
mod operations;
mod parse;
mod pipeline;
mod plan;
mod quality;
mod sketches;
mod steps;
mod store;
mod table;
mod transforms;
mod typing;

pub use config::{Config, Limits, ReaderOptions, StoreOptions};
pub use error::Error;
pub use input::answer_if_asked;
pub use pipeline::Pipeline;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use contracts::registry::v1::artifact_service_client::ArtifactServiceClient;
use contracts::registry::v1::data_source_service_client::DataSourceServiceClient;
use contracts::registry::v1::dataset_service_client::DatasetServiceClient;
use contracts::registry::v1::policy_service_client::PolicyServiceClient;
use runtime::{Clock, Credentials, Metrics, Peer, Readiness, Service, Tasks};
use storage::{Blobs, Operations, Records, Signer};

/// Messages of this size are taken from the registry: a version with its profiles.
const MESSAGE_BYTES: usize = 32 << 20;

/// What the data-pipeline is given: the registry's clients, a clock, credentials.
#[derive(Clone)]
pub struct Deps {
    /// Whether a source may be used (§5.1).
    pub sources: DataSourceServiceClient<Peer>,
    /// Where versions are registered.
    pub datasets: DatasetServiceClient<Peer>,
    /// Where the preprocessing of a version is kept for those who serve it.
    pub artifacts: ArtifactServiceClient<Peer>,
    /// What the procedure asks, as it is in force.
    pub policies: PolicyServiceClient<Peer>,
    /// Virtual time.
    pub clock: Clock,
    /// Who may call.
    pub credentials: Credentials,
    /// The program that reads inputs when it is started once more; its main begins with [`answer_if_asked`]. Without one they
    /// are read in this process.
    pub reader: Option<PathBuf>,
}

impl Deps {
    /// Over a peer that is the registry.
    pub fn new(registry: &Peer, clock: Clock, credentials: Credentials) -> Self {
        Self {
            sources: DataSourceServiceClient::new(registry.clone()),
            datasets: DatasetServiceClient::new(registry.clone())
                .max_decoding_message_size(MESSAGE_BYTES)
                .max_encoding_message_size(MESSAGE_BYTES),
            artifacts: ArtifactServiceClient::new(registry.clone()),
            policies: PolicyServiceClient::new(registry.clone()),
            clock,
            credentials,
            reader: input::this_program(),
        }
    }

    /// The real parts, for the binary.
    ///
    /// # Errors
    /// If a file or address that the configuration names cannot be used.
    pub fn connect(config: &Config) -> anyhow::Result<Self> {
        let credentials = match config.access.credentials.as_str() {
            "" => Credentials::none(),
            path => Credentials::load(path)?,
        };
        let tls = &config.transport.client;
        let registry = Peer::connect_with(&config.peers.registry, &config.access.key()?, tls)?;
        let registry = registry.describe(contracts::DESCRIPTORS)?;
        Ok(Self::new(&registry, config.clock.build()?, credentials))
    }
}

/// Puts the data-pipeline together: opens and migrates its database and takes up unfinished operations when it is started.
///
/// # Errors
/// If the database, the data folder or the signing key cannot be used.
pub async fn build(config: &Config, deps: Deps) -> anyhow::Result<Service> {
    let db = storage::connect(&config.database.url).await?;
    storage::migrate(&db, &[]).await?;
    let folder = Path::new(&config.data_dir);
    let signer = Arc::new(Signer::load_or_create(&folder.join("audit-key.pem"))?);
    let background = Tasks::new("data-pipeline", deps.clock.clone());
    let (clock, credentials) = (deps.clock.clone(), deps.credentials.clone());
    let pipeline = Pipeline::new(pipeline::Parts {
        records: Records::open(db.clone(), signer).await?,
        operations: Operations::new(db.clone()),
        blobs: Blobs::open(&folder.join("blobs"), config.limits.upload_bytes).await?,
        turns: tokio::sync::Semaphore::new(config.limits.builds.max(1)),
        differences: tokio::sync::Semaphore::new(config.limits.differences.max(1)),
        limits: config.limits,
        stores: input::Stores::open(&config.stores)?,
        reader: input::Reader::open(deps.reader.clone(), config.reader, &folder.join("reading"))?,
        tasks: background.clone(),
        metrics: Metrics::new(),
        uploads: handlers::Uploads::default(),
        deps,
    });
    job::resume_when_started(&background, &pipeline);
    let service = handlers::mount(Service::builder("data-pipeline"), &pipeline)
        .descriptors(contracts::DESCRIPTORS)
        .transport(config.transport.clone())
        .access(contracts::access::TABLE, credentials)
        .clock(clock)
        .metrics(pipeline.metrics().clone())
        .readiness(Readiness::new())
        .tasks(background)
        .on_stop(move || async move {
            if let Err(error) = db.close().await {
                tracing::warn!(%error, "the database was not closed");
            }
        })
        .build()?;
    Ok(service)
}
