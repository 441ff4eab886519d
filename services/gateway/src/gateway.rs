//! The shared parts of the service: what every handler and task holds a clone of.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;
use contracts::monitor::v1::observation_service_client::ObservationServiceClient;
use contracts::registry::v1::artifact_service_client::ArtifactServiceClient;
use contracts::registry::v1::audit_service_client::AuditServiceClient;
use contracts::registry::v1::dataset_service_client::DatasetServiceClient;
use contracts::registry::v1::evaluation_service_client::EvaluationServiceClient;
use contracts::registry::v1::model_service_client::ModelServiceClient;
use contracts::registry::v1::policy_service_client::PolicyServiceClient;
use contracts::registry::v1::rollout_service_client::RolloutServiceClient;
use contracts::registry::v1::route_service_client::RouteServiceClient;
use contracts::registry::v1::{RouteTable, Routes};
use engine::Engine;
use lifecycle::Policy;
use runtime::{Clock, Peer, Readiness};
use storage::audit::VerifyingKey;
use storage::{Blobs, Kv};
use tokio::sync::{Notify, watch};

use crate::admission::Admission;
use crate::backends::Board;
use crate::breaker::Breakers;
use crate::cache::Cache;
use crate::config::Config;
use crate::experiment;
use crate::local::Local;
use crate::metrics::Meters;
use crate::observe::Observing;
use crate::quota::Quotas;
use crate::routing::{BadTable, Live};
use crate::shadow::Shadows;
use crate::shared_memory::Regions;
use crate::store::Files;

/// Typed clients over peers.
#[derive(Clone)]
#[allow(missing_docs)] // each is what its name says
pub struct Clients {
    pub routes: RouteServiceClient<Peer>,
    pub rollouts: RolloutServiceClient<Peer>,
    pub artifacts: ArtifactServiceClient<Peer>,
    pub audit: AuditServiceClient<Peer>,
    pub datasets: DatasetServiceClient<Peer>,
    pub models: ModelServiceClient<Peer>,
    pub evaluations: EvaluationServiceClient<Peer>,
    pub policies: PolicyServiceClient<Peer>,
    pub observations: ObservationServiceClient<Peer>,
}

impl Clients {
    /// Clients of the two services that the gateway calls.
    pub fn over(registry: Peer, monitor: Peer) -> Self {
        Self {
            routes: RouteServiceClient::new(registry.clone()),
            rollouts: RolloutServiceClient::new(registry.clone()),
            artifacts: ArtifactServiceClient::new(registry.clone()).max_decoding_message_size(64 << 20),
            audit: AuditServiceClient::new(registry.clone()),
            datasets: DatasetServiceClient::new(registry.clone()).max_decoding_message_size(64 << 20),
            models: ModelServiceClient::new(registry.clone()).max_decoding_message_size(64 << 20),
            evaluations: EvaluationServiceClient::new(registry.clone()).max_decoding_message_size(64 << 20),
            policies: PolicyServiceClient::new(registry),
            observations: ObservationServiceClient::new(monitor),
        }
    }
}

/// A route table whose signature holds, with the key it holds under.
#[derive(Debug, Clone)]
pub struct Accepted {
    /// What it says.
    pub routes: Routes,
    /// The registry's key.
    pub key: VerifyingKey,
}

/// The gateway's parts. Clones are cheap.
#[derive(Clone)]
pub struct Gateway(Arc<Parts>);

pub(crate) struct Parts {
    pub(crate) id: String,
    pub(crate) config: Config,
    pub(crate) clock: Clock,
    pub(crate) engine: Arc<dyn Engine>,
    pub(crate) clients: Clients,
    pub(crate) kv: Arc<dyn Kv>,
    pub(crate) blobs: Blobs,
    pub(crate) files: Files,
    pub(crate) admission: Admission,
    pub(crate) meters: Meters,
    pub(crate) breakers: Breakers,
    pub(crate) observing: Observing,
    pub(crate) quotas: Quotas,
    pub(crate) cache: Cache,
    pub(crate) shadows: Shadows,
    pub(crate) experiments: experiment::Known,
    pub(crate) readiness: Readiness,
    pub(crate) policy: ArcSwap<Policy>,
    pub(crate) live: ArcSwap<Live>,
    pub(crate) board: Board,
    pub(crate) wanted: watch::Sender<Option<Arc<Accepted>>>,
    pub(crate) changed: Notify,
    pub(crate) reachable: AtomicBool,
    pub(crate) local: Option<Local>,
}

