//! Sources, data quality, the weighted decision, selection and training.

use super::*;

fn a_source(kind: SourceKind) -> Source {
    let row = policy().sources.types.iter().find(|row| row.kind == kind).unwrap();
    Source {
        name: "dataSources/s".into(),
        kind,
        registered_by: "data-engineer".into(),
        license: "CC-BY-4.0".into(),
        contract: "C-1".into(),
        contract_expires: Some(at(NOW + 1)),
        considerations: row
            .considerations
            .iter()
            .map(|name| (name.replace('-', "_"), "looked at".into()))
            .collect(),
        approvals: row.approvals.iter().map(|role| by(*role, 1)).collect(),
        revoked: false,
    }
}

#[test]
fn every_source_type_needs_every_one_of_its_approvals() {
    for kind in SourceKind::ALL {
        let whole = a_source(*kind);
        assert_eq!(source::source_usable(&whole, at(NOW), &policy().sources), Ok(()), "{kind}");
        for missing in 0..whole.approvals.len() {
            let mut less = whole.clone();
            less.approvals.remove(missing);
            assert!(source::source_usable(&less, at(NOW), &policy().sources).is_err());
        }
        let mut same = whole.clone();
        same.approvals.iter_mut().for_each(|approval| approval.principal = "data-engineer".into());
        assert!(!source::fully_approved(&same, &policy().sources), "registrant approves");
        assert!(source::source_usable(&whole, at(NOW + 1), &policy().sources).is_err(), "contract ended");
    }
    let mut one_person = a_source(SourceKind::ThirdParty);
    one_person.approvals.iter_mut().for_each(|approval| approval.principal = "legal".into());
    assert!(source::source_usable(&one_person, at(NOW), &policy().sources).is_err());
}

fn good_data() -> QualityEvidence {
    QualityEvidence {
        audit: Some(Audit {
            rows: 300,
            wrong_rows: 0,
            method: "against the source's arrays".into(),
            auditor: "qa-engineer".into(),
            sample_digest: digest('a'),
        }),
        missing_cells: Count { bad: 4, all: 100 },
        inconsistent_rows: Applicable::NotApplicable(NotApplicable {
            reason: "one source".into(),
            sign_off: Some(by(Role::MlLead, 1)),
        }),
        currency: Currency::Confirmed(by(Role::DataOwner, NOW - 86_400)),
        duplicate_rows: Count { bad: 0, all: 1000 },
        invalid_rows: Count { bad: 0, all: 1000 },
        relevance: Some(Relevance { signal: 0.4, sign_off: Some(by(Role::MlLead, 1)) }),
        groups: Applicable::NotApplicable(NotApplicable {
            reason: "no people in the data".into(),
            sign_off: Some(by(Role::EthicsReviewer, 1)),
        }),
        contributors: vec!["data-engineer".into()],
    }
}

type Spoil = fn(&mut QualityEvidence);

fn failed(data: &QualityEvidence) -> Vec<&'static str> {
    quality::judge(data, at(NOW), &policy().quality).failures().map(|row| row.dimension.as_str()).collect()
}

#[test]
fn values_exactly_on_a_target_do_not_pass() {
    assert!(
        failed(&good_data()).is_empty(),
        "{:?}",
        quality::judge(&good_data(), at(NOW), &policy().quality)
    );
    let cases: [(&str, Spoil); 11] = [
        ("accuracy", |d| d.audit.as_mut().unwrap().rows = 299),
        ("accuracy", |d| d.audit.as_mut().unwrap().wrong_rows = 3),
        ("accuracy", |d| d.audit = None),
        ("completeness", |d| d.missing_cells = Count { bad: 5, all: 100 }),
        ("completeness", |d| d.missing_cells = Count { bad: 0, all: 0 }),
        ("timeliness", |d| d.currency = Currency::NewestEvent(at(NOW - 30 * 86_400))),
        ("timeliness", |d| d.currency = Currency::Confirmed(by(Role::DataEngineer, NOW))),
        ("timeliness", |d| d.currency = Currency::Unknown),
        ("uniqueness", |d| d.duplicate_rows = Count { bad: 10, all: 1000 }),
        ("relevance", |d| d.relevance.as_mut().unwrap().signal = f64::NAN),
        ("fairness", |d| d.groups = Applicable::Absent),
    ];
    for (dimension, spoil) in cases {
        let mut data = good_data();
        spoil(&mut data);
        assert_eq!(failed(&data), [dimension]);
    }
    let mut young = good_data();
    young.currency = Currency::NewestEvent(at(NOW - 30 * 86_400 + 1));
    assert!(failed(&young).is_empty());
}

fn seven_steps() -> Vec<StepRecord> {
    let one = |(place, step): (usize, &Step)| StepRecord {
        step: *step,
        input_digest: format!("sha256:{place:064x}"),
        code_digest: digest('c'),
        parameters: "{}".into(),
        seed: 7,
        output_digest: format!("sha256:{:064x}", place + 1),
        rows_in: 10,
        rows_out: 10,
        rejects: 0,
        not_applicable: String::new(),
    };
    Step::ALL.iter().enumerate().map(one).collect()
}

