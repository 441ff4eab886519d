//! Drift of inputs and predictions (§9.2): every column by the tests of the policy that fit it, corrected for all of them.

use contracts::common::v1::ColumnProfile;
use contracts::monitor::v1::{ColumnDrift, VersionObservation};
use lifecycle::Finding;
use lifecycle::alert::Judgement;
use lifecycle::drift::{DriftKind, DriftTest, DriftVerdict, judge, not_applicable, weigh};
use lifecycle::policy::Policy;
use lifecycle::policy::monitoring::DriftRule;

use super::columns;
use super::reference::Reference;
use crate::Error;

/// What was found of one kind of drift.
#[derive(Debug, Clone)]
pub struct Found {
    /// The verdict of `lifecycle`.
    pub verdict: DriftVerdict,
    /// Every column with its numbers.
    pub columns: Vec<ColumnDrift>,
    /// Tests of the policy that fit no column, with the reason.
    pub not_applicable: Vec<Finding>,
}

impl Found {
    /// As an alert understands it.
    pub fn judgement(&self) -> Judgement {
        match &self.verdict {
            DriftVerdict::Drift { .. } => Judgement::Firing,
            DriftVerdict::Stable => Judgement::Quiet,
            DriftVerdict::Inconclusive { needed } => Judgement::Inconclusive { needed: *needed },
            DriftVerdict::Undefined { .. } => Judgement::Undefined,
        }
    }

    /// The columns that drifted, each with the tests that say so, their statistics and effects.
    pub fn drifted(&self) -> String {
        let column = |one: &ColumnDrift| {
            let tests = one.tests.iter().filter(|test| test.drifted).map(|test| {
                let what = if test.missing { "missing values, " } else { "" };
                format!(
                    "{what}{} {:.3} (effect {:.3}, limit {}, adjusted p {:.1e})",
                    test.test, test.statistic, test.effect, test.limit, test.adjusted_p_value
                )
            });
            format!("{} {}", one.column, tests.collect::<Vec<_>>().join(", "))
        };
        let drifted = self.columns.iter().filter(|one| one.drifted);
        drifted.map(column).collect::<Vec<_>>().join("; ")
    }
}

/// The policy's rule for a kind.
pub fn rule(policy: &Policy, kind: DriftKind) -> Option<&DriftRule> {
    policy.monitoring.drift.iter().find(|rule| rule.kind == kind)
}

/// Inputs of a window against the training data. `None` where the policy has no rule or there is no reference.
///
/// # Errors
/// `WRONG_REFERENCE` where the reference is not of the training data that the version's record names.
pub fn data(
    seen: &VersionObservation,
    reference: &Reference,
    policy: &Policy,
) -> Result<Option<Found>, Error> {
    let Some(rule) = rule(policy, DriftKind::Data) else { return Ok(None) };
    if reference.features.is_empty() || seen.features.is_empty() {
        return Ok(None);
    }
    // Columns that serving does not see (identifiers, groups) are not compared; columns that it sees without a reference
    // are undefined, and say so.
    let pairs = seen.features.iter().map(|window| {
        let known = reference.features.iter().find(|one| one.column == window.column);
        (window, known)
    });
    compare(pairs, (&reference.digest, &reference.expected.digest), rule).map(Some)
}

/// Predictions of a window against those of the newest evaluation.
///
/// # Errors
/// `WRONG_REFERENCE` where the reference is not of the newest evaluation.
pub fn predictions(
    seen: &VersionObservation,
    reference: &Reference,
    policy: &Policy,
) -> Result<Option<Found>, Error> {
    let Some(rule) = rule(policy, DriftKind::Prediction) else { return Ok(None) };
    let (Some(window), Some(known)) = (&seen.predictions, &reference.predictions) else { return Ok(None) };
    let made_of = (reference.evaluation.as_str(), reference.expected.evaluation.as_str());
    compare([(window, Some(known))].into_iter(), made_of, rule).map(Some)
}

