//! §8.2, §8.3 a rollout: PENDING, the steps of the ladder, PAUSED, and three ends without a way back.

use lifecycle::Policy;
use lifecycle::gate::{Candidate, Gate, before_traffic};
use lifecycle::health::CanaryHealth;
use lifecycle::policy::BUILTIN;
use lifecycle::rollout::Rollout;

use super::given::gates::{candidate, ready_for};
use super::given::rollout::{checked, g4, healthy};
use super::*;

/// The ladder: traffic in percent, and how long a step lasts.
const LADDER: [(u32, u64); 4] = [(5, 3_600), (25, 900), (50, 900), (100, 0)];

#[derive(Clone, Copy, Debug, PartialEq)]
enum Model {
    Pending,
    Running { step: usize, since: u64 },
    Paused { step: usize },
    Succeeded,
    Aborted,
    RolledBack,
}

#[derive(Clone, Copy, Debug)]
enum Call {
    Start { gates: bool },
    Advance { requests: u64, g4: bool },
    Pause,
    Resume,
    Abort,
    RollBack,
}

impl Model {
    fn traffic(self) -> u32 {
        match self {
            Self::Running { step, .. } | Self::Paused { step } => LADDER[step].0,
            Self::Succeeded => 100,
            Self::Pending | Self::Aborted | Self::RolledBack => 0,
        }
    }

    fn after(self, call: Call, now: u64) -> Option<Self> {
        match (self, call) {
            (Self::Pending, Call::Start { gates: true }) => Some(Self::Running { step: 0, since: now }),
            (Self::Running { step, since }, Call::Advance { requests, g4 }) => {
                let may = requests >= 100 && now - since >= LADDER[step].1 && (step > 0 || g4);
                let next =
                    if step == 3 { Self::Succeeded } else { Self::Running { step: step + 1, since: now } };
                may.then_some(next)
            }
            (Self::Running { step, .. }, Call::Pause) => Some(Self::Paused { step }),
            (Self::Paused { step }, Call::Resume) => Some(Self::Running { step, since: now }),
            (Self::Pending | Self::Running { .. } | Self::Paused { .. }, Call::Abort) => Some(Self::Aborted),
            (Self::Running { .. } | Self::Paused { .. } | Self::Succeeded, Call::RollBack) => {
                Some(Self::RolledBack)
            }
            _ => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Running { .. } => "RUNNING",
            Self::Paused { .. } => "PAUSED",
            Self::Succeeded => "SUCCEEDED",
            Self::Aborted => "ABORTED",
            Self::RolledBack => "ROLLED_BACK",
        }
    }
}

/// What was decided at the three gates before a canary.
fn judged(passed: bool) -> Candidate {
    let mut candidate = ready_for(Gate::G4);
    candidate.decided.iter_mut().for_each(|decision| decision.passed = passed);
    candidate
}

fn health(requests: u64, percent: u32) -> CanaryHealth {
    CanaryHealth { requests, ..healthy(percent) }
}

fn calls() -> impl Strategy<Value = Vec<(Call, u64)>> {
    let advance = (select(vec![0, 99, 100, 5_000]), prop::bool::weighted(0.8))
        .prop_map(|(requests, g4)| Call::Advance { requests, g4 });
    let call = prop_oneof![
        3 => prop::bool::weighted(0.8).prop_map(|gates| Call::Start { gates }),
        9 => advance,
        1 => Just(Call::Pause),
        2 => Just(Call::Resume),
        1 => select(vec![Call::Abort, Call::RollBack]),
    ];
    vec((call, select(vec![0, 899, 900, 3_599, 3_600])), 0..60)
}

