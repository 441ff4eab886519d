//! §3, §4, §6.1: plan, decision, selection, phases.

use super::desk::*;
use super::steps::{advance, approve, decision, selection_step};
use contracts::registry::v1::*;
use tonic::Code;

#[tokio::test]
async fn a_plan_is_approved_by_another_and_opens_the_data_phase() {
    let desk = Desk::start().await;
    let made = desk.project().await;
    assert_eq!((made.phase(), made.plan_state(), made.etag.as_str()), (Phase::Plan, PlanState::Draft, "W/1"));

    let refused =
        desk.projects("ml-lead").advance_phase(advance(Phase::Data)).await.expect_err("nothing is there");
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::FailedPrecondition, "RECORDS_MISSING"));
    assert_eq!(findings(&refused).len(), 3, "{:?}", findings(&refused));

    desk.projects("ml-lead").approve_plan(approve()).await.expect("approved");
    desk.projects("ml-lead").decide_selection(decision()).await.expect("decided");
    desk.record_outputs().await;
    let next =
        desk.projects("ml-lead").advance_phase(advance(Phase::Data)).await.expect("advanced").into_inner();
    assert_eq!(next.phase(), Phase::Data);
    let policy = desk
        .policies("auditor")
        .get_policy(GetPolicyRequest::default())
        .await
        .expect("a policy")
        .into_inner();
    let selection = next.selection.clone().expect("a decision");
    assert_eq!((selection.winner.as_str(), selection.policy_digest), ("forest", policy.digest));

    let skipped =
        desk.projects("ml-lead").advance_phase(advance(Phase::Deploy)).await.expect_err("no such arrow");
    assert_eq!(reason(&skipped), "ILLEGAL_TRANSITION");
    let late = UpdateProjectRequest { project: Some(next), ..Default::default() };
    let late = desk.projects("ml-engineer").update_project(late).await.expect_err("sealed");
    assert_eq!((late.code(), reason(&late).as_str()), (Code::FailedPrecondition, "PLAN_APPROVED"));
}

#[tokio::test]
async fn a_plan_without_an_input_names_all_that_is_missing() {
    let desk = Desk::start().await;
    let mut plan = whole_plan();
    plan.task = 1;
    plan.requirements.pop();
    plan.inputs.as_mut().expect("inputs").budget_constraint.clear();
    plan.inputs.as_mut().expect("inputs").target_users.clear();
    let create =
        CreateProjectRequest { project_id: "line".into(), project: Some(plan), ..Default::default() };
    desk.projects("ml-engineer").create_project(create).await.expect("a project");
    let refused = desk.projects("ml-lead").approve_plan(approve()).await.expect_err("incomplete");
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::FailedPrecondition, "PLAN_INCOMPLETE"));
    let all = findings(&refused).join("\n");
    for part in ["budget constraint", "target users", "compliance requirement"] {
        assert!(all.contains(part) && refused.message().contains(part), "{part} in {all}");
    }
    assert!(refused.message().contains("plan approval refused: §4.1"), "{}", refused.message());
}

#[tokio::test]
async fn who_wrote_a_plan_does_not_approve_it() {
    let desk = Desk::start().await;
    let plan = Project { task: 1, ..whole_plan() };
    let create =
        CreateProjectRequest { project_id: "line".into(), project: Some(plan), ..Default::default() };
    desk.projects("ml-lead").create_project(create).await.expect("a project");
    let refused = desk.projects("ml-lead").approve_plan(approve()).await.expect_err("the author");
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert!(refused.message().contains("someone who did not contribute"), "{}", refused.message());
    let refused =
        desk.projects("business-owner").approve_plan(approve()).await.expect_err("no approver of the policy");
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::PermissionDenied, "ROLE_REQUIRED"));
    desk.projects("ml-lead-deputy").approve_plan(approve()).await.expect("another lead");
}

/// Whoever edited a plan approves neither it nor its outputs (§4.3, §12).
#[tokio::test]
async fn who_edited_a_plan_approves_nothing_of_it() {
    let mut desks = vec![Desk::start().await];
    desks.extend(Desk::on_postgres().await);
    for desk in desks {
        let made = desk.project().await;
        let update = UpdateProjectRequest { project: Some(made), ..Default::default() };
        desk.projects("ml-engineer-deputy").update_project(update.clone()).await.expect("an edit");
        let edited = UpdateProjectRequest {
            project: update.project.map(|it| Project { etag: String::new(), ..it }),
            ..Default::default()
        };
        // a lead may not call UpdateProject with a stale etag, but may edit
        desk.projects("ml-lead").update_project(edited).await.expect("an edit");
        let refused = desk.projects("ml-lead").approve_plan(approve()).await.expect_err("contributed");
        assert_eq!(
            (refused.code(), reason(&refused).as_str()),
            (Code::FailedPrecondition, "PLAN_INCOMPLETE")
        );
        assert!(refused.message().contains("someone who did not contribute"), "{}", refused.message());
        let output = RecordPlanningOutputRequest {
            name: "projects/line".into(),
            item: "timeline".into(),
            evidence_digest: digest("timeline"),
            ..Default::default()
        };
        let own = desk.projects("ml-lead").record_planning_output(output.clone()).await;
        assert_eq!(reason(&own.expect_err("contributed")), "PLANNING_OUTPUT_REFUSED");
        desk.projects("ml-lead-deputy").record_planning_output(output.clone()).await.expect("somebody else");
        desk.projects("ml-lead-deputy").record_planning_output(output).await.expect("a newer record");
        let late =
            UpdateProjectRequest { project: Some(whole_plan_of("projects/line")), ..Default::default() };
        let late = desk.projects("ml-lead-deputy").update_project(late).await.expect_err("approved a part");
        assert_eq!(reason(&late), "SEPARATION_OF_DUTIES", "the database holds it too");
        let after =
            desk.projects("auditor").get_project(GetProjectRequest { name: "projects/line".into() }).await;
        assert_eq!(after.expect("there").into_inner().plan_state(), PlanState::Draft, "nothing half-written");
        desk.projects("ml-lead-deputy").approve_plan(approve()).await.expect("somebody else");
    }
}

