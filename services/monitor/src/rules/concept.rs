//! Drift of performance (§9.2): a change detector over labelled answers, valid whenever one looks.

use contracts::monitor::v1::{ColumnDrift, ColumnTest};
use lifecycle::drift::{Column, DriftKind, DriftTest, judge, weigh};
use lifecycle::policy::Policy;
use statistics::detector::ChangeDetector;

use super::columns;
use super::drift::{Found, rule};
use super::reference::Reference;
use crate::Error;
use crate::store::labels::Labels;

/// Wrong answers among labelled ones, in the order in which they became known, against the evaluated accuracy.
///
/// # Errors
/// `WRONG_REFERENCE` where the accuracy is not of the newest evaluation.
pub fn performance(labels: &Labels, reference: &Reference, policy: &Policy) -> Result<Option<Found>, Error> {
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
    let (name, effect, samples) = ("accuracy", (wrong_now - wrong_before).max(0.0), outcomes.len() as u64);
    let column = Column {
        name: name.into(),
        test: DriftTest::ChangePoint,
        p_value: Some(p_value),
        effect: Some(effect),
        samples,
    };
    let tests = [column];
    let verdict = judge(&tests, &reference.evaluation, &reference.expected.evaluation, rule)?;
    let mut shown = ColumnDrift {
        column: name.into(),
        psi: f64::NAN,
        jensen_shannon: f64::NAN,
        rows: samples,
        tests: vec![ColumnTest {
            test: DriftTest::ChangePoint.to_string(),
            statistic: detector.log_e(),
            effect,
            limit: rule.limit(DriftTest::ChangePoint),
            p_value,
            ..ColumnTest::default()
        }],
        ..ColumnDrift::default()
    };
    columns::settle(&mut shown, &mut weigh(&tests, rule).into_iter());
    Ok(Some(Found { verdict, columns: vec![shown], not_applicable: Vec::new() }))
}
