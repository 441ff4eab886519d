//! §7.3 of a classifier: four metrics are measured, two are excused by somebody else, and none may be absent.

use lifecycle::acceptance::{Attack, MetricEvidence, Task, judge};

use super::given::gates::classifier_metrics;
use super::*;

fn accepted(metrics: &[MetricEvidence]) -> bool {
    let authors = ["ml-engineer".to_owned()];
    judge(Task::BinaryClassification, metrics, &authors, &policy().acceptance).passed()
}

#[test]
fn no_boundary_value_is_accepted() {
    assert!(accepted(&classifier_metrics()));
    for (place, value) in [(0, 0.90), (1, 2000.0), (2, 0.05), (3, 0.9), (4, 1.0 / 1000.0), (5, 0.05)] {
        let mut metrics = classifier_metrics();
        metrics[place].measured = Some(exact(value, 1000));
        assert!(!accepted(&metrics), "{}", metrics[place].metric);
        metrics[place].measured = Some(exact(f64::NAN, 1000));
        assert!(!accepted(&metrics));
        metrics.remove(place);
        assert!(!accepted(&metrics), "absent");
    }
    let mut harmless = classifier_metrics();
    harmless[4].measured = Some(exact(0.0, 299));
    assert!(!accepted(&harmless), "299 are too few");
    harmless[4].measured = Some(exact(0.0, 300));
    let report = judge(Task::TextClassification, &harmless, &[], &policy().acceptance);
    assert!(report.passed());
    assert!(report.rows[4].finding.observed.contains("upper bound 0.0099"), "{:?}", report.rows[4]);
}

#[test]
fn an_excuse_needs_a_sign_off_by_another_and_an_attack_the_policys_strength() {
    let mut unsigned = classifier_metrics();
    unsigned[2].not_applicable.as_mut().expect("an excuse").sign_off = None;
    assert!(!accepted(&unsigned));
    let mut own = classifier_metrics();
    own[2].not_applicable.as_mut().expect("an excuse").sign_off =
        Some(Approval::new("ml-engineer", Role::QaEngineer, at(1)));
    assert!(!accepted(&own));
    assert!(!judge(Task::TextGeneration, &classifier_metrics(), &[], &policy().acceptance).passed());
    let mut weak = classifier_metrics();
    weak[5].attack = Some(Attack::Numeric {
        norm: "linf".into(),
        size: 0.019,
        queries: 500,
        attacks: vec!["square".into()],
    });
    assert!(!accepted(&weak));
    weak[5].attack = Some("square/linf/0.02/500".parse().expect("an attack"));
    assert!(accepted(&weak));
    assert!("square/linf/much/500".parse::<Attack>().is_err());
    weak[5].attack = None;
    assert!(!accepted(&weak));
}
