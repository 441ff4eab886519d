//! Gate decisions (§8.1): stored evidence in canonical JSON, and decisions on the wire.

use contracts::common::v1::{Finding as WireFinding, Verdict};
use lifecycle::acceptance;
use lifecycle::gate::{Candidate, EarlierDecision, Evidence, Gate, GateDecision};
use lifecycle::health::CanaryHealth;
use lifecycle::{Finding, Policy};
use serde::{Deserialize, Serialize};

use super::{finding, verdict};
use crate::Error;
use crate::wire;

/// Everything that a decision rests on; with the policy it gives the same decision again.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Judged {
    /// Which gate.
    pub gate: Gate,
    /// The version that stood before it.
    pub candidate: Candidate,
    /// What was judged.
    pub evidence: Evidence,
}

impl Judged {
    /// Canonical JSON: keys in order, no white space.
    ///
    /// # Errors
    /// [`Error::Damaged`] if a value has no JSON form.
    pub fn to_json(&self) -> Result<Vec<u8>, Error> {
        let damaged = |error: serde_json::Error| Error::Damaged(error.to_string());
        // through a value, whose maps are ordered by key
        let value = serde_json::to_value(self).map_err(damaged)?;
        serde_json::to_vec(&value).map_err(damaged)
    }

    /// Reads stored evidence.
    ///
    /// # Errors
    /// [`Error::Damaged`].
    pub fn from_json(body: &[u8]) -> Result<Self, Error> {
        serde_json::from_slice(body).map_err(|error| Error::Damaged(error.to_string()))
    }

    /// Decides by the rules.
    pub fn decide(&self, policy: &Policy) -> GateDecision {
        lifecycle::gate::decide(self.gate, &self.candidate, &self.evidence, policy)
    }

    /// Every row that was looked at, and every reason against, each with its verdict.
    pub fn findings(&self, decision: &GateDecision, policy: &Policy) -> Vec<WireFinding> {
        let table = match &self.evidence {
            Evidence::Benchmarks { metrics, .. } => {
                let Candidate { task, contributors, .. } = &self.candidate;
                acceptance::judge(*task, metrics, contributors, &policy.acceptance).rows
            }
            _ => Vec::new(),
        };
        let of = |one: &Finding| match table.iter().find(|row| row.finding == *one) {
            Some(row) => verdict(row.verdict.as_ref()),
            None if decision.findings.contains(one) => Verdict::Fail,
            None => Verdict::Pass,
        };
        let against = decision.findings.iter().filter(|one| !decision.judged.contains(one));
        decision.judged.iter().chain(against).map(|one| finding(one, of(one))).collect()
    }
}

/// The gate of a request or record.
pub fn gate(gate: wire::Gate) -> Option<Gate> {
    Some(match gate {
        wire::Gate::Unspecified => return None,
        wire::Gate::G1TestsPass => Gate::G1,
        wire::Gate::G2BenchmarksMet => Gate::G2,
        wire::Gate::G3QaApproved => Gate::G3,
        wire::Gate::G4CanaryStable => Gate::G4,
    })
}

/// A gate on the wire.
pub fn to_gate(gate: Gate) -> wire::Gate {
    match gate {
        Gate::G1 => wire::Gate::G1TestsPass,
        Gate::G2 => wire::Gate::G2BenchmarksMet,
        Gate::G3 => wire::Gate::G3QaApproved,
        Gate::G4 => wire::Gate::G4CanaryStable,
    }
}

/// An earlier decision, as far as a later gate looks at it.
pub fn earlier(decision: &wire::GateDecision) -> Option<EarlierDecision> {
    Some(EarlierDecision {
        gate: gate(decision.gate())?,
        passed: decision.passed,
        artifact_digest: decision.artifact_digest.clone(),
    })
}

/// What the monitor observed. The error rate is worked out from the counts.
pub fn health(health: &wire::CanaryHealth) -> CanaryHealth {
    let latency = Some(health.latency_p95_ms).filter(|p95| p95.is_finite() && 0.0 < *p95);
    CanaryHealth {
        requests: health.requests,
        model_faults: health.model_faults,
        latency_p95_ms: latency,
        soaked: health.soaked.as_ref().and_then(contracts::time::duration_from_wire).unwrap_or_default(),
        windows: health.windows,
        windows_with_trigger: health.windows_with_trigger,
        windows_with_alert: health.windows_with_alert,
        open_alerts: health.open_alerts.clone(),
        traffic_percent: health.traffic_percent,
        longest_silence: health.longest_silence.as_ref().and_then(contracts::time::duration_from_wire),
        triggers_now: health.triggers_now,
        breaker_log_e: Some(health.breaker_log_e).filter(|log_e| log_e.is_finite()),
    }
}

/// Checks the health that a request brings.
pub fn check_health(fields: &mut crate::parse::Fields, field: &str, health: &wire::CanaryHealth) {
    let faults = health.model_faults <= health.requests;
    fields.require(faults, &format!("{field}.model_faults"), "must be at most requests");
    fields.share(&format!("{field}.error_rate"), health.error_rate);
    let latency = health.latency_p95_ms;
    fields.require(
        latency.is_nan() || (latency.is_finite() && 0.0 <= latency),
        &format!("{field}.latency_p95_ms"),
        "must be zero or more",
    );
    fields.require(health.traffic_percent <= 100, &format!("{field}.traffic_percent"), "must be at most 100");
    fields.optional_duration(&format!("{field}.soaked"), health.soaked.as_ref());
    fields.optional_duration(&format!("{field}.longest_silence"), health.longest_silence.as_ref());
    fields.texts(&format!("{field}.open_alerts"), &health.open_alerts);
    fields.optional_time(&format!("{field}.window_start_time"), health.window_start_time.as_ref());
    fields.optional_time(&format!("{field}.window_end_time"), health.window_end_time.as_ref());
    for (name, part) in [
        ("windows_with_trigger", health.windows_with_trigger),
        ("windows_with_alert", health.windows_with_alert),
    ] {
        fields.require(part <= health.windows, &format!("{field}.{name}"), "must be at most windows");
    }
}