#[test]
fn a_dataset_version_is_released_once_and_only_whole() {
    let judged = quality::judge(&good_data(), at(NOW), &policy().quality);
    let quality = &policy().quality;
    let release =
        |state, steps: &[StepRecord], leaked| dataset::release(state, steps, leaked, &judged, quality);
    assert_eq!(release(dataset::State::Draft, &seven_steps(), Some(0)), Ok(dataset::State::Ready));
    assert!(release(dataset::State::Ready, &seven_steps(), Some(0)).is_err());
    assert!(release(dataset::State::Draft, &seven_steps(), None).is_err());
    assert!(release(dataset::State::Draft, &seven_steps(), Some(1)).is_err());
    for place in 0..7 {
        let mut less = seven_steps();
        less.remove(place);
        assert!(release(dataset::State::Draft, &less, Some(0)).is_err());
        let mut twisted = seven_steps();
        twisted.swap(place, (place + 1) % 7);
        assert!(release(dataset::State::Draft, &twisted, Some(0)).is_err());
        let mut skipped = seven_steps();
        skipped[place].not_applicable = "not needed".into();
        let may = Step::ALL[place] == Step::Augmentation;
        if may {
            skipped[place + 1].input_digest = skipped[place - 1].output_digest.clone();
        }
        assert_eq!(release(dataset::State::Draft, &skipped, Some(0)).is_ok(), may);
    }
    let mut dirty = good_data();
    dirty.duplicate_rows = Count { bad: 50, all: 100 };
    let unfit = quality::judge(&dirty, at(NOW), quality);
    let state = dataset::release(dataset::State::Draft, &seven_steps(), Some(0), &unfit, quality);
    assert_eq!(state, Ok(dataset::State::Unfit));
}

fn decision(values: &[Vec<f64>]) -> DecisionInput {
    let candidate = |(place, values): (usize, &Vec<f64>)| selection_criteria::Candidate {
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
        prop_assert_eq!(selection_criteria::rank(&straight, planning), selection_criteria::rank(&turned, planning));
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
        let answer = selection::record_step(&before, &short, None, &policy().selection);
        prop_assert_eq!(answer.is_ok(), (3..=5).contains(&size));
        let skipped = record(SelectionStep::Selection, &names[..1]);
        prop_assert!(selection::record_step(&before, &skipped, Some("m0"), &policy().selection).is_err());
    }
}

#[test]
fn weights_that_do_not_sum_to_100_are_refused_and_a_narrow_winner_is_called_unstable() {
    let mut planning = policy().planning.clone();
    let narrow = decision(&[vec![1.0, 0.0, 0.0, 1.0, 0.5, 0.0], vec![0.0, 1.0, 1.0, 0.0, 0.5, 1.0]]);
    let ranking = selection_criteria::rank(&narrow, &planning).unwrap();
    assert_eq!(ranking.shifts.len(), 12);
    let clear = decision(&[vec![1.0; 6], vec![0.0; 6]]);
    assert!(selection_criteria::rank(&clear, &planning).unwrap().stable);
    assert!(!ranking.stable, "45 against 45 of 90 points cannot be stable: {ranking:?}");
    planning.selection_criteria[0].weight = 31;
    assert_eq!(selection_criteria::rank(&clear, &planning).unwrap_err().reason(), "DECISION_INCOMPLETE");
}

fn a_run() -> TrainingRecord {
    TrainingRecord {
        technique: Technique::FromScratch,
        technique_fields: BTreeMap::new(),
        hyperparameters: BTreeMap::from([("c".into(), "1.0".into())]),
        search_strategy: "grid".into(),
        dataset_version: "datasets/d/versions/1.0.0".into(),
        splits: vec!["train".into()],
        sampling: "all rows".into(),
        device_type: "cpu".into(),
        device_count: 1,
        duration: Duration::from_secs(3),
        seeds: BTreeMap::from([("numpy".into(), 7)]),
        checkpoint_frequency: "once at the end".into(),
        checkpoint_location: "artifacts".into(),
        checkpoint_interval: Duration::ZERO,
        experiment_tracker: "wlp".into(),
        metrics_logged: ["train/loss", "validation/accuracy", "system/cpu_percent", "checkpoint"]
            .map(Into::into)
            .into(),
    }
}

#[test]
fn dropping_any_field_of_a_run_refuses_it() {
    let training = &policy().training;
    assert_eq!(training::feeds_version(RunState::Completed, &a_run(), training), Ok(()));
    assert!(training::feeds_version(RunState::Running, &a_run(), training).is_err());
    let drops: [fn(&mut TrainingRecord); 15] = [
        |run| run.hyperparameters.clear(),
        |run| run.search_strategy.clear(),
        |run| run.dataset_version.clear(),
        |run| run.splits.clear(),
        |run| run.sampling.clear(),
        |run| run.device_type.clear(),
        |run| run.device_count = 0,
        |run| run.duration = Duration::ZERO,
        |run| run.seeds.clear(),
        |run| run.checkpoint_frequency.clear(),
        |run| run.checkpoint_location.clear(),
        |run| run.experiment_tracker.clear(),
        |run| drop(run.metrics_logged.remove(0)),
        |run| drop(run.metrics_logged.pop()),
        |run| run.technique = Technique::Lora,
    ];
    for spoil in drops {
        let mut run = a_run();
        spoil(&mut run);
        assert!(training::feeds_version(RunState::Completed, &run, training).is_err());
        assert!(training::completeness(&run, training).complete < 11);
    }
}

#[test]
fn silent_runs_are_reaped_and_late_checkpoints_noticed() {
    let training = &policy().training;
    assert!(training::reap(RunState::Running, at(0), at(900), training).is_none());
    assert!(training::reap(RunState::Running, at(0), at(901), training).is_some());
    assert!(training::reap(RunState::Completed, at(0), at(901), training).is_none());
    let minute = Duration::from_mins(1);
    let late =
        |seconds| training::checkpoint_overdue(RunState::Running, minute, at(0), at(seconds), training);
    assert!(late(90).is_none() && late(91).is_some());
    assert!(training::end_run(RunState::Failed, true).is_err());
    assert_eq!(training::end_run(RunState::Running, true), Ok(RunState::Completed));
}
