//! What is true for every input: the state machines and boundaries of WLP-MLDEV-001 §3 and §8 to §12.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lifecycle::acceptance::Task;
use lifecycle::alert::{self, Judgement, Measurement};
use lifecycle::checklist::{Acknowledgement, PreDeployment, PreFacts, Rehearsal, check_pre};
use lifecycle::deployment::Done;
use lifecycle::duty::{self, Standing};
use lifecycle::gate::{Candidate, EarlierDecision, Gate, GateDecision};
use lifecycle::health::CanaryHealth;
use lifecycle::phase::{ModelLine, Phase, Record};
use lifecycle::retirement::{Comparison, Criterion, Fact, Retirement, Step, is_degraded};
use lifecycle::rollback::{Breaker, Observed, breaker, fired};
use lifecycle::rollout::Rollout;
use lifecycle::separation::{Action, approve, authorize, quorum};
use lifecycle::{Approval, Policy, Role};
use proptest::collection::vec;
use proptest::prelude::*;

const DAY: u64 = 86_400;

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_767_225_600 + seconds) // 2026-01-01
}

fn done(seconds: u64) -> Done {
    Done { evidence: "proof".into(), who: "ml-ops-engineer-1".into(), when: at(seconds) }
}

fn facts() -> PreFacts {
    PreFacts {
        tests: Some(done(0)),
        benchmarks: Some(done(0)),
        ethics: Some(done(0)),
        scan: Some(done(0)),
        open_scan_findings: 0,
        documents: Some(done(0)),
        newest_record: Some(at(0)),
        rollback_plan: Some(Rehearsal { done: done(0), took: Duration::from_secs(3), restored: true }),
        on_call: Some(Acknowledgement { notified: at(0), acknowledged: Some(done(0)) }),
    }
}

fn checked() -> PreDeployment {
    check_pre(&facts(), at(1), &Policy::builtin().deployment).expect("every item holds")
}

fn candidate(gates: &[Gate]) -> Candidate {
    let digest = "sha256:aa".to_owned();
    let decision =
        |gate: &Gate| EarlierDecision { gate: *gate, passed: true, artifact_digest: digest.clone() };
    Candidate {
        name: "models/digits/versions/1.0.0".into(),
        artifact_digest: digest.clone(),
        task: Task::ALL[0],
        contributors: vec!["ml-engineer-1".into()],
        decided: gates.iter().map(decision).collect(),
    }
}

fn g4(passed: bool) -> GateDecision {
    GateDecision {
        gate: Gate::G4,
        passed,
        findings: Vec::new(),
        judged: Vec::new(),
        policy_digest: String::new(),
        evidence_digests: Vec::new(),
        carried_from: None,
    }
}

fn healthy(requests: u64, faults: u64, soaked: u64, percent: u32) -> CanaryHealth {
    CanaryHealth {
        requests,
        model_faults: faults,
        latency_p95_ms: Some(10.0),
        soaked: Duration::from_secs(soaked),
        windows: 1,
        windows_with_trigger: 0,
        windows_with_alert: 0,
        open_alerts: Vec::new(),
        traffic_percent: percent,
        longest_silence: Some(Duration::ZERO),
    }
}

#[test]
fn every_missing_pre_item_is_refused() {
    let policy = &Policy::builtin().deployment;
    assert_eq!(check_pre(&PreFacts::default(), at(1), policy).unwrap_err().findings().len(), 7);
    let mut late = facts();
    late.newest_record = Some(at(1));
    assert!(check_pre(&late, at(2), policy).is_err());
    let mut unrehearsed = facts();
    unrehearsed.rollback_plan = unrehearsed.rollback_plan.map(|r| Rehearsal { restored: false, ..r });
    assert!(check_pre(&unrehearsed, at(2), policy).is_err());
    let mut silent = facts();
    silent.on_call = Some(Acknowledgement { notified: at(0), acknowledged: None });
    assert!(check_pre(&silent, at(2), policy).is_err());
}

