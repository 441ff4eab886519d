//! Phase 1 (§4.1, §4.3): what a plan must contain, who approves it, what must exist before data work begins.

use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::{
    acceptance::Task,
    approval::Approval,
    kinds::kinds,
    policy::{Acceptance, Planning, planning::OutputRow},
    rejection::{Finding, Findings, Rejection},
    verdict::{Comparator, Measured, Verdict},
};

kinds! {
    /// The six required inputs of §4.1.
    PlanInput {
        /// Business problem statement.
        BusinessProblem = "business-problem",
        /// Success criteria and metrics.
        SuccessCriteria = "success-criteria",
        /// Target users and use cases.
        TargetUsers = "target-users",
        /// Performance requirements (latency, throughput).
        Performance = "performance",
        /// Privacy and compliance requirements.
        PrivacyCompliance = "privacy-compliance",
        /// Resource constraints (compute, budget).
        Resources = "resources",
    }
}

kinds! {
    /// The five requirement types of §4.1.
    RequirementKind {
        /// Task type, input and output format: spec document.
        Functional = "functional",
        /// Latency, availability: SLA document.
        NonFunctional = "non-functional",
        /// Data types, volume, quality: data requirements.
        Data = "data",
        /// Fairness constraints, bias limits: ethics review.
        Ethical = "ethical",
        /// Regulations: compliance checklist.
        Compliance = "compliance",
    }
}

kinds! {
    /// The five planning outputs of §4.3.
    PlanOutput {
        /// Project charter approved.
        ProjectCharter = "project-charter",
        /// Resource allocation confirmed.
        ResourceAllocation = "resource-allocation",
        /// Timeline and milestones defined.
        Timeline = "timeline",
        /// Risk assessment completed.
        RiskAssessment = "risk-assessment",
        /// Ethics pre-assessment completed.
        EthicsPreAssessment = "ethics-pre-assessment",
    }
}

/// A machine-readable requirement: `accuracy > 0.9 share`. The evaluator and the monitor reuse it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Target {
    /// Name of the metric.
    pub metric: String,
    /// How it compares.
    pub comparator: Comparator,
    /// The number.
    pub value: f64,
    /// Its unit: `share`, `ms`, `requests/s`.
    pub unit: String,
}

impl Target {
    /// What a measurement says about the target: the point and its bounds hold, or it does not pass (reading 3).
    pub fn judge(&self, measured: &Measured, policy: &Acceptance) -> Verdict {
        measured.meets(self.comparator, self.value, policy.interval_confidence.value)
    }
}

/// The six inputs (§4.1) and the documents of the requirements.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Who wrote it; never its approver.
    pub author: String,
    /// The kind of task the model solves.
    pub task: Task,
    /// Input 1.
    pub problem_statement: String,
    /// Input 2: at least one.
    pub success_criteria: Vec<Target>,
    /// The metric of `success_criteria` by which versions are compared (reading 6).
    pub primary_metric: String,
    /// Input 3, users: at least one.
    pub target_users: Vec<String>,
    /// Input 3, use cases: at least one.
    pub use_cases: Vec<String>,
    /// Input 4, latency: at least one.
    pub latency: Vec<Target>,
    /// Input 4, throughput: at least one.
    pub throughput: Vec<Target>,
    /// Input 5: at least one.
    pub privacy_and_compliance: Vec<String>,
    /// Input 6, compute.
    pub compute: String,
    /// Input 6, budget.
    pub budget: String,
    /// Requirements with their documents.
    pub requirements: Vec<Requirement>,
}

/// One requirement and the document that holds it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requirement {
    /// Id within the plan.
    pub id: String,
    /// Its type.
    pub kind: RequirementKind,
    /// What is required.
    pub statement: String,
    /// Title or name of the document.
    pub document: String,
    /// `sha256:` digest of the document.
    pub document_digest: String,
}

/// One planning output: the record that proves it and who approved it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputRecord {
    /// Which output.
    pub output: PlanOutput,
    /// `sha256:` digest of the record.
    pub record_digest: String,
    /// Who approved it, in which role, when.
    pub approval: Approval,
}

/// What is missing or malformed in the plan's six inputs (§4.1).
pub fn missing_inputs(plan: &Plan, policy: &Planning) -> Vec<Finding> {
    let mut found = Findings::new();
    for row in &policy.inputs {
        let clause = row.clause.as_str();
        match row.input {
            PlanInput::BusinessProblem => found.need_text(clause, &row.title, &plan.problem_statement),
            PlanInput::SuccessCriteria => {
                need_targets(&mut found, clause, &row.title, &plan.success_criteria);
                let known = plan.success_criteria.iter().any(|target| target.metric == plan.primary_metric);
                found.require(
                    known,
                    clause,
                    "primary metric",
                    "one of the success criteria",
                    format!("{:?}", plan.primary_metric),
                );
            }
            PlanInput::TargetUsers => {
                need_texts(&mut found, clause, "target users", &plan.target_users);
                need_texts(&mut found, clause, "use cases", &plan.use_cases);
            }
            PlanInput::Performance => {
                need_targets(&mut found, clause, "latency requirement", &plan.latency);
                need_targets(&mut found, clause, "throughput requirement", &plan.throughput);
            }
            PlanInput::PrivacyCompliance => {
                need_texts(&mut found, clause, &row.title, &plan.privacy_and_compliance);
            }
            PlanInput::Resources => {
                found.need_text(clause, "compute constraint", &plan.compute);
                found.need_text(clause, "budget constraint", &plan.budget);
            }
        }
    }
    found.into_vec()
}

