//! Whether a backend may be loaded at all: not revoked, and judged by the gates whose signatures hold.

use contracts::registry::v1::{Backend, Gate as WireGate, GateDecision, Route};
use contracts::signed;
use lifecycle::Policy;
use lifecycle::gate::Gate;
use storage::audit::VerifyingKey;

use crate::routing;

/// Why a backend is not loaded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The artifact's digest stands on the table's list.
    #[error("artifact {0} is revoked")]
    Revoked(String),
    /// No signed decision that opens the gate.
    #[error("{} refused: {clause} {why}", .gate.as_str().to_uppercase())]
    Gate {
        /// Which.
        gate: Gate,
        /// Its clause.
        clause: String,
        /// What is wrong with the decisions that came.
        why: String,
    },
}

/// Checks one backend of a route: in production it must have passed what the policy puts before the gate that a canary's
/// traffic decides (§8.1). A staging route needs no gates.
///
/// # Errors
/// [`Refused`] with the first thing that does not hold.
pub fn verify(
    route: &Route,
    backend: &Backend,
    revoked: &[String],
    key: &VerifyingKey,
    policy: &Policy,
) -> Result<(), Refused> {
    if revoked.contains(&backend.artifact_digest) {
        return Err(Refused::Revoked(backend.artifact_digest.clone()));
    }
    if route.staging {
        return Ok(());
    }
    for (gate, clause) in before_traffic(policy) {
        let mut why = "no decision, required one that passed".to_owned();
        let mut opened = false;
        for decision in backend.gate_decisions.iter().filter(|decision| decision.gate() == wire(gate)) {
            match opens(decision, backend, key) {
                Ok(()) => opened = true,
                Err(wrong) => why = wrong,
            }
        }
        if !opened {
            return Err(Refused::Gate { gate, clause: clause.to_owned(), why });
        }
    }
    Ok(())
}

/// The gates that stand before a canary's traffic, each with its clause.
fn before_traffic(policy: &Policy) -> impl Iterator<Item = (Gate, &str)> {
    let clause = |gate| {
        let row = policy.gates.gates.iter().find(|row| row.gate == gate);
        row.map_or("§8.1", |row| row.clause.as_str())
    };
    lifecycle::gate::before_traffic(&policy.gates).iter().map(move |gate| (*gate, clause(*gate)))
}

fn wire(gate: Gate) -> WireGate {
    match gate {
        Gate::G1 => WireGate::G1TestsPass,
        Gate::G2 => WireGate::G2BenchmarksMet,
        Gate::G3 => WireGate::G3QaApproved,
        Gate::G4 => WireGate::G4CanaryStable,
    }
}

fn opens(decision: &GateDecision, backend: &Backend, key: &VerifyingKey) -> Result<(), String> {
    if !routing_holds(decision, key) {
        return Err(format!("the signature of {} does not hold", decision.name));
    }
    if !decision.name.strip_prefix(&backend.version).is_some_and(|rest| rest.starts_with("/gateDecisions/")) {
        return Err(format!(
            "{} is a decision about another version, required {}",
            decision.name, backend.version
        ));
    }
    if decision.artifact_digest != backend.artifact_digest {
        let (judged, served) = (&decision.artifact_digest, &backend.artifact_digest);
        return Err(format!("{} judged artifact {judged}, required {served}", decision.name));
    }
    if decision.passed { Ok(()) } else { Err(format!("{} did not pass", decision.name)) }
}

fn routing_holds(decision: &GateDecision, key: &VerifyingKey) -> bool {
    routing::holds(key, &signed::gate_decision(decision), &decision.signature)
}
