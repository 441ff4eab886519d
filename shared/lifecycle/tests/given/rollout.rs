//! What a rollout starts from and is judged on.

use std::time::Duration;

use lifecycle::checklist::{Acknowledgement, PreDeployment, PreFacts, Rehearsal, check_pre};
use lifecycle::gate::{Gate, GateDecision};
use lifecycle::health::CanaryHealth;

use super::{at, done, policy};

/// Everything that §8.2 asks for before a deployment.
pub fn facts() -> PreFacts {
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

pub fn checked() -> PreDeployment {
    check_pre(&facts(), at(1), &policy().deployment).expect("every item holds")
}

/// A canary in the best of health, at `percent` of the traffic for longer than any step lasts.
pub fn healthy(percent: u32) -> CanaryHealth {
    CanaryHealth {
        requests: 1_000,
        model_faults: 0,
        latency_p95_ms: Some(10.0),
        soaked: Duration::from_hours(2),
        windows: 60,
        windows_with_trigger: 0,
        windows_with_alert: 0,
        open_alerts: Vec::new(),
        traffic_percent: percent,
        longest_silence: Some(Duration::ZERO),
        triggers_now: 0,
        breaker_log_e: Some(0.0),
    }
}

pub fn g4(passed: bool) -> GateDecision {
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
