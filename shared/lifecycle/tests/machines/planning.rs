//! §4.1, §4.3 a plan: six inputs and five documents to be approved, five approved outputs to be left.

use lifecycle::acceptance::Task;
use lifecycle::planning::{
    OutputRecord, Plan, PlanOutput, Requirement, RequirementKind, Target, approve_output, approve_plan,
    finish_planning, missing_inputs, missing_requirements,
};
use lifecycle::verdict::Comparator;

use super::*;

fn target(metric: &str, value: f64) -> Target {
    Target { metric: metric.into(), comparator: Comparator::Above, value, unit: "share".into() }
}

fn plan() -> Plan {
    let requirement = |kind: &RequirementKind| Requirement {
        id: kind.to_string(),
        kind: *kind,
        statement: "it must".into(),
        document: "document".into(),
        document_digest: digest('d'),
    };
    Plan {
        author: "author".into(),
        task: Task::BinaryClassification,
        problem_statement: "which tumour is malignant".into(),
        success_criteria: vec![target("accuracy", 0.9)],
        primary_metric: "accuracy".into(),
        target_users: vec!["radiologists".into()],
        use_cases: vec!["second reading".into()],
        latency: vec![target("latency", 2000.0)],
        throughput: vec![target("throughput", 10.0)],
        privacy_and_compliance: vec!["GDPR".into()],
        compute: "2 cores".into(),
        budget: "none".into(),
        requirements: RequirementKind::ALL.iter().map(requirement).collect(),
    }
}

/// Every way to leave an input out.
const INPUTS: &[fn(&mut Plan)] = &[
    |plan| plan.problem_statement = " ".into(),
    |plan| plan.success_criteria.clear(),
    |plan| plan.primary_metric = "recall".into(),
    |plan| plan.target_users = vec![" ".into()],
    |plan| plan.use_cases.clear(),
    |plan| plan.latency.clear(),
    |plan| plan.throughput.clear(),
    |plan| plan.latency[0].value = f64::NAN,
    |plan| plan.throughput[0].unit.clear(),
    |plan| plan.privacy_and_compliance.clear(),
    |plan| plan.compute.clear(),
    |plan| plan.budget.clear(),
];

#[test]
fn every_missing_input_is_named_and_refuses_the_plan() {
    let (policy, lead) = (&policy().planning, by(Role::MlLead, 1));
    assert_eq!(approve_plan(&plan(), &[], &lead, policy), Ok(()));
    for (place, spoil) in INPUTS.iter().enumerate() {
        let mut plan = plan();
        spoil(&mut plan);
        assert!(!missing_inputs(&plan, policy).is_empty(), "input {place}");
        assert_eq!(reason(&approve_plan(&plan, &[], &lead, policy)), "PLAN_INCOMPLETE", "input {place}");
    }
}

proptest! {
    /// Of the five requirement types, each that lacks its requirement or the document's digest is named.
    #[test]
    fn every_requirement_type_has_its_document(kept in vec(any::<bool>(), 5), digests in vec(any::<bool>(), 5)) {
        let mut plan = plan();
        for (requirement, whole) in plan.requirements.iter_mut().zip(&digests) {
            if !whole { requirement.document_digest = "sha256:12".into(); }
        }
        let mut keep = kept.iter();
        plan.requirements.retain(|_| keep.next().copied().unwrap_or_default());
        let flawed = kept.iter().zip(&digests).filter(|(kept, whole)| !**kept || !**whole).count();
        prop_assert_eq!(missing_requirements(&plan, &policy().planning).len(), flawed);
        let answer = approve_plan(&plan, &[], &by(Role::MlLead, 1), &policy().planning);
        prop_assert_eq!(answer.is_ok(), flawed == 0);
    }

    /// Only an ML Lead who wrote nothing of it approves a plan.
    #[test]
    fn a_plan_is_approved_by_another_ml_lead(
        role in role_near(&[Role::MlLead]), who in select(vec!["author", "editor", "another"]),
    ) {
        let editors = ["editor".to_owned()];
        let answer = approve_plan(&plan(), &editors, &Approval::new(who, role, at(1)), &policy().planning);
        prop_assert_eq!(answer.is_ok(), role == Role::MlLead && who == "another");
    }

    /// Phase 1 ends with five outputs, each approved by now, by a role that may and a person who wrote nothing of the
    /// plan; every other one is named.
    #[test]
    fn planning_ends_with_five_approved_outputs(given in vec(
        (prop::bool::weighted(0.9), any::<bool>(), any_of(Role::ALL), select(vec![1u64, 10, 11]), prop::bool::weighted(0.1)), 5,
    )) {
        let (policy, editors) = (&policy().planning, ["editor".to_owned()]);
        let (mut records, mut lacking) = (Vec::new(), 0);
        for (output, (there, right, other, time, own)) in PlanOutput::ALL.iter().zip(given) {
            let roles = approvers(*output);
            let role = if right { roles[0] } else { other };
            let who = if own { "editor" } else { "another" };
            let approval = Approval::new(who, role, at(time));
            let record = OutputRecord { output: *output, record_digest: digest('b'), approval };
            let may = roles.contains(&role) && !own;
            prop_assert_eq!(approve_output(&record, &editors, policy).is_ok(), may, "{} as {}", output, role);
            lacking += usize::from(!(there && may && time <= 10));
            if there { records.push(record); }
        }
        let answer = finish_planning(&records, &editors, at(10), policy);
        prop_assert_eq!(answer.is_ok(), lacking == 0);
        prop_assert!(answer.err().map_or(0, |why| why.findings().len()) >= lacking);
    }
}

fn approvers(output: PlanOutput) -> &'static [Role] {
    match output {
        PlanOutput::EthicsPreAssessment => &[Role::EthicsReviewer],
        PlanOutput::RiskAssessment => &[Role::MlLead, Role::QaEngineer],
        PlanOutput::ProjectCharter | PlanOutput::ResourceAllocation | PlanOutput::Timeline => {
            &[Role::MlLead, Role::BusinessOwner]
        }
    }
}
