//! Drift of inputs, predictions and performance (§9.2).
//!
//! Data and predictions: both samples are samples, so the test is the chi-square test of homogeneity; a change must also
//! matter, so the effect is the stability index less what sampling alone would give. Performance: a change detector over
//! labelled answers, valid whenever one looks.

use contracts::common::v1::ColumnProfile;
use contracts::monitor::v1::{ColumnDrift, VersionObservation};
use lifecycle::alert::Judgement;
use lifecycle::drift::{Column, DriftKind, DriftTest, DriftVerdict, judge};
use lifecycle::policy::Policy;
use lifecycle::policy::monitoring::DriftRule;
use statistics::{contingency, detector::ChangeDetector, drift, multiplicity};

use super::reference::Reference;
use crate::Error;
use crate::convert::profile::{Aligned, align};
use crate::store::labels::Labels;

/// What was found of one kind of drift.
#[derive(Debug, Clone)]
pub struct Found {
    /// The verdict of `lifecycle`.
    pub verdict: DriftVerdict,
    /// Every column with its numbers.
    pub columns: Vec<ColumnDrift>,
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

    /// The columns that drifted, in words.
    pub fn drifted(&self) -> String {
        match &self.verdict {
            DriftVerdict::Drift { columns } => columns.join(", "),
            _ => String::new(),
        }
    }
}

/// The policy's rule for a kind.
pub fn rule(policy: &Policy, kind: DriftKind) -> Option<&DriftRule> {
    policy.monitoring.drift.iter().find(|rule| rule.kind == kind)
}

/// Inputs of a window against the training data. `None` where the policy has no rule or there is no reference.
///
/// # Errors
/// If `lifecycle` refuses the evidence.
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
    compare(pairs, &reference.digest, rule).map(Some)
}

/// Predictions of a window against those of the latest evaluation.
///
/// # Errors
/// If `lifecycle` refuses the evidence.
pub fn predictions(
    seen: &VersionObservation,
    reference: &Reference,
    policy: &Policy,
) -> Result<Option<Found>, Error> {
    let Some(rule) = rule(policy, DriftKind::Prediction) else { return Ok(None) };
    let (Some(window), Some(known)) = (&seen.predictions, &reference.predictions) else { return Ok(None) };
    compare([(window, Some(known))].into_iter(), &reference.evaluation, rule).map(Some)
}

fn compare<'a>(
    pairs: impl Iterator<Item = (&'a ColumnProfile, Option<&'a ColumnProfile>)>,
    digest: &str,
    rule: &DriftRule,
) -> Result<Found, Error> {
    let (mut tests, mut shown) = (Vec::new(), Vec::new());
    for (window, known) in pairs {
        let both = known.and_then(|known| align(known, window));
        let (stability, missing, mut drift) = column(&window.column, both.as_ref());
        tests.push(stability);
        tests.extend(missing);
        drift.rows = window.rows;
        shown.push(drift);
    }
    let verdict = judge(&tests, digest, digest, rule)?;
    let p_values: Vec<f64> =
        shown.iter().map(|one| if one.p_value.is_nan() { 1.0 } else { one.p_value }).collect();
    let adjusted = multiplicity::adjust(&p_values, rule.correction.into())?;
    for (one, adjusted) in shown.iter_mut().zip(adjusted) {
        one.adjusted_p_value = adjusted;
        one.drifted = matches!(&verdict, DriftVerdict::Drift { columns } if columns.iter().any(|name| {
            name == &one.column || name.strip_suffix(MISSING) == Some(&one.column)
        }));
    }
    Ok(Found { verdict, columns: shown })
}

/// Marks the test of a column's missing values.
const MISSING: &str = " (missing)";