/// `used` is what the reference was made of, `expected` what the version's records ask for.
fn compare<'a>(
    pairs: impl Iterator<Item = (&'a ColumnProfile, Option<&'a ColumnProfile>)>,
    (used, expected): (&str, &str),
    rule: &DriftRule,
) -> Result<Found, Error> {
    let (mut tests, mut columns) = (Vec::new(), Vec::new());
    for (window, known) in pairs {
        let (of_it, shown) = columns::compare(window, known, rule);
        tests.extend(of_it);
        columns.push(shown);
    }
    let verdict = judge(&tests, used, expected, rule)?;
    let mut weighed = weigh(&tests, rule).into_iter();
    for one in &mut columns {
        columns::settle(one, &mut weighed);
    }
    let made: Vec<DriftTest> = tests.iter().map(|one| one.test).collect();
    Ok(Found { verdict, columns, not_applicable: not_applicable(&made, rule) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::reference::Expected;
    use contracts::common::v1::{CategoricalCounts, NumericHistogram, column_profile::Distribution};

    fn numbers(counts: [u64; 4]) -> ColumnProfile {
        let edges = vec![1.0, 2.0, 3.0];
        let one = NumericHistogram {
            edges,
            counts: counts.to_vec(),
            min: 0.0,
            max: 4.0,
            mean: 2.0,
            variance: 1.25,
        };
        let rows = counts.iter().sum();
        ColumnProfile { column: "n".into(), rows, missing: 0, distribution: Some(Distribution::Numeric(one)) }
    }

    fn levels(counts: [u64; 2], missing: u64) -> ColumnProfile {
        let one =
            CategoricalCounts { values: vec!["a".into(), "b".into()], counts: counts.to_vec(), other: 0 };
        let rows = counts.iter().sum::<u64>() + missing;
        ColumnProfile {
            column: "c".into(),
            rows,
            missing,
            distribution: Some(Distribution::Categorical(one)),
        }
    }

    fn reference(digest: &str) -> Reference {
        Reference {
            digest: digest.into(),
            features: vec![numbers([250; 4]), levels([500, 500], 0)],
            expected: Expected { digest: "sha256:of-the-record".into(), evaluation: String::new() },
            ..Reference::default()
        }
    }

    fn found(features: Vec<ColumnProfile>) -> Found {
        let seen = VersionObservation { features, ..VersionObservation::default() };
        data(&seen, &reference("sha256:of-the-record"), Policy::builtin()).expect("judged").expect("a rule")
    }

    fn drifted(one: &ColumnDrift) -> Vec<&str> {
        one.tests.iter().filter(|test| test.drifted).map(|test| test.test.as_str()).collect()
    }

    /// §9.2: a reference of other data is refused, whatever the window says.
    #[test]
    fn another_reference_is_refused() {
        let seen = VersionObservation { features: vec![numbers([250; 4])], ..VersionObservation::default() };
        let refused = data(&seen, &reference("sha256:of-other-data"), Policy::builtin());
        let Err(Error::Rejected(why)) = refused else { panic!("{refused:?}") };
        assert_eq!(why.reason(), "WRONG_REFERENCE");
        assert_eq!(why.findings()[0].observed, "sha256:of-other-data");
    }

    #[test]
    fn each_column_is_tested_by_its_kind() {
        let one = found(vec![numbers([250; 4]), levels([500, 500], 0)]);
        assert_eq!(one.verdict, DriftVerdict::Stable);
        let tests =
            |at: usize| one.columns[at].tests.iter().map(|test| test.test.as_str()).collect::<Vec<_>>();
        assert_eq!(tests(0), ["kolmogorov-smirnov", "population-stability", "wasserstein"]);
        assert_eq!(tests(1), ["chi-squared", "population-stability", "jensen-shannon"]);
        let left: Vec<_> = one.not_applicable.iter().map(|one| (&*one.subject, &*one.observed)).collect();
        assert_eq!(left, [("maximum-mean-discrepancy", "not applicable: no embedding column")]);
        let numeric = found(vec![numbers([250; 4])]);
        assert_eq!(numeric.not_applicable.len(), 3, "{:?}", numeric.not_applicable);
    }

    /// A shift of a fifth of the values by one bin: the index stays below its limit, the ordered tests find it.
    #[test]
    fn a_shift_that_the_index_does_not_see() {
        let one = found(vec![numbers([120, 240, 280, 360]), levels([500, 500], 0)]);
        assert_eq!(one.verdict, DriftVerdict::Drift { columns: vec!["n".into()] });
        assert_eq!(drifted(&one.columns[0]), ["kolmogorov-smirnov", "wasserstein"]);
        let distance = &one.columns[0].tests[2];
        assert!((distance.statistic - 0.38 / 1.25_f64.sqrt()).abs() < 1e-9, "{distance:?}");
        assert!(
            one.drifted().starts_with("n kolmogorov-smirnov 0.140 (effect 0.140, limit 0.1, adjusted p ")
        );
        assert!(one.columns[0].drifted && !one.columns[1].drifted);
        let raw = one.columns[0].tests[0].p_value;
        assert!(one.columns[0].tests[0].adjusted_p_value > 3.0 * raw, "corrected for all six");
    }

    #[test]
    fn missing_values_and_levels_are_changes() {
        let one = found(vec![levels([300, 500], 200)]);
        assert_eq!(one.verdict, DriftVerdict::Drift { columns: vec!["c".into(), "c (missing)".into()] });
        assert_eq!(drifted(&one.columns[0]), ["chi-squared", "jensen-shannon", "chi-squared"]);
        assert!(one.drifted().contains("missing values, chi-squared"), "{}", one.drifted());
    }

    /// Few rows decide nothing; a column without a reference is undefined, not stable.
    #[test]
    fn what_cannot_be_judged_is_not_stable() {
        assert_eq!(found(vec![numbers([100; 4])]).verdict, DriftVerdict::Inconclusive { needed: 500 });
        let stranger = ColumnProfile { column: "x".into(), ..numbers([250; 4]) };
        let one = found(vec![stranger, numbers([250; 4])]);
        assert_eq!(one.verdict, DriftVerdict::Undefined { columns: vec!["x".into()] });
        assert!(one.columns[0].tests.iter().all(|test| test.p_value.is_nan() && test.effect.is_nan()));
    }

    /// A constant stays a constant, and has no deviation that a distance could be measured in.
    #[test]
    fn a_constant_is_stable() {
        let constant = |counts: [u64; 3]| {
            let edges = vec![5.0, 5.0_f64.next_up()];
            let one = NumericHistogram {
                edges,
                counts: counts.to_vec(),
                min: 5.0,
                max: 5.0,
                mean: 5.0,
                variance: 0.0,
            };
            let distribution = Some(Distribution::Numeric(one));
            ColumnProfile { column: "k".into(), rows: 1_000, missing: 0, distribution }
        };
        let reference =
            Reference { features: vec![constant([0, 1_000, 0])], ..reference("sha256:of-the-record") };
        let verdict = |counts| {
            let seen =
                VersionObservation { features: vec![constant(counts)], ..VersionObservation::default() };
            data(&seen, &reference, Policy::builtin()).expect("judged").expect("a rule").verdict
        };
        assert_eq!(verdict([0, 1_000, 0]), DriftVerdict::Stable);
        assert!(matches!(verdict([0, 500, 500]), DriftVerdict::Drift { .. }));
    }
}
