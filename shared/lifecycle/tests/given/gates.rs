//! A version before its gates and its ethics review, and evidence with which each gate opens.

use std::time::Duration;

use lifecycle::acceptance::{Attack, Metric, MetricEvidence, Task};
use lifecycle::dataset;
use lifecycle::ethics::EthicsReview;
use lifecycle::evaluation::{Slot, SlotRecord, TestCategory, TestReport};
use lifecycle::gate::{Candidate, Conditions, EarlierDecision, Evidence, Gate};
use lifecycle::health::CanaryHealth;
use lifecycle::{NotApplicable, Role};

use super::rollout::healthy;
use super::{by, digest, exact};

/// A classifier that has passed some gates.
pub fn candidate(passed: &[Gate]) -> Candidate {
    let decision = |gate: &Gate| EarlierDecision { gate: *gate, passed: true, artifact_digest: digest('a') };
    Candidate {
        name: "models/m/versions/1.0.0".into(),
        artifact_digest: digest('a'),
        task: Task::BinaryClassification,
        contributors: vec!["ml-engineer".into()],
        decided: passed.iter().map(decision).collect(),
    }
}

/// A classifier that has passed every gate before this one.
pub fn ready_for(gate: Gate) -> Candidate {
    let earlier: Vec<Gate> = Gate::ALL.iter().copied().filter(|earlier| *earlier < gate).collect();
    candidate(&earlier)
}

/// A review of which nothing is done yet.
pub fn review() -> EthicsReview {
    EthicsReview {
        artifact_digest: digest('a'),
        intended_use: "screening".into(),
        contributors: vec!["ml-engineer".into()],
        items: vec![],
        votes: vec![],
        rejected: false,
    }
}

/// The six metrics of a classifier, all met: four measured, two excused.
pub fn classifier_metrics() -> Vec<MetricEvidence> {
    let attack =
        Attack::Numeric { norm: "linf".into(), size: 0.02, queries: 500, attacks: vec!["square".into()] };
    let measured = |metric, value| MetricEvidence::measured(metric, exact(value, 500));
    let excuse = |metric| {
        let why = NotApplicable { reason: "a classifier".into(), sign_off: Some(by(Role::QaEngineer, 1)) };
        MetricEvidence::not_applicable(metric, why)
    };
    vec![
        measured(Metric::TaskAccuracy, 0.97),
        measured(Metric::LatencyP95, 12.0),
        excuse(Metric::HallucinationRate),
        measured(Metric::DemographicParity, 0.95),
        excuse(Metric::HarmfulContentRate),
        MetricEvidence { attack: Some(attack), ..measured(Metric::AdversarialSuccessRate, 0.01) },
    ]
}

/// A report of tests that all pass, as the registry counts it.
pub fn report(category: TestCategory) -> TestReport {
    TestReport {
        category,
        tool: "pytest".into(),
        digest: digest('b'),
        passed: 3,
        failed: 0,
        skipped: 0,
        artifact_digest: digest('a'),
    }
}

/// An evaluation of the artifact `of`, with nothing to find fault with but what is given.
pub fn benchmarks(conditions: Conditions, dataset_state: dataset::State, of: char) -> Evidence {
    let slot = |slot: &Slot| SlotRecord {
        slot: *slot,
        metrics: vec![slot.to_string()],
        reason: String::new(),
        sign_off: None,
    };
    Evidence::Benchmarks {
        evaluation_digest: digest('c'),
        artifact_digest: digest(of),
        evaluator_version: "0.1.0".into(),
        dataset_state,
        dataset_digest: digest('d'),
        metrics: classifier_metrics(),
        slots: Slot::ALL.iter().map(slot).collect(),
        conditions,
    }
}

/// A canary that has run just long enough, on just enough requests.
pub fn quiet_canary() -> CanaryHealth {
    CanaryHealth {
        requests: 100,
        latency_p95_ms: Some(20.0),
        soaked: Duration::from_hours(1),
        longest_silence: Some(Duration::from_mins(1)),
        ..healthy(5)
    }
}

/// Evidence with which the gate opens for a candidate that is ready for it.
pub fn evidence(gate: Gate) -> Evidence {
    match gate {
        Gate::G1 => {
            Evidence::Tests { reports: vec![report(TestCategory::Unit), report(TestCategory::Integration)] }
        }
        Gate::G2 => {
            let conditions = Conditions { split: "test".into(), ..Conditions::default() };
            benchmarks(conditions, dataset::State::Ready, 'a')
        }
        Gate::G3 => Evidence::Qa {
            approval: Some(by(Role::QaEngineer, 5)),
            artifact_digest: digest('a'),
            carried: None,
        },
        Gate::G4 => Evidence::Canary { health: quiet_canary() },
    }
}
