//! §3 the life cycle: every arrow, forward and back, with what it needs.

use super::*;

#[test]
fn section_3_arrows_and_their_records() {
    let transitions = policy().phases.transitions.iter();
    let rows: Vec<_> = transitions
        .map(|row| {
            let records: Vec<_> = row.records.iter().map(|needed| needed.record).collect();
            (format!("{} → {}", row.from, row.to), join(&records))
        })
        .collect();
    let planned = "requirements-gathered, requirements-documented, selection-criteria-weighted, \
                   planning-outputs-approved";
    let prepared = "sources-approved, dataset-fit, pipeline-completed, data-card-published";
    let developed = "model-selected, training-run-completed, version-registered";
    let evaluated = "evaluation-reported, tests-passed, benchmarks-met, ethics-approved, qa-approved";
    let deployed = "pre-deployment-checked, canary-stable, deployment-checked, post-deployment-checked";
    let want = [
        ("PLAN → DATA", planned),
        ("DATA → MODEL", prepared),
        ("MODEL → EVAL", developed),
        ("EVAL → DEPLOY", evaluated),
        ("DEPLOY → MONITOR", deployed),
        ("MONITOR → ITERATE", "iteration-decided"),
        ("MONITOR → RETIRE", "retirement-decided"),
        ("ITERATE → PLAN", "iteration-decided"),
        ("ITERATE → DATA", "iteration-decided"),
        ("ITERATE → MODEL", "iteration-decided"),
        ("ITERATE → RETIRE", "retirement-decided"),
        ("MODEL → DATA", "rework-justified"),
        ("EVAL → DATA", "rework-justified"),
        ("EVAL → MODEL", "rework-justified"),
        ("DEPLOY → MODEL", "rework-justified"),
    ];
    assert_eq!(rows, want.map(|(arrow, records)| (arrow.to_owned(), records.to_owned())));
}