#[test]
fn thresholds_are_strict() {
    for rule in &Policy::builtin().monitoring.alerts {
        let measured = |value| Measurement { value, samples: rule.min_samples, window: rule.window.get() };
        assert_eq!(alert::judge(rule, &measured(Some(rule.threshold))), Judgement::Quiet, "{}", rule.metric);
        let beyond = if rule.fires == lifecycle::Strict::Above { 1e-9 } else { -1e-9 };
        let value = Some(rule.threshold + beyond * rule.threshold.max(1.0));
        assert_eq!(alert::judge(rule, &measured(value)), Judgement::Firing, "{}", rule.metric);
        assert_eq!(alert::judge(rule, &measured(Some(f64::NAN))), Judgement::Undefined);
        let few = Measurement { samples: rule.min_samples - 1, ..measured(value) };
        assert!(matches!(alert::judge(rule, &few), Judgement::Inconclusive { .. }));
    }
    let rollout = &Policy::builtin().rollout;
    let seen =
        |errors, p95| Observed { error_rate: Some(errors), latency_p95_ms: Some(p95), ..Observed::default() };
    assert!(fired(&seen(0.05, 5_000.0), rollout).is_empty());
    assert_eq!(fired(&seen(0.0501, 5_000.1), rollout).len(), 2);
    assert_eq!(breaker(1_000.0_f64.ln() + 1e-9, &rollout.breaker), Breaker::Trip);
    assert_eq!(breaker(999.0_f64.ln(), &rollout.breaker), Breaker::Hold);
    assert_eq!(breaker(f64::NAN, &rollout.breaker), Breaker::Undefined);
}

#[test]
fn day_29_no_day_30_yes_and_9_99_percent_no() {
    let policy = &Policy::builtin().retirement;
    assert!(!is_degraded(&[Some(true); 29], policy));
    assert!(is_degraded(&[Some(true); 30], policy));
    let mut gap = vec![Some(true); 40];
    gap[20] = None;
    assert!(!is_degraded(&gap, policy));
    let better = |new| Comparison {
        old: 0.8,
        new,
        uncertainty: 0.01,
        higher_is_better: true,
        old_dataset: "d".into(),
        new_dataset: "d".into(),
    };
    assert!(better(0.88).supersedes(policy));
    assert!(!better(0.8 * 1.0999).supersedes(policy));
    assert!(!Comparison { uncertainty: f64::NAN, ..better(0.9) }.supersedes(policy));
    assert!(!Comparison { new_dataset: "e".into(), ..better(0.9) }.supersedes(policy));
}

#[test]
fn duties_over_a_virtual_year() {
    let policy = &Policy::builtin().duties;
    let expected = [52, 12, 12, 0, 4];
    for (row, count) in policy.activities.iter().zip(expected) {
        let year = at(365 * DAY);
        let duties = duty::schedule(row, at(0), year);
        let due = duties.iter().filter(|duty| duty.due <= year).count();
        assert_eq!(due, count, "{}", row.activity);
        let late = duties.iter().filter(|duty| duty.standing(year) == Standing::Overdue).count();
        assert_eq!(late, duties.iter().filter(|duty| duty.due < year).count());
        for one in duties {
            let by = Approval::new("somebody", row.role, one.due);
            assert_eq!(one.complete(by, policy).expect("right role").standing(year), Standing::Done);
        }
    }
}

