//! §9.2: 500 samples, p at most 1 % after correction, an effect beyond its limit; a p-value alone is no drift.

use lifecycle::drift::{
    Column, ColumnKind, DriftKind, DriftTest, DriftVerdict, judge, not_applicable, weigh,
};
use lifecycle::policy::monitoring::DriftRule;

use super::*;

fn rule(kind: DriftKind) -> &'static DriftRule {
    policy().monitoring.drift.iter().find(|rule| rule.kind == kind).expect("a rule")
}

fn column(test: DriftTest, p_value: Option<f64>, effect: f64, samples: u64) -> Column {
    Column { name: "column".into(), test, p_value, effect: Some(effect), samples }
}

fn drifts(kind: DriftKind, column: Column) -> bool {
    matches!(judge(&[column], "d", "d", rule(kind)), Ok(DriftVerdict::Drift { .. }))
}

/// The effect beyond which a change of each kind matters, and the stability index.
const EFFECTS: &[(DriftKind, DriftTest, f64)] = &[
    (DriftKind::Data, DriftTest::KolmogorovSmirnov, 0.1),
    (DriftKind::Data, DriftTest::PopulationStability, 0.25),
    (DriftKind::Concept, DriftTest::ChangePoint, 0.02),
    (DriftKind::Prediction, DriftTest::ChiSquared, 0.1),
    (DriftKind::Prediction, DriftTest::PopulationStability, 0.25),
];

proptest! {
    /// An effect on its limit is none, one beyond it is, in either direction.
    #[test]
    fn the_effect_from_both_sides((kind, test, limit) in select(EFFECTS), distance in distance(), down in any::<bool>()) {
        let p_value = (test != DriftTest::PopulationStability).then_some(0.001);
        let sign = if down { -1.0 } else { 1.0 };
        let at = |effect: f64| drifts(kind, column(test, p_value, sign * effect, 500));
        prop_assert!(at(inside(limit, Strict::Above, distance)));
        prop_assert!(!at(limit) && !at(inside(limit, Strict::Below, distance)));
        prop_assert!(NO_NUMBERS.iter().all(|bad| !at(*bad)));
    }

    /// p of at most 1 %, corrected for as many columns as are looked at.
    #[test]
    fn significance_from_both_sides(distance in distance(), columns in 1usize..50) {
        let at = |p: f64| {
            let one = column(DriftTest::KolmogorovSmirnov, Some(p), 0.3, 500);
            let quiet = column(DriftTest::KolmogorovSmirnov, Some(1.0), 0.3, 500);
            let mut all = vec![quiet; columns];
            all[0] = one;
            matches!(judge(&all, "d", "d", rule(DriftKind::Data)), Ok(DriftVerdict::Drift { .. }))
        };
        let limit = 0.01 / columns as f64;
        prop_assert!(at(limit * (1.0 - distance.max(1e-9))));
        prop_assert!(!at(limit * (1.0 + distance.max(1e-9))));
        prop_assert!([f64::NAN, -0.1, 1.1].iter().all(|bad| !at(*bad)));
    }

    /// Fewer than 500 samples decide nothing.
    #[test]
    fn five_hundred_samples(samples in prop_oneof![495u64..505, 0u64..2_000]) {
        let one = column(DriftTest::KolmogorovSmirnov, Some(1e-6), 0.3, samples);
        let verdict = judge(&[one], "d", "d", rule(DriftKind::Data)).expect("the right reference");
        let drift = matches!(verdict, DriftVerdict::Drift { .. });
        prop_assert_eq!(drift, samples >= 500);
        let short = verdict == DriftVerdict::Inconclusive { needed: 500 };
        prop_assert_eq!(short, samples < 500);
    }

    /// A test that the policy does not name for the kind brings no evidence.
    #[test]
    fn only_tests_of_the_kind(kind in select(DriftKind::ALL), test in select(DriftTest::ALL)) {
        let named = match kind {
            DriftKind::Data => test != DriftTest::ChangePoint,
            DriftKind::Concept => test == DriftTest::ChangePoint,
            DriftKind::Prediction => !matches!(test, DriftTest::ChangePoint | DriftTest::MaximumMeanDiscrepancy),
        };
        let answer = judge(&[column(test, Some(0.5), 0.0, 500)], "d", "d", rule(kind));
        prop_assert_eq!(answer.is_ok(), named);
    }
}

