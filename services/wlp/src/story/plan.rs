//! §4: the plan, its documents, the weighted choice, the five outputs, the approval.

use contracts::common::v1::Task;
use contracts::registry::v1::{
    AdvancePhaseRequest, ApprovePlanRequest, Candidate, Comparator, CreateProjectRequest, Criterion,
    DecideSelectionRequest, Phase, PlanningInputs, Project, RecordPlanningOutputRequest, Requirement,
    RequirementType,
};

use super::{Story, names::PROJECT};

/// Candidates with their scores, higher is better: task performance, latency, resources, privacy, cost, maintainability.
const CANDIDATES: [(&str, [f64; 6]); 5] = [
    ("kernel-ridge", [0.98, 0.80, 0.85, 1.0, 0.95, 0.90]),
    ("nearest-neighbours", [0.97, 0.60, 0.60, 1.0, 0.90, 0.95]),
    ("convolutional-network", [0.99, 0.55, 0.40, 1.0, 0.50, 0.45]),
    ("logistic-regression", [0.93, 1.00, 1.00, 1.0, 1.00, 1.00]),
    ("hosted-vision-service", [0.99, 0.10, 0.90, 0.0, 0.20, 0.70]),
];
const CRITERIA: [&str; 6] =
    ["task-performance", "latency", "resource-requirements", "privacy-locality", "cost", "maintainability"];

/// The shortlist of §6.1; the first is the one that the weighted decision chooses.
pub(super) const SHORTLIST: [&str; 3] = ["kernel-ridge", "nearest-neighbours", "logistic-regression"];

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
            let project = who.projects("ml-engineer")?.create_project(request).await?.into_inner();
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
            &["PERMISSION_DENIED", "ROLE_REQUIRED", "ROLE_MAY_NOT"],
            async { Ok(who.projects("ml-engineer")?.approve_plan(approve()).await?) },
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
                ..Default::default()
            };
            let project = story.actors.projects("ml-lead")?.advance_phase(request).await?.into_inner();
            Ok(((), project.phase().as_str_name().to_owned()))
        })
        .await
}

async fn choose(story: &Story) -> anyhow::Result<()> {
    story
        .step("weighted choice among five candidates", "§4.2", async {
            let evidence = story
                .evidence("selection", "scores of five candidates on the digits of scikit-learn, 0 to 1")?;
            let candidates = CANDIDATES.iter().map(|(name, scores)| Candidate {
                candidate_id: (*name).to_owned(),
                scores: CRITERIA
                    .iter()
                    .zip(scores)
                    .map(|(criterion, score)| ((*criterion).to_owned(), *score))
                    .collect(),
                evidence: CRITERIA
                    .iter()
                    .map(|criterion| ((*criterion).to_owned(), evidence.clone()))
                    .collect(),
            });
            let request = DecideSelectionRequest {
                name: PROJECT.into(),
                candidates: candidates.collect(),
                normalisation: "min-max".into(),
                justification: "accurate enough, answers in a fraction of a millisecond, runs on any host"
                    .into(),
                ..Default::default()
            };
            let project = story.actors.projects("ml-lead")?.decide_selection(request).await?.into_inner();
            let selection = project.selection.unwrap_or_default();
            let firm = if selection.sensitive {
                selection.sensitivity.join("; ")
            } else {
                "no weight moved by 5 points changes it".into()
            };
            Ok(((), format!("{} of {}; {firm}", selection.winner, selection.ranking.join(" > "))))
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
    let texts = |all: &[&str]| all.iter().map(|text| (*text).to_owned()).collect();
    let inputs = PlanningInputs {
        business_problem: "hand-written digits on forms are typed by people; a model shall read them".into(),
        success_criteria: vec![criterion("accuracy", Comparator::Greater, 0.9, "share")],
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
    use RequirementType::{Compliance, Data, Ethical, Functional, NonFunctional};
    let requirements = vec![
        one(
            "r1",
            Functional,
            "64 pixels 0 to 16 in, the digit and ten scores out",
            "spec",
            Some(criterion("accuracy", Comparator::Greater, 0.9, "share")),
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
