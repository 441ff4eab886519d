//! A registry that keeps what the monitor asks for and writes down what the monitor does.

use contracts::common::v1::ColumnProfile;
use contracts::registry::v1::{
    dataset_service_server::{DatasetService, DatasetServiceServer},
    deployment_service_server::{DeploymentService, DeploymentServiceServer},
    evaluation_service_server::{EvaluationService, EvaluationServiceServer},
    gate_service_server::{GateService, GateServiceServer},
    incident_service_server::{IncidentService, IncidentServiceServer},
    model_service_server::{ModelService, ModelServiceServer},
    policy_service_server::{PolicyService, PolicyServiceServer},
    project_service_server::{ProjectService, ProjectServiceServer},
    retirement_service_server::RetirementServiceServer,
    rollout_service_server::{RolloutService, RolloutServiceServer},
    *,
};
use runtime::{Credentials, Service};
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use tonic::{Request, Response, Status};

#[derive(Default)]
pub struct State {
    pub rollouts: Vec<Rollout>,
    pub deployments: Vec<Deployment>,
    pub incidents: Vec<Incident>,
    pub escalated: Vec<String>,
    pub advanced: Vec<CanaryHealth>,
    pub rolled_back: Vec<RollBackRequest>,
    pub days: Vec<RecordServiceDayRequest>,
    pub features: Vec<ColumnProfile>,
    pub predictions: Option<ColumnProfile>,
    /// Of the manifest of the training data; empty: the one that they were built with.
    pub data_digest: String,
    /// The plan behind the model.
    pub plan: Option<Project>,
    /// Gates of which the last decision was a refusal.
    pub refused: Vec<Gate>,
}

#[derive(Clone, Default)]
pub struct Registry {
    pub state: Arc<Mutex<State>>,
    pub down: Arc<AtomicBool>,
}

pub const VERSION: &str = "models/credit/versions/1.1.0";
pub const DATASET: &str = "datasets/credit/versions/1.0.0";
const PROJECT: &str = "projects/credit";

fn digest(letter: char) -> String {
    format!("sha256:{}", letter.to_string().repeat(64))
}

impl Registry {
    pub fn up(&self) -> Result<std::sync::MutexGuard<'_, State>, Status> {
        if self.down.load(Ordering::SeqCst) {
            return Err(Status::unavailable("nobody is there"));
        }
        Ok(self.state.lock().unwrap())
    }

    pub fn serve(&self, clock: runtime::Clock, credentials: Credentials) -> Service {
        Service::builder("registry")
            .add(RolloutServiceServer::new(self.clone()))
            .add(DeploymentServiceServer::new(self.clone()))
            .add(IncidentServiceServer::new(self.clone()))
            .add(ModelServiceServer::new(self.clone()))
            .add(DatasetServiceServer::new(self.clone()))
            .add(EvaluationServiceServer::new(self.clone()))
            .add(GateServiceServer::new(self.clone()))
            .add(PolicyServiceServer::new(self.clone()))
            .add(ProjectServiceServer::new(self.clone()))
            .add(RetirementServiceServer::new(self.clone()))
            .access(contracts::access::TABLE, credentials)
            .clock(clock)
            .build()
            .unwrap()
    }
}

/// Everything that the monitor never calls answers UNIMPLEMENTED.
macro_rules! never {
    ($($method:ident($request:ty) -> $answer:ty;)*) => {$(
        // Written out: the attribute of the trait does not look into macros.
        fn $method<'this, 'async_trait>(
            &'this self,
            _: Request<$request>,
        ) -> Pin<Box<dyn Future<Output = Result<Response<$answer>, Status>> + Send + 'async_trait>>
        where
            'this: 'async_trait,
            Self: 'async_trait,
        {
            Box::pin(async { Err(Status::unimplemented("the monitor has no business here")) })
        }
    )*};
}

pub(crate) use never;

#[tonic::async_trait]
impl RolloutService for Registry {
    async fn get_rollout(&self, request: Request<GetRolloutRequest>) -> Result<Response<Rollout>, Status> {
        let name = request.into_inner().name;
        let found = self.up()?.rollouts.iter().find(|one| one.name == name).cloned();
        found.map(Response::new).ok_or_else(|| Status::not_found(name))
    }