/// 59 minutes, a pause, a minute more: that is a minute, and what was seen before the pause has no say (reading 7).
#[test]
fn a_pause_begins_the_step_anew() {
    let policy = Policy::builtin();
    let seen = healthy(500, 0, 3_600, 5);
    let started = Rollout::Pending
        .start(&candidate(&[Gate::G1, Gate::G2, Gate::G3]), &checked(), at(0), &policy.rollout)
        .expect("started");
    let paused = started.pause(at(3_540)).expect("paused");
    assert_eq!(paused.soaked(at(9_000)), Duration::from_mins(59));
    let resumed = paused.resume(at(9_000)).expect("resumed");
    for (second, opens) in [(9_060, false), (12_599, false), (12_600, true)] {
        let next = resumed.advance(&seen, Some(&g4(true)), at(second), policy);
        match next {
            Ok(next) => assert!(opens && next.traffic_percent(&policy.rollout) == 25, "at {second}"),
            Err(why) => assert!(!opens && why.reason() == "SOAK_TOO_SHORT", "at {second}: {why}"),
        }
    }
}

/// Every step looks at the same numbers as G4: 3 % errors and a P95 of 3 s are no health, however quiet the windows.
#[test]
fn no_step_takes_a_canary_that_alerts_would_fire_for() {
    let policy = Policy::builtin();
    let fine = healthy(1_000, 10, 3_600, 25);
    let spoiled = [
        CanaryHealth { model_faults: 11, ..fine.clone() },
        CanaryHealth { latency_p95_ms: Some(2_000.5), ..fine.clone() },
        CanaryHealth { latency_p95_ms: None, ..fine.clone() },
        CanaryHealth { longest_silence: None, ..fine.clone() },
        CanaryHealth { longest_silence: Some(Duration::from_secs(301)), ..fine.clone() },
    ];
    let second = Rollout::Running { step: 1, since: at(0) };
    assert!(second.advance(&fine, None, at(900), policy).is_ok());
    for health in spoiled {
        let why = second.advance(&health, None, at(900), policy).expect_err("unhealthy");
        assert_eq!(why.reason(), "UNHEALTHY", "{why}");
    }
}

