//! §3 the life cycle of a model line.

use lifecycle::phase::Phase::{self, Data, Deploy, Eval, Iterate, Model, Monitor, Plan, Retire};
use lifecycle::phase::{Record, Reopened, check};
use std::collections::BTreeMap;

use super::*;

/// What the way from one phase to another needs; `None` where there is no way.
fn needed(from: Phase, to: Phase) -> Option<&'static [Record]> {
    Some(match (from, to) {
        (Plan, Data) => &[
            Record::RequirementsGathered,
            Record::RequirementsDocumented,
            Record::SelectionCriteriaWeighted,
            Record::PlanningOutputsApproved,
        ],
        (Data, Model) => &[
            Record::SourcesApproved,
            Record::DatasetFit,
            Record::PipelineCompleted,
            Record::DataCardPublished,
        ],
        (Model, Eval) => &[Record::ModelSelected, Record::TrainingRunCompleted, Record::VersionRegistered],
        (Eval, Deploy) => &[
            Record::EvaluationReported,
            Record::TestsPassed,
            Record::BenchmarksMet,
            Record::EthicsApproved,
            Record::QaApproved,
        ],
        (Deploy, Monitor) => &[
            Record::PreDeploymentChecked,
            Record::CanaryStable,
            Record::DeploymentChecked,
            Record::PostDeploymentChecked,
        ],
        (Monitor, Iterate) | (Iterate, Plan | Data | Model) => &[Record::IterationDecided],
        (Monitor | Iterate, Retire) => &[Record::RetirementDecided],
        (Model | Eval, Data) | (Eval | Deploy, Model) => &[Record::ReworkJustified],
        _ => return None,
    })
}

/// Records that must be made anew once a line stands at `phase` again: whatever a way out of it, or of a later phase,
/// needs.
fn again(phase: Phase) -> BTreeSet<Record> {
    let ways = Phase::ALL.iter().flat_map(|from| Phase::ALL.iter().map(move |to| (*from, *to)));
    ways.filter(|(from, _)| *from >= phase)
        .flat_map(|(from, to)| needed(from, to).unwrap_or_default().iter().copied())
        .collect()
}