    async fn list_rollouts(
        &self,
        request: Request<ListRolloutsRequest>,
    ) -> Result<Response<ListRolloutsResponse>, Status> {
        let wanted = request.into_inner().state;
        let fits = |one: &&Rollout| wanted == 0 || one.state == wanted;
        let rollouts = self.up()?.rollouts.iter().filter(fits).cloned().collect();
        Ok(Response::new(ListRolloutsResponse { rollouts, next_page_token: String::new() }))
    }

    async fn advance_rollout(
        &self,
        request: Request<AdvanceRolloutRequest>,
    ) -> Result<Response<Rollout>, Status> {
        let request = request.into_inner();
        let mut state = self.up()?;
        let health = request.canary_health.unwrap();
        let now = health.window_end_time;
        state.advanced.push(health);
        let one = state.rollouts.iter_mut().find(|one| one.name == request.name).unwrap();
        match [5, 25, 50, 100].get(one.step as usize + 1) {
            Some(percent) => {
                (one.step, one.traffic_percent, one.step_start_time) = (one.step + 1, *percent, now);
            }
            None => one.set_state(rollout::State::Succeeded),
        }
        Ok(Response::new(one.clone()))
    }

    async fn pause_rollout(
        &self,
        request: Request<PauseRolloutRequest>,
    ) -> Result<Response<Rollout>, Status> {
        let mut state = self.up()?;
        let name = request.into_inner().name;
        let one = state.rollouts.iter_mut().find(|one| one.name == name).unwrap();
        one.set_state(rollout::State::Paused);
        Ok(Response::new(one.clone()))
    }

    async fn roll_back(&self, request: Request<RollBackRequest>) -> Result<Response<Rollout>, Status> {
        let mut state = self.up()?;
        let request = request.into_inner();
        state.rolled_back.push(request.clone());
        let one = state.rollouts.iter_mut().find(|one| one.name == request.name).unwrap();
        one.set_state(rollout::State::RolledBack);
        Ok(Response::new(one.clone()))
    }

    never! {
        create_rollout(CreateRolloutRequest) -> Rollout;
        record_rollout_item(RecordRolloutItemRequest) -> Rollout;
        stage_rollout(StageRolloutRequest) -> Rollout;
        rehearse_rollback(RehearseRollbackRequest) -> Rollout;
        start_shadow(StartShadowRequest) -> Rollout;
        stop_shadow(StopShadowRequest) -> Rollout;
        declare_experiment(DeclareExperimentRequest) -> Rollout;
        start_rollout(StartRolloutRequest) -> Rollout;
        resume_rollout(ResumeRolloutRequest) -> Rollout;
        close_rollout(CloseRolloutRequest) -> Rollout;
    }
}

#[tonic::async_trait]
impl DeploymentService for Registry {
    async fn list_deployments(
        &self,
        _: Request<ListDeploymentsRequest>,
    ) -> Result<Response<ListDeploymentsResponse>, Status> {
        let deployments = self.up()?.deployments.clone();
        Ok(Response::new(ListDeploymentsResponse { deployments, next_page_token: String::new() }))
    }

    never! {
        create_deployment(CreateDeploymentRequest) -> Deployment;
        get_deployment(GetDeploymentRequest) -> Deployment;
    }
}

#[tonic::async_trait]
impl IncidentService for Registry {
    async fn create_incident(
        &self,
        request: Request<CreateIncidentRequest>,
    ) -> Result<Response<Incident>, Status> {
        let request = request.into_inner();
        let mut incident = request.incident.unwrap();
        incident.name = format!("incidents/{}", request.incident_id);
        incident.set_state(incident::State::Open);
        let mut state = self.up()?;
        if state.incidents.iter().any(|known| known.name == incident.name) {
            return Err(Status::already_exists(incident.name));
        }
        state.incidents.push(incident.clone());
        Ok(Response::new(incident))
    }

    async fn list_incidents(
        &self,
        request: Request<ListIncidentsRequest>,
    ) -> Result<Response<ListIncidentsResponse>, Status> {
        let wanted = request.into_inner().state;
        let incidents =
            self.up()?.incidents.iter().filter(|one| wanted == 0 || one.state == wanted).cloned().collect();
        Ok(Response::new(ListIncidentsResponse { incidents, next_page_token: String::new() }))
    }

