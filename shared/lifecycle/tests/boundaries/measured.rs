//! Reading 3: a measurement passes with its point, its bound, its samples and its confidence, and only with all four.

use lifecycle::planning::Target;
use lifecycle::{Comparator, Measured, Verdict};

use super::*;

const COMPARATORS: &[Comparator] =
    &[Comparator::Above, Comparator::Below, Comparator::AtLeast, Comparator::AtMost, Comparator::Equal];

fn target(comparator: Comparator) -> Target {
    Target { metric: "f1".into(), comparator, value: 0.5, unit: "share".into() }
}

/// Plans may say "at least": there the number itself is enough, and beside "equal" nothing else is.
#[test]
fn a_number_on_a_plan_s_boundary() {
    for comparator in COMPARATORS {
        let on = target(*comparator).judge(&exact(0.5, 1), &policy().acceptance);
        let strict = matches!(comparator, Comparator::Above | Comparator::Below);
        assert_eq!(on, if strict { Verdict::Fail } else { Verdict::Pass }, "{comparator}");
    }
    let near = Measured { low: 0.4, high: 0.6, ..exact(0.5, 10) };
    let doubt = target(Comparator::Equal).judge(&near, &policy().acceptance);
    assert_eq!(doubt, Verdict::Inconclusive { needed: None });
}

#[test]
fn a_bound_across_the_threshold_is_inconclusive() {
    let wilson = Measured { value: 0.905, samples: 1000, low: 0.8887, high: 0.9192, confidence: 0.90 };
    let Verdict::Inconclusive { needed: Some(needed) } = wilson.judge(Strict::Above, 0.9, 100, 0.90) else {
        panic!("1000 samples do not decide")
    };
    assert!(needed > 10_000, "{needed}");
    let good = Measured { value: 0.947, samples: 1000, low: 0.9341, high: 0.9576, confidence: 0.90 };
    assert_eq!(good.judge(Strict::Above, 0.9, 100, 0.90), Verdict::Pass);
    let bad = Measured { value: 0.88, samples: 1000, low: 0.862, high: 0.8959, confidence: 0.90 };
    assert_eq!(bad.judge(Strict::Above, 0.9, 100, 0.90), Verdict::Fail);
}

proptest! {
    /// Whatever is measured, a pass means that the point, the bound, the sample and the confidence all hold.
    #[test]
    fn only_a_whole_measurement_passes(
        value in prop_oneof![0.0..=1.0, Just(f64::NAN), Just(f64::INFINITY), Just(0.9)],
        below in 0.0..0.2f64, above in 0.0..0.2f64, samples in 0u64..500, confidence in 0.5..1.0f64,
    ) {
        let seen = Measured { value, samples, low: value - below, high: value + above, confidence };
        if seen.judge(Strict::Above, 0.9, 100, 0.9).passed() {
            prop_assert!(value > 0.9 && value - below > 0.9 && samples >= 100 && confidence >= 0.9);
        }
        prop_assert!(!exact(0.9, samples).judge(Strict::Above, 0.9, 0, 0.9).passed());
        prop_assert!(!exact(0.9, samples).judge(Strict::Below, 0.9, 0, 0.9).passed());
    }

    /// §4.1: a criterion of a plan is met by the whole interval, and by nothing that lacks one of its bounds.
    #[test]
    fn a_criterion_of_a_plan_needs_the_bounds(
        comparator in select(COMPARATORS), value in 0.0..=1.0f64, below in 0.0..0.5f64, above in 0.0..0.5f64,
        samples in 0u64..5, confidence in prop_oneof![Just(0.9), 0.5..1.0f64], lacking in 0u8..4,
    ) {
        let bound = |lacks: bool, bound: f64| if lacks { f64::NAN } else { bound };
        let (low, high) = (bound(lacking & 1 > 0, value - below), bound(lacking & 2 > 0, value + above));
        let verdict = target(comparator).judge(&Measured { value, samples, low, high, confidence }, &policy().acceptance);
        let whole = lacking == 0 && samples > 0 && confidence >= 0.9;
        let holds = |one: f64| comparator.holds(one, 0.5);
        let never = match comparator {
            Comparator::Equal => !(low..=high).contains(&0.5),
            _ => !holds(low) && !holds(high),
        };
        prop_assert_eq!(verdict.passed(), whole && holds(low) && holds(value) && holds(high), "{}", verdict);
        prop_assert_eq!(verdict == Verdict::Fail, whole && never, "{}", verdict);
        prop_assert_eq!(matches!(verdict, Verdict::Undefined { .. }), !whole, "{}", verdict);
    }
}