#[test]
fn drift_needs_significance_effect_and_samples() {
    let rule = rule(DriftKind::Data);
    let tested = |p, effect, samples| column(DriftTest::KolmogorovSmirnov, Some(p), effect, samples);
    let verdict = |columns: &[Column]| judge(columns, "d", "d", rule).expect("right reference");
    assert!(matches!(verdict(&[tested(1e-6, 0.3, 500)]), DriftVerdict::Drift { .. }));
    assert_eq!(verdict(&[tested(1e-6, 0.05, 500)]), DriftVerdict::Stable);
    assert_eq!(verdict(&[tested(1e-6, 0.3, 499)]), DriftVerdict::Inconclusive { needed: 500 });
    assert!(matches!(verdict(&[tested(f64::NAN, 0.3, 500)]), DriftVerdict::Undefined { .. }));
    assert!(matches!(verdict(&[]), DriftVerdict::Undefined { .. }));
    assert_eq!(verdict(&vec![tested(0.009, 0.3, 500); 20]), DriftVerdict::Stable); // corrected for twenty
    assert_eq!(judge(&[], "other", "d", rule).expect_err("another reference").reason(), "WRONG_REFERENCE");
}

/// A column is named once, however many of its tests say that it drifted, and the correction is over all of them.
#[test]
fn many_tests_of_one_column() {
    use DriftTest as T;
    let rule = rule(DriftKind::Data);
    let named =
        |name: &str, test, p, effect| Column { name: name.into(), ..column(test, Some(p), effect, 500) };
    let columns = [
        named("a", T::KolmogorovSmirnov, 0.004, 0.3),
        named("a", T::PopulationStability, 0.001, 0.3),
        named("a", T::Wasserstein, 0.001, 0.3),
        named("b", T::KolmogorovSmirnov, 0.9, 0.01),
    ];
    let weighed = weigh(&columns, rule);
    let adjusted: Vec<f64> = weighed.iter().filter_map(|one| one.adjusted).collect();
    let close = adjusted.iter().zip([0.008, 0.004, 0.004, 0.9]).all(|(got, want)| (got - want).abs() < 1e-12);
    assert!(close, "{adjusted:?}");
    assert_eq!(weighed.iter().map(|one| one.drifted).collect::<Vec<_>>(), [true, true, true, false]);
    let verdict = judge(&columns, "d", "d", rule).expect("the right reference");
    assert_eq!(verdict, DriftVerdict::Drift { columns: vec!["a".into()] });
}

/// §9.2 names six tests for data: each fits one kind of column, and those that fit none say so.
#[test]
fn tests_fit_the_kind_of_a_column() {
    use ColumnKind as K;
    let rule = rule(DriftKind::Data);
    let of = |kind: K| kind.tests(rule).map(DriftTest::as_str).collect::<Vec<_>>();
    assert_eq!(of(K::Numeric), ["kolmogorov-smirnov", "population-stability", "wasserstein"]);
    assert_eq!(of(K::Categorical), ["chi-squared", "population-stability", "jensen-shannon"]);
    assert_eq!(of(K::Embedding), ["maximum-mean-discrepancy"]);
    let made: Vec<DriftTest> =
        [K::Numeric, K::Categorical].into_iter().flat_map(|one| one.tests(rule)).collect();
    let left = not_applicable(&made, rule);
    assert_eq!(left.len(), 1, "{left:?}");
    assert_eq!(left[0].subject, "maximum-mean-discrepancy");
    assert_eq!(left[0].observed, "not applicable: no embedding column");
    assert_eq!(not_applicable(&[], rule).len(), 6);
}
