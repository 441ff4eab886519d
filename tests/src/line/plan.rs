//! Planning: six inputs, five kinds of requirements, weighted selection, five outputs, approval (§4).

use contracts::registry::v1::*;

use super::Line;
use crate::made::digest_of;
use crate::refusal::Answered;

/// The five outputs of §4.3 and who records each.
const OUTPUTS: [(&str, &str); 5] = [
    ("project-charter", "ml-lead"),
    ("resource-allocation", "ml-lead"),
    ("timeline", "ml-lead"),
    ("risk-assessment", "ml-lead"),
    ("ethics-pre-assessment", "ethics-reviewer"),
];

fn criterion(metric: &str, comparator: Comparator, value: f64, unit: &str) -> Criterion {
    Criterion { metric: metric.into(), comparator: comparator.into(), value, unit: unit.into() }
}

impl Line {
    /// The plan with nothing missing.
    pub fn planned(&self) -> Project {
        let requirement = |id: &str, kind: RequirementType, document: &str, criterion| Requirement {
            requirement_id: id.into(),
            r#type: kind.into(),
            statement: format!("{document} of {}", self.id),
            document: document.into(),
            document_digest: digest_of(document),
            criterion,
            evidence: Vec::new(),
        };
        use RequirementType as Kind;
        let accuracy = criterion("accuracy", Comparator::Greater, 0.9, "share");
        let latency = criterion("latency_p95_ms", Comparator::Less, 2000.0, "ms");
        Project {
            display_name: self.id.clone(),
            task: self.task.into(),
            primary_metric: "accuracy".into(),
            inputs: Some(PlanningInputs {
                business_problem: "rows are sorted by hand".into(),
                success_criteria: vec![accuracy.clone()],
                target_users: vec!["clerks".into()],
                use_cases: vec!["sorting rows".into()],
                performance_requirements: vec![
                    latency.clone(),
                    criterion("throughput", Comparator::AtLeast, 100.0, "rows/s"),
                ],
                privacy_requirements: vec!["no personal data".into()],
                compliance_requirements: vec!["WLP-MLDEV-001".into()],
                compute_constraint: "two cores".into(),
                budget_constraint: "none beyond the host".into(),
            }),
            requirements: vec![
                requirement("r1", Kind::Functional, "spec", Some(accuracy)),
                requirement("r2", Kind::NonFunctional, "sla", Some(latency)),
                requirement("r3", Kind::Data, "data_requirements", None),
                requirement("r4", Kind::Ethical, "ethics_review", None),
                requirement("r5", Kind::Compliance, "compliance_checklist", None),
            ],
            ..Project::default()
        }
    }

    /// Opens the project with [`Line::planned`]; who opens it does not approve it.
    pub async fn open(&self) -> Project {
        let request = CreateProjectRequest {
            project_id: self.id.clone(),
            project: Some(self.planned()),
            request_id: String::new(),
        };
        self.by("ml-engineer").projects().create_project(request).await.told()
    }

    /// The weighted decision of §4.2, which `linear` wins.
    pub async fn decide_selection(&self) -> Project {
        let criteria = [
            "task-performance",
            "latency",
            "resource-requirements",
            "privacy-locality",
            "cost",
            "maintainability",
        ];
        let candidate = |id: &str, scores: [f64; 6]| Candidate {
            candidate_id: id.into(),
            scores: criteria.iter().map(|&name| name.to_owned()).zip(scores).collect(),
            evidence: criteria.iter().map(|&name| (name.to_owned(), digest_of(name))).collect(),
        };
        let request = DecideSelectionRequest {
            name: self.project(),
            candidates: vec![
                candidate("linear", [9.0, 9.0, 9.0, 9.0, 9.0, 9.0]),
                candidate("forest", [8.0, 6.0, 6.0, 8.0, 7.0, 5.0]),
                candidate("nearest", [6.0, 4.0, 3.0, 7.0, 6.0, 6.0]),
            ],
            normalisation: "min-max".into(),
            justification: "best in every criterion".into(),
            ..DecideSelectionRequest::default()
        };
        self.by("ml-lead").projects().decide_selection(request).await.told()
    }

    /// The five outputs of §4.3.
    pub async fn record_outputs(&self) {
        for (item, who) in OUTPUTS {
            let request = RecordPlanningOutputRequest {
                name: self.project(),
                item: item.into(),
                evidence_digest: digest_of(item),
                ..RecordPlanningOutputRequest::default()
            };
            self.by(who).projects().record_planning_output(request).await.told();
        }
    }

    /// The whole of planning; the line stands in phase DATA afterwards.
    pub async fn plan(&self) -> Project {
        self.open().await;
        self.decide_selection().await;
        self.record_outputs().await;
        let request = ApprovePlanRequest { name: self.project(), ..ApprovePlanRequest::default() };
        self.by("ml-lead").projects().approve_plan(request).await.told();
        self.advance(Phase::Data).await
    }

    /// Moves the line to a phase; what is missing shows in the panic.
    pub async fn advance(&self, phase: Phase) -> Project {
        let request = AdvancePhaseRequest {
            name: self.project(),
            phase: phase.into(),
            ..AdvancePhaseRequest::default()
        };
        self.by("ml-lead").projects().advance_phase(request).await.told()
    }

    /// The five steps of §6.1, ending with `linear`.
    pub async fn record_selection_steps(&self) {
        let metric = contracts::common::v1::Measurement {
            metric: "accuracy".into(),
            value: 0.95,
            sample_size: 500,
            ..contracts::common::v1::Measurement::default()
        };
        let three: Vec<String> = ["linear", "forest", "nearest"].map(str::to_owned).into();
        let one = vec!["linear".to_owned()];
        for (step, candidates, measured) in [
            ("baseline", Vec::new(), true),
            ("literature-review", three.clone(), false),
            ("quick-evaluation", three.clone(), false),
            ("detailed-evaluation", three, true),
            ("selection", one, false),
        ] {
            let step = SelectionStep {
                step: step.into(),
                summary: format!("{step} was done"),
                candidates,
                dataset_version: if step == "detailed-evaluation" { self.data() } else { String::new() },
                seed: measured.then_some(7),
                metrics: if measured { vec![metric.clone()] } else { Vec::new() },
                ..SelectionStep::default()
            };
            let request = RecordSelectionStepRequest {
                name: self.project(),
                step: Some(step),
                ..RecordSelectionStepRequest::default()
            };
            self.by("ml-engineer").projects().record_selection_step(request).await.told();
        }
    }
}
