//! §4 planning.

use super::*;

#[test]
fn section_4_1_required_inputs() {
    let inputs = policy().planning.inputs.iter();
    let rows: Vec<_> =
        inputs.map(|row| (row.input.as_str(), row.title.as_str(), row.clause.as_str())).collect();
    assert_eq!(
        rows,
        [
            ("business-problem", "Business problem statement", "§4.1"),
            ("success-criteria", "Success criteria and metrics", "§4.1"),
            ("target-users", "Target users and use cases", "§4.1"),
            ("performance", "Performance requirements (latency, throughput)", "§4.1"),
            ("privacy-compliance", "Privacy and compliance requirements", "§4.1"),
            ("resources", "Resource constraints (compute, budget)", "§4.1"),
        ]
    );
}

#[test]
fn section_4_1_requirements_documentation() {
    let types = policy().planning.requirement_types.iter();
    let rows: Vec<_> =
        types.map(|row| (row.kind.as_str(), row.examples.as_str(), row.document.as_str())).collect();
    assert_eq!(
        rows,
        [
            ("functional", "Task type, input/output format", "Spec document"),
            ("non-functional", "Latency <2s, 99.9% availability", "SLA document"),
            ("data", "Data types, volume, quality", "Data requirements"),
            ("ethical", "Fairness constraints, bias limits", "Ethics review"),
            ("compliance", "GDPR, industry regulations", "Compliance checklist"),
        ]
    );
}

/// "Latency <2s, 99.9% availability": 43.2 minutes of 30 days may be bad.
#[test]
fn section_4_1_service_levels() {
    let levels = &policy().monitoring.service_levels;
    assert_eq!((levels.latency_ms.value, levels.availability.value), (2000.0, 0.999));
    assert_eq!(seconds(levels.period.value), 30 * DAY);
    let budget = lifecycle::slo::Objective::of(levels).budget();
    assert!((budget.as_secs_f64() - 43.2 * 60.0).abs() < 1e-6, "{budget:?}");
}

#[test]
fn section_4_2_weights_and_methods() {
    let planning = &policy().planning;
    let criteria = planning.selection_criteria.iter();
    let rows: Vec<_> =
        criteria.map(|row| (row.criterion.as_str(), row.weight, row.method.as_str())).collect();
    assert_eq!(
        rows,
        [
            ("task-performance", 30, "Benchmark testing"),
            ("latency", 20, "Performance testing"),
            ("resource-requirements", 15, "Profiling"),
            ("privacy-locality", 15, "Architecture review"),
            ("cost", 10, "TCO analysis"),
            ("maintainability", 10, "Code review"),
        ]
    );
    assert_eq!((planning.weight_total.value, planning.sensitivity_points.value), (100, 5));
}

#[test]
fn section_4_3_outputs_and_who_approves_them() {
    let planning = &policy().planning;
    let outputs = planning.outputs.iter();
    let rows: Vec<_> =
        outputs.map(|row| (row.output.as_str(), row.title.as_str(), join(&row.approvers))).collect();
    let want = [
        ("project-charter", "Project charter approved", "ml-lead, business-owner"),
        ("resource-allocation", "Resource allocation confirmed", "ml-lead, business-owner"),
        ("timeline", "Timeline and milestones defined", "ml-lead, business-owner"),
        ("risk-assessment", "Risk assessment completed", "ml-lead, qa-engineer"),
        ("ethics-pre-assessment", "Ethics pre-assessment completed", "ethics-reviewer"),
    ];
    assert_eq!(rows, want.map(|(output, title, roles)| (output, title, roles.to_owned())));
    assert_eq!(join(&planning.plan_approvers.value), "ml-lead");
}
