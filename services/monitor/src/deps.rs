//! What the monitor is given: its clock, who may call, and the registry.

use contracts::registry::v1::{
    dataset_service_client::DatasetServiceClient, deployment_service_client::DeploymentServiceClient,
    evaluation_service_client::EvaluationServiceClient, gate_service_client::GateServiceClient,
    incident_service_client::IncidentServiceClient, model_service_client::ModelServiceClient,
    policy_service_client::PolicyServiceClient, project_service_client::ProjectServiceClient,
    retirement_service_client::RetirementServiceClient, rollout_service_client::RolloutServiceClient,
};
use runtime::{Clock, Credentials, Peer};

use crate::Config;

/// Messages of this size are taken: a dataset version with its profiles.
const MESSAGE_BYTES: usize = 32 << 20;

/// What the monitor is given.
#[derive(Clone)]
pub struct Deps {
    /// Virtual time.
    pub clock: Clock,
    /// Who may call.
    pub credentials: Credentials,
    /// The registry.
    pub registry: RegistryClients,
}

/// Typed clients of the registry's services.
#[derive(Clone)]
pub struct RegistryClients {
    pub(crate) rollouts: RolloutServiceClient<Peer>,
    pub(crate) deployments: DeploymentServiceClient<Peer>,
    pub(crate) models: ModelServiceClient<Peer>,
    pub(crate) datasets: DatasetServiceClient<Peer>,
    pub(crate) evaluations: EvaluationServiceClient<Peer>,
    pub(crate) gates: GateServiceClient<Peer>,
    pub(crate) incidents: IncidentServiceClient<Peer>,
    pub(crate) policies: PolicyServiceClient<Peer>,
    pub(crate) projects: ProjectServiceClient<Peer>,
    pub(crate) retirements: RetirementServiceClient<Peer>,
}

impl RegistryClients {
    /// Clients over one peer, TCP or in process.
    pub fn over(peer: &Peer) -> Self {
        Self {
            rollouts: RolloutServiceClient::new(peer.clone()).max_decoding_message_size(MESSAGE_BYTES),
            deployments: DeploymentServiceClient::new(peer.clone()),
            models: ModelServiceClient::new(peer.clone()),
            datasets: DatasetServiceClient::new(peer.clone()).max_decoding_message_size(MESSAGE_BYTES),
            evaluations: EvaluationServiceClient::new(peer.clone()).max_decoding_message_size(MESSAGE_BYTES),
            gates: GateServiceClient::new(peer.clone()).max_decoding_message_size(MESSAGE_BYTES),
            incidents: IncidentServiceClient::new(peer.clone()).max_decoding_message_size(MESSAGE_BYTES),
            policies: PolicyServiceClient::new(peer.clone()).max_decoding_message_size(MESSAGE_BYTES),
            projects: ProjectServiceClient::new(peer.clone()),
            retirements: RetirementServiceClient::new(peer.clone()),
        }
    }
}

impl Deps {
    /// The real parts, for the binary. The registry need not be there yet.
    ///
    /// # Errors
    /// If a file, key or address that the configuration names cannot be used.
    pub fn connect(config: &Config) -> anyhow::Result<Self> {
        let credentials = match config.access.credentials.as_str() {
            "" => Credentials::none(),
            path => Credentials::load(path)?,
        };
        let tls = &config.transport.client;
        let peer = Peer::connect_with(&config.peers.registry, &config.access.key()?, tls)?
            .describe(contracts::DESCRIPTORS)?;
        Ok(Self { clock: config.clock.build()?, credentials, registry: RegistryClients::over(&peer) })
    }
}
