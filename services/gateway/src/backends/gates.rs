//! Whether a backend may be loaded at all: not revoked, and judged by the gates whose signatures hold.

use contracts::registry::v1::{Backend, Gate, GateDecision, Route};
use contracts::signed;
use storage::audit::VerifyingKey;

use crate::routing;

/// What a production backend must have passed (§8.1: no traffic before G1, G2 and G3).
const REQUIRED: [(Gate, &str); 3] =
    [(Gate::G1TestsPass, "G1"), (Gate::G2BenchmarksMet, "G2"), (Gate::G3QaApproved, "G3")];

/// Why a backend is not loaded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The artifact's digest stands on the table's list.
    #[error("artifact {0} is revoked")]
    Revoked(String),
    /// No signed decision that opens the gate.
    #[error("{gate} refused: §8.1 {why}")]
    Gate {
        /// `G1`.
        gate: &'static str,
        /// What is wrong with the decisions that came.
        why: String,
    },
}

/// Checks one backend of a route. A staging route needs no gates.
///
/// # Errors
/// [`Refused`] with the first thing that does not hold.
pub fn verify(
    route: &Route,
    backend: &Backend,
    revoked: &[String],
    key: &VerifyingKey,
) -> Result<(), Refused> {
    if revoked.contains(&backend.artifact_digest) {
        return Err(Refused::Revoked(backend.artifact_digest.clone()));
    }
    if route.staging {
        return Ok(());
    }
    for (gate, shown) in REQUIRED {
        let mut why = "no decision, required one that passed".to_owned();
        let mut opened = false;
        for decision in backend.gate_decisions.iter().filter(|decision| decision.gate() == gate) {
            match opens(decision, backend, key) {
                Ok(()) => opened = true,
                Err(wrong) => why = wrong,
            }
        }
        if !opened {
            return Err(Refused::Gate { gate: shown, why });
        }
    }
    Ok(())
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
