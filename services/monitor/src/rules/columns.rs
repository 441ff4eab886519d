//! One column of a window against its reference (§9.2): every test of the policy that fits what the column holds.
//!
//! Both are samples, and each test has its own null (`statistics::binned`). A change must also matter: the effect is what is
//! left of the change once that is taken off which sampling alone would give.

use contracts::common::v1::ColumnProfile;
use contracts::monitor::v1::{ColumnDrift, ColumnTest};
use lifecycle::drift::{Column, DriftTest, Weighed};
use lifecycle::policy::monitoring::DriftRule;
use statistics::binned::{self, Tested};
use statistics::drift;

use crate::convert::profile::{Aligned, Bins, align, kind, present};

/// What the policy's tests say of one column, and the column as it is shown.
pub fn compare(
    window: &ColumnProfile,
    reference: Option<&ColumnProfile>,
    rule: &DriftRule,
) -> (Vec<Column>, ColumnDrift) {
    let name = &window.column;
    let both = reference.and_then(|known| align(known, window));
    let of_values = kind(window).tests(rule).filter_map(|test| {
        let tested = match &both {
            Some(both) => made(test, both)?.ok(),
            None => None, // without a reference nothing can be said, and that is said
        };
        let (column, statistic) = column(name.clone(), test, tested);
        Some((Column { samples: present(window), ..column }, statistic))
    });
    let mut columns: Vec<(Column, ColumnTest)> = of_values.map(|one| shown(one, rule)).collect();
    columns.extend(both.as_ref().and_then(|both| missing(name, both, rule)));
    let counts = both.as_ref().map(|both| (both.expected.as_slice(), both.actual.as_slice()));
    let number = |of: fn(&[u64], &[u64]) -> statistics::error::Result<f64>| {
        counts.and_then(|(expected, actual)| of(expected, actual).ok()).unwrap_or(f64::NAN)
    };
    let mut drift = ColumnDrift {
        column: name.clone(),
        psi: number(drift::psi),
        jensen_shannon: number(drift::jensen_shannon_distance),
        rows: window.rows,
        ..ColumnDrift::default()
    };
    let (tests, shown) = columns.into_iter().unzip();
    drift.tests = shown;
    (tests, drift)
}

/// Writes down what is left of a column's tests once all columns are corrected for; `weighed` has them in their order.
pub fn settle(drift: &mut ColumnDrift, weighed: &mut impl Iterator<Item = Weighed>) {
    for (test, weighed) in drift.tests.iter_mut().zip(weighed) {
        test.adjusted_p_value = weighed.adjusted.unwrap_or(f64::NAN);
        test.drifted = weighed.drifted;
    }
    let smallest = |of: fn(&ColumnTest) -> f64| drift.tests.iter().map(of).fold(f64::NAN, f64::min);
    (drift.p_value, drift.adjusted_p_value) =
        (smallest(|one| one.p_value), smallest(|one| one.adjusted_p_value));
    drift.drifted = drift.tests.iter().any(|one| one.drifted);
}

/// A test over the bins; `None` where it says nothing of such a column.
fn made(test: DriftTest, both: &Aligned) -> Option<statistics::error::Result<Tested>> {
    let (old, new) = (&both.expected, &both.actual);
    Some(match (test, &both.bins) {
        (DriftTest::KolmogorovSmirnov, _) => binned::kolmogorov_smirnov(old, new),
        (DriftTest::ChiSquared, _) => binned::chi_square(old, new),
        (DriftTest::PopulationStability, _) => binned::population_stability(old, new),
        (DriftTest::JensenShannon, _) => binned::jensen_shannon(old, new),
        // A constant reference has no deviation to measure a distance in; the other tests see what leaves it.
        (DriftTest::Wasserstein, Bins::Numeric { bounds, deviation }) if *deviation > 0.0 => {
            binned::wasserstein(old, new, bounds, *deviation)
        }
        (DriftTest::Wasserstein | DriftTest::MaximumMeanDiscrepancy | DriftTest::ChangePoint, _) => {
            return None;
        }
    })
}

/// A test that could not be made counts among those that are corrected for, and has no effect that is a number.
fn column(name: String, test: DriftTest, tested: Option<Tested>) -> (Column, f64) {
    let (p_value, effect) = (tested.map_or(1.0, |one| one.p_value), tested.map(|one| one.effect));
    let column = Column { name, test, p_value: Some(p_value), effect, samples: 0 };
    (column, tested.map_or(f64::NAN, |one| one.statistic))
}

/// Marks the test of a column's missing values.
const MISSING: &str = " (missing)";

/// Whether values are missing more often or less than in the reference; `None` where none are missing on either side.
fn missing(name: &str, both: &Aligned, rule: &DriftRule) -> Option<(Column, ColumnTest)> {
    let ((gone, there), (lost, here)) = (both.expected_missing, both.actual_missing);
    if gone + lost == 0 || !rule.tests.contains(&DriftTest::ChiSquared) {
        return None;
    }
    let share = |missing: u64, present: u64| missing as f64 / (missing + present).max(1) as f64;
    let change = share(lost, here) - share(gone, there);
    let tested = binned::chi_square(&[gone, there], &[lost, here]).ok();
    let tested = tested.map(|one| Tested { effect: change, ..one });
    let (one, statistic) = column(format!("{name}{MISSING}"), DriftTest::ChiSquared, tested);
    let (one, test) = shown((Column { samples: lost + here, ..one }, statistic), rule);
    Some((one, ColumnTest { missing: true, ..test }))
}

fn shown((column, statistic): (Column, f64), rule: &DriftRule) -> (Column, ColumnTest) {
    let test = ColumnTest {
        test: column.test.as_str().to_owned(),
        statistic,
        effect: column.effect.unwrap_or(f64::NAN),
        limit: rule.limit(column.test),
        p_value: if column.effect.is_some() { column.p_value.unwrap_or(f64::NAN) } else { f64::NAN },
        adjusted_p_value: f64::NAN,
        drifted: false,
        missing: false,
    };
    (column, test)
}
