//! What some tests need of a line before they begin: its plan approved, a model selected, another policy in force.

use super::desk::*;
use contracts::common::v1::Measurement;
use contracts::registry::v1::*;

const ITEMS: [(&str, &str); 5] = [
    ("project-charter", "business-owner"),
    ("resource-allocation", "ml-lead"),
    ("timeline", "ml-lead"),
    ("risk-assessment", "ml-lead"),
    ("ethics-pre-assessment", "ethics-reviewer"),
];

pub fn decision() -> DecideSelectionRequest {
    let criteria = [
        "task-performance",
        "latency",
        "resource-requirements",
        "privacy-locality",
        "cost",
        "maintainability",
    ];
    let candidate = |id: &str, score: f64| Candidate {
        candidate_id: id.into(),
        scores: criteria.iter().map(|name| ((*name).to_owned(), score)).collect(),
        evidence: criteria.iter().map(|name| ((*name).to_owned(), digest(name))).collect(),
    };
    DecideSelectionRequest {
        name: "projects/line".into(),
        candidates: vec![candidate("forest", 0.9), candidate("linear", 0.6)],
        normalisation: "none".into(),
        justification: "best in every criterion".into(),
        ..Default::default()
    }
}

pub fn approve() -> ApprovePlanRequest {
    ApprovePlanRequest { name: "projects/line".into(), ..Default::default() }
}

pub fn advance(phase: Phase) -> AdvancePhaseRequest {
    AdvancePhaseRequest { name: "projects/line".into(), phase: phase.into(), ..Default::default() }
}

/// A step of the selection that names `candidates` of the six.
pub fn selection_step(step: &str, candidates: &[&str]) -> RecordSelectionStepRequest {
    RecordSelectionStepRequest {
        name: "projects/line".into(),
        step: Some(SelectionStep {
            step: step.into(),
            summary: format!("what {step} showed"),
            candidates: candidates.iter().map(|one| (*one).to_owned()).collect(),
            dataset_version: "datasets/rows/versions/1.0.0".into(),
            seed: Some(0),
            metrics: vec![Measurement { metric: "accuracy".into(), value: 0.9, ..Default::default() }],
            ..Default::default()
        }),
        ..Default::default()
    }
}

impl Desk {
    pub async fn record_outputs(&self) {
        for (item, who) in ITEMS {
            let record = RecordPlanningOutputRequest {
                name: "projects/line".into(),
                item: item.into(),
                evidence_digest: digest(item),
                ..Default::default()
            };
            self.projects(who).record_planning_output(record).await.expect(item);
        }
    }

    /// Everything that the way out of PLAN needs.
    pub async fn plan_approved(&self) {
        self.projects("ml-lead").approve_plan(approve()).await.expect("approved");
        self.projects("ml-lead").decide_selection(decision()).await.expect("decided");
        self.record_outputs().await;
    }

    /// The five steps, to the candidate that the decision chose.
    pub async fn model_selected(&self) {
        let three = &["forest", "linear", "boosted"][..];
        for (step, candidates) in [
            ("baseline", &[][..]),
            ("literature-review", three),
            ("quick-evaluation", three),
            ("detailed-evaluation", three),
            ("selection", &three[..1]),
        ] {
            let step = selection_step(step, candidates);
            self.projects("ml-engineer").record_selection_step(step).await.expect("a step");
        }
    }

    /// Puts the procedure in force with one passage changed, signed by its three roles.
    pub async fn adopt(&self, passage: &str, other: &str) {
        let yaml = lifecycle::policy::BUILTIN;
        assert_eq!(yaml.matches(passage).count(), 1, "{passage}");
        let yaml = yaml.replace(passage, other).replace("version: \"1.0\"", "version: \"1.1\"");
        let propose = ProposePolicyRequest { yaml, change_note: "a trial".into(), ..Default::default() };
        let proposed = self.policies("ml-lead").propose_policy(propose).await.expect("proposed").into_inner();
        for role in ["ml-lead", "qa-lead", "chief-ai-officer"] {
            let sign =
                SignPolicyRequest { name: proposed.name.clone(), role: role.into(), ..Default::default() };
            self.policies(role).sign_policy(sign).await.expect("signed");
        }
    }
}
