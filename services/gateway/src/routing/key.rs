//! Sticky routing by key.

use sha2::{Digest, Sha256};

/// The place among `shares` that a key goes to: the same on every gateway, and for the whole of a scope. `shares` are a name
/// and a percentage each; what they leave of 100 is "no place", `None`.
///
/// Every place bids `share / -ln(u)`, with `u` drawn by hash from scope, name and key, and the highest bid has the key: each
/// place gets keys by its share, and whoever's share grows against all others only gains keys (weighted rendezvous hashing).
/// So a key that met the canary stays with it while its share grows, and no key moves between two other versions as long as
/// their shares keep their proportion.
/// Source: Thaler and Ravishankar 1998; Schindelhauer and Schomaker 2005 (logarithmic weights).
pub(super) fn place<'a>(
    scope: &str,
    key: &str,
    shares: impl IntoIterator<Item = (&'a str, u32)>,
) -> Option<usize> {
    let (mut best, mut most) = (None, 0.0);
    let mut rest = 100_u32;
    for (at, (name, share)) in shares.into_iter().enumerate() {
        rest = rest.saturating_sub(share);
        let bid = bid(scope, name, key, share);
        if bid > most {
            (best, most) = (Some(at), bid);
        }
    }
    // Nobody has an empty name.
    best.filter(|_| rest == 0 || bid(scope, "", key, rest) < most)
}

fn bid(scope: &str, name: &str, key: &str, share: u32) -> f64 {
    if share == 0 {
        return 0.0;
    }
    f64::from(share) / -drawn(scope, name, key).ln()
}

/// A number between 0 and 1, neither of them.
fn drawn(scope: &str, name: &str, key: &str) -> f64 {
    let mut hasher = Sha256::new();
    for part in [scope, name] {
        hasher.update((part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    hasher.update(key.as_bytes());
    let digest = hasher.finalize();
    let mut first = [0; 8];
    first.copy_from_slice(&digest[..8]);
    // 52 bits and a half: exact in a double, and never 0 or 1.
    ((u64::from_le_bytes(first) >> 12) as f64 + 0.5) / (1_u64 << 52) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The ladder of the procedure (§8.2).
    const LADDER: [u32; 4] = [5, 25, 50, 100];

    fn of(scope: &str, key: &str, shares: &[(&str, u32)]) -> Option<usize> {
        place(scope, key, shares.iter().copied())
    }

    #[test]
    fn keys_spread_by_share_and_differ_by_scope() {
        let shares = [("1.0.0", 70), ("1.1.0", 5), ("1.2.0", 25)];
        let met = |scope: &str| {
            let mut met = [0_u32; 3];
            for n in 0..20_000 {
                met[of(scope, &format!("user-{n}"), &shares).unwrap()] += 1;
            }
            met
        };
        let (one, other) = (met("deployments/a/rollouts/1"), met("deployments/a/rollouts/2"));
        for met in [one, other] {
            for (met, (_, share)) in met.iter().zip(shares) {
                // four standard deviations at most
                let (mean, share) = (200.0 * f64::from(share), f64::from(share) / 100.0);
                let deviation = (20_000.0 * share * (1.0 - share)).sqrt();
                assert!((f64::from(*met) - mean).abs() < 4.0 * deviation, "{met} of {mean}");
            }
        }
        assert_ne!(one, other);
        assert!((drawn("a", "bc", "d") - drawn("ab", "c", "d")).abs() > f64::EPSILON);
    }

    #[test]
    fn what_the_shares_leave_is_no_place() {
        let met = (0..20_000).filter(|n| of("s", &format!("user-{n}"), &[("1.0.0", 25)]).is_some()).count();
        assert!((4_700..=5_300).contains(&met), "{met}");
        assert_eq!(of("s", "k", &[]), None);
        assert_eq!(of("s", "k", &[("1.0.0", 0)]), None);
        assert!((0..1_000).all(|n| of("s", &n.to_string(), &[("1.0.0", 100)]) == Some(0)));
    }

    proptest! {
        /// A key that met the canary stays with it up the ladder, with a stable version beside it and without.
        #[test]
        fn a_key_that_met_the_canary_stays(scope in "[a-z/]{0,20}", key in ".{0,40}", alone: bool) {
            let mut met = false;
            for percent in LADDER {
                let both = [("1.0.0", 100 - percent), ("1.1.0", percent)];
                let shares = if alone { &both[1..] } else { &both[..] };
                let canary = of(&scope, &key, shares) == Some(shares.len() - 1);
                prop_assert!(canary || !met, "{percent} %");
                met = canary;
            }
            prop_assert!(met, "at 100 % it has every key");
        }

        /// Of three versions of which one grows at the cost of both others: what met it stays, and whoever leaves one of the
        /// others goes nowhere but there.
        #[test]
        fn of_three_versions_keys_move_only_to_the_one_that_grows(
            key in ".{0,40}",
            parts in (1_u32..=4, 1_u32..=4),
            order in 0_usize..6,
        ) {
            let whole = parts.0 + parts.1;
            let mut before = None;
            // shares of both others that are whole numbers in their proportion
            for step in (0..=100 / whole).rev() {
                let mut shares = vec![
                    ("1.0.0", parts.0 * step),
                    ("1.1.0", parts.1 * step),
                    ("1.2.0", 100 - whole * step),
                ];
                shares.rotate_left(order % 3);
                if order >= 3 {
                    shares.swap(0, 1);
                }
                let name = of("scope", &key, &shares).map(|at| shares[at].0);
                if let Some(before) = before.flatten() {
                    let stays = name == Some(before);
                    prop_assert!(stays || name == Some("1.2.0"), "{before} to {name:?} at {shares:?}");
                }
                before = Some(name);
            }
            prop_assert_eq!(before.flatten(), Some("1.2.0"));
        }
    }
}
