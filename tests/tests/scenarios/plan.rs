//! §4: no plan is approved with anything missing, and none is changed afterwards.

use contracts::registry::v1::*;
use tests::mesh::Alone;
use tests::refusal::Answered;
use tonic::Code;

#[tokio::test]
async fn a_line_goes_from_plan_to_data_with_its_records() {
    let mesh = Alone::start().await;
    let line = mesh.line("whole");
    let project = line.plan().await;
    assert_eq!(project.phase(), Phase::Data);
    assert_eq!(project.plan_state(), PlanState::Approved);
    let selection = project.selection.expect("a decision");
    assert_eq!(selection.winner, "linear");
    assert!(!selection.sensitive, "{:?}", selection.sensitivity);
}

#[tokio::test]
async fn each_missing_input_keeps_the_plan_from_approval() {
    type Cut = fn(&mut PlanningInputs);
    let cuts: [(&str, Cut); 6] = [
        ("business", |it| it.business_problem.clear()),
        ("success", |it| it.success_criteria.clear()),
        ("target", |it| it.target_users.clear()),
        ("latency", |it| it.performance_requirements.clear()),
        ("privacy", |it| {
            it.privacy_requirements.clear();
            it.compliance_requirements.clear();
        }),
        ("budget", |it| it.budget_constraint.clear()),
    ];
    let mesh = Alone::start().await;
    for (at, (word, cut)) in cuts.into_iter().enumerate() {
        let line = mesh.line(&format!("cut-{at}"));
        let mut project = line.planned();
        cut(project.inputs.as_mut().expect("inputs"));
        let request = CreateProjectRequest {
            project_id: line.id.clone(),
            project: Some(project),
            request_id: String::new(),
        };
        line.by("ml-engineer").projects().create_project(request).await.told();
        line.decide_selection().await;
        line.record_outputs().await;
        let request = ApprovePlanRequest { name: line.project(), ..ApprovePlanRequest::default() };
        let refusal = line
            .by("ml-lead")
            .projects()
            .approve_plan(request)
            .await
            .refused(Code::FailedPrecondition, "PLAN_INCOMPLETE");
        let text = refusal.to_string().to_lowercase();
        assert!(text.contains("§4.1") && text.contains(word), "{word}: {text}");
    }
}

#[tokio::test]
async fn each_missing_document_keeps_the_plan_from_approval() {
    let mesh = Alone::start().await;
    for at in 0..5 {
        let line = mesh.line(&format!("paper-{at}"));
        let mut project = line.planned();
        project.requirements[at].document_digest.clear();
        let request = CreateProjectRequest {
            project_id: line.id.clone(),
            project: Some(project),
            request_id: String::new(),
        };
        line.by("ml-engineer").projects().create_project(request).await.told();
        let request = ApprovePlanRequest { name: line.project(), ..ApprovePlanRequest::default() };
        let refusal = line
            .by("ml-lead")
            .projects()
            .approve_plan(request)
            .await
            .refused(Code::FailedPrecondition, "PLAN_INCOMPLETE");
        refusal.names(&["§4.1", "digest"]);
    }
}

#[tokio::test]
async fn an_approved_plan_does_not_change() {
    let mesh = Alone::start().await;
    let line = mesh.line("sealed");
    line.plan().await;
    let project = Project { name: line.project(), ..line.planned() };
    let request = UpdateProjectRequest { project: Some(project), ..UpdateProjectRequest::default() };
    line.by("ml-lead")
        .projects()
        .update_project(request)
        .await
        .refused(Code::FailedPrecondition, "PLAN_APPROVED");
}

#[tokio::test]
async fn phases_open_with_their_records_only() {
    let mesh = Alone::start().await;
    let line = mesh.line("early");
    line.open().await;
    for phase in
        [Phase::Data, Phase::Model, Phase::Eval, Phase::Deploy, Phase::Monitor, Phase::Iterate, Phase::Retire]
    {
        let request = AdvancePhaseRequest {
            name: line.project(),
            phase: phase.into(),
            ..AdvancePhaseRequest::default()
        };
        let status = line.by("ml-lead").projects().advance_phase(request).await.expect_err("refused");
        assert_eq!(status.code(), Code::FailedPrecondition, "{phase:?}: {status:?}");
    }
    let request = AdvancePhaseRequest {
        name: line.project(),
        phase: Phase::Data.into(),
        reason: "in a hurry".into(),
        ..AdvancePhaseRequest::default()
    };
    let status = line.by("ml-lead").projects().advance_phase(request).await;
    status.refused(Code::FailedPrecondition, "RECORDS_MISSING").names(&["§4.2", "§4.3", "missing"]);
}

#[tokio::test]
async fn two_or_six_models_are_no_shortlist() {
    let mesh = Alone::start().await;
    let line = mesh.line("short");
    line.plan().await;
    let step = |step: &str, count: usize| RecordSelectionStepRequest {
        name: line.project(),
        step: Some(SelectionStep {
            step: step.into(),
            summary: "done".into(),
            candidates: (0..count).map(|at| format!("model-{at}")).collect(),
            seed: Some(1),
            metrics: vec![contracts::common::v1::Measurement {
                metric: "accuracy".into(),
                ..Default::default()
            }],
            ..SelectionStep::default()
        }),
        ..RecordSelectionStepRequest::default()
    };
    let mut projects = line.by("ml-engineer").projects();
    projects
        .record_selection_step(step("selection", 1))
        .await
        .refused(Code::FailedPrecondition, "SELECTION_STEP_REFUSED");
    projects.record_selection_step(step("baseline", 0)).await.told();
    projects.record_selection_step(step("literature-review", 8)).await.told();
    for count in [2, 6] {
        projects
            .record_selection_step(step("quick-evaluation", count))
            .await
            .refused(Code::FailedPrecondition, "SELECTION_STEP_REFUSED")
            .names(&["§6.1", "3-5", &count.to_string()]);
    }
    for count in [3, 5] {
        let line = mesh.line(&format!("short-{count}"));
        line.plan().await;
        let mut projects = line.by("ml-engineer").projects();
        for (name, size) in [("baseline", 0), ("literature-review", 8), ("quick-evaluation", count)] {
            let request = RecordSelectionStepRequest { name: line.project(), ..step(name, size) };
            projects.record_selection_step(request).await.told();
        }
    }
}

#[tokio::test]
async fn requirements_are_open_until_their_evidence_passes() {
    let mesh = Alone::start().await;
    let line = mesh.line("traced");
    line.open().await;
    let request = GetTraceabilityRequest { name: line.project() };
    let before = line.by("auditor").projects().get_traceability(request.clone()).await.told();
    assert_eq!((before.rows.len(), before.open), (5, 5), "{before:?}");
}
