//! Boundaries and state machines of planning, data, training, versions, acceptance, ethics and gates.
#![allow(clippy::unwrap_used)]

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, SystemTime},
};

use lifecycle::{
    Approval, Bump, Measured, NotApplicable, Policy, Role, Strict, Verdict, Version,
    acceptance::{self, Attack, Metric, MetricEvidence, Task},
    dataset::{self, Step, StepRecord},
    entry::RegistryEntry,
    ethics::{self, EthicsItem, EthicsReview, ItemRecord},
    evaluation::{Slot, SlotRecord, TestCategory, TestReport},
    gate::{self, Candidate, Carried, EarlierDecision, Evidence, Gate},
    health::CanaryHealth,
    quality::{self, Applicable, Audit, Count, Currency, QualityEvidence, Relevance},
    selection::{self, SelectionRecord, SelectionStep},
    selection_criteria::{self, Criterion, DecisionInput, Direction, Normalisation, Score},
    source::{self, Source, SourceKind},
    training::{self, RunState, Technique, TrainingRecord},
    version::{ModelVersionId, next_model_version, successor},
};
use proptest::{collection::vec, prelude::*, sample::select};

fn policy() -> &'static Policy {
    Policy::builtin()
}

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

const NOW: u64 = 100 * 86_400;

fn digest(letter: char) -> String {
    format!("sha256:{}", letter.to_string().repeat(64))
}

fn exact(value: f64, samples: u64) -> Measured {
    Measured { value, samples, low: value, high: value, confidence: 0.95 }
}

fn by(role: Role, seconds: u64) -> Approval {
    Approval::new(role.as_str(), role, at(seconds))
}

// ── verdicts ────────────────────────────────────────────────────────────────────────────────────────────────────────

#[test]
fn a_bound_across_the_threshold_is_inconclusive() {
    let wilson = Measured { value: 0.905, samples: 1000, low: 0.8887, high: 0.9192, confidence: 0.90 };
    let Verdict::Inconclusive { needed: Some(needed) } = wilson.judge(Strict::Above, 0.9, 100, 0.90) else {
        panic!()
    };
    assert!(needed > 10_000, "{needed}");
    let good = Measured { value: 0.947, samples: 1000, low: 0.9341, high: 0.9576, confidence: 0.90 };
    assert_eq!(good.judge(Strict::Above, 0.9, 100, 0.90), Verdict::Pass);
    let bad = Measured { value: 0.88, samples: 1000, low: 0.862, high: 0.8959, confidence: 0.90 };
    assert_eq!(bad.judge(Strict::Above, 0.9, 100, 0.90), Verdict::Fail);
}

proptest! {
    /// Whatever is measured, a pass means that the point, the bound, the sample and the confidence all hold.
    #[test]
    fn only_a_whole_measurement_passes(
        value in prop_oneof![0.0..=1.0, Just(f64::NAN), Just(f64::INFINITY), Just(0.9)],
        below in 0.0..0.2f64, above in 0.0..0.2f64, samples in 0u64..500, confidence in 0.5..1.0f64,
    ) {
        let seen = Measured { value, samples, low: value - below, high: value + above, confidence };
        if seen.judge(Strict::Above, 0.9, 100, 0.9).passed() {
            prop_assert!(value > 0.9 && value - below > 0.9 && samples >= 100 && confidence >= 0.9);
        }
        prop_assert!(!exact(0.9, samples).judge(Strict::Above, 0.9, 0, 0.9).passed());
        prop_assert!(!exact(0.9, samples).judge(Strict::Below, 0.9, 0, 0.9).passed());
    }
}

// ── versions ────────────────────────────────────────────────────────────────────────────────────────────────────────