fn whole_plan_of(name: &str) -> Project {
    Project { name: name.into(), task: 1, ..whole_plan() }
}

/// Without a mask an update changes what it gives and nothing else; a mask that names a field clears it (AIP-134).
#[tokio::test]
async fn an_update_leaves_alone_what_it_does_not_name() {
    let desk = Desk::start().await;
    let made = desk.project().await;
    let title =
        Project { name: made.name.clone(), display_name: "another title".into(), ..Default::default() };
    let update = UpdateProjectRequest { project: Some(title.clone()), ..Default::default() };
    let next = desk.projects("ml-engineer").update_project(update).await.expect("an edit").into_inner();
    assert_eq!((next.display_name.as_str(), next.inputs), ("another title", made.inputs));
    assert_eq!(next.requirements, made.requirements);
    let mask = |path: &str| Some(prost_types::FieldMask { paths: vec![path.to_owned()] });
    let clear = UpdateProjectRequest {
        project: Some(title.clone()),
        update_mask: mask("inputs"),
        ..Default::default()
    };
    let next = desk.projects("ml-engineer").update_project(clear).await.expect("an edit").into_inner();
    assert_eq!((next.inputs, next.requirements), (None, made.requirements));
    let task = UpdateProjectRequest { project: Some(title), update_mask: mask("task"), ..Default::default() };
    let task = desk.projects("ml-engineer").update_project(task).await.expect_err("no task");
    assert_eq!(bad_fields(&task), ["project.task"]);
}

/// A plan that promises less than the policy is no plan (§4.1, service levels).
#[tokio::test]
async fn a_plan_promises_no_less_than_the_policy() {
    let desk = Desk::start().await;
    let mut plan = Project { task: 1, ..whole_plan() };
    plan.inputs.as_mut().expect("inputs").performance_requirements[0].value = 2001.0;
    plan.requirements[1].criterion.as_mut().expect("a criterion").value = 2001.0;
    let create =
        CreateProjectRequest { project_id: "line".into(), project: Some(plan), ..Default::default() };
    let made = desk.projects("ml-engineer").create_project(create).await.expect("a project").into_inner();
    let refused = desk.projects("ml-lead").approve_plan(approve()).await.expect_err("too slow");
    assert_eq!(reason(&refused), "OBJECTIVE_TOO_WEAK");
    let strict = Project { etag: made.etag, ..whole_plan_of("projects/line") };
    let update = UpdateProjectRequest { project: Some(strict), ..Default::default() };
    desk.projects("ml-engineer").update_project(update).await.expect("an edit");
    desk.projects("ml-lead").approve_plan(approve()).await.expect("2000 ms is what the policy promises");
}

#[tokio::test]
async fn the_five_selection_steps_keep_their_order_and_sizes() {
    let desk = Desk::with_data().await;
    let engineer = || desk.projects("ml-engineer");
    let early = engineer()
        .record_selection_step(selection_step("selection", &["forest"]))
        .await
        .expect_err("too early");
    assert_eq!(reason(&early), "SELECTION_STEP_REFUSED");
    engineer().record_selection_step(selection_step("baseline", &[])).await.expect("baseline");
    let all = ["forest", "linear", "boosted", "neighbours", "bayes", "kernel"];
    engineer().record_selection_step(selection_step("literature_review", &all)).await.expect("review");
    for size in [2, 6] {
        let refused = engineer()
            .record_selection_step(selection_step("quick_evaluation", &all[..size]))
            .await
            .expect_err("size");
        assert!(refused.message().contains("required 3-5"), "{}", refused.message());
    }
    engineer().record_selection_step(selection_step("quick_evaluation", &all[..3])).await.expect("shortlist");
    engineer()
        .record_selection_step(selection_step("detailed_evaluation", &all[..3]))
        .await
        .expect("comparison");
    let undecided = engineer()
        .record_selection_step(selection_step("selection", &["forest"]))
        .await
        .expect_err("no decision");
    assert!(undecided.message().contains("weighted decision record"), "{}", undecided.message());
    desk.projects("ml-lead").decide_selection(decision()).await.expect("decided");
    let done = engineer()
        .record_selection_step(selection_step("selection", &["forest"]))
        .await
        .expect("chosen")
        .into_inner();
    assert_eq!(done.selection_steps.len(), 5);
}

