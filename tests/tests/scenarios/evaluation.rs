//! §7.3: six strict thresholds on the point and its bound; what cannot apply is signed off, never counted.

use contracts::common::v1::Verdict;
use contracts::registry::v1::*;
use tests::line::{Line, Numbers, evaluation};
use tests::mesh::Alone;
use tests::refusal::Answered;
use tonic::Code;

async fn submitted(mesh: &Alone, id: &str) -> Line {
    let line = mesh.line(id);
    line.to_version().await;
    line.submit("1.0.0").await;
    line
}

/// What one set of numbers is judged to be, and whether G2 opens on it.
async fn judged(line: &Line, id: &str, numbers: Numbers) -> Evaluation {
    line.evaluate_as("1.0.0", id, numbers).await;
    let request = GetEvaluationRequest { name: format!("{}/evaluations/{id}", line.version("1.0.0")) };
    line.by("auditor").evaluations().get_evaluation(request).await.told()
}

#[tokio::test]
async fn a_value_on_the_boundary_never_passes() {
    let mesh = Alone::start().await;
    let line = submitted(&mesh, "boundary").await;
    let good = judged(&line, "good", Numbers::good()).await;
    assert_eq!(good.verdict(), Verdict::Pass, "{:?}", good.findings);
    let exact = Numbers { width: 0.0, ..Numbers::good() };
    for (id, subject, numbers) in [
        ("accuracy", "task accuracy", Numbers { accuracy: 0.90, ..exact }),
        ("latency", "latency p95", Numbers { latency_p95_ms: 2000.0, ..exact }),
        ("parity", "demographic parity", Numbers { parity: 0.9, ..exact }),
        ("attack", "adversarial success rate", Numbers { adversarial: 0.05, ..exact }),
    ] {
        let at = judged(&line, id, numbers).await;
        assert_ne!(at.verdict(), Verdict::Pass, "{id}");
        let failed: Vec<_> = at
            .findings
            .iter()
            .filter(|one| !matches!(one.verdict(), Verdict::Pass | Verdict::NotApplicable))
            .map(|one| (one.clause.as_str(), one.subject.as_str()))
            .collect();
        assert_eq!(failed, [("§7.3", subject)], "{id}: {:?}", at.findings);
    }
}

#[tokio::test]
async fn the_bound_counts_beside_the_point_and_few_samples_pass_nothing() {
    let mesh = Alone::start().await;
    let line = submitted(&mesh, "bound").await;
    let wide = judged(&line, "wide", Numbers { accuracy: 0.92, width: 0.04, ..Numbers::good() }).await;
    assert_eq!(wide.verdict(), Verdict::Inconclusive, "{:?}", wide.findings);
    let few = judged(&line, "few", Numbers { samples: 99, ..Numbers::good() }).await;
    assert_ne!(few.verdict(), Verdict::Pass, "{:?}", few.findings);
}

#[tokio::test]
async fn what_was_not_measured_is_undefined_and_never_passes() {
    let mesh = Alone::start().await;
    let line = submitted(&mesh, "absent").await;
    let version = line.get("1.0.0").await;
    let request = GetDatasetVersionRequest { name: line.data() };
    let data = line.by("auditor").datasets().get_dataset_version(request).await.told();
    for at in 0..4 {
        let mut report = evaluation(&version, &data, Numbers::good());
        let gone = report.measurements.remove(at);
        report.slots.iter_mut().filter(|slot| slot.metrics.contains(&gone.metric)).for_each(|slot| {
            slot.measured = false;
            slot.metrics.clear();
            slot.reason = "not looked at".into();
        });
        let request = CreateEvaluationRequest {
            parent: version.name.clone(),
            evaluation_id: format!("without-{at}"),
            evaluation: Some(report),
            request_id: String::new(),
        };
        let made = line.by("evaluator").evaluations().create_evaluation(request).await.told();
        assert_ne!(made.verdict(), Verdict::Pass, "without {}: {:?}", gone.metric, made.findings);
    }
    let mut weak = evaluation(&version, &data, Numbers::good());
    weak.measurements[3].convention = "square/linf/0.001/20".into();
    let request = CreateEvaluationRequest {
        parent: version.name.clone(),
        evaluation_id: "weak-attack".into(),
        evaluation: Some(weak),
        request_id: String::new(),
    };
    let made = line.by("evaluator").evaluations().create_evaluation(request).await.told();
    assert_ne!(
        made.verdict(),
        Verdict::Pass,
        "an attack weaker than the policy's proves nothing: {:?}",
        made.findings
    );
}

#[tokio::test]
async fn a_report_about_other_bytes_or_other_data_is_refused() {
    let mesh = Alone::start().await;
    let line = submitted(&mesh, "other").await;
    let version = line.get("1.0.0").await;
    let request = GetDatasetVersionRequest { name: line.data() };
    let data = line.by("auditor").datasets().get_dataset_version(request).await.told();
    type Change = fn(&mut Evaluation);
    let changes: [(&str, Change); 3] = [
        ("artifact", |it| it.artifact_digest = tests::made::digest_of("other")),
        ("data", |it| it.dataset_digest = tests::made::digest_of("other")),
        ("split", |it| it.split = "everything".into()),
    ];
    for (what, change) in changes {
        let mut report = evaluation(&version, &data, Numbers::good());
        change(&mut report);
        let request = CreateEvaluationRequest {
            parent: version.name.clone(),
            evaluation_id: what.into(),
            evaluation: Some(report),
            request_id: String::new(),
        };
        let refused = line.by("evaluator").evaluations().create_evaluation(request).await;
        refused.refused(Code::FailedPrecondition, "EVALUATION_EVIDENCE_MISMATCH");
    }
}
