//! The generated service traits, implemented for [`Registry`]: one file or folder for each resource.

mod artifacts;
mod audit;
mod data_sources;
mod dataset_numbers;
mod datasets;
mod deployments;
mod documents;
mod evaluations;
mod gates;
mod incidents;
mod models;
mod policies;
mod projects;
mod retirements;
mod reviews;
mod rollouts;
mod routes;
mod training_runs;

pub use artifacts::Uploads;
pub use routes::Routing;
pub use training_runs::{reap, watch_checkpoints};

use crate::{Registry, wire};
use runtime::ServiceBuilder;

/// Messages of this size are taken: a dataset version with its profiles, a page of a thousand resources.
const MESSAGE_BYTES: usize = 32 << 20;

macro_rules! mount {
    ($builder:ident, $registry:ident, $($module:ident :: $server:ident),+ $(,)?) => {
        $builder$(.add(
            wire::$module::$server::new($registry.clone())
                .max_decoding_message_size(MESSAGE_BYTES)
                .max_encoding_message_size(MESSAGE_BYTES),
        ))+
    };
}

/// Adds every service of the registry.
pub fn mount(builder: ServiceBuilder, registry: &Registry) -> ServiceBuilder {
    mount!(
        builder,
        registry,
        project_service_server::ProjectServiceServer,
        data_source_service_server::DataSourceServiceServer,
        dataset_service_server::DatasetServiceServer,
        training_run_service_server::TrainingRunServiceServer,
        artifact_service_server::ArtifactServiceServer,
        model_service_server::ModelServiceServer,
        audit_service_server::AuditServiceServer,
        policy_service_server::PolicyServiceServer,
        evaluation_service_server::EvaluationServiceServer,
        review_service_server::ReviewServiceServer,
        gate_service_server::GateServiceServer,
        deployment_service_server::DeploymentServiceServer,
        rollout_service_server::RolloutServiceServer,
        route_service_server::RouteServiceServer,
        incident_service_server::IncidentServiceServer,
        document_service_server::DocumentServiceServer,
        retirement_service_server::RetirementServiceServer,
    )
}
