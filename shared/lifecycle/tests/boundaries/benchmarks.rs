//! G2: whoever asks for an evaluation does not choose what it is judged on; only READY data counts.

use lifecycle::Measured;
use lifecycle::acceptance::Task;
use lifecycle::dataset;
use lifecycle::gate::{Candidate, Conditions, Evidence, Gate, decide};

use super::given::gates::{benchmarks, candidate, evidence, ready_for};
use super::*;

fn passes(task: Task, conditions: Conditions, dataset_state: dataset::State, of: char) -> bool {
    let candidate = Candidate { task, ..candidate(&[]) };
    decide(Gate::G2, &candidate, &benchmarks(conditions, dataset_state, of), policy()).passed
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

#[test]
fn a_refusal_prints_clause_required_and_observed() {
    let mut worse = evidence(Gate::G2);
    let Evidence::Benchmarks { metrics, .. } = &mut worse else { panic!("G2 judges benchmarks") };
    metrics[3].measured =
        Some(Measured { value: 0.83, samples: 1520, low: 0.80, high: 0.86, confidence: 0.9 });
    let refusal = decide(Gate::G2, &ready_for(Gate::G2), &worse, policy()).into_result().expect_err("0.83");
    assert_eq!(
        refusal.to_string(),
        "G2 refused: §7.3 demographic parity 0.83 (n=1520, 0.8..0.86), required > 0.9"
    );
    assert_eq!((refusal.reason(), refusal.clause()), ("GATE_REFUSED", "§7.3"));
    let mut unfit = evidence(Gate::G2);
    let Evidence::Benchmarks { dataset_state, .. } = &mut unfit else { panic!("G2 judges benchmarks") };
    *dataset_state = dataset::State::Unfit;
    assert!(!decide(Gate::G2, &ready_for(Gate::G2), &unfit, policy()).passed);
}
