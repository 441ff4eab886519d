//! The registry: system of record of the mesh. It decides by the rules of `lifecycle` over its records and the facts in
//! a request, keeps what it decided with the digest of the policy, and logs every change in a signed Merkle tree.
//!
//! # How it is made
//! - [`build`] puts the parts together; [`Registry`] is what every handler shares, and implements the generated service
//!   traits in `handlers/`, one file (or folder) for each resource.
//! - A Get is `self.get(&name).await`, a List is `self.page_below::<R>(..)`, a call that changes something is
//!   `self.carry_out(request).await`: one line each.
//! - What a change does is the [`work::Verb`] of its request message: `check` looks at every field, `decide` runs inside
//!   one transaction through [`work::Work`]. Replay by request id, retry, audit and commit are done once, in `work.rs`.
//! - A new mutation needs a line in `verbs.rs`; a new kind of resource a line in `store/resources.rs`.
//! - A refusal is a `lifecycle::Rejection` returned with `?`; `error.rs` makes the status of it.
//! - Separation of duties: `work.contributes(name, people)` and `work.approves(name, matter, &approval)` write the tables
//!   whose triggers refuse a contributor's approval even where a rule forgot it.
//! - Wire -> domain conversions are in `convert/`, one file for each resource.

#![allow(clippy::wildcard_imports)] // a handler speaks of one resource and of all that its contract names

mod config;
mod convert;
mod error;
mod handlers;
mod junit;
mod parse;
mod registry;
mod store;
mod tasks;
mod verbs;
mod work;

pub use config::Config;
pub use error::Error;
pub use registry::Registry;

/// What a gate judged, for those who decide again from a saved decision.
pub mod gate {
    pub use crate::convert::gate::{Judged, to_gate};
}

use contracts::registry::v1 as wire;
use engine::Engine;
use runtime::{Clock, Credentials, Metrics, Readiness, Service, Tasks};
use std::path::Path;
use std::sync::Arc;
use storage::{Blobs, Records, Signer};

use crate::handlers::{Routing, Uploads};
use crate::registry::Parts;
use crate::store::{inspections::Inspections, migration, policies::PolicyStore};

/// What the registry is given: it calls no other service.
#[derive(Clone)]
pub struct Deps {
    /// Virtual time.
    pub clock: Clock,
    /// Loads a model once when its version is registered.
    pub engine: Arc<dyn Engine>,
    /// Who may call.
    pub credentials: Credentials,
}

impl Deps {
    /// The real parts, for the binary.
    ///
    /// # Errors
    /// If a file that the configuration names cannot be used.
    pub fn connect(config: &Config) -> anyhow::Result<Self> {
        let credentials = match config.access.credentials.as_str() {
            "" => Credentials::none(),
            path => Credentials::load(path)?,
        };
        Ok(Self { clock: config.clock.build()?, engine: config.engine(), credentials })
    }
}

/// Puts the registry together: opens and migrates its database, adopts the built-in policy if there is none.
///
/// # Errors
/// If the database, the data folder or the signing key cannot be used.
pub async fn build(config: &Config, deps: Deps) -> anyhow::Result<Service> {
    let db = storage::connect(&config.database.url).await?;
    storage::migrate(&db, migration::ALL).await?;
    let folder = Path::new(&config.data_dir);
    let signer = Arc::new(Signer::load_or_create(&folder.join("audit-key.pem"))?);
    let records = Records::open(db.clone(), signer.clone()).await?;
    let blobs = Blobs::open(&folder.join("artifacts"), config.max_artifact_bytes).await?;
    let policies = PolicyStore::new(records.clone());
    policies.ensure_builtin(deps.clock.now()).await?;
    let background = Tasks::new("registry", deps.clock.clone());
    let registry = Registry::new(Parts {
        inspections: Inspections::new(deps.engine, blobs.clone(), db.clone()),
        policies,
        records,
        blobs,
        clock: deps.clock.clone(),
        signer,
        uploads: Uploads::default(),
        routing: Routing::default(),
        tasks: background.clone(),
        metrics: Metrics::new(),
    });
    let readiness = Readiness::new();
    readiness.set("database", true);
    tasks::start(&background, &registry, &readiness);
    let service = handlers::mount(Service::builder("registry"), &registry)
        .descriptors(contracts::DESCRIPTORS)
        .transport(config.transport.clone())
        .access(contracts::access::TABLE, deps.credentials)
        .clock(deps.clock)
        .metrics(registry.metrics().clone())
        .readiness(readiness)
        .tasks(background)
        .on_stop(move || async move {
            if let Err(error) = db.close().await {
                tracing::warn!(%error, "the database was not closed");
            }
        })
        .build()?;
    Ok(service)
}
