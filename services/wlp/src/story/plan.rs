//! §4: the plan, its documents, the weighted choice, the five outputs, the approval.

use contracts::common::v1::Task;
use contracts::registry::v1::{
    AdvancePhaseRequest, ApprovePlanRequest, Comparator, CreateProjectRequest, Criterion,
    DecideSelectionRequest, IterationDecision, Phase, PlanningInputs, Project, RecordPlanningOutputRequest,
    Requirement, RequirementType,
};

use super::Story;
use super::feedback::FINDING;
use super::names::{self, PROJECT};

/// Seed of the comparisons of candidates.
pub(super) const SEED: u64 = 2026;
/// The accuracy that the plan asks for: more than this share of right answers.
pub(super) const ACCURACY: f64 = 0.9;

/// Plans the line up to its approval, and opens the data phase.
///
/// # Errors
/// The first step that was not accepted.
pub async fn plan(story: &Story) -> anyhow::Result<()> {
    let who = &story.actors;
    story
        .step("plan with six inputs and five requirements", "§4.1", async {
            let project = written(story)?;
            let request = CreateProjectRequest {
                project_id: "digits".into(),
                project: Some(project),
                ..Default::default()
            };
            let project = who.projects(names::PLANNER)?.create_project(request).await?.into_inner();
            let said = format!(
                "{} is in {}, {} requirements",
                project.name,
                project.phase().as_str_name(),
                project.requirements.len()
            );
            Ok(((), said))
        })
        .await?;
    let approve = || ApprovePlanRequest { name: PROJECT.into(), ..Default::default() };
    story
        .refused(
            "approval of a plan by its author",
            "§4.3",
            &["PLAN_INCOMPLETE/someone who did not contribute"],
            async { Ok(who.projects(names::PLANNER)?.approve_plan(approve()).await?) },
        )
        .await;
    story
        .refused("data phase before the plan is approved", "§3", &["RECORDS_MISSING"], async {
            let request =
                AdvancePhaseRequest { name: PROJECT.into(), phase: Phase::Data.into(), ..Default::default() };
            Ok(who.projects("ml-lead")?.advance_phase(request).await?)
        })
        .await;
    choose(story).await?;
    outputs(story).await?;
    story
        .step("plan approved by the ML lead", "§4.3", async {
            let project = who.projects("ml-lead")?.approve_plan(approve()).await?.into_inner();
            Ok(((), project.plan_state().as_str_name().to_owned()))
        })
        .await?;
    advance(story, Phase::Data, "").await
}

/// The line goes to a phase.
///
/// # Errors
/// If a record is missing.
pub(super) async fn advance(story: &Story, phase: Phase, reason: &str) -> anyhow::Result<()> {
    let title = format!("the line goes to {}", phase.as_str_name().trim_start_matches("PHASE_"));
    story
        .step(&title, "§3", async {
            let request = AdvancePhaseRequest {
                name: PROJECT.into(),
                phase: phase.into(),
                reason: reason.into(),
                iteration: (phase == Phase::Iterate).then(|| IterationDecision {
                    finding: FINDING.into(),
                    decision: "retrain".into(),
                    ..Default::default()
                }),
                ..Default::default()
            };
            let project = story.actors.projects("ml-lead")?.advance_phase(request).await?.into_inner();
            Ok(((), project.phase().as_str_name().to_owned()))
        })
        .await
}

async fn choose(story: &Story) -> anyhow::Result<()> {
    let compared = story
        .step("candidates fitted and measured on the source", "§4.2", async {
            let compared = story.makers.compare(SEED, None).await?;
            let said = format!("{}, {} rows: {}", compared.data, compared.sample_size, compared.told());
            Ok((compared, said))
        })
        .await?;
    story
        .step("weighted choice among the candidates", "§4.2", async {
            let evidence = story.evidence("selection", &serde_json::to_string_pretty(&compared)?)?;
            let request = DecideSelectionRequest {
                name: PROJECT.into(),
                candidates: compared.candidates(&evidence),
                normalisation: "min-max".into(),
                justification: format!(
                    "highest weighted sum; measured, but for {}, which people judged",
                    compared.judged().join(" and ")
                ),
                ..Default::default()
            };
            let project = story.actors.projects("ml-lead")?.decide_selection(request).await?.into_inner();
            let selection = project.selection.unwrap_or_default();
            let firm = if selection.sensitive {
                selection.sensitivity.join("; ")
            } else {
                "no weight moved by 5 points changes it".into()
            };
            Ok(((), format!("{}; {firm}; {}", selection.ranking.join(" > "), selection.justification)))
        })
        .await
}

