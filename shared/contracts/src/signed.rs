//! The bytes that the registry's Ed25519 key signs, so that who signs and who checks cannot differ.
//!
//! A route table is signed over its `body` as it stands. What else the key signs begins with a line that names its kind,
//! and no serialised message begins like that.

use crate::registry::v1::GateDecision;

/// What is signed of a gate decision: which gate of which version, how it came out, and the digests of the policy, of
/// the artifact and of the evidence that were judged; one line each.
pub fn gate_decision(decision: &GateDecision) -> Vec<u8> {
    let GateDecision {
        name,
        gate,
        passed,
        policy_digest,
        artifact_digest,
        evidence_digest,
        carried_from,
        ..
    } = decision;
    format!(
        "wlp-gate-decision-v1\n{name}\n{gate}\n{passed}\n{policy_digest}\n{artifact_digest}\n{evidence_digest}\n{carried_from}\n"
    )
    .into_bytes()
}
