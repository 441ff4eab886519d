//! Reading 3: a measurement passes with its point, its bound, its samples and its confidence, and only with all four.

use lifecycle::{Measured, Verdict};

use super::*;

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
}
