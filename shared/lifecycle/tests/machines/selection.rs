//! §6.1 model selection: five steps, each built on the models of the step before.

use lifecycle::selection::{SelectionRecord, SelectionStep, record_step, selection_complete};

use super::*;

/// What is wrong with a record.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Flaw {
    None,
    NoSummary,
    Stranger,
    Repeated,
    Earlier,
    NoMetrics,
    NoDataset,
    NoSeed,
    OneLess,
    OtherWinner,
    Undecided,
}

const FLAWS: &[Flaw] = &[
    Flaw::NoSummary,
    Flaw::Stranger,
    Flaw::Repeated,
    Flaw::Earlier,
    Flaw::NoMetrics,
    Flaw::NoDataset,
    Flaw::NoSeed,
    Flaw::OneLess,
    Flaw::OtherWinner,
    Flaw::Undecided,
];

/// Whether a flaw spoils a step: the models of a step must come from the one before, metrics, dataset and seed are
/// asked for where something is measured, and the choice is the decision's.
fn spoils(flaw: Flaw, step: usize) -> bool {
    match flaw {
        Flaw::None => false,
        Flaw::NoSummary => true,
        Flaw::Repeated | Flaw::Earlier => step >= 1,
        Flaw::NoMetrics => matches!(step, 0 | 3),
        Flaw::NoDataset | Flaw::NoSeed => step == 3,
        Flaw::Stranger | Flaw::OneLess => step >= 2, // two shortlisted, two of three compared, none chosen
        Flaw::OtherWinner | Flaw::Undecided => step == 4,
    }
}

fn record(step: usize, flaw: Flaw) -> SelectionRecord {
    let models = [0, 6, 3, 3, 1][step];
    let mut candidates: Vec<String> = (0..models).map(|model| format!("m{model}")).collect();
    match flaw {
        Flaw::Stranger if step >= 2 => candidates[0] = "stranger".into(),
        Flaw::Repeated if step >= 1 => candidates.push("m0".into()),
        Flaw::OneLess => drop(candidates.pop()),
        _ => {}
    }
    let unless = |what: Flaw, text: &str| if flaw == what { String::new() } else { text.to_owned() };
    SelectionRecord {
        step: SelectionStep::ALL[step],
        summary: unless(Flaw::NoSummary, "done"),
        candidates,
        dataset_version: unless(Flaw::NoDataset, "datasets/d/versions/1.0.0"),
        seed: (flaw != Flaw::NoSeed).then_some(7),
        metrics: if flaw == Flaw::NoMetrics { vec![] } else { vec!["accuracy".into()] },
        principal: "ml-engineer".into(),
        time: at(if flaw == Flaw::Earlier && step >= 1 { 0 } else { 10 + step as u64 }), // the first is after none
    }
}

proptest! {
    /// A step is recorded when it is the next one and nothing is wrong with it; five make a selection.
    #[test]
    fn steps_follow_one_another(
        calls in vec((prop_oneof![1 => (0usize..5).prop_map(Some), 3 => Just(None)],
            prop_oneof![2 => Just(Flaw::None), 1 => any_of(FLAWS)]), 0..30),
    ) {
        let policy = &policy().selection;
        let mut recorded: Vec<SelectionRecord> = Vec::new();
        for (which, flaw) in calls {
            prop_assert_eq!(selection_complete(&recorded, policy).is_ok(), recorded.len() == 5);
            let step = which.unwrap_or(recorded.len()).min(4);
            let decided = match flaw {
                Flaw::Undecided => None,
                Flaw::OtherWinner => Some("m1"),
                _ => Some("m0"),
            };
            let next = record(step, flaw);
            let may = step == recorded.len() && !spoils(flaw, step);
            let answer = record_step(&recorded, &next, decided, policy);
            prop_assert_eq!(answer.is_ok(), may, "{:?} at {} after {}", flaw, step, recorded.len());
            if may { recorded.push(next); }
        }
    }
}

/// Whatever is missing is named, however many steps are there.
#[test]
fn a_selection_without_a_step_is_incomplete() {
    let whole: Vec<SelectionRecord> = (0..5).map(|step| record(step, Flaw::None)).collect();
    assert_eq!(selection_complete(&whole, &policy().selection), Ok(()));
    for missing in 0..5 {
        let mut less = whole.clone();
        less.remove(missing);
        let refused = selection_complete(&less, &policy().selection).expect_err("a step is missing");
        assert_eq!(refused.findings().len(), 1);
        assert!(refused.findings()[0].subject.contains(SelectionStep::ALL[missing].as_str()));
    }
}