    async fn escalate_incident(
        &self,
        request: Request<EscalateIncidentRequest>,
    ) -> Result<Response<Incident>, Status> {
        let request = request.into_inner();
        let mut state = self.up()?;
        state.escalated.push(request.name.clone());
        let one = state.incidents.iter_mut().find(|one| one.name == request.name).unwrap();
        match request.clock() {
            incident::Clock::Unspecified | incident::Clock::Answer => {
                one.set_state(incident::State::Escalated);
            }
            clock => one.clocks_run_out.push(incident::ClockRunOut { clock: clock.into(), time: None }),
        }
        Ok(Response::new(one.clone()))
    }

    never! {
        get_incident(GetIncidentRequest) -> Incident;
        acknowledge_incident(AcknowledgeIncidentRequest) -> Incident;
        resolve_incident(ResolveIncidentRequest) -> Incident;
        close_incident(CloseIncidentRequest) -> Incident;
    }
}

#[tonic::async_trait]
impl ModelService for Registry {
    async fn get_model_version(
        &self,
        request: Request<GetModelVersionRequest>,
    ) -> Result<Response<ModelVersion>, Status> {
        drop(self.up()?);
        let name = request.into_inner().name;
        Ok(Response::new(ModelVersion {
            name,
            artifact_digest: digest('b'),
            training_data_version: DATASET.into(),
            ..ModelVersion::default()
        }))
    }

    async fn get_model(&self, request: Request<GetModelRequest>) -> Result<Response<Model>, Status> {
        let project = self.up()?.plan.as_ref().map(|plan| plan.name.clone()).unwrap_or_default();
        let mut model = Model { name: request.into_inner().name, project, ..Model::default() };
        model.set_task(contracts::common::v1::Task::TextClassification);
        Ok(Response::new(model))
    }

    never! {
        create_model(CreateModelRequest) -> Model;
        list_models(ListModelsRequest) -> ListModelsResponse;
        create_model_version(CreateModelVersionRequest) -> ModelVersion;
        list_model_versions(ListModelVersionsRequest) -> ListModelVersionsResponse;
        submit_model_version(SubmitModelVersionRequest) -> ModelVersion;
        revoke_model_version(RevokeModelVersionRequest) -> ModelVersion;
        export_model_version(ExportModelVersionRequest) -> ExportModelVersionResponse;
    }
}

#[tonic::async_trait]
impl DatasetService for Registry {
    async fn get_dataset_version(
        &self,
        request: Request<GetDatasetVersionRequest>,
    ) -> Result<Response<DatasetVersion>, Status> {
        let (name, state) = (request.into_inner().name, self.up()?);
        let profiles = state.features.clone();
        let manifest_digest =
            if state.data_digest.is_empty() { digest('a') } else { state.data_digest.clone() };
        Ok(Response::new(DatasetVersion { name, profiles, manifest_digest, ..DatasetVersion::default() }))
    }

    never! {
        create_dataset(CreateDatasetRequest) -> Dataset;
        get_dataset(GetDatasetRequest) -> Dataset;
        list_datasets(ListDatasetsRequest) -> ListDatasetsResponse;
        create_dataset_version(CreateDatasetVersionRequest) -> DatasetVersion;
        list_dataset_versions(ListDatasetVersionsRequest) -> ListDatasetVersionsResponse;
        number_dataset_version(NumberDatasetVersionRequest) -> DatasetNumber;
        record_dataset_audit(RecordDatasetAuditRequest) -> DatasetVersion;
        sign_dataset_relevance(SignDatasetRelevanceRequest) -> DatasetVersion;
        release_dataset_version(ReleaseDatasetVersionRequest) -> DatasetVersion;
    }
}

#[tonic::async_trait]
impl EvaluationService for Registry {
    async fn list_evaluations(
        &self,
        request: Request<ListEvaluationsRequest>,
    ) -> Result<Response<ListEvaluationsResponse>, Status> {
        let accuracy = contracts::common::v1::Measurement {
            metric: "accuracy".into(),
            value: 0.97,
            sample_size: 2_000,
            lower: Some(0.96),
            ..contracts::common::v1::Measurement::default()
        };
        let one = Evaluation {
            name: format!("{}/evaluations/one", request.into_inner().parent),
            measurements: vec![accuracy],
            prediction_profile: self.up()?.predictions.clone(),
            favourable_labels: vec!["yes".into()],
            ..Evaluation::default()
        };
        Ok(Response::new(ListEvaluationsResponse { evaluations: vec![one], next_page_token: String::new() }))
    }