/// Which requirement types lack a requirement or its document (§4.1).
pub fn missing_requirements(plan: &Plan, policy: &Planning) -> Vec<Finding> {
    let mut found = Findings::new();
    for row in &policy.requirement_types {
        let mut of_kind =
            plan.requirements.iter().filter(|requirement| requirement.kind == row.kind).peekable();
        if of_kind.peek().is_none() {
            found.add(
                row.clause.clone(),
                format!("{} requirement", row.kind),
                row.document.clone(),
                "missing",
            );
        }
        for requirement in of_kind {
            let subject = format!("{} requirement {:?}", row.kind, requirement.id);
            found.need_text(&row.clause, &format!("{subject} statement"), &requirement.statement);
            found.need_text(&row.clause, &format!("{subject} {}", row.document), &requirement.document);
            found.need_digest(
                &row.clause,
                &format!("{subject} {} digest", row.document),
                &requirement.document_digest,
            );
        }
    }
    found.into_vec()
}

/// Decides whether a plan may be approved. `contributors` are all who wrote it; none of them approves (§4.3, §12).
///
/// # Errors
/// `PLAN_INCOMPLETE` with every missing input, document, and a wrong approver.
pub fn approve_plan(
    plan: &Plan,
    contributors: &[String],
    approval: &Approval,
    policy: &Planning,
) -> Result<(), Rejection> {
    let mut found = Findings::new();
    found.extend(missing_inputs(plan, policy));
    found.extend(missing_requirements(plan, policy));
    let (clause, roles) = (&policy.plan_approvers.clause, &policy.plan_approvers.value);
    let mut barred = contributors.to_vec();
    barred.push(plan.author.clone());
    approval.check(&mut found, clause, "plan", roles, &barred);
    found.into_result("PLAN_INCOMPLETE", "plan approval")
}

/// Decides whether somebody may approve an output of §4.3: in a role of the policy, and no `contributors` of the plan.
///
/// # Errors
/// `PLANNING_OUTPUT_REFUSED`.
pub fn approve_output(
    record: &OutputRecord,
    contributors: &[String],
    policy: &Planning,
) -> Result<(), Rejection> {
    let mut found = Findings::new();
    match policy.outputs.iter().find(|row| row.output == record.output) {
        Some(row) => check_output(row, record, contributors, &mut found),
        None => found.missing("§4.3", record.output.as_str()),
    }
    found.into_result("PLANNING_OUTPUT_REFUSED", record.output.as_str())
}

fn check_output(row: &OutputRow, record: &OutputRecord, contributors: &[String], found: &mut Findings) {
    found.need_digest(&row.clause, &format!("{} record", row.title), &record.record_digest);
    record.approval.check(found, &row.clause, &row.title, &row.approvers, contributors);
}

/// Decides whether phase 1 may be left: every output of §4.3 recorded, and approved not later than `now` by somebody who
/// is none of the plan's `contributors`.
///
/// # Errors
/// `PLANNING_OUTPUTS_MISSING` with every missing one.
pub fn finish_planning(
    records: &[OutputRecord],
    contributors: &[String],
    now: SystemTime,
    policy: &Planning,
) -> Result<(), Rejection> {
    let mut found = Findings::new();
    for row in &policy.outputs {
        let Some(record) = records.iter().find(|record| record.output == row.output) else {
            found.missing(row.clause.clone(), row.title.clone());
            continue;
        };
        check_output(row, record, contributors, &mut found);
        found.require(
            record.approval.time <= now,
            &row.clause,
            &row.title,
            "approved by now",
            "approved later",
        );
    }
    found.into_result("PLANNING_OUTPUTS_MISSING", "end of planning")
}

fn need_texts(found: &mut Findings, clause: &str, subject: &str, texts: &[String]) {
    if texts.iter().all(|text| text.trim().is_empty()) {
        found.missing(clause, subject);
    }
}

fn need_targets(found: &mut Findings, clause: &str, subject: &str, targets: &[Target]) {
    if targets.is_empty() {
        found.missing(clause, subject);
    }
    for target in targets {
        found.need_text(clause, &format!("{subject} metric"), &target.metric);
        found.need_text(clause, &format!("{subject} unit of {:?}", target.metric), &target.unit);
        found.require(
            target.value.is_finite(),
            clause,
            &format!("{subject} value of {:?}", target.metric),
            "a finite number",
            target.value.to_string(),
        );
    }
}
