//! Reading 12: an attack of at least L-infinity 0.02 or 5 % of the characters, 500 queries, every attack of the policy.

use lifecycle::acceptance::{Attack, attack_flaws};

use super::*;

proptest! {
    /// A weaker attack does not count, an equal or stronger one does.
    #[test]
    fn the_strength_of_an_attack(
        distance in distance(), weaker in any::<bool>(), queries in prop_oneof![495u64..505, 1u64..2_000],
        norm in select(vec!["linf", "l2", ""]), ran in any::<bool>(),
    ) {
        let rules = &policy().acceptance.attack;
        let run = |name: &str| if ran { vec![name.to_owned()] } else { vec!["none".to_owned()] };
        let size = |least: f64| if weaker { inside(least, Strict::Below, distance) } else { least + distance };
        let numeric =
            Attack::Numeric { norm: norm.into(), size: size(0.02), queries, attacks: run("square") };
        let strong = !weaker && queries >= 500 && ran;
        prop_assert_eq!(attack_flaws(Some(&numeric), rules).is_empty(), strong && norm == "linf");
        let text = Attack::Text { share: size(0.05), queries, attacks: run("character-edits") };
        prop_assert_eq!(attack_flaws(Some(&text), rules).is_empty(), strong);
    }

    /// A size that is no number is no attack.
    #[test]
    fn no_number_is_no_strength(bad in select(vec![f64::NAN, f64::NEG_INFINITY])) {
        let numeric = Attack::Numeric { norm: "linf".into(), size: bad, queries: 500, attacks: vec!["square".into()] };
        prop_assert!(!attack_flaws(Some(&numeric), &policy().acceptance.attack).is_empty());
        prop_assert!(!attack_flaws(None, &policy().acceptance.attack).is_empty());
    }
}
