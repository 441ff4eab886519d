//! The five services as a principal sees them: generated clients, whichever way the services are reached.

use std::sync::Arc;

use contracts::evaluator::v1::evaluator_service_client::EvaluatorServiceClient;
use contracts::gateway::v1::serving_service_client::ServingServiceClient;
use contracts::inference::grpc_inference_service_client::GrpcInferenceServiceClient;
use contracts::longrunning::operations_client::OperationsClient;
use contracts::monitor::v1::alert_service_client::AlertServiceClient;
use contracts::monitor::v1::canary_service_client::CanaryServiceClient;
use contracts::monitor::v1::duty_service_client::DutyServiceClient;
use contracts::monitor::v1::feedback_service_client::FeedbackServiceClient;
use contracts::monitor::v1::observation_service_client::ObservationServiceClient;
use contracts::pipeline::v1::dataset_build_service_client::DatasetBuildServiceClient;
use contracts::pipeline::v1::dataset_read_service_client::DatasetReadServiceClient;
use contracts::pipeline::v1::upload_service_client::UploadServiceClient;
use contracts::registry::v1::artifact_service_client::ArtifactServiceClient;
use contracts::registry::v1::audit_service_client::AuditServiceClient;
use contracts::registry::v1::data_source_service_client::DataSourceServiceClient;
use contracts::registry::v1::dataset_service_client::DatasetServiceClient;
use contracts::registry::v1::deployment_service_client::DeploymentServiceClient;
use contracts::registry::v1::document_service_client::DocumentServiceClient;
use contracts::registry::v1::evaluation_service_client::EvaluationServiceClient;
use contracts::registry::v1::gate_service_client::GateServiceClient;
use contracts::registry::v1::incident_service_client::IncidentServiceClient;
use contracts::registry::v1::model_service_client::ModelServiceClient;
use contracts::registry::v1::policy_service_client::PolicyServiceClient;
use contracts::registry::v1::project_service_client::ProjectServiceClient;
use contracts::registry::v1::retirement_service_client::RetirementServiceClient;
use contracts::registry::v1::review_service_client::ReviewServiceClient;
use contracts::registry::v1::rollout_service_client::RolloutServiceClient;
use contracts::registry::v1::route_service_client::RouteServiceClient;
use contracts::registry::v1::training_run_service_client::TrainingRunServiceClient;
use runtime::Peer;

use crate::people::People;

/// Largest message that a test takes.
const MESSAGE_BYTES: usize = 256 << 20;

/// The five addresses, and the keys of all principals.
#[derive(Clone)]
pub struct Net {
    peers: [Peer; 5],
    people: Arc<People>,
}

/// The five as one principal calls them.
#[derive(Clone)]
pub struct By {
    registry: Peer,
    data_pipeline: Peer,
    evaluator: Peer,
    gateway: Peer,
    monitor: Peer,
}

impl Net {
    /// Peers, whatever key they have, in the order of [`crate::people::SERVICES`].
    pub fn new(peers: [Peer; 5], people: Arc<People>) -> Self {
        Self { peers, people }
    }

    /// Called by that principal; "" calls without a key.
    ///
    /// # Panics
    /// If there is no such principal.
    pub fn by(&self, who: &str) -> By {
        let key = self.people.key(who);
        let keyed = |peer: &Peer| peer.clone().with_key(key).expect("a key that fits into a header");
        let [registry, data_pipeline, evaluator, gateway, monitor] = self.peers.each_ref().map(keyed);
        By { registry, data_pipeline, evaluator, gateway, monitor }
    }

    /// The keys.
    pub fn people(&self) -> &People {
        &self.people
    }
}

impl By {
    /// The peer of a service by its name.
    ///
    /// # Panics
    /// If there is no such service.
    pub fn peer(&self, service: &str) -> Peer {
        let peer = match service {
            "registry" => &self.registry,
            "data-pipeline" => &self.data_pipeline,
            "evaluator" => &self.evaluator,
            "gateway" => &self.gateway,
            "monitor" => &self.monitor,
            other => panic!("there is no service {other}"),
        };
        peer.clone()
    }

    /// Operations of a service that has them.
    pub fn operations(&self, service: &str) -> OperationsClient<Peer> {
        OperationsClient::new(self.peer(service)).max_decoding_message_size(MESSAGE_BYTES)
    }
}

macro_rules! clients {
    ($($name:ident: $client:ident at $service:ident;)+) => { impl By { $(
        #[doc = concat!("`", stringify!($client), "`")]
        pub fn $name(&self) -> $client<Peer> {
            $client::new(self.$service.clone())
                .max_decoding_message_size(MESSAGE_BYTES)
                .max_encoding_message_size(MESSAGE_BYTES)
        }
    )+ } };
}

clients! {
    projects: ProjectServiceClient at registry;
    sources: DataSourceServiceClient at registry;
    datasets: DatasetServiceClient at registry;
    runs: TrainingRunServiceClient at registry;
    artifacts: ArtifactServiceClient at registry;
    models: ModelServiceClient at registry;
    evaluations: EvaluationServiceClient at registry;
    reviews: ReviewServiceClient at registry;
    gates: GateServiceClient at registry;
    deployments: DeploymentServiceClient at registry;
    rollouts: RolloutServiceClient at registry;
    routes: RouteServiceClient at registry;
    incidents: IncidentServiceClient at registry;
    documents: DocumentServiceClient at registry;
    retirements: RetirementServiceClient at registry;
    audit: AuditServiceClient at registry;
    policies: PolicyServiceClient at registry;
    uploads: UploadServiceClient at data_pipeline;
    builds: DatasetBuildServiceClient at data_pipeline;
    reads: DatasetReadServiceClient at data_pipeline;
    evaluator: EvaluatorServiceClient at evaluator;
    inference: GrpcInferenceServiceClient at gateway;
    serving: ServingServiceClient at gateway;
    observations: ObservationServiceClient at monitor;
    alerts: AlertServiceClient at monitor;
    canaries: CanaryServiceClient at monitor;
    feedback: FeedbackServiceClient at monitor;
    duties: DutyServiceClient at monitor;
}