    never! {
        create_evaluation(CreateEvaluationRequest) -> Evaluation;
        get_evaluation(GetEvaluationRequest) -> Evaluation;
        sign_off_evaluation(SignOffEvaluationRequest) -> Evaluation;
        import_test_report(ImportTestReportRequest) -> TestReport;
        list_test_reports(ListTestReportsRequest) -> ListTestReportsResponse;
    }
}

#[tonic::async_trait]
impl PolicyService for Registry {
    async fn get_policy(&self, _: Request<GetPolicyRequest>) -> Result<Response<PolicyVersion>, Status> {
        drop(self.up()?);
        let (digest, yaml) =
            (lifecycle::Policy::builtin().digest().into(), lifecycle::policy::BUILTIN.into());
        Ok(Response::new(PolicyVersion { digest, yaml, ..PolicyVersion::default() }))
    }

    never! {
        list_policies(ListPoliciesRequest) -> ListPoliciesResponse;
        propose_policy(ProposePolicyRequest) -> PolicyVersion;
        sign_policy(SignPolicyRequest) -> PolicyVersion;
        record_training(RecordTrainingRequest) -> TrainingRecord;
        list_training_records(ListTrainingRecordsRequest) -> ListTrainingRecordsResponse;
    }
}

#[tonic::async_trait]
impl GateService for Registry {
    async fn list_gate_decisions(
        &self,
        request: Request<ListGateDecisionsRequest>,
    ) -> Result<Response<ListGateDecisionsResponse>, Status> {
        let (parent, state) = (request.into_inner().parent, self.up()?);
        let decide = |(at, gate): (usize, Gate)| GateDecision {
            name: format!("{parent}/gateDecisions/g-{at}"),
            gate: gate.into(),
            passed: !state.refused.contains(&gate),
            artifact_digest: digest('b'),
            ..GateDecision::default()
        };
        let gates = [Gate::G1TestsPass, Gate::G2BenchmarksMet, Gate::G3QaApproved];
        let gate_decisions = gates.into_iter().enumerate().map(decide).collect();
        Ok(Response::new(ListGateDecisionsResponse { gate_decisions, next_page_token: String::new() }))
    }

    never! {
        decide_gate(DecideGateRequest) -> GateDecision;
        get_gate_decision(GetGateDecisionRequest) -> GateDecision;
        replay_gate_decision(ReplayGateDecisionRequest) -> ReplayGateDecisionResponse;
    }
}

#[tonic::async_trait]
impl ProjectService for Registry {
    async fn get_project(&self, request: Request<GetProjectRequest>) -> Result<Response<Project>, Status> {
        let name = request.into_inner().name;
        self.up()?.plan.clone().map(Response::new).ok_or_else(|| Status::not_found(name))
    }

    never! {
        create_project(CreateProjectRequest) -> Project;
        list_projects(ListProjectsRequest) -> ListProjectsResponse;
        update_project(UpdateProjectRequest) -> Project;
        decide_selection(DecideSelectionRequest) -> Project;
        record_planning_output(RecordPlanningOutputRequest) -> Project;
        approve_plan(ApprovePlanRequest) -> Project;
        record_selection_step(RecordSelectionStepRequest) -> Project;
        advance_phase(AdvancePhaseRequest) -> Project;
        get_traceability(GetTraceabilityRequest) -> Traceability;
    }
}

/// A plan that promises `(metric, value, unit)`.
pub fn plan(state: PlanState, promises: &[(&str, f64, &str)]) -> Project {
    let criterion = |(metric, value, unit): &(&str, f64, &str)| Criterion {
        metric: (*metric).into(),
        comparator: Comparator::Less.into(),
        value: *value,
        unit: (*unit).into(),
    };
    let performance_requirements = promises.iter().map(criterion).collect();
    let inputs = Some(PlanningInputs { performance_requirements, ..PlanningInputs::default() });
    Project { name: PROJECT.into(), plan_state: state.into(), inputs, ..Project::default() }
}
