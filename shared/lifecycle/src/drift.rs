//! §9.2 drift of three kinds: p-values corrected for many columns, effects large enough to matter.

use statistics::multiplicity::{self, Correction as Method};

use crate::kinds::kinds;
use crate::policy::monitoring::DriftRule;
use crate::refuse;
use crate::rejection::{Finding, Rejection};

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

kinds! {
    /// What a column holds: it decides which tests say something of it.
    ColumnKind {
        /// Numbers, in bins that have an order.
        Numeric = "numeric",
        /// Categories.
        Categorical = "categorical",
        /// Vectors.
        Embedding = "embedding",
    }
}

impl ColumnKind {
    /// Tests that fit, of those that the policy names.
    pub fn tests(self, rule: &DriftRule) -> impl Iterator<Item = DriftTest> {
        use DriftTest as T;
        let fit: &[DriftTest] = match self {
            Self::Numeric => &[T::KolmogorovSmirnov, T::PopulationStability, T::Wasserstein],
            Self::Categorical => &[T::ChiSquared, T::PopulationStability, T::JensenShannon],
            Self::Embedding => &[T::MaximumMeanDiscrepancy],
        };
        fit.iter().copied().filter(move |test| rule.tests.contains(test))
    }
}

/// Tests that the policy names and that were not made because no column is of a kind that they fit, each with that kind.
pub fn not_applicable(made: &[DriftTest], rule: &DriftRule) -> Vec<Finding> {
    let left = rule.tests.iter().filter(|test| !made.contains(test));
    left.filter_map(|test| {
        let fits = |kind: &&ColumnKind| kind.tests(rule).any(|one| one == *test);
        let kinds: Vec<&str> = ColumnKind::ALL.iter().filter(fits).map(|kind| kind.as_str()).collect();
        let observed = format!("not applicable: no {} column", kinds.join(" or "));
        let required = "a column that it fits";
        (!kinds.is_empty()).then(|| Finding::new(&rule.clause, test.as_str(), required, observed))
    })
    .collect()
}

/// One test of one column (feature, prediction or metric) against the reference.
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

/// What one test says once all of them are corrected for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Weighed {
    /// Corrected p-value; `None` for a distance without a test.
    pub adjusted: Option<f64>,
    /// Significant, and large enough to matter.
    pub drifted: bool,
}

/// What a window says about one kind of drift.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DriftVerdict {
    /// These columns drifted, by one of their tests at least.
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

/// Judges one kind of drift (§9.2). `reference` is what was compared with and `expected` what the version's record asks for:
/// its training data set, or its evaluation, and never a rolling window by accident.
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
        let what = "reference data set";
        return refuse::one("WRONG_REFERENCE", subject, &rule.clause, what, expected, reference);
    }
    if let Some(other) = columns.iter().find(|column| !rule.tests.contains(&column.test)) {
        let required = crate::approval::join(&rule.tests);
        let observed = other.test.as_str();
        return refuse::one("TEST_NOT_IN_POLICY", subject, &rule.clause, &*other.name, required, observed);
    }
    let weighed = weigh(columns, rule);
    let drifted = columns.iter().zip(&weighed).filter(|(_, one)| one.drifted).map(|(column, _)| column);
    let broken = columns.iter().filter(|column| is_long(column, rule) && !is_usable(column));
    let (drifted, broken) = (names(drifted), names(broken));
    Ok(if !drifted.is_empty() {
        DriftVerdict::Drift { columns: drifted }
    } else if !broken.is_empty() || columns.is_empty() {
        DriftVerdict::Undefined { columns: broken }
    } else if columns.iter().any(|column| !is_long(column, rule)) {
        DriftVerdict::Inconclusive { needed: rule.min_samples }
    } else {
        DriftVerdict::Stable
    })
}

/// Each name once, in the order given.
fn names<'a>(columns: impl Iterator<Item = &'a Column>) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for column in columns {
        if names.last() != Some(&column.name) && !names.contains(&column.name) {
            names.push(column.name.clone());
        }
    }
    names
}

/// Every test, in the order given, corrected for all columns and all their tests together (§9.2).
pub fn weigh(columns: &[Column], rule: &DriftRule) -> Vec<Weighed> {
    let judged = |column: &Column| is_long(column, rule) && is_usable(column);
    // Columns that cannot be judged now still count: the correction must not weaken when data is missing.
    let counted = |column: &Column| column.p_value.map(|p| if judged(column) { p } else { 1.0 });
    let p_values: Vec<f64> = columns.iter().filter_map(counted).collect();
    let adjusted =
        multiplicity::adjust(&p_values, rule.correction.into()).unwrap_or_else(|_| vec![1.0; p_values.len()]);
    let mut corrected = adjusted.into_iter();
    let one = |column: &Column| {
        let adjusted = column.p_value.and_then(|_| corrected.next());
        let significant = column.p_value.is_none() || adjusted.is_some_and(|p| p <= rule.alpha);
        let matters = column.effect.is_some_and(|effect| effect.abs() > rule.limit(column.test));
        Weighed { adjusted, drifted: judged(column) && significant && matters }
    };
    columns.iter().map(one).collect()
}

impl DriftRule {
    /// The effect of a test beyond which a change matters.
    pub fn limit(&self, test: DriftTest) -> f64 {
        if test == DriftTest::PopulationStability { self.psi_limit } else { self.effect_limit }
    }
}

fn is_long(column: &Column, rule: &DriftRule) -> bool {
    column.samples >= rule.min_samples
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
