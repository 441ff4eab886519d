//! §9.2 drift of three kinds: p-values corrected for many columns, effects large enough to matter.

use statistics::multiplicity::{self, Correction as Method};

use crate::kinds::kinds;
use crate::policy::monitoring::DriftRule;
use crate::refuse;
use crate::rejection::Rejection;

kinds! {
    /// The three kinds of §9.2.
    DriftKind {
        /// Inputs change.
        Data = "data",
        /// The relation of input and output changes.
        Concept = "concept",
        /// Outputs change.
        Prediction = "prediction",
    }
}

kinds! {
    /// How a change is found.
    DriftTest {
        /// Kolmogorov-Smirnov.
        KolmogorovSmirnov = "kolmogorov-smirnov",
        /// Chi-squared of counts.
        ChiSquared = "chi-squared",
        /// Population Stability Index, a distance without a p-value.
        PopulationStability = "population-stability",
        /// Jensen-Shannon distance.
        JensenShannon = "jensen-shannon",
        /// Wasserstein distance.
        Wasserstein = "wasserstein",
        /// Maximum mean discrepancy.
        MaximumMeanDiscrepancy = "maximum-mean-discrepancy",
        /// Change of a windowed performance metric.
        ChangePoint = "change-point",
    }
}

kinds! {
    /// Correction for many tests at once.
    Correction {
        /// No false alarm at all.
        Bonferroni = "bonferroni",
        /// The same, never weaker.
        Holm = "holm",
        /// Share of false alarms.
        BenjaminiHochberg = "benjamini-hochberg",
        /// The same under any dependence.
        BenjaminiYekutieli = "benjamini-yekutieli",
    }
}

impl From<Correction> for Method {
    fn from(correction: Correction) -> Self {
        match correction {
            Correction::Bonferroni => Self::Bonferroni,
            Correction::Holm => Self::Holm,
            Correction::BenjaminiHochberg => Self::BenjaminiHochberg,
            Correction::BenjaminiYekutieli => Self::BenjaminiYekutieli,
        }
    }
}

/// One column (feature, prediction or metric) against the reference.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Test that was used.
    pub test: DriftTest,
    /// Uncorrected p-value, 0..=1; `None` for a distance without a test.
    pub p_value: Option<f64>,
    /// How large the change is: the index for `population-stability`, else in the metric's unit.
    pub effect: Option<f64>,
    /// Samples in the judged window.
    pub samples: u64,
}

/// What a window says about one kind of drift.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DriftVerdict {
    /// These columns drifted.
    Drift {
        /// Their names, in the order given.
        columns: Vec<String>,
    },
    /// No column drifted.
    Stable,
    /// Too few samples in some column, and no drift in the others.
    Inconclusive {
        /// Samples needed per column.
        needed: u64,
    },
    /// A column without a usable number, and no drift in the others.
    Undefined {
        /// Their names.
        columns: Vec<String>,
    },
}

/// Judges one kind of drift (§9.2). `reference` and `expected` are digests: the reference is the version's training
/// data set and never a rolling window by accident.
/// # Errors
/// `WRONG_REFERENCE`, or `TEST_NOT_IN_POLICY` for a test that the policy does not name.
pub fn judge(
    columns: &[Column],
    reference: &str,
    expected: &str,
    rule: &DriftRule,
) -> Result<DriftVerdict, Rejection> {
    let subject = "drift verdict";
    if reference != expected || expected.is_empty() {
        return refuse::one(
            "WRONG_REFERENCE",
            subject,
            &rule.clause,
            "reference data set",
            expected,
            reference,
        );
    }
    if let Some(other) = columns.iter().find(|column| !rule.tests.contains(&column.test)) {
        let required = crate::approval::join(&rule.tests);
        return refuse::one(
            "TEST_NOT_IN_POLICY",
            subject,
            &rule.clause,
            &*other.name,
            required,
            other.test.as_str(),
        );
    }
    let (judged, short): (Vec<&Column>, Vec<&Column>) =
        columns.iter().partition(|column| column.samples >= rule.min_samples);
    let (usable, broken): (Vec<&Column>, Vec<&Column>) =
        judged.into_iter().partition(|column| is_usable(column));
    // Columns that cannot be judged now still count: the correction must not weaken when data is missing.
    let p_values: Vec<f64> = usable
        .iter()
        .map(|column| column.p_value)
        .chain(broken.iter().chain(&short).map(|column| column.p_value.map(|_| 1.0)))
        .flatten()
        .collect();
    let adjusted =
        multiplicity::adjust(&p_values, rule.correction.into()).unwrap_or_else(|_| vec![1.0; p_values.len()]);
    let mut corrected = adjusted.into_iter();
    let drifted: Vec<String> = usable
        .iter()
        .filter(|column| {
            let significant = column.p_value.is_none() || corrected.next().is_some_and(|p| p <= rule.alpha);
            significant && column.effect.is_some_and(|effect| effect.abs() > limit(column.test, rule))
        })
        .map(|column| column.name.clone())
        .collect();
    Ok(if !drifted.is_empty() {
        DriftVerdict::Drift { columns: drifted }
    } else if !broken.is_empty() || columns.is_empty() {
        DriftVerdict::Undefined { columns: broken.iter().map(|column| column.name.clone()).collect() }
    } else if !short.is_empty() {
        DriftVerdict::Inconclusive { needed: rule.min_samples }
    } else {
        DriftVerdict::Stable
    })
}

fn limit(test: DriftTest, rule: &DriftRule) -> f64 {
    if test == DriftTest::PopulationStability { rule.psi_limit } else { rule.effect_limit }
}

/// An effect that is a number, and a p-value that is one or that the test does not have.
fn is_usable(column: &Column) -> bool {
    let tested = match (column.p_value, column.test) {
        (Some(p), _) => (0.0..=1.0).contains(&p),
        (None, test) => {
            matches!(test, DriftTest::PopulationStability | DriftTest::JensenShannon | DriftTest::Wasserstein)
        }
    };
    tested && column.effect.is_some_and(f64::is_finite)
}