#[tokio::test]
async fn bad_input_names_every_field_and_writes_nothing() {
    let desk = Desk::start().await;
    let mut plan = whole_plan();
    plan.task = 77;
    plan.requirements[0].document_digest = "sha256:short".into();
    plan.inputs.as_mut().expect("inputs").success_criteria[0].value = f64::NAN;
    let create =
        CreateProjectRequest { project_id: "../x".into(), project: Some(plan), request_id: "a b".into() };
    let refused = desk.projects("ml-engineer").create_project(create).await.expect_err("bad");
    assert_eq!(refused.code(), Code::InvalidArgument);
    let wanted = [
        "request_id",
        "project_id",
        "project.task",
        "project.requirements[0].document_digest",
        "project.inputs.success_criteria[0].value",
    ];
    assert_eq!(bad_fields(&refused), wanted);
    let listed =
        desk.projects("auditor").list_projects(ListProjectsRequest::default()).await.expect("a list");
    assert!(listed.into_inner().projects.is_empty());
    let missing =
        desk.projects("auditor").get_project(GetProjectRequest { name: "projects/none".into() }).await;
    assert_eq!(missing.expect_err("none").code(), Code::NotFound);
    let unknown =
        desk.projects("nobody").get_project(GetProjectRequest { name: "projects/none".into() }).await;
    assert_eq!(unknown.expect_err("no such key").code(), Code::Unauthenticated);
    let denied = desk.projects("ml-engineer").approve_plan(approve()).await.expect_err("role");
    assert_eq!(denied.code(), Code::PermissionDenied);
}

#[tokio::test]
async fn a_request_id_gives_the_same_answer_and_a_stale_etag_is_aborted() {
    let mut desks = vec![Desk::start().await];
    desks.extend(Desk::on_postgres().await);
    for desk in desks {
        let create = |name: &str| CreateProjectRequest {
            project_id: "line".into(),
            project: Some(Project { task: 1, display_name: name.into(), ..whole_plan() }),
            request_id: "6f1e3c52-8f0f-4f0e-9c0e-0a2d1f3b7a10".into(),
        };
        let first =
            desk.projects("ml-engineer").create_project(create("one")).await.expect("made").into_inner();
        let again =
            desk.projects("ml-engineer").create_project(create("one")).await.expect("replayed").into_inner();
        assert_eq!(first, again);
        let other =
            desk.projects("ml-engineer").create_project(create("two")).await.expect_err("another payload");
        assert_eq!((other.code(), reason(&other).as_str()), (Code::AlreadyExists, "REQUEST_ID_REUSED"));
        let twice = CreateProjectRequest { request_id: String::new(), ..create("one") };
        let twice = desk.projects("ml-engineer").create_project(twice).await.expect_err("exists");
        assert_eq!((twice.code(), reason(&twice).as_str()), (Code::AlreadyExists, "RESOURCE_EXISTS"));

        let update = UpdateProjectRequest { project: Some(first.clone()), ..Default::default() };
        let second =
            desk.projects("ml-engineer").update_project(update.clone()).await.expect("updated").into_inner();
        assert_eq!(second.etag, "W/2");
        let stale = desk.projects("ml-engineer").update_project(update).await.expect_err("stale");
        assert_eq!((stale.code(), reason(&stale).as_str()), (Code::Aborted, "STALE_ETAG"));
    }
}

#[tokio::test]
async fn lists_go_page_by_page() {
    let desk = Desk::start().await;
    for id in ["a", "b", "c"] {
        let project = Some(Project { task: 1, ..whole_plan() });
        let create = CreateProjectRequest { project_id: id.into(), project, ..Default::default() };
        desk.projects("ml-lead").create_project(create).await.expect("made");
    }
    let (mut names, mut page_token) = (Vec::new(), String::new());
    loop {
        let ask = ListProjectsRequest { page_size: 2, page_token };
        let page = desk.projects("auditor").list_projects(ask).await.expect("a page").into_inner();
        names.extend(page.projects.into_iter().map(|it| it.name));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(names, ["projects/a", "projects/b", "projects/c"]);
    let forged = ListProjectsRequest { page_size: 2, page_token: "forged".into() };
    let forged = desk.projects("auditor").list_projects(forged).await.expect_err("forged");
    assert_eq!(bad_fields(&forged), ["page_token"]);
}

#[tokio::test]
async fn requirements_without_evidence_are_open() {
    let desk = Desk::with_data().await;
    let ask = GetTraceabilityRequest { name: "projects/line".into() };
    let matrix = desk.projects("auditor").get_traceability(ask).await.expect("a matrix").into_inner();
    let satisfied: Vec<_> =
        matrix.rows.iter().filter(|row| row.satisfied).map(|row| row.requirement_id.as_str()).collect();
    assert_eq!((satisfied, matrix.open), (vec!["data"], 4));
}
