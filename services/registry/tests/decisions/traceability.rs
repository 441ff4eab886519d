//! §4.1: a requirement resolves to evidence that passes by the rules of the gates, or is open.

use super::desk::*;
use super::line::*;
use contracts::registry::v1::*;
use std::time::Duration;

async fn row(line: &Line, id: &str) -> TraceabilityRow {
    let ask = GetTraceabilityRequest { name: "projects/line".into() };
    let matrix = line.projects("auditor").get_traceability(ask).await.expect("a matrix").into_inner();
    matrix.rows.into_iter().find(|row| row.requirement_id == id).expect("a row")
}

async fn report(line: &Line, version: &ModelVersion, id: &str, report: Evaluation) {
    line.clock.advance(Duration::from_secs(1));
    let create = CreateEvaluationRequest {
        parent: version.name.clone(),
        evaluation_id: id.into(),
        evaluation: Some(report),
        ..Default::default()
    };
    line.evaluations("evaluator").create_evaluation(create).await.expect("an evaluation");
}

/// Reading 3: the point alone is no evidence, nor is one bound where the other could say otherwise.
#[tokio::test]
async fn a_number_counts_with_its_bounds() {
    let line = Line::start().await;
    let version = line.submitted("1.0.0", 1).await;
    let with = |lower, upper| {
        let mut whole = line.report(&version, 0.97);
        let latency =
            whole.measurements.iter_mut().find(|one| one.metric == "latency_p95_ms").expect("there");
        (latency.lower, latency.upper) = (lower, upper);
        whole
    };
    for (id, lower, upper, satisfied, says) in [
        ("bare", None, None, false, "undefined"),
        ("half", Some(1.0), None, false, "undefined"),
        ("doubtful", Some(1.0), Some(2_000.0), false, "inconclusive"),
        ("whole", Some(1.0), Some(3.0), true, "latency_p95_ms = 2"),
    ] {
        report(&line, &version, id, with(lower, upper)).await;
        let row = row(&line, "fast").await;
        assert_eq!(row.satisfied, satisfied, "{id}: {row:?}");
        assert!(row.evidence.iter().any(|one| one.contains(says)), "{id}: {row:?}");
    }
}

/// §7.2: what G1 does not take for passing tests is no evidence of a requirement either.
#[tokio::test]
async fn a_test_report_counts_as_it_does_at_g1() {
    let line = Line::start().await;
    let version = line.submitted("1.0.0", 1).await;
    let named = |id: &str| format!("{}/testReports/{id}", version.name);
    let mut plan = whole_plan();
    let requirement = plan.requirements.iter_mut().find(|one| one.requirement_id == "legal").expect("there");
    requirement.evidence = vec![named("made"), named("unit")];
    let plan = Project { name: "projects/line".into(), task: 1, ..plan };
    let update = UpdateProjectRequest { project: Some(plan), ..Default::default() };
    line.projects("ml-engineer").update_project(update).await.expect("an edit");
    let unknown_tool = ImportTestReportRequest {
        parent: version.name.clone(),
        test_report_id: "made".into(),
        category: "unit".into(),
        tool: "make".into(),
        format: "junit-xml".into(),
        content: JUNIT.as_bytes().to_vec(),
        ..Default::default()
    };
    line.evaluations("qa-engineer").import_test_report(unknown_tool).await.expect("a report");
    let open = row(&line, "legal").await;
    assert!(!open.satisfied && open.evidence.contains(&format!("{}: fail", named("made"))), "{open:?}");
    line.import(&version, "unit", JUNIT).await.expect("a report");
    let met = row(&line, "legal").await;
    assert!(met.satisfied && met.evidence.contains(&named("unit")), "{met:?}");
    line.clock.advance(Duration::from_secs(1));
    line.submitted("1.1.0", 2).await;
    assert!(!row(&line, "legal").await.satisfied, "the tests were of other bytes");
}