proptest! {
    /// State and traffic are those of the model after every call.
    #[test]
    fn a_rollout_goes_as_the_model_does(calls in calls()) {
        let whole = policy();
        let (mut rollout, mut model, mut now) = (Rollout::Pending, Model::Pending, 10);
        for (call, wait) in calls {
            now += wait;
            let answer = match call {
                Call::Start { gates } => rollout.start(&judged(gates), &checked(), at(now), whole),
                Call::Advance { requests, g4: stable } => {
                    rollout.advance(&health(requests, model.traffic()), Some(&g4(stable)), at(now), whole)
                }
                Call::Pause => rollout.pause(at(now)),
                Call::Resume => rollout.resume(at(now)),
                Call::Abort => rollout.abort(),
                Call::RollBack => rollout.roll_back(),
            };
            let next = model.after(call, now);
            prop_assert_eq!(answer.is_ok(), next.is_some(), "{:?} in {:?}: {:?}", call, model, answer);
            rollout = answer.unwrap_or(rollout);
            model = next.unwrap_or(model);
            prop_assert_eq!(rollout.as_str(), model.name());
            prop_assert_eq!(rollout.traffic_percent(&whole.rollout), model.traffic());
        }
    }

    /// Health of another step says nothing about this one.
    #[test]
    fn health_counts_only_at_its_own_step(step in 0usize..4, observed in select(vec![0u32, 5, 25, 50, 100])) {
        let running = Rollout::Running { step, since: at(0) };
        let answer = running.advance(&health(500, observed), Some(&g4(true)), at(7_200), policy());
        prop_assert_eq!(answer.is_ok(), observed == LADDER[step].0);
    }

    /// However health behaves, traffic never skips a step upward, silence never advances, an end is final.
    #[test]
    fn traffic_climbs_one_step_at_a_time(
        calls in vec((0_u8..8, 0_u64..300, 0_u64..20, 0_u64..5_000, any::<bool>()), 0..80),
    ) {
        let whole = policy();
        let policy = &whole.rollout;
        let ladder: Vec<u32> = std::iter::once(0).chain(policy.steps.iter().map(|s| s.traffic_percent)).collect();
        let mut began = 0;
        let rung = |percent: u32| ladder.iter().position(|p| *p == percent).expect("a step of the policy");
        let (mut state, mut now) = (Rollout::Pending, 10);
        for (call, requests, faults, wait, gate) in calls {
            now += wait;
            let percent = state.traffic_percent(policy);
            // The monitor's own clock says that it was long enough: the state must still know when it was not.
            let health = CanaryHealth {
                model_faults: faults, soaked: Duration::from_secs(wait + 3_600), ..health(requests, percent)
            };
            let next = match call {
                0 => state.start(&ready_for(Gate::G4), &checked(), at(now), whole),
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
        let started = Rollout::Pending.start(&candidate(&gates), &checked(), at(2), policy());
        prop_assert_eq!(started.is_ok(), flags[0] && flags[1] && flags[2]);
    }
}

/// Which gates those are is the policy's word: what it puts before G4, and without a row of G4 nothing starts.
#[test]
fn the_policy_says_which_gates_come_before_traffic() {
    let three = "after: [g1, g2, g3], clause: \"§8.1 G4\"";
    assert_eq!(before_traffic(&policy().gates), [Gate::G1, Gate::G2, Gate::G3]);
    let two = BUILTIN.replace(three, "after: [g1, g2], clause: \"§8.1 G4\"");
    let two = Policy::parse(&two).expect("a policy");
    assert_eq!(before_traffic(&two.gates), [Gate::G1, Gate::G2]);
    let without_qa = candidate(&[Gate::G1, Gate::G2]);
    assert!(Rollout::Pending.start(&without_qa, &checked(), at(2), &two).is_ok());
    let closed = Rollout::Pending.start(&without_qa, &checked(), at(2), policy()).expect_err("QA is missing");
    assert_eq!(closed.reason(), "GATES_CLOSED");
    let none = BUILTIN.replace(three, "after: [], clause: \"§8.1 G4\"");
    assert!(Policy::parse(&none).is_err(), "something must open a canary's traffic");
    let mut lost = policy().clone();
    lost.gates.gates.retain(|row| row.gate != Gate::G4);
    assert!(Rollout::Pending.start(&ready_for(Gate::G4), &checked(), at(2), &lost).is_err());
}

/// 59 minutes, a pause, a minute more: that is a minute, and what was seen before the pause has no say (reading 7).
#[test]
fn a_pause_begins_the_step_anew() {
    let policy = policy();
    let seen = CanaryHealth { soaked: Duration::from_hours(1), ..health(500, 5) };
    let started = Rollout::Pending.start(&ready_for(Gate::G4), &checked(), at(0), policy).expect("started");
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