#[allow(missing_docs)] // each gives the part of its name
impl Gateway {
    pub(crate) fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }
    pub fn id(&self) -> &str {
        &self.0.id
    }
    pub fn config(&self) -> &Config {
        &self.0.config
    }
    pub fn clock(&self) -> &Clock {
        &self.0.clock
    }
    pub fn engine(&self) -> &Arc<dyn Engine> {
        &self.0.engine
    }
    pub fn clients(&self) -> &Clients {
        &self.0.clients
    }
    pub fn kv(&self) -> &Arc<dyn Kv> {
        &self.0.kv
    }
    pub fn blobs(&self) -> &Blobs {
        &self.0.blobs
    }
    pub fn files(&self) -> &Files {
        &self.0.files
    }
    pub fn admission(&self) -> &Admission {
        &self.0.admission
    }
    pub fn meters(&self) -> &Meters {
        &self.0.meters
    }
    pub fn breakers(&self) -> &Breakers {
        &self.0.breakers
    }
    pub fn observing(&self) -> &Observing {
        &self.0.observing
    }
    pub fn experiments(&self) -> &experiment::Known {
        &self.0.experiments
    }
    pub fn shadows(&self) -> &Shadows {
        &self.0.shadows
    }
    pub fn quotas(&self) -> &Quotas {
        &self.0.quotas
    }
    pub fn cache(&self) -> &Cache {
        &self.0.cache
    }
    pub fn readiness(&self) -> &Readiness {
        &self.0.readiness
    }
    pub fn policy(&self) -> Arc<Policy> {
        self.0.policy.load_full()
    }
    pub fn board(&self) -> &Board {
        &self.0.board
    }
    pub(crate) fn local(&self) -> Option<&Local> {
        self.0.local.as_ref()
    }
    pub(crate) fn regions(&self) -> Option<&Regions> {
        self.local().and_then(Local::regions)
    }
    pub fn wanted(&self) -> &watch::Sender<Option<Arc<Accepted>>> {
        &self.0.wanted
    }
}

impl Gateway {
    /// What is served now.
    pub fn live(&self) -> arc_swap::Guard<Arc<Live>> {
        self.0.live.load()
    }

    /// Replaces what is served.
    pub fn serve(&self, live: Live) {
        self.readiness().set("routes", live.is_ready());
        self.0.live.store(Arc::new(live));
        self.note_change();
    }

    /// Adopts another policy version.
    pub fn adopt(&self, policy: Policy) {
        self.0.policy.store(Arc::new(policy));
    }

    /// Something that the registry, operators and metrics should see has changed.
    pub fn note_change(&self) {
        self.0.changed.notify_one();
    }

    /// Completes when something has changed since the last time.
    pub async fn changed(&self) {
        self.0.changed.notified().await;
    }

    /// Whether the registry answered last time.
    pub fn registry_reachable(&self) -> bool {
        self.0.reachable.load(Ordering::Relaxed)
    }

    /// Notes whether the registry answers.
    pub fn note_registry(&self, reachable: bool) {
        self.meters().registry_reachable.set(reachable.into());
        if self.0.reachable.swap(reachable, Ordering::Relaxed) != reachable {
            tracing::info!(reachable, "the registry's reachability changed");
        }
    }

    /// Takes a route table whose signature holds and that is not older than what is known. Returns whether it is new.
    ///
    /// # Errors
    /// [`BadTable`]; what is served stays as it is.
    pub fn accept(&self, table: &RouteTable, key: VerifyingKey) -> Result<bool, BadTable> {
        let routes = crate::routing::open(table, &key)?;
        let known = self.wanted().borrow().as_ref().map(|accepted| accepted.routes.sequence);
        match known {
            Some(known) if routes.sequence < known => Err(BadTable::Older { given: routes.sequence, known }),
            Some(known) if routes.sequence == known => Ok(false),
            _ => {
                self.wanted().send_replace(Some(Arc::new(Accepted { routes, key })));
                Ok(true)
            }
        }
    }
}
