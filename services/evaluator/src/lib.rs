//! The evaluator: measures a model version over a dataset version in the five dimensions of §7.1 and hands the report to
//! the registry, which judges it.
//!
//! # How it is made
//! - `handlers/` takes a request and makes an operation; [`tasks`] works operations off, one at a time, and takes up after
//!   a restart what had not ended.
//! - [`evaluation::evaluate`] is the whole measurement without a mesh: a loaded model, a table and a plan in, a report out.
//! - [`rows`] turns columns into tensors, [`predict`] runs them and reads predictions, [`attack`] searches inputs that
//!   change an answer, [`measure`] makes numbers with sample sizes and intervals.
//! - Every number of the procedure (sizes, queries, confidence, fewest samples) comes from the policy in force.
//! - A model that fails on a row is wrong on that row and is reported (`run_failures`); a host that fails ends the
//!   evaluation, since it says nothing about the model.

pub mod attack;
mod config;
mod error;
pub mod evaluation;
mod evaluator;
mod fetch;
mod handlers;
pub mod measure;
pub mod metric;
pub mod plan;
pub mod predict;
mod preprocess;
mod report;
pub mod rows;
mod store;
pub mod table;
mod tasks;

pub use config::{Config, Limits};
pub use error::Error;

use contracts::evaluator::v1::evaluator_service_server::EvaluatorServiceServer;
use contracts::longrunning::operations_server::OperationsServer;
use contracts::pipeline::v1::dataset_read_service_client::DatasetReadServiceClient;
use contracts::registry::v1::artifact_service_client::ArtifactServiceClient;
use contracts::registry::v1::dataset_service_client::DatasetServiceClient;
use contracts::registry::v1::evaluation_service_client::EvaluationServiceClient;
use contracts::registry::v1::model_service_client::ModelServiceClient;
use contracts::registry::v1::policy_service_client::PolicyServiceClient;
use engine::Engine;
use runtime::{Clock, Credentials, Metrics, Peer, Readiness, Service, Tasks};
use std::path::Path;
use std::sync::Arc;
use storage::{Records, Signer};

use crate::evaluator::Evaluator;

/// Messages of this size are taken from the registry: a dataset version with its profiles.
const MESSAGE_BYTES: usize = 32 << 20;

/// What the evaluator is given.
#[derive(Clone)]
pub struct Deps {
    /// Virtual time.
    pub clock: Clock,
    /// Who may call.
    pub credentials: Credentials,
    /// Runs the models.
    pub engine: Arc<dyn Engine>,
    /// Model versions.
    pub models: ModelServiceClient<Peer>,
    /// Bytes of models.
    pub artifacts: ArtifactServiceClient<Peer>,
    /// Dataset versions.
    pub datasets: DatasetServiceClient<Peer>,
    /// Takes the report.
    pub evaluations: EvaluationServiceClient<Peer>,
    /// The policy in force.
    pub policies: PolicyServiceClient<Peer>,
    /// Rows of a split.
    pub splits: DatasetReadServiceClient<Peer>,
}

impl Deps {
    /// Over the two services that the evaluator calls, whichever way they are reached.
    pub fn new(
        clock: Clock,
        credentials: Credentials,
        engine: Arc<dyn Engine>,
        registry: Peer,
        data_pipeline: Peer,
    ) -> Self {
        Self {
            clock,
            credentials,
            engine,
            models: ModelServiceClient::new(registry.clone()),
            artifacts: ArtifactServiceClient::new(registry.clone()),
            datasets: DatasetServiceClient::new(registry.clone()).max_decoding_message_size(MESSAGE_BYTES),
            evaluations: EvaluationServiceClient::new(registry.clone()),
            policies: PolicyServiceClient::new(registry),
            splits: DatasetReadServiceClient::new(data_pipeline),
        }
    }

    /// The real parts, for the binary.
    ///
    /// # Errors
    /// If a file that the configuration names cannot be used, or an address is none.
    pub fn connect(config: &Config) -> anyhow::Result<Self> {
        let credentials = match config.access.credentials.as_str() {
            "" => Credentials::none(),
            path => Credentials::load(path)?,
        };
        let key = config.access.key()?;
        let tls = &config.transport.client;
        let peer = |url: &str| Peer::connect_with(url, &key, tls)?.describe(contracts::DESCRIPTORS);
        Ok(Self::new(
            config.clock.build()?,
            credentials,
            config.engine(),
            peer(&config.peers.registry)?,
            peer(&config.peers.data_pipeline)?,
        ))
    }
}

/// Puts the evaluator together: opens and migrates its database, takes up operations that had not ended.
///
/// # Errors
/// If the database, the data folder or the signing key cannot be used.
pub async fn build(config: &Config, deps: Deps) -> anyhow::Result<Service> {
    let db = storage::connect(&config.database.url).await?;
    storage::migrate(&db, &[]).await?;
    let signer = Arc::new(Signer::load_or_create(&Path::new(&config.data_dir).join("audit-key.pem"))?);
    let records = Records::open(db.clone(), signer).await?;
    let metrics = Metrics::new();
    let (clock, credentials) = (deps.clock.clone(), deps.credentials.clone());
    let background = Tasks::new("evaluator", clock.clone());
    let evaluator = Evaluator::new(config.limits.clone(), deps, records, &metrics);
    tasks::start(&background, &evaluator);
    let service = Service::builder("evaluator")
        .add(EvaluatorServiceServer::new(evaluator.clone()))
        .add(OperationsServer::new(evaluator))
        .descriptors(contracts::DESCRIPTORS)
        .transport(config.transport.clone())
        .access(contracts::access::TABLE, credentials)
        .clock(clock)
        .metrics(metrics)
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