/// One column: the test of its values, the test of what is missing of it, and both in numbers.
fn column(name: &str, both: Option<&Aligned>) -> (Column, Option<Column>, ColumnDrift) {
    let samples = both.map_or(0, Aligned::count);
    let mut shown = ColumnDrift {
        column: name.to_owned(),
        psi: f64::NAN,
        jensen_shannon: f64::NAN,
        p_value: f64::NAN,
        ..ColumnDrift::default()
    };
    let mut test = Column {
        name: name.to_owned(),
        test: DriftTest::PopulationStability,
        p_value: None,
        effect: None,
        samples,
    };
    let Some(both) = both else { return (test, None, shown) };
    let (expected, actual) = (&both.expected, &both.actual);
    let numbers = drift::psi(expected, actual).and_then(|psi| Ok((psi, drift::psi_noise(expected, actual)?)));
    if let Ok((psi, noise)) = numbers {
        shown.psi = psi;
        shown.jensen_shannon = drift::jensen_shannon_distance(expected, actual).unwrap_or(f64::NAN);
        test.effect = Some((psi - noise).max(0.0));
        // One bin in use on both sides: the same constant, which is no difference.
        test.p_value = Some(contingency::homogeneity(expected, actual).map_or(1.0, |test| test.p_value));
        shown.p_value = test.p_value.unwrap_or(f64::NAN);
    }
    (test, missing(name, both), shown)
}

/// Whether values are missing more often than in the reference; `None` where none are missing on either side.
fn missing(name: &str, both: &Aligned) -> Option<Column> {
    let ((gone, there), (lost, here)) = (both.expected_missing, both.actual_missing);
    let share = |missing: u64, present: u64| missing as f64 / (missing + present).max(1) as f64;
    (gone + lost > 0).then(|| Column {
        name: format!("{name}{MISSING}"),
        test: DriftTest::ChiSquared,
        p_value: Some(
            contingency::homogeneity(&[gone, there], &[lost, here]).map_or(1.0, |test| test.p_value),
        ),
        effect: Some(share(lost, here) - share(gone, there)),
        samples: lost + here,
    })
}

/// Wrong answers among labelled ones, in the order in which they became known, against the evaluated accuracy.
///
/// # Errors
/// If `lifecycle` refuses the evidence.
pub fn concept(labels: &Labels, reference: &Reference, policy: &Policy) -> Result<Option<Found>, Error> {
    let (Some(rule), Some(accuracy)) = (rule(policy, DriftKind::Concept), reference.accuracy) else {
        return Ok(None);
    };
    let outcomes = labels.outcomes.as_bytes();
    if outcomes.is_empty() {
        return Ok(None);
    }
    // A model that made no error at all when it was evaluated still has a rate that can be exceeded.
    let wrong_before = (1.0 - accuracy).clamp(1e-4, 1.0 - 1e-4);
    let mut detector = ChangeDetector::new(wrong_before)?;
    for outcome in outcomes {
        detector.observe(*outcome == b'1');
    }
    let newest =
        &outcomes[outcomes.len().saturating_sub(usize::try_from(rule.min_samples).unwrap_or(usize::MAX))..];
    let wrong = newest.iter().map(|outcome| f64::from(u8::from(*outcome == b'1'))).sum::<f64>();
    let wrong_now = wrong / newest.len().max(1) as f64;
    // While nothing changed the detector's sum is expected to be the number of outcomes: their ratio is an e-value, and
    // its inverse a p-value.
    let p_value = ((outcomes.len() as f64).ln() - detector.log_e()).exp().min(1.0);
    let column = Column {
        name: "accuracy".into(),
        test: DriftTest::ChangePoint,
        p_value: Some(p_value),
        effect: Some((wrong_now - wrong_before).max(0.0)),
        samples: outcomes.len() as u64,
    };
    let verdict = judge(&[column], &reference.evaluation, &reference.evaluation, rule)?;
    let shown = ColumnDrift {
        column: "accuracy".into(),
        psi: f64::NAN,
        jensen_shannon: f64::NAN,
        p_value,
        adjusted_p_value: p_value,
        drifted: matches!(verdict, DriftVerdict::Drift { .. }),
        rows: outcomes.len() as u64,
    };
    Ok(Some(Found { verdict, columns: vec![shown] }))
}
