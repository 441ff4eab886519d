//! §4.2, §6.1 the choice of a model: weights that sum to 100 %, a ranking that does not hang on the order of a list, a
//! shortlist of three to five.

use lifecycle::selection::{SelectionRecord, SelectionStep, record_step};
use lifecycle::selection_criteria::{
    Candidate, Criterion, DecisionInput, Direction, Normalisation, Score, rank,
};

use super::*;

fn decision(values: &[Vec<f64>]) -> DecisionInput {
    let candidate = |(place, values): (usize, &Vec<f64>)| Candidate {
        name: format!("m{place}"),
        scores: Criterion::ALL
            .iter()
            .zip(values)
            .map(|(criterion, value)| Score { criterion: *criterion, value: *value, evidence: digest('e') })
            .collect(),
    };
    DecisionInput {
        candidates: values.iter().enumerate().map(candidate).collect(),
        directions: Criterion::ALL.iter().map(|criterion| (*criterion, Direction::Higher)).collect(),
        normalisation: Normalisation::MinMax,
        justification: "best by weight".into(),
    }
}

proptest! {
    /// The order in which candidates are listed never changes the ranking.
    #[test]
    fn permuting_candidates_changes_nothing(
        values in vec(vec(select(vec![0.0, 0.25, 0.5, 1.0]), 6), 2..6), turn in 0usize..6,
    ) {
        let straight = decision(&values);
        let mut turned = straight.clone();
        let by = turn % turned.candidates.len();
        turned.candidates.rotate_left(by);
        turned.candidates.iter_mut().for_each(|candidate| candidate.scores.reverse());
        let planning = &policy().planning;
        prop_assert_eq!(rank(&straight, planning), rank(&turned, planning));
    }

    /// The shortlist holds three to five models, never another number.
    #[test]
    fn shortlists_have_three_to_five(size in 0usize..9) {
        let names: Vec<String> = (0..10).map(|n| format!("m{n}")).collect();
        let record = |step, candidates: &[String]| SelectionRecord {
            step, summary: "done".into(), candidates: candidates.to_vec(), dataset_version: "d".into(), seed: Some(1),
            metrics: vec!["accuracy".into()], principal: "ml-engineer".into(), time: at(1),
        };
        let before = [record(SelectionStep::Baseline, &[]), record(SelectionStep::LiteratureReview, &names)];
        let short = record(SelectionStep::QuickEvaluation, &names[..size]);
        let answer = record_step(&before, &short, None, &policy().selection);
        prop_assert_eq!(answer.is_ok(), (3..=5).contains(&size));
        let skipped = record(SelectionStep::Selection, &names[..1]);
        prop_assert!(record_step(&before, &skipped, Some("m0"), &policy().selection).is_err());
    }
}

#[test]
fn weights_that_do_not_sum_to_100_are_refused_and_a_narrow_winner_is_called_unstable() {
    let mut planning = policy().planning.clone();
    let narrow = decision(&[vec![1.0, 0.0, 0.0, 1.0, 0.5, 0.0], vec![0.0, 1.0, 1.0, 0.0, 0.5, 1.0]]);
    let ranking = rank(&narrow, &planning).expect("a ranking");
    assert_eq!(ranking.shifts.len(), 12);
    let clear = decision(&[vec![1.0; 6], vec![0.0; 6]]);
    assert!(rank(&clear, &planning).expect("a ranking").stable);
    assert!(!ranking.stable, "45 against 45 of 90 points cannot be stable: {ranking:?}");
    planning.selection_criteria[0].weight = 31;
    assert_eq!(rank(&clear, &planning).expect_err("101 %").reason(), "DECISION_INCOMPLETE");
}
