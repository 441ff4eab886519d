//! §12: the table of `access.yaml` lets in whom the policy names, and nobody whom a rule would always refuse.

use contracts::access::roles;
use lifecycle::separation::Action;
use lifecycle::{Policy, Role};
use std::collections::BTreeSet;

type Wanted = Vec<(&'static str, Vec<Role>)>;

fn matrix(action: Action) -> Vec<Role> {
    let rows = &Policy::builtin().people.matrix;
    rows.iter().find(|row| row.action == action).map(|row| row.roles.clone()).expect("a row")
}

fn union(lists: impl IntoIterator<Item = Vec<Role>>) -> Vec<Role> {
    lists.into_iter().flatten().collect()
}

fn owners(policy: &Policy) -> Vec<Role> {
    policy.documents.iter().map(|row| row.owner).collect()
}

fn incident_owner(policy: &Policy) -> Role {
    let report = lifecycle::documents::Document::IncidentReport;
    policy.documents.iter().find(|row| row.document == report).expect("a row").owner
}

fn planning_and_data(policy: &Policy) -> Wanted {
    let source = union(policy.sources.types.iter().map(|row| row.approvals.clone()));
    vec![
        ("ProjectService/ApprovePlan", policy.planning.plan_approvers.value.clone()),
        (
            "ProjectService/RecordPlanningOutput",
            union(policy.planning.outputs.iter().map(|row| row.approvers.clone())),
        ),
        ("DataSourceService/ApproveDataSource", source.clone()),
        ("DataSourceService/RevokeDataSource", source),
        ("DataSourceService/ConfirmDataSourceCurrent", policy.quality.currency_confirmers.value.clone()),
        ("DatasetService/CreateDatasetVersion", matrix(Action::RegisterDatasetVersion)),
        ("DatasetService/RecordDatasetAudit", policy.quality.auditors.value.clone()),
        ("DatasetService/SignDatasetRelevance", policy.quality.signers.value.clone()),
    ]
}

fn model_and_gates(policy: &Policy) -> Wanted {
    let (qa, board) = (policy.gates.g3_approvers.value.clone(), vec![policy.ethics.board.value]);
    let assessors = union(policy.ethics.items.iter().map(|row| row.assessors.clone()));
    vec![
        ("ModelService/CreateModelVersion", matrix(Action::RegisterModelVersion)),
        ("ModelService/RevokeModelVersion", matrix(Action::RollBackForSecurity)),
        ("EvaluationService/CreateEvaluation", matrix(Action::RunEvaluation)),
        ("EvaluationService/SignOffEvaluation", policy.acceptance.not_applicable_signers.value.clone()),
        ("ReviewService/RecordReviewItem", assessors.clone()),
        ("ReviewService/ApproveReview", union([qa.clone(), board.clone()])),
        ("ReviewService/RejectReview", union([qa, board, assessors])),
        (
            "GateService/DecideGate",
            union([matrix(Action::DecideMachineGate), policy.gates.g4_observers.value.clone()]),
        ),
        ("PolicyService/SignPolicy", policy.people.signatures.iter().map(|row| row.role).collect()),
    ]
}

fn service_and_end(policy: &Policy) -> Wanted {
    let answer = union([vec![incident_owner(policy)], policy.incidents.responders.value.clone()]);
    let declare = policy.retirement.declared_by.iter().map(|row| row.roles.clone());
    vec![
        ("RolloutService/CreateRollout", matrix(Action::RollOut)),
        ("RolloutService/StageRollout", matrix(Action::RollOut)),
        ("RolloutService/RehearseRollback", matrix(Action::RollOut)),
        ("RolloutService/StartShadow", matrix(Action::RollOut)),
        ("RolloutService/StopShadow", matrix(Action::RollOut)),
        ("RolloutService/DeclareExperiment", matrix(Action::RollOut)),
        ("RolloutService/StartRollout", matrix(Action::RollOut)),
        ("RolloutService/AdvanceRollout", policy.gates.g4_observers.value.clone()),
        ("RolloutService/RollBack", union([matrix(Action::RollBack), matrix(Action::RollBackForSecurity)])),
        (
            "RolloutService/RecordRolloutItem",
            union(policy.deployment.attesters.iter().map(|row| row.roles.clone())),
        ),
        ("IncidentService/AcknowledgeIncident", answer.clone()),
        ("IncidentService/ResolveIncident", answer),
        ("IncidentService/CloseIncident", vec![incident_owner(policy)]),
        ("DocumentService/SignDocument", owners(policy)),
        ("RetirementService/StartRetirement", union(declare.chain([matrix(Action::ApproveRetirement)]))),
        ("RetirementService/AdvanceRetirement", matrix(Action::RunRetirement)),
    ]
}

#[test]
fn the_table_lets_in_whom_the_policy_names() {
    let policy = Policy::builtin();
    let registry = [planning_and_data(policy), model_and_gates(policy), service_and_end(policy)].concat();
    let mut all: Vec<(String, Vec<Role>)> =
        registry.into_iter().map(|(method, wanted)| (format!("/wlp.registry.v1.{method}"), wanted)).collect();
    let deciders = union(policy.monitoring.feedback.deciders.iter().map(|row| row.roles.clone()));
    all.push(("/wlp.monitor.v1.FeedbackService/DecideFinding".into(), deciders));
    let duties = policy.duties.activities.iter().map(|row| row.role).collect();
    all.push(("/wlp.monitor.v1.DutyService/CompleteDuty".into(), duties));
    let mut wrong = Vec::new();
    for (method, wanted) in all {
        let told: BTreeSet<&str> = roles(&method).iter().copied().collect();
        let wanted: BTreeSet<&str> = wanted.into_iter().map(Role::as_str).collect();
        if told != wanted {
            wrong.push(format!("{method}: the table says {told:?}, the policy {wanted:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