proptest! {
    /// A printed version reads back as itself, and no other spelling reads at all.
    #[test]
    fn versions_have_one_spelling(major: u32, minor: u32, patch: u32) {
        let version = Version::new(major, minor, patch);
        prop_assert_eq!(version.to_string().parse::<Version>().unwrap(), version);
        for wrong in [format!("v{version}"), format!("0{version}"), format!("{version}.0"), format!("{version} ")] {
            prop_assert!(wrong.parse::<Version>().is_err(), "{}", wrong);
        }
        let id = ModelVersionId { model: "a-v1".into(), version };
        prop_assert_eq!(id.to_string().parse::<ModelVersionId>().unwrap(), id);
    }

    /// However versions are asked for, the accepted ones are unique and each has its direct predecessor.
    #[test]
    fn accepted_versions_leave_no_gap(asked in vec((0u32..4, 0u32..4, 0u32..4, 0usize..8), 1..60)) {
        let first = policy().versioning.first_version.value;
        let mut taken: Vec<Version> = Vec::new();
        for (major, minor, patch, base) in asked {
            let want = Version::new(major, minor, patch);
            let base = (!taken.is_empty()).then(|| (taken[base % taken.len()], Bump::Patch));
            if next_model_version(&taken, base, want, first).is_ok() {
                prop_assert!(!taken.contains(&want));
                taken.push(want);
            }
        }
        for version in taken.iter().filter(|version| **version != first) {
            let reached = taken.iter().any(|earlier| earlier.bump_to(*version).is_some());
            prop_assert!(reached, "{} has no predecessor", version);
        }
    }
}

#[test]
fn a_bump_may_be_raised_never_lowered() {
    let (first, taken) = (Version::new(1, 0, 0), [Version::new(1, 0, 0), Version::new(1, 1, 0)]);
    let base = |least| Some((Version::new(1, 1, 0), least));
    assert_eq!(next_model_version(&taken, base(Bump::Minor), Version::new(2, 0, 0), first), Ok(Bump::Major));
    let low = next_model_version(&taken, base(Bump::Major), Version::new(1, 2, 0), first).unwrap_err();
    assert_eq!(low.reason(), "VERSION_BUMP_TOO_LOW");
    assert!(low.to_string().contains("required at least a major change: 2.0.0"), "{low}");
    let gap = next_model_version(&taken, base(Bump::Patch), Version::new(1, 3, 0), first).unwrap_err();
    assert_eq!(gap.reason(), "VERSION_NOT_SUCCESSOR");
    assert_eq!(successor(&taken, Version::new(1, 0, 0), Bump::Patch), Some(Version::new(1, 0, 1)));
    assert!(next_model_version(&[], None, Version::new(0, 1, 0), first).is_err());
}

// ── registry entry ──────────────────────────────────────────────────────────────────────────────────────────────────

const SAMPLE: &str = "model_id: llama-3-1-8b-webllm-v1.2.0
base_model: meta-llama/Llama-3.1-8B-Instruct
quantization: q4f16_1
training_data_version: ds-v2.1.0
training_config:
  epochs: 3
  learning_rate: 2e-5
  batch_size: 32
metrics:
  accuracy: 0.94
  latency_p50: 450ms
  fairness_score: 0.98
created_at: 2026-01-21T10:00:00Z
created_by: ml-team
status: production
";

#[test]
fn the_procedures_entry_comes_back_byte_for_byte() {
    let entry = RegistryEntry::from_yaml(SAMPLE).unwrap();
    assert_eq!(entry.to_yaml(), SAMPLE);
    assert_eq!(entry.model_id.model, "llama-3-1-8b-webllm");
    assert!((entry.metrics.latency_p50.milliseconds - 450.0).abs() < f64::EPSILON);
    assert!((entry.training_config.learning_rate.value() - 2e-5).abs() < 1e-12);
    for (from, to) in
        [("450ms", "450"), ("0.94", "94"), ("v1.2.0", "1.2"), ("2026-01-21", "2026-02-30"), ("2e-5", "-1")]
    {
        assert!(RegistryEntry::from_yaml(&SAMPLE.replace(from, to)).is_err(), "{to}");
    }
}

// ── sources ─────────────────────────────────────────────────────────────────────────────────────────────────────────

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