proptest! {
    /// No random sequence of records and moves reaches DEPLOY without every record of the way there.
    #[test]
    fn nothing_reaches_deploy_without_records(calls in vec((any::<bool>(), 0_usize..23, 0_usize..8), 0..200)) {
        let policy = &Policy::builtin().phases;
        let mut line = ModelLine::default();
        for (is_record, record, phase) in calls {
            if is_record {
                line = line.with(Record::ALL[record]);
            } else if let Ok(next) = line.clone().advance(Phase::ALL[phase], policy) {
                prop_assert!(line.phase() != Phase::Retire);
                line = next;
            }
            if line.phase() >= Phase::Deploy && line.phase() <= Phase::Monitor {
                let needed: BTreeSet<Record> = policy.transitions.iter()
                    .filter(|t| t.from < t.to && t.to <= Phase::Deploy)
                    .flat_map(|t| t.records.iter().map(|r| r.record)).collect();
                prop_assert!(needed.is_subset(line.records()));
            }
        }
    }

    /// However health behaves, traffic never skips a step upward, silence never advances, an end is final.
    #[test]
    fn traffic_climbs_one_step_at_a_time(
        calls in vec((0_u8..8, 0_u64..300, 0_u64..20, 0_u64..5_000, any::<bool>()), 0..80),
    ) {
        let whole = Policy::builtin();
        let policy = &whole.rollout;
        let ladder: Vec<u32> = std::iter::once(0).chain(policy.steps.iter().map(|s| s.traffic_percent)).collect();
        let mut began = 0;
        let rung = |percent: u32| ladder.iter().position(|p| *p == percent).expect("a step of the policy");
        let (mut state, mut now) = (Rollout::Pending, 10);
        for (call, requests, faults, wait, gate) in calls {
            now += wait;
            let percent = state.traffic_percent(policy);
            // The monitor's own clock says that it was long enough: the state must still know when it was not.
            let health = healthy(requests, faults, wait + 3_600, percent);
            let next = match call {
                0 => state.start(&candidate(&[Gate::G1, Gate::G2, Gate::G3]), &checked(), at(now), policy),
                1..=4 => state.advance(&health, Some(&g4(gate)), at(now), whole),
                5 => state.pause(at(now)),
                6 => state.resume(at(now)),
                _ => if gate { state.roll_back() } else { state.abort() },
            };
            if let Ok(next) = next {
                prop_assert!(!matches!(state, Rollout::RolledBack | Rollout::Aborted));
                let after = next.traffic_percent(policy);
                prop_assert!(after <= percent || rung(after) == rung(percent) + 1);
                if (1..=4).contains(&call) {
                    prop_assert!(requests >= 100 && (percent != 5 || gate));
                    prop_assert!(faults * 100 <= requests, "{} of {} failed", faults, requests);
                    let dwell = policy.steps[rung(percent) - 1].dwell.get().as_secs();
                    prop_assert!(now - began >= dwell, "{} s after the start or the last pause", now - began);
                }
                if call != 5 {
                    began = now; // a step begins at its start, and anew after a pause
                }
                state = next;
            }
        }
    }

    /// No set of gates but G1, G2, G3 together starts a canary.
    #[test]
    fn a_canary_needs_its_gates(flags in vec(any::<bool>(), 4)) {
        let gates: Vec<Gate> = Gate::ALL.iter().zip(&flags).filter(|(_, on)| **on).map(|(gate, _)| *gate).collect();
        let started = Rollout::Pending.start(&candidate(&gates), &checked(), at(2), &Policy::builtin().rollout);
        prop_assert_eq!(started.is_ok(), flags[0] && flags[1] && flags[2]);
    }

    /// A person who contributed never approves; one person is one approval, in whatever role.
    #[test]
    fn contributors_never_approve(people in vec((0_u8..5, 0_usize..24), 0..12), contributor in 0_u8..5) {
        let policy = &Policy::builtin().people;
        let contributors = vec![format!("person-{contributor}")];
        for action in [Action::ApproveQuality, Action::ApproveEthics, Action::RollOut, Action::AssessEthics] {
            let mut given = Vec::new();
            for (person, role) in &people {
                let role = Role::ALL[*role % Role::ALL.len()];
                let new = Approval::new(format!("person-{person}"), role, at(0));
                prop_assert!(*person != contributor || authorize(action, &new, &contributors, policy).is_err());
                given = approve(action, given.clone(), new, &contributors, policy).unwrap_or(given);
            }
            let persons: BTreeSet<&String> = given.iter().map(|a| &a.principal).collect();
            prop_assert_eq!(persons.len(), given.len());
            prop_assert!(!persons.contains(&contributors[0]));
            let needed = policy.matrix.iter().find(|row| row.action == action).map_or(1, |row| row.persons);
            prop_assert_eq!(quorum(action, &given, &contributors, policy).is_ok(), given.len() >= needed);
        }
    }

    /// The seven steps happen in their order, and traffic goes to zero only after the notice, unless security.
    #[test]
    fn retirement_keeps_its_order(calls in vec((0_usize..7, 0_u64..20), 0..60), security in any::<bool>()) {
        let policy = &Policy::builtin().retirement;
        let why = if security { Criterion::SecurityVulnerability } else { Criterion::Superseded };
        let (mut saga, mut now, mut announced) = (Retirement::new(why), 0, 0);
        let facts = [
            Fact::Announced,
            Fact::Migrated { remaining: Vec::new() },
            Fact::Traffic { percent: 0 },
            Fact::Archived { digest: format!("sha256:{}", "a".repeat(64)), restore_rehearsed: true },
            Fact::Documented,
            Fact::Deleted,
            Fact::Retained { class: "standard".into(), legal_hold: false },
        ];
        for (step, days) in calls {
            now += days * DAY;
            let before = saga.done().len();
            if let Ok(next) = saga.clone().complete(&facts[step], done(now), at(now), policy) {
                prop_assert_eq!(step, before);
                if step == 0 { announced = now; }
                prop_assert!(Step::ALL[step] != Step::TrafficToZero || security || now - announced >= 30 * DAY);
                saga = next;
            }
        }
    }
}