async fn outputs(story: &Story) -> anyhow::Result<()> {
    story
        .step("five planning outputs, each with its approver", "§4.3", async {
            let outputs = [
                ("project-charter", "business-owner"),
                ("resource-allocation", "business-owner"),
                ("timeline", "ml-lead"),
                ("risk-assessment", "ml-lead"),
                ("ethics-pre-assessment", "ethics-reviewer"),
            ];
            for (item, by) in outputs {
                let request = RecordPlanningOutputRequest {
                    name: PROJECT.into(),
                    item: item.into(),
                    evidence_digest: story.evidence(item, &format!("{item} of the digits line"))?,
                    ..Default::default()
                };
                story.actors.projects(by)?.record_planning_output(request).await?;
            }
            Ok(((), outputs.map(|(item, by)| format!("{item} ({by})")).join(", ")))
        })
        .await
}

fn criterion(metric: &str, comparator: Comparator, value: f64, unit: &str) -> Criterion {
    Criterion { metric: metric.into(), comparator: comparator.into(), value, unit: unit.into() }
}

fn written(story: &Story) -> anyhow::Result<Project> {
    use RequirementType::{Compliance, Data, Ethical, Functional, NonFunctional};
    let texts = |all: &[&str]| all.iter().map(|text| (*text).to_owned()).collect();
    let inputs = PlanningInputs {
        business_problem: "hand-written digits on forms are typed by people; a model shall read them".into(),
        success_criteria: vec![criterion("accuracy", Comparator::Greater, ACCURACY, "share")],
        target_users: texts(&["the scanning service"]),
        use_cases: texts(&["read one digit of 8x8 pixels"]),
        performance_requirements: vec![
            criterion("latency-p95", Comparator::Less, 2000.0, "ms"),
            criterion("throughput", Comparator::AtLeast, 50.0, "requests/s"),
        ],
        privacy_requirements: texts(&["pictures of digits name nobody; none is kept by the gateway"]),
        compliance_requirements: texts(&["no regulation of the industry applies to single digits"]),
        compute_constraint: "two CPU cores".into(),
        budget_constraint: "no bought hardware".into(),
    };
    let one =
        |id: &str, kind: RequirementType, statement: &str, document: &str, criterion: Option<Criterion>| {
            let document_digest = story.evidence(document, statement)?;
            anyhow::Ok(Requirement {
                requirement_id: id.into(),
                r#type: kind.into(),
                statement: statement.into(),
                document: document.into(),
                document_digest,
                criterion,
                evidence: Vec::new(),
            })
        };
    let requirements = vec![
        one(
            "r1",
            Functional,
            "64 pixels 0 to 16 in, the digit and ten scores out",
            "spec",
            Some(criterion("accuracy", Comparator::Greater, ACCURACY, "share")),
        )?,
        one(
            "r2",
            NonFunctional,
            "answers within 2 s, 99.9 % available",
            "sla",
            Some(criterion("latency-p95", Comparator::Less, 2000.0, "ms")),
        )?,
        one(
            "r3",
            Data,
            "at least 1000 rows of ten digits, less than 5 % missing",
            "data_requirements",
            None,
        )?,
        one(
            "r4",
            Ethical,
            "both batches of writers are read alike",
            "ethics_review",
            Some(criterion("demographic-parity", Comparator::Greater, 0.9, "share")),
        )?,
        one("r5", Compliance, "licence of the data permits the use", "compliance_checklist", None)?,
    ];
    Ok(Project {
        display_name: "Digits of forms".into(),
        inputs: Some(inputs),
        requirements,
        task: Task::MulticlassClassification.into(),
        primary_metric: "accuracy".into(),
        ..Default::default()
    })
}
