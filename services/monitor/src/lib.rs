//! The monitor: takes observations, keeps windows, raises the alerts of §9.1, finds drift (§9.2), judges canaries (G4),
//! advances and rolls back through the registry (§8.3), carries feedback to a decision (§9.3) and keeps the clocks of §10.1.
//!
//! Observations are merged into windows of the policy's length in tables of their own, in one transaction before the
//! acknowledgement. What a person may have to answer for (alerts, findings, duties) are records with an audit log. All
//! decisions about rollouts are the registry's; the monitor brings the facts and works on without it.

mod config;
mod convert;
mod deps;
mod error;
mod handlers;
mod metrics;
mod monitor;
mod parse;
pub mod rules;
mod store;
pub mod tasks;
pub mod windows;

pub use config::{Config, Periods, Windows};
pub use deps::{Deps, RegistryClients};
pub use error::Error;
pub use monitor::Monitor;

use lifecycle::Policy;
use runtime::{Metrics, Readiness, Service, Tasks};
use std::path::Path;
use std::sync::{Arc, RwLock};
use storage::{Leases, Records, Signer};

use crate::metrics::MonitorMetrics;
use crate::monitor::Parts;
use crate::store::migration;

/// Puts the monitor together: opens and migrates its database, takes the policy it last knew.
///
/// # Errors
/// If the database or the signing key cannot be used.
pub async fn build(config: &Config, deps: Deps) -> anyhow::Result<Service> {
    Ok(assemble(config, deps).await?.0)
}

/// [`build`], with the parts by which a test turns the loops by hand ([`tasks`]).
///
/// # Errors
/// As [`build`].
pub async fn assemble(config: &Config, deps: Deps) -> anyhow::Result<(Service, Monitor)> {
    let db = storage::connect(&config.database.url).await?;
    storage::migrate(&db, migration::ALL).await?;
    let signer = Arc::new(Signer::load_or_create(&Path::new(&config.data_dir).join("audit-key.pem"))?);
    let records = Records::open(db.clone(), signer).await?;
    let metrics = Metrics::new();
    let monitor = Monitor::new(Parts {
        records,
        leases: Leases::new(db.clone()),
        owner: uuid::Uuid::new_v4().to_string(),
        clock: deps.clock.clone(),
        policy: RwLock::new(Arc::new(Policy::builtin().clone())),
        registry: deps.registry,
        metrics: MonitorMetrics::register(&metrics),
        config: config.clone(),
    });
    tasks::refresh_policy::recall(&monitor).await?;
    let background = Tasks::new("monitor", deps.clock.clone());
    tasks::start(&background, &monitor);
    let service = handlers::mount(Service::builder("monitor"), &monitor)
        .descriptors(contracts::DESCRIPTORS)
        .transport(config.transport.clone())
        .access(contracts::access::TABLE, deps.credentials)
        .clock(deps.clock)
        .metrics(metrics)
        .readiness(Readiness::new())
        .tasks(background)
        .on_stop(move || async move {
            if let Err(error) = db.close().await {
                tracing::warn!(%error, "the database was not closed");
            }
        })
        .build()?;
    Ok((service, monitor))
}
