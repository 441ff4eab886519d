//! §12 who may do what: the matrix of the policy, row by row.

use super::*;

#[test]
fn section_12_matrix() {
    let matrix = policy().people.matrix.iter();
    let rows: Vec<_> = matrix
        .map(|row| (row.action.as_str(), join(&row.roles), row.bars_contributors, row.persons))
        .collect();
    let want = [
        ("register-dataset-version", "data-pipeline", false, 1),
        ("register-model-version", "ml-engineer", false, 1),
        ("run-evaluation", "evaluator", false, 1),
        ("decide-machine-gate", "evaluator, qa-engineer, ml-ops-engineer, ml-lead", false, 1),
        ("approve-quality", "qa-engineer", true, 1),
        ("assess-ethics", "ethics-reviewer", true, 1),
        ("approve-ethics", "ethics-board", true, 2),
        ("change-policy", "ml-lead, qa-lead, chief-ai-officer", false, 3),
        ("roll-out", "ml-ops-engineer", true, 1),
        // §8.3: the gateway and the monitor take a failing version off by themselves
        ("roll-back", "ml-lead, ml-ops-engineer, on-call, monitor, gateway", false, 1),
        // §8.3: a revocation is a person's word; a service that sees an issue opens an incident
        (
            "roll-back-for-security",
            "security, ml-lead, ml-ops-engineer, qa-engineer, ethics-reviewer, on-call",
            false,
            1,
        ),
        ("approve-retirement", "ml-lead", false, 1),
        ("run-retirement", "ml-ops-engineer", false, 1),
        ("grant-roles", "admin", true, 2),
        ("break-glass", "ml-lead, ml-ops-engineer, security, on-call", false, 2),
    ];
    assert_eq!(rows, want.map(|(action, roles, bars, persons)| (action, roles.to_owned(), bars, persons)));
    let each = policy().people.matrix.iter().filter(|row| !row.each_of.is_empty());
    let each: Vec<_> = each.map(|row| (row.action.as_str(), join(&row.each_of))).collect();
    assert_eq!(each, [("change-policy", "ml-lead, qa-lead, chief-ai-officer".to_owned())]);
}