#[test]
fn every_pair_of_phases_needs_exactly_its_records() {
    let policy = &policy().phases;
    let every: BTreeSet<Record> = Record::ALL.iter().copied().collect();
    for (from, to) in Phase::ALL.iter().flat_map(|from| Phase::ALL.iter().map(move |to| (*from, *to))) {
        let Some(needed) = needed(from, to) else {
            assert_eq!(reason(&check(from, to, &every, policy)), "ILLEGAL_TRANSITION", "{from} to {to}");
            continue;
        };
        let just: BTreeSet<Record> = needed.iter().copied().collect();
        assert_eq!(check(from, to, &just, policy), Ok(()), "{from} to {to}");
        for missing in needed {
            let mut less = every.clone();
            less.remove(missing);
            let refused = check(from, to, &less, policy).expect_err("a record is missing");
            assert_eq!(refused.reason(), "RECORDS_MISSING");
            let subjects: Vec<&str> = refused.findings().iter().map(|one| one.subject.as_str()).collect();
            assert_eq!(subjects, [missing.as_str()]);
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Call {
    Note(Record),
    /// Everything that the next phase forward needs, and the way there.
    Forward,
    Move(Phase),
}

fn calls() -> impl Strategy<Value = Vec<Call>> {
    let call = prop_oneof![
        any_of(Record::ALL).prop_map(Call::Note),
        Just(Call::Forward),
        any_of(Phase::ALL).prop_map(Call::Move),
    ];
    vec(call, 0..60)
}

/// A line as the registry keeps it: its phase, when it last went back, and when evidence for each record was last brought.
#[derive(Clone, Debug)]
struct Line {
    phase: Phase,
    reopened: Reopened,
    brought: BTreeMap<Record, SystemTime>,
}

impl Line {
    fn new() -> Self {
        Self { phase: Plan, reopened: Reopened::default(), brought: BTreeMap::new() }
    }

    fn bring(&mut self, record: Record, second: u64) {
        self.brought.insert(record, at(second));
    }

    /// The records whose evidence counts.
    fn records(&self) -> BTreeSet<Record> {
        let counts = |record: Record, brought: SystemTime| {
            self.reopened.since(record, &policy().phases).is_none_or(|since| since <= brought)
        };
        self.brought
            .iter()
            .filter(|(record, time)| counts(**record, **time))
            .map(|(record, _)| *record)
            .collect()
    }

    fn go(&mut self, to: Phase, second: u64) -> Result<(), Rejection> {
        check(self.phase, to, &self.records(), &policy().phases)?;
        self.reopened = self.reopened.clone().moved(self.phase, to, at(second));
        self.phase = to;
        Ok(())
    }
}

proptest! {
    /// A line stands where the model says, with the records that the model says, whatever was called: the model forgets what
    /// has to be done again, the line only keeps when it went back.
    #[test]
    fn a_line_moves_as_the_model_does(calls in calls()) {
        let mut line = Line::new();
        let (mut phase, mut records) = (Plan, BTreeSet::new());
        for (second, call) in (1..).zip(calls) {
            let to = match call {
                Call::Note(record) => {
                    line.bring(record, second);
                    records.insert(record);
                    continue;
                }
                Call::Forward => {
                    let Some(to) = Phase::ALL.iter().copied().find(|to| *to > phase) else { continue };
                    for record in needed(phase, to).unwrap_or_default() {
                        line.bring(*record, second);
                        records.insert(*record);
                    }
                    to
                }
                Call::Move(to) => to,
            };
            let may = needed(phase, to).is_some_and(|needed| needed.iter().all(|one| records.contains(one)));
            prop_assert_eq!(line.go(to, second).is_ok(), may, "{} to {}", phase, to);
            if may {
                if to < phase {
                    let again = again(to);
                    records.retain(|record| !again.contains(record));
                }
                phase = to;
            }
            prop_assert_eq!((line.phase, line.records()), (phase, records.clone()));
        }
    }

    /// No random sequence of records and moves reaches DEPLOY without every record of the way there, and none but a move back
    /// takes a record away.
    #[test]
    fn nothing_reaches_deploy_without_records(calls in vec((any::<bool>(), 0_usize..23, 0_usize..8), 0..200)) {
        let policy = &policy().phases;
        let mut line = Line::new();
        for (second, (is_record, record, phase)) in (1..).zip(calls) {
            let (from, before) = (line.phase, line.records());
            if is_record {
                line.bring(Record::ALL[record], second);
            } else if line.go(Phase::ALL[phase], second).is_ok() {
                prop_assert!(from != Phase::Retire);
            }
            prop_assert!(line.phase < from || before.is_subset(&line.records()));
            if line.phase >= Phase::Deploy && line.phase <= Phase::Monitor {
                let needed: BTreeSet<Record> = policy.transitions.iter()
                    .filter(|t| t.from < t.to && t.to <= Phase::Deploy)
                    .flat_map(|t| t.records.iter().map(|r| r.record)).collect();
                prop_assert!(needed.is_subset(&line.records()));
            }
        }
    }
}

/// §3: back at MODEL, the run and the version have to be made again; the plan and the data have not.
#[test]
fn what_lies_before_the_phase_stays() {
    let policy = &policy().phases;
    let back = Reopened::default().moved(Eval, Model, at(5)).moved(Model, Eval, at(9));
    assert_eq!(
        back.times().iter().collect::<Vec<_>>(),
        [(&Model, &at(5))],
        "a way forward opens nothing again"
    );
    for again in [Record::TrainingRunCompleted, Record::VersionRegistered, Record::CanaryStable] {
        assert_eq!(back.since(again, policy), Some(at(5)), "{again}");
    }
    for kept in [Record::RequirementsGathered, Record::DatasetFit, Record::SourcesApproved] {
        assert_eq!(back.since(kept, policy), None, "{kept}");
    }
    let later = back.moved(Iterate, Data, at(20));
    assert_eq!(later.since(Record::DatasetFit, policy), Some(at(20)));
    assert_eq!(later.since(Record::VersionRegistered, policy), Some(at(20)), "the last way back counts");
}
