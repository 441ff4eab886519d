//! G2: whoever asks for an evaluation does not choose what it is judged on; only READY data counts.

use lifecycle::acceptance::{Metric, MetricEvidence, Task};
use lifecycle::dataset;
use lifecycle::evaluation::{Slot, SlotRecord};
use lifecycle::gate::{Candidate, Conditions, Evidence, Gate, decide};
use lifecycle::{Measured, NotApplicable};

use super::*;

fn candidate(task: Task) -> Candidate {
    Candidate {
        name: "models/m/versions/1.0.0".into(),
        artifact_digest: digest('a'),
        task,
        contributors: vec!["author".into()],
        decided: vec![],
    }
}

fn metrics() -> Vec<MetricEvidence> {
    let one = |metric: &Metric| {
        let value = match metric {
            Metric::TaskAccuracy | Metric::DemographicParity => 0.97,
            Metric::LatencyP95 => 12.0,
            Metric::AdversarialSuccessRate => 0.01,
            Metric::HallucinationRate | Metric::HarmfulContentRate => {
                let sign_off = Some(by(Role::QaEngineer, 1));
                return MetricEvidence::not_applicable(
                    *metric,
                    NotApplicable { reason: "a number".into(), sign_off },
                );
            }
        };
        MetricEvidence {
            attack: Some("square/linf/0.02/500".parse().expect("an attack")),
            ..MetricEvidence::measured(
                *metric,
                Measured { value, samples: 500, low: value, high: value, confidence: 0.9 },
            )
        }
    };
    Metric::ALL.iter().map(one).collect()
}

fn passes(task: Task, conditions: Conditions, dataset_state: dataset::State, of: char) -> bool {
    let slot = |slot: &Slot| SlotRecord {
        slot: *slot,
        metrics: vec!["metric".into()],
        reason: String::new(),
        sign_off: None,
    };
    let evidence = Evidence::Benchmarks {
        evaluation_digest: digest('c'),
        artifact_digest: digest(of),
        evaluator_version: "0.1.0".into(),
        dataset_state,
        dataset_digest: digest('d'),
        metrics: metrics(),
        slots: Slot::ALL.iter().map(slot).collect(),
        conditions,
    };
    decide(Gate::G2, &candidate(task), &evidence, policy()).passed
}

proptest! {
    /// The test split of READY data, each sensitive column a group, the plan's tolerance, these very bytes.
    #[test]
    fn an_evaluation_counts_on_its_conditions(
        split in select(vec!["test", "test", "train", "validation", ""]), grouped in vec(any::<bool>(), 2),
        tolerance in select(vec![0.5, 0.5f64.next_up(), 0.5f64.next_down(), f64::NAN, 1e9]),
        planned in select(vec![Some(0.5), Some(0.5), None, Some(f64::NAN), Some(0.0)]), regression in any::<bool>(),
        state in select(dataset::State::ALL), own in any::<bool>(),
    ) {
        let sensitive = ["sex".to_owned(), "age".to_owned()];
        let groups = sensitive.iter().zip(&grouped).filter(|(_, there)| **there).map(|(name, _)| name.clone());
        let conditions = Conditions {
            split: split.into(), groups: groups.collect(), sensitive: sensitive.to_vec(), tolerance,
            planned_tolerance: planned,
        };
        let task = if regression { Task::Regression } else { Task::BinaryClassification };
        let exact = planned.is_some_and(|planned| planned.to_bits() == 0.5f64.to_bits()) && tolerance.to_bits() == 0.5f64.to_bits();
        let fair = grouped.iter().all(|there| *there) && (exact || !regression);
        let want = split == "test" && fair && state == dataset::State::Ready && own;
        prop_assert_eq!(passes(task, conditions, state, if own { 'a' } else { 'f' }), want);
    }
}

/// The one way that passes, so that the property is not about refusals alone.
#[test]
fn whole_conditions_pass() {
    let conditions = Conditions {
        split: "test".into(),
        groups: vec!["sex".into(), "region".into()],
        sensitive: vec!["sex".into()],
        tolerance: 0.5,
        planned_tolerance: Some(0.5),
    };
    assert!(passes(Task::Regression, conditions, dataset::State::Ready, 'a'));
}
