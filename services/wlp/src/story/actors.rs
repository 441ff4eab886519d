//! Typed clients of every service, for every role.

use std::sync::Arc;

use contracts::evaluator::v1::evaluator_service_client::EvaluatorServiceClient;
use contracts::gateway::v1::serving_service_client::ServingServiceClient;
use contracts::inference::grpc_inference_service_client::GrpcInferenceServiceClient;
use contracts::longrunning::GetOperationRequest;
use contracts::longrunning::operations_client::OperationsClient;
use contracts::monitor::v1::{
    alert_service_client::AlertServiceClient, canary_service_client::CanaryServiceClient,
    feedback_service_client::FeedbackServiceClient, observation_service_client::ObservationServiceClient,
};
use contracts::pipeline::v1::{
    dataset_build_service_client::DatasetBuildServiceClient,
    dataset_read_service_client::DatasetReadServiceClient, upload_service_client::UploadServiceClient,
};
use contracts::registry::v1::{
    artifact_service_client::ArtifactServiceClient, audit_service_client::AuditServiceClient,
    data_source_service_client::DataSourceServiceClient, dataset_service_client::DatasetServiceClient,
    deployment_service_client::DeploymentServiceClient, document_service_client::DocumentServiceClient,
    evaluation_service_client::EvaluationServiceClient, gate_service_client::GateServiceClient,
    incident_service_client::IncidentServiceClient, model_service_client::ModelServiceClient,
    policy_service_client::PolicyServiceClient, project_service_client::ProjectServiceClient,
    retirement_service_client::RetirementServiceClient, review_service_client::ReviewServiceClient,
    rollout_service_client::RolloutServiceClient, training_run_service_client::TrainingRunServiceClient,
};
use runtime::Peer;

use crate::reach::{Reach, To};

/// Gives a client of a service as a principal calls it.
#[derive(Clone)]
pub struct Actors {
    reach: Arc<dyn Reach>,
}

/// Answers of this size are taken.
const MESSAGE_BYTES: usize = 64 << 20;

macro_rules! clients {
    ($($method:ident $client:ident $to:ident;)+) => {$(
        #[doc = concat!("The ", stringify!($client), " as `who`.")]
        ///
        /// # Errors
        /// If `who` has no key.
        pub fn $method(&self, who: &str) -> anyhow::Result<$client<Peer>> {
            Ok($client::new(self.reach.peer(To::$to, who)?).max_decoding_message_size(MESSAGE_BYTES))
        }
    )+};
}

impl Actors {
    /// Over a mesh.
    pub fn new(reach: Arc<dyn Reach>) -> Self {
        Self { reach }
    }

    /// How the mesh is reached.
    pub fn reach(&self) -> &dyn Reach {
        &*self.reach
    }

    clients! {
        projects ProjectServiceClient Registry;
        sources DataSourceServiceClient Registry;
        datasets DatasetServiceClient Registry;
        runs TrainingRunServiceClient Registry;
        artifacts ArtifactServiceClient Registry;
        models ModelServiceClient Registry;
        evaluations EvaluationServiceClient Registry;
        reviews ReviewServiceClient Registry;
        gates GateServiceClient Registry;
        deployments DeploymentServiceClient Registry;
        rollouts RolloutServiceClient Registry;
        incidents IncidentServiceClient Registry;
        documents DocumentServiceClient Registry;
        retirements RetirementServiceClient Registry;
        policies PolicyServiceClient Registry;
        audit AuditServiceClient Registry;
        uploads UploadServiceClient DataPipeline;
        builds DatasetBuildServiceClient DataPipeline;
        data DatasetReadServiceClient DataPipeline;
        evaluator EvaluatorServiceClient Evaluator;
        infer GrpcInferenceServiceClient Gateway;
        serving ServingServiceClient Gateway;
        alerts AlertServiceClient Monitor;
        canaries CanaryServiceClient Monitor;
        feedback FeedbackServiceClient Monitor;
        observations ObservationServiceClient Monitor;
    }

    /// Waits for a long-running operation and gives its answer; the service that runs it is `to`.
    ///
    /// # Errors
    /// What the operation failed with.
    pub async fn outcome<M: prost::Message + Default>(
        &self,
        to: To,
        who: &str,
        operation: contracts::longrunning::Operation,
    ) -> anyhow::Result<M> {
        operation_of(self.reach.peer(to, who)?, operation).await
    }
}

/// Waits for a long-running operation of the service that `peer` is.
///
/// # Errors
/// What the operation failed with.
pub async fn operation_of<M: prost::Message + Default>(
    peer: Peer,
    mut operation: contracts::longrunning::Operation,
) -> anyhow::Result<M> {
    use contracts::longrunning::operation::Result as Ended;
    let mut operations = OperationsClient::new(peer).max_decoding_message_size(MESSAGE_BYTES);
    loop {
        match operation.result {
            Some(Ended::Response(any)) => return Ok(M::decode(any.value.as_slice())?),
            Some(Ended::Error(error)) => return Err(failed(&error).into()),
            None => {}
        }
        // Real time: the work is done by processors, whatever the clock of the mesh says.
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        operation =
            operations.get_operation(GetOperationRequest { name: operation.name }).await?.into_inner();
    }
}

/// What an operation failed with, as the status that a call would have had.
fn failed(error: &contracts::rpc::Status) -> tonic::Status {
    let (code, message) = (tonic::Code::from_i32(error.code), error.message.clone());
    tonic::Status::with_details(code, message, prost::Message::encode_to_vec(error).into())
}
