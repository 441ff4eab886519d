//! Sticky routing by key.

use sha2::{Digest, Sha256};

/// Where a key stands on the line of 0..100 percent, the same on every gateway and for the whole rollout. The canary takes
/// the line from 0 up to its share, so a key that met it stays with it while the share grows.
pub(super) fn position(scope: &str, key: &str) -> f64 {
    let mut hasher = Sha256::new();
    hasher.update((scope.len() as u64).to_le_bytes());
    hasher.update(scope.as_bytes());
    hasher.update(key.as_bytes());
    let digest = hasher.finalize();
    let mut first = [0; 8];
    first.copy_from_slice(&digest[..8]);
    // 53 bits: exact in a double, and below 100.
    (u64::from_le_bytes(first) >> 11) as f64 / (1_u64 << 53) as f64 * 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_spread_evenly_and_differ_by_scope() {
        let below = |scope: &str| (0..20_000).filter(|n| position(scope, &format!("user-{n}")) < 5.0).count();
        let (a, b) = (below("deployments/a/rollouts/1"), below("deployments/a/rollouts/2"));
        assert!((900..=1100).contains(&a) && (900..=1100).contains(&b), "{a} {b}");
        assert!((position("a", "bc") - position("ab", "c")).abs() > f64::EPSILON);
    }
}
