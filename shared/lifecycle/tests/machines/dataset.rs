//! §5.2, §5.3 a dataset version: DRAFT to READY or UNFIT, once.

use lifecycle::Verdict;
use lifecycle::dataset::{Dimension, State, Step, StepRecord, release};
use lifecycle::quality::{Count, DimensionVerdict, Judgement, judge};

use super::given::data::{NOW, excused_data, steps};
use super::*;

fn judgement(verdicts: &[Verdict]) -> Judgement {
    let one = |(dimension, verdict): (&Dimension, &Verdict)| DimensionVerdict {
        dimension: *dimension,
        verdict: Some(verdict.clone()),
        finding: lifecycle::Finding::new("§5.2", dimension.as_str(), "met", verdict.to_string()),
    };
    Judgement { dimensions: Dimension::ALL.iter().zip(verdicts).map(one).collect() }
}

/// Ways in which the record of the seven steps is not whole.
#[derive(Clone, Copy, Debug)]
enum Damage {
    None,
    Drop(usize),
    Swap(usize),
    NoCode(usize),
    BrokenChain(usize),
    LostRows(usize),
}

fn damage() -> impl Strategy<Value = Damage> {
    prop_oneof![
        4 => Just(Damage::None),
        1 => (0..7usize).prop_map(Damage::Drop),
        1 => (0..6usize).prop_map(Damage::Swap),
        1 => (0..7usize).prop_map(Damage::NoCode),
        1 => (1..7usize).prop_map(Damage::BrokenChain),
        1 => (1..7usize).prop_map(Damage::LostRows),
    ]
}

fn damaged(damage: Damage) -> Vec<StepRecord> {
    let mut steps = steps();
    match damage {
        Damage::None => {}
        Damage::Drop(place) => drop(steps.remove(place)),
        Damage::Swap(place) => steps.swap(place, place + 1),
        Damage::NoCode(place) => steps[place].code_digest.clear(),
        Damage::BrokenChain(place) => steps[place].input_digest = digest('f'),
        Damage::LostRows(place) => steps[place].rows_in = 9,
    }
    steps
}

fn verdict() -> impl Strategy<Value = Verdict> {
    let other = vec![
        Verdict::Fail,
        Verdict::Inconclusive { needed: Some(300) },
        Verdict::Inconclusive { needed: None },
        Verdict::undefined("not measured"),
    ];
    prop_oneof![12 => Just(Verdict::Pass), 1 => select(other)]
}

proptest! {
    /// READY needs seven whole steps, no leak and eight passes; UNFIT the same without the passes; both are final.
    #[test]
    fn a_version_is_released_as_the_model_says(
        calls in vec((damage(), select(vec![Some(0u64), Some(1), None]), vec(verdict(), 8)), 1..6),
    ) {
        let mut state = State::Draft;
        for (damage, leaked, verdicts) in calls {
            let whole = matches!(damage, Damage::None) && leaked == Some(0);
            let next = match state {
                State::Draft if !whole => Err("DATASET_STEPS_INCOMPLETE"),
                State::Draft if verdicts.iter().all(|one| *one == Verdict::Pass) => Ok(State::Ready),
                State::Draft => Ok(State::Unfit),
                State::Ready | State::Unfit => Err("DATASET_NOT_DRAFT"),
            };
            let released = release(state, &damaged(damage), leaked, &judgement(&verdicts), &policy().quality);
            prop_assert_eq!(released.as_ref().map_err(Rejection::reason), next.as_ref().map_err(|why| *why));
            state = released.unwrap_or(state);
        }
    }
}

#[test]
fn a_dataset_version_is_released_once_and_only_whole() {
    let judged = judge(&excused_data(), at(NOW), &policy().quality);
    let quality = &policy().quality;
    let released = |state, steps: &[StepRecord], leaked| release(state, steps, leaked, &judged, quality);
    assert_eq!(released(State::Draft, &steps(), Some(0)), Ok(State::Ready));
    assert!(released(State::Ready, &steps(), Some(0)).is_err());
    assert!(released(State::Draft, &steps(), None).is_err());
    assert!(released(State::Draft, &steps(), Some(1)).is_err());
    for place in 0..7 {
        let mut less = steps();
        less.remove(place);
        assert!(released(State::Draft, &less, Some(0)).is_err());
        let mut twisted = steps();
        twisted.swap(place, (place + 1) % 7);
        assert!(released(State::Draft, &twisted, Some(0)).is_err());
        let mut skipped = steps();
        skipped[place].not_applicable = "not needed".into();
        let may = Step::ALL[place] == Step::Augmentation;
        if may {
            skipped[place + 1].input_digest = skipped[place - 1].output_digest.clone();
        }
        assert_eq!(released(State::Draft, &skipped, Some(0)).is_ok(), may);
    }
    let mut dirty = excused_data();
    dirty.duplicate_rows = Count { bad: 50, all: 100 };
    let unfit = judge(&dirty, at(NOW), quality);
    let state = release(State::Draft, &steps(), Some(0), &unfit, quality);
    assert_eq!(state, Ok(State::Unfit));
}
