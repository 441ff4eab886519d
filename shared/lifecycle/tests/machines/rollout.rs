//! §8.2, §8.3 a rollout: PENDING, the steps of the ladder, PAUSED, and three ends without a way back.

use lifecycle::acceptance::Task;
use lifecycle::checklist::{Acknowledgement, PreDeployment, PreFacts, Rehearsal, check_pre};
use lifecycle::gate::{Candidate, EarlierDecision, Gate, GateDecision};
use lifecycle::health::CanaryHealth;
use lifecycle::rollout::Rollout;

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

fn checked() -> PreDeployment {
    let facts = PreFacts {
        tests: Some(done(0)),
        benchmarks: Some(done(0)),
        ethics: Some(done(0)),
        scan: Some(done(0)),
        open_scan_findings: 0,
        documents: Some(done(0)),
        newest_record: Some(at(0)),
        rollback_plan: Some(Rehearsal { done: done(0), took: Duration::from_secs(3), restored: true }),
        on_call: Some(Acknowledgement { notified: at(0), acknowledged: Some(done(0)) }),
    };
    check_pre(&facts, at(1), &policy().deployment).expect("every item holds")
}

fn candidate(gates: bool) -> Candidate {
    let decision = |gate: &Gate| EarlierDecision { gate: *gate, passed: gates, artifact_digest: digest('a') };
    Candidate {
        name: "models/digits/versions/1.0.0".into(),
        artifact_digest: digest('a'),
        task: Task::BinaryClassification,
        contributors: vec!["ml-engineer".into()],
        decided: [Gate::G1, Gate::G2, Gate::G3].iter().map(decision).collect(),
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

fn health(requests: u64, percent: u32) -> CanaryHealth {
    CanaryHealth {
        requests,
        model_faults: 0,
        latency_p95_ms: Some(10.0),
        soaked: Duration::from_hours(2),
        windows: 60,
        windows_with_trigger: 0,
        windows_with_alert: 0,
        open_alerts: Vec::new(),
        traffic_percent: percent,
        longest_silence: Some(Duration::ZERO),
    }
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
                Call::Start { gates } => rollout.start(&candidate(gates), &checked(), at(now), &whole.rollout),
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
}
