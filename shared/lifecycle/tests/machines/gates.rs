//! §8.1 the four gates: each opens after those before it, for the same bytes, and decides the same again.

use lifecycle::gate::{EarlierDecision, Evidence, Gate, decide};

use super::given::gates::{candidate, evidence};
use super::*;

/// Evidence as it comes back from where it was stored.
fn stored(evidence: &Evidence) -> Evidence {
    serde_norway::from_str(&serde_norway::to_string(evidence).expect("written")).expect("read")
}

proptest! {
    /// In whatever order gates are asked for, G4 only ever passes after G1, G2 and G3 of the same bytes,
    /// and stored evidence gives the same decision again.
    #[test]
    fn gates_open_in_order_and_replay_alike(asked in vec((select(Gate::ALL.to_vec()), any::<bool>()), 0..24)) {
        let mut candidate = candidate(&[]);
        let mut open = BTreeSet::new();
        for (gate, other_bytes) in asked {
            let mut judged = candidate.clone();
            if other_bytes { judged.artifact_digest = digest('f'); }
            let decision = decide(gate, &judged, &evidence(gate), policy());
            prop_assert_eq!(&decision, &decide(gate, &judged, &stored(&evidence(gate)), policy()));
            prop_assert_eq!(decision.policy_digest.as_str(), policy().digest());
            if decision.passed {
                prop_assert!(!other_bytes);
                if gate >= Gate::G3 { prop_assert!(open.contains(&Gate::G1) && open.contains(&Gate::G2)); }
                if gate == Gate::G4 { prop_assert!(open.contains(&Gate::G3)); }
                open.insert(gate);
                candidate.decided.push(EarlierDecision { gate, passed: true, artifact_digest: digest('a') });
            }
        }
    }
}