// ── data quality ────────────────────────────────────────────────────────────────────────────────────────────────────

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
    let cases: [(&str, fn(&mut QualityEvidence)); 11] = [
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

// ── weighted decision and selection ─────────────────────────────────────────────────────────────────────────────────

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

// ── training ────────────────────────────────────────────────────────────────────────────────────────────────────────

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

// ── acceptance ──────────────────────────────────────────────────────────────────────────────────────────────────────

fn good_metrics() -> Vec<MetricEvidence> {
    let mut attack = MetricEvidence::measured(Metric::AdversarialSuccessRate, exact(0.01, 500));
    attack.attack = Some(Attack::Numeric {
        norm: "linf".into(),
        size: 0.02,
        queries: 500,
        attacks: vec!["square".into()],
    });
    let excuse = |metric| {
        let why = NotApplicable { reason: "a classifier".into(), sign_off: Some(by(Role::QaEngineer, 1)) };
        MetricEvidence::not_applicable(metric, why)
    };
    vec![
        MetricEvidence::measured(Metric::TaskAccuracy, exact(0.97, 500)),
        MetricEvidence::measured(Metric::LatencyP95, exact(12.0, 500)),
        excuse(Metric::HallucinationRate),
        MetricEvidence::measured(Metric::DemographicParity, exact(0.95, 500)),
        excuse(Metric::HarmfulContentRate),
        attack,
    ]
}

fn accepted(metrics: &[MetricEvidence]) -> bool {
    let authors = ["ml-engineer".to_owned()];
    acceptance::judge(Task::BinaryClassification, metrics, &authors, &policy().acceptance).passed()
}

#[test]
fn no_boundary_value_is_accepted() {
    assert!(accepted(&good_metrics()));
    for (place, value) in [(0, 0.90), (1, 2000.0), (2, 0.05), (3, 0.9), (4, 1.0 / 1000.0), (5, 0.05)] {
        let mut metrics = good_metrics();
        metrics[place].measured = Some(exact(value, 1000));
        assert!(!accepted(&metrics), "{}", metrics[place].metric);
        metrics[place].measured = Some(exact(f64::NAN, 1000));
        assert!(!accepted(&metrics));
        metrics.remove(place);
        assert!(!accepted(&metrics), "absent");
    }
    let mut harmless = good_metrics();
    harmless[4].measured = Some(exact(0.0, 299));
    assert!(!accepted(&harmless), "299 are too few");
    harmless[4].measured = Some(exact(0.0, 300));
    let report = acceptance::judge(Task::TextClassification, &harmless, &[], &policy().acceptance);
    assert!(report.passed());
    assert!(report.rows[4].finding.observed.contains("upper bound 0.0099"), "{:?}", report.rows[4]);
}

#[test]
fn an_excuse_needs_a_sign_off_by_another_and_an_attack_the_policys_strength() {
    let mut unsigned = good_metrics();
    unsigned[2].not_applicable.as_mut().unwrap().sign_off = None;
    assert!(!accepted(&unsigned));
    let mut own = good_metrics();
    own[2].not_applicable.as_mut().unwrap().sign_off =
        Some(Approval::new("ml-engineer", Role::QaEngineer, at(1)));
    assert!(!accepted(&own));
    assert!(!acceptance::judge(Task::TextGeneration, &good_metrics(), &[], &policy().acceptance).passed());
    let mut weak = good_metrics();
    weak[5].attack = Some(Attack::Numeric {
        norm: "linf".into(),
        size: 0.019,
        queries: 500,
        attacks: vec!["square".into()],
    });
    assert!(!accepted(&weak));
    weak[5].attack = Some("square/linf/0.02/500".parse().unwrap());
    assert!(accepted(&weak));
    assert!("square/linf/much/500".parse::<Attack>().is_err());
    weak[5].attack = None;
    assert!(!accepted(&weak));
}

// ── ethics ──────────────────────────────────────────────────────────────────────────────────────────────────────────

#[derive(Clone, Debug)]
enum Act {
    Item(usize, &'static str),
    Vote(&'static str),
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let people = || select(vec!["ethics-reviewer", "board-a", "board-b", "ml-engineer"]);
    vec(
        prop_oneof![
            (0usize..5, people()).prop_map(|(item, who)| Act::Item(item, who)),
            people().prop_map(Act::Vote)
        ],
        0..40,
    )
}

proptest! {
    /// However people act, an approved review has five items by non-contributors, then a quorum of other board members.
    #[test]
    fn ethics_approval_comes_last_and_never_from_a_contributor(acts in acts()) {
        let ethics = &policy().ethics;
        let mut review = EthicsReview {
            artifact_digest: digest('a'), intended_use: "screening".into(), contributors: vec!["ml-engineer".into()],
            items: vec![], votes: vec![], rejected: false,
        };
        for (time, act) in acts.into_iter().enumerate() {
            let time = at(time as u64);
            match act {
                Act::Item(item, who) => {
                    let assessor = Approval::new(who, Role::EthicsReviewer, time);
                    let record = ItemRecord { item: EthicsItem::ALL[item], evidence_digest: digest('b'), assessor };
                    if ethics::record_item(&review, &record, ethics).is_ok() { review.items.push(record); }
                }
                Act::Vote(who) => {
                    let ballot = Approval::new(who, Role::EthicsBoard, time);
                    if ethics::vote(&review, &ballot, ethics).is_ok() { review.votes.push(ballot); }
                }
            }
        }
        prop_assert!(review.votes.is_empty() || review.items.len() == 5);
        let who: BTreeSet<&str> = review.votes.iter().map(|vote| vote.principal.as_str()).collect();
        prop_assert!(!who.contains("ml-engineer") && !review.items.iter().any(|i| i.assessor.principal == "ml-engineer"));
        prop_assert_eq!(ethics::approved(&review, ethics).is_ok(), who.len() >= ethics.quorum.value);
    }
}

// ── gates ───────────────────────────────────────────────────────────────────────────────────────────────────────────

fn a_candidate() -> Candidate {
    Candidate {
        name: "models/m/versions/1.0.0".into(),
        artifact_digest: digest('a'),
        task: Task::BinaryClassification,
        contributors: vec!["ml-engineer".into()],
        decided: vec![],
    }
}

fn evidence(gate: Gate) -> Evidence {
    let report = |category| TestReport {
        category,
        tool: "pytest".into(),
        digest: digest('b'),
        passed: 3,
        failed: 0,
        skipped: 0,
        artifact_digest: digest('a'),
    };
    let slot =
        |slot: &Slot| SlotRecord { slot: *slot, metrics: vec![slot.to_string()], reason: String::new() };
    match gate {
        Gate::G1 => {
            Evidence::Tests { reports: vec![report(TestCategory::Unit), report(TestCategory::Integration)] }
        }
        Gate::G2 => Evidence::Benchmarks {
            evaluation_digest: digest('c'),
            artifact_digest: digest('a'),
            evaluator_version: "0.1.0".into(),
            dataset_state: dataset::State::Ready,
            dataset_digest: digest('d'),
            metrics: good_metrics(),
            slots: Slot::ALL.iter().map(slot).collect(),
        },
        Gate::G3 => Evidence::Qa {
            approval: Some(by(Role::QaEngineer, 5)),
            artifact_digest: digest('a'),
            carried: None,
        },
        Gate::G4 => Evidence::Canary {
            health: CanaryHealth {
                requests: 100,
                model_faults: 0,
                latency_p95_ms: Some(20.0),
                soaked: Duration::from_hours(1),
                windows: 60,
                windows_with_trigger: 0,
                windows_with_alert: 0,
                open_alerts: vec![],
                traffic_percent: 5,
            },
        },
    }
}

proptest! {
    /// In whatever order gates are asked for, G4 only ever passes after G1, G2 and G3 of the same bytes,
    /// and asking again gives the same decision.
    #[test]
    fn gates_open_in_order_and_replay_alike(asked in vec((select(Gate::ALL.to_vec()), any::<bool>()), 0..24)) {
        let mut candidate = a_candidate();
        let mut open = BTreeSet::new();
        for (gate, other_bytes) in asked {
            let mut judged = candidate.clone();
            if other_bytes { judged.artifact_digest = digest('f'); }
            let decision = gate::decide(gate, &judged, &evidence(gate), policy());
            prop_assert_eq!(&decision, &gate::decide(gate, &judged, &evidence(gate), policy()));
            prop_assert_eq!(decision.policy_digest.as_str(), policy().digest());
            if decision.passed {
                prop_assert!(!other_bytes);
                if gate >= Gate::G3 { prop_assert!(open.contains(&Gate::G1) && open.contains(&Gate::G2)); }
                if gate == Gate::G4 { prop_assert!(open.contains(&Gate::G3)); }
                open.insert(gate);
                candidate.decided.push(EarlierDecision { gate, passed: true, artifact_digest: digest('a') });
            }
        }
    }
}

fn ready_for(gate: Gate) -> Candidate {
    let mut candidate = a_candidate();
    for earlier in Gate::ALL.iter().filter(|earlier| **earlier < gate) {
        candidate.decided.push(EarlierDecision {
            gate: *earlier,
            passed: true,
            artifact_digest: digest('a'),
        });
    }
    candidate
}

#[test]
fn a_refusal_prints_clause_required_and_observed() {
    let mut worse = evidence(Gate::G2);
    let Evidence::Benchmarks { metrics, .. } = &mut worse else { panic!() };
    metrics[3].measured =
        Some(Measured { value: 0.83, samples: 1520, low: 0.80, high: 0.86, confidence: 0.9 });
    let refusal = gate::decide(Gate::G2, &ready_for(Gate::G2), &worse, policy()).into_result().unwrap_err();
    assert_eq!(
        refusal.to_string(),
        "G2 refused: §7.3 demographic parity 0.83 (n=1520, 0.8..0.86), required > 0.9"
    );
    assert_eq!((refusal.reason(), refusal.clause()), ("GATE_REFUSED", "§7.3"));
    let mut unfit = evidence(Gate::G2);
    let Evidence::Benchmarks { dataset_state, .. } = &mut unfit else { panic!() };
    *dataset_state = dataset::State::Unfit;
    assert!(!gate::decide(Gate::G2, &ready_for(Gate::G2), &unfit, policy()).passed);
}

#[test]
fn a_contributor_never_approves_and_a_patch_carries_qa_over() {
    let own = Evidence::Qa {
        approval: Some(Approval::new("ml-engineer", Role::QaEngineer, at(1))),
        artifact_digest: digest('a'),
        carried: None,
    };
    assert!(!gate::decide(Gate::G3, &ready_for(Gate::G3), &own, policy()).passed);
    let carried = |bump, data_changed| Evidence::Qa {
        approval: None,
        artifact_digest: String::new(),
        carried: Some(Carried {
            from: "models/m/versions/1.0.0".into(),
            passed: true,
            bump,
            data_changed,
            signature_changed: false,
            use_changed: false,
        }),
    };
    let decide = |evidence| gate::decide(Gate::G3, &ready_for(Gate::G3), &evidence, policy());
    assert_eq!(decide(carried(Bump::Patch, false)).carried_from.as_deref(), Some("models/m/versions/1.0.0"));
    assert!(!decide(carried(Bump::Patch, true)).passed);
    assert!(!decide(carried(Bump::Minor, false)).passed);
}

#[test]
fn an_unquiet_or_hasty_canary_is_not_stable() {
    let spoils: [fn(&mut CanaryHealth); 8] = [
        |health| health.soaked -= Duration::from_secs(1),
        |health| health.requests = 99,
        |health| health.windows = 0,
        |health| health.windows_with_trigger = 1,
        |health| health.windows_with_alert = 1,
        |health| health.open_alerts.push("latency".into()),
        |health| health.traffic_percent = 25,
        |health| health.latency_p95_ms = Some(f64::NAN),
    ];
    assert!(gate::decide(Gate::G4, &ready_for(Gate::G4), &evidence(Gate::G4), policy()).passed);
    for spoil in spoils {
        let Evidence::Canary { mut health } = evidence(Gate::G4) else { panic!() };
        spoil(&mut health);
        assert!(!gate::decide(Gate::G4, &ready_for(Gate::G4), &Evidence::Canary { health }, policy()).passed);
    }
}
