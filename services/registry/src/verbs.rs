//! Every call that changes something: one line for each. A line gives the request its method name, its request id and
//! the digest by which a repeated request is recognised; what it does is its [`crate::work::Verb`].

use contracts::registry::v1::*;
use prost::Message as _;
use storage::Digest;

/// A request that changes something.
pub trait Mutation: prost::Message + Clone + Default + Send + Sync + 'static {
    /// `/wlp.registry.v1.ProjectService/CreateProject`
    const METHOD: &'static str;

    /// The request id; empty where the caller gave none.
    fn request_id(&self) -> &str;

    /// Digest of the request without its request id.
    fn digest(&self) -> Digest;
}

macro_rules! mutations {
    ($($service:literal { $($method:literal $request:ident,)+ })+) => {$($(
        impl Mutation for $request {
            const METHOD: &'static str = concat!("/wlp.registry.v1.", $service, "/", $method);

            fn request_id(&self) -> &str {
                &self.request_id
            }

            fn digest(&self) -> Digest {
                let mut bare = self.clone();
                bare.request_id.clear();
                Digest::of(&bare.encode_to_vec())
            }
        }
    )+)+};
}

mutations! {
    "ProjectService" {
        "CreateProject" CreateProjectRequest,
        "UpdateProject" UpdateProjectRequest,
        "DecideSelection" DecideSelectionRequest,
        "RecordPlanningOutput" RecordPlanningOutputRequest,
        "ApprovePlan" ApprovePlanRequest,
        "RecordSelectionStep" RecordSelectionStepRequest,
        "AdvancePhase" AdvancePhaseRequest,
    }
    "DataSourceService" {
        "CreateDataSource" CreateDataSourceRequest,
        "ApproveDataSource" ApproveDataSourceRequest,
        "RevokeDataSource" RevokeDataSourceRequest,
        "ConfirmDataSourceCurrent" ConfirmDataSourceCurrentRequest,
    }
    "DatasetService" {
        "CreateDataset" CreateDatasetRequest,
        "CreateDatasetVersion" CreateDatasetVersionRequest,
        "RecordDatasetAudit" RecordDatasetAuditRequest,
        "SignDatasetRelevance" SignDatasetRelevanceRequest,
        "ReleaseDatasetVersion" ReleaseDatasetVersionRequest,
    }
    "TrainingRunService" {
        "CreateTrainingRun" CreateTrainingRunRequest,
        "LogTrainingMetrics" LogTrainingMetricsRequest,
        "CompleteTrainingRun" CompleteTrainingRunRequest,
        "FailTrainingRun" FailTrainingRunRequest,
    }
    "ModelService" {
        "CreateModel" CreateModelRequest,
        "CreateModelVersion" CreateModelVersionRequest,
        "SubmitModelVersion" SubmitModelVersionRequest,
        "RevokeModelVersion" RevokeModelVersionRequest,
    }
    "PolicyService" {
        "ProposePolicy" ProposePolicyRequest,
        "SignPolicy" SignPolicyRequest,
        "RecordTraining" RecordTrainingRequest,
    }
    "EvaluationService" {
        "CreateEvaluation" CreateEvaluationRequest,
        "SignOffEvaluation" SignOffEvaluationRequest,
        "ImportTestReport" ImportTestReportRequest,
    }
    "ReviewService" {
        "CreateReview" CreateReviewRequest,
        "RecordReviewItem" RecordReviewItemRequest,
        "ApproveReview" ApproveReviewRequest,
        "RejectReview" RejectReviewRequest,
    }
    "GateService" {
        "DecideGate" DecideGateRequest,
    }
    "DeploymentService" {
        "CreateDeployment" CreateDeploymentRequest,
    }
    "RolloutService" {
        "CreateRollout" CreateRolloutRequest,
        "RecordRolloutItem" RecordRolloutItemRequest,
        "StageRollout" StageRolloutRequest,
        "RehearseRollback" RehearseRollbackRequest,
        "StartShadow" StartShadowRequest,
        "StopShadow" StopShadowRequest,
        "DeclareExperiment" DeclareExperimentRequest,
        "StartRollout" StartRolloutRequest,
        "AdvanceRollout" AdvanceRolloutRequest,
        "PauseRollout" PauseRolloutRequest,
        "ResumeRollout" ResumeRolloutRequest,
        "RollBack" RollBackRequest,
        "CloseRollout" CloseRolloutRequest,
    }
    "IncidentService" {
        "CreateIncident" CreateIncidentRequest,
        "AcknowledgeIncident" AcknowledgeIncidentRequest,
        "EscalateIncident" EscalateIncidentRequest,
        "ResolveIncident" ResolveIncidentRequest,
        "CloseIncident" CloseIncidentRequest,
    }
    "DocumentService" {
        "GenerateDocument" GenerateDocumentRequest,
        "SignDocument" SignDocumentRequest,
    }
    "RetirementService" {
        "StartRetirement" StartRetirementRequest,
        "AdvanceRetirement" AdvanceRetirementRequest,
        "RecordServiceDay" RecordServiceDayRequest,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_ignores_the_request_id_and_nothing_else() {
        let one =
            ApprovePlanRequest { name: "projects/a".into(), etag: "W/1".into(), request_id: "1".into() };
        let again = ApprovePlanRequest { request_id: "2".into(), ..one.clone() };
        let other = ApprovePlanRequest { etag: "W/2".into(), ..one.clone() };
        assert_eq!(one.digest(), again.digest());
        assert_ne!(one.digest(), other.digest());
    }

    #[test]
    fn every_method_stands_in_the_access_table() {
        for method in [CreateProjectRequest::METHOD, SignPolicyRequest::METHOD, RollBackRequest::METHOD] {
            assert!(!contracts::access::roles(method).is_empty(), "{method}");
        }
    }
}
