//! What a profile tells: plain data, as JSON writes it.

use std::collections::BTreeMap;

use serde::Serialize;
use statistics::Interval;

use super::duplicates::Repeats;
use crate::declared::{Declared, Scalar};
use crate::dialect::Dialect;
use crate::encoding::Encoding;
use crate::format::Format;
use crate::quarantine::{Reason, Reject};
use crate::source::Compression;

/// The profile of a file.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// What kind of file it is.
    pub file: File,
    /// Rows in the table: all figures but the quarantine's are of these.
    pub rows: u64,
    /// The columns in order.
    pub columns: Vec<Column>,
    /// Rows that equal an earlier one in every column, exact.
    pub duplicate_rows: Repeats,
    /// Rows whose key an earlier one has, exact; only with a declared key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duplicate_keys: Option<Repeats>,
    /// Rows whose texts nearly repeat another's; only where there are texts that people write.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub near_duplicates: Option<NearDuplicates>,
    /// Rows that equal an earlier one in all but the label, each other label counted once, exact; only with a declared label.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label_conflicts: Option<u64>,
    /// Rows that are wrong.
    pub quarantine: Quarantine,
    /// What the file as a whole breaks of the declared schema.
    pub breaches: Vec<String>,
    /// The eight dimensions of data quality.
    pub quality: Vec<Dimension>,
    /// What a person should look at.
    pub findings: Vec<Finding>,
    /// A schema that this file meets, as a beginning for a declared one.
    pub suggested: Declared,
    /// Whether a schema was declared.
    pub declared: bool,
}

impl Report {
    /// Whether the declared schema holds: nothing of the file as a whole, of its rows or of its key breaks it.
    pub fn holds(&self) -> bool {
        self.breaches.is_empty()
            && self.quarantine.broken == 0
            && self.quarantine.left == 0
            && self.duplicate_keys.is_none_or(|keys| keys.duplicates == 0)
    }
}

/// What kind of file it is.
#[derive(Debug, Clone, Serialize)]
pub struct File {
    /// As it was named.
    pub name: String,
    /// Its size.
    pub bytes: u64,
    /// Its format.
    pub format: Format,
    /// How it is compressed.
    pub compression: Compression,
    /// The encoding of a text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encoding: Option<Encoding>,
    /// The dialect of a delimited text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dialect: Option<Dialect>,
    /// What was found and may surprise.
    pub notes: Vec<String>,
}

/// The profile of a column.
#[derive(Debug, Clone, Serialize)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// `int64`, `float64`, `utf8`, `bool` or `timestamp`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// The type as the file has it.
    pub stored: String,
    /// The declared unit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// Cells without a value.
    pub missing: Missing,
    /// How many values are different.
    pub distinct: Distinct,
    /// Of numbers and times.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub numbers: Option<Numbers>,
    /// Of texts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub texts: Option<Texts>,
    /// The most frequent values.
    pub top: Vec<Top>,
    /// By how much a count in `top` may be too small; 0 is exact.
    pub top_error: u64,
}

/// Near-duplicates among the first rows: clusters of rows of which a chain of pairs, each verified, leads to any other.
#[derive(Debug, Clone, Serialize)]
pub struct NearDuplicates {
    /// The columns whose texts were compared.
    pub columns: Vec<String>,
    /// Rows that were compared, the first ones of the table.
    pub rows: u64,
    /// Rows beyond the first of their cluster, equal texts too.
    pub repeated: u64,
    /// Clusters of more than one row.
    pub clusters: u64,
    /// Smallest Jaccard index of a pair.
    pub jaccard: f64,
    /// Pairs that were too many to be compared; 0 where the search was complete.
    pub not_compared: u64,
}

/// Cells without a value, exact.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Missing {
    /// All of them.
    pub count: u64,
    /// Of all rows.
    pub share: f64,
    /// Nothing stands there.
    pub nulls: u64,
    /// An empty text.
    pub empty: u64,
    /// NaN.
    pub nan: u64,
    /// Declared sentinels.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub sentinels: BTreeMap<String, u64>,
    /// Markers that were not declared and cannot be values of the column's type.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub suspected: BTreeMap<String, u64>,
}

/// A number of different values.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Distinct {
    /// The number, or its estimate.
    pub count: u64,
    /// Whether it is exact; else the interval holds it at 95 %.
    pub exact: bool,
    /// Interval.
    pub interval: Interval,
}

/// Of numbers and times.
#[derive(Debug, Clone, Serialize)]
pub struct Numbers {
    /// Finite values.
    pub count: u64,
    /// Smallest, exact.
    pub min: Scalar,
    /// Largest, exact.
    pub max: Scalar,
    /// Mean.
    pub mean: Scalar,
    /// Standard deviation of the sample; none of times.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub std: Option<f64>,
    /// Zeros.
    pub zeros: u64,
    /// Below zero.
    pub negatives: u64,
    /// Infinite ones, above and below; they are in no other figure here.
    pub infinite: u64,
    /// Quantiles.
    pub quantiles: Vec<Quantile>,
    /// By how much the rank of a quantile may be wrong, as a share of the count; 0 is exact.
    pub rank_error: f64,
    /// Values outside the quartiles by more than 1.5 times their distance; each end within `rank_error`.
    pub outliers: u64,
    /// Counts between edges.
    pub histogram: Histogram,
}

/// A quantile and the interval in which the exact one is.
#[derive(Debug, Clone, Serialize)]
pub struct Quantile {
    /// Which, 0..=1.
    pub at: f64,
    /// Its value.
    pub value: Scalar,
    /// Lower end.
    pub lower: Scalar,
    /// Upper end.
    pub upper: Scalar,
}

/// Counts of equal width; each within twice the rank error.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Histogram {
    /// Where the first bin begins.
    pub low: f64,
    /// Where the last bin ends.
    pub high: f64,
    /// Values in each bin.
    pub counts: Vec<u64>,
    /// Values below the first bin.
    pub below: u64,
    /// Values above the last bin.
    pub above: u64,
}

/// Of texts.
#[derive(Debug, Clone, Serialize)]
pub struct Texts {
    /// Fewest letters.
    pub shortest: u32,
    /// Letters on average.
    pub mean: f64,
    /// Most letters.
    pub longest: u32,
    /// What most values look like, and how many do not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub looks_like: Option<LooksLike>,
    /// How many values are of each class; a value may be of several.
    pub classes: BTreeMap<&'static str, u64>,
}

/// What most texts of a column are.
#[derive(Debug, Clone, Serialize)]
pub struct LooksLike {
    /// The class.
    pub class: &'static str,
    /// Values that are of it.
    pub fits: u64,
    /// Values that are not.
    pub misfits: u64,
}

/// A frequent value.
#[derive(Debug, Clone, Serialize)]
pub struct Top {
    /// The value; the beginning of a long text.
    pub value: Scalar,
    /// How often it occurs, at least.
    pub count: u64,
}

/// Rows that are wrong.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Quarantine {
    /// Rows that could not be taken, and are in no other figure.
    pub left: u64,
    /// Rows in the table that break what was declared.
    pub broken: u64,
    /// Counts.
    pub counts: Vec<Count>,
    /// The first rows of each kind.
    pub examples: Vec<Reject>,
}

/// How often a reason occurs.
#[derive(Debug, Clone, Serialize)]
pub struct Count {
    /// Why.
    pub reason: Reason,
    /// Where.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
    /// How often.
    pub count: u64,
}

/// What is said of a dimension.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The bound is on the right side of the target.
    Pass,
    /// The bound is on the wrong side.
    Fail,
    /// The interval holds the target.
    Inconclusive,
    /// The file alone does not tell.
    NotMeasurable,
    /// No target was given.
    NotJudged,
}

impl Verdict {
    /// In words.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Inconclusive => "inconclusive",
            Self::NotMeasurable => "not measurable",
            Self::NotJudged => "not judged",
        }
    }
}

/// A dimension of data quality (§5.2).
#[derive(Debug, Clone, Serialize)]
pub struct Dimension {
    /// Its name.
    pub dimension: &'static str,
    /// What is measured.
    pub measure: &'static str,
    /// The figure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub estimate: Option<f64>,
    /// Two-sided; each end is a one-sided bound at the targets' confidence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval: Option<Interval>,
    /// What the figure should be, such as `< 0.05`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// The outcome.
    pub verdict: Verdict,
    /// Why, or how it was measured.
    pub reason: String,
    /// Figures of parts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub details: Vec<Detail>,
}

/// A figure of a part.
#[derive(Debug, Clone, Serialize)]
pub struct Detail {
    /// Which part.
    pub part: String,
    /// The figure.
    pub value: f64,
    /// Of how many.
    pub of: u64,
    /// Interval, as the dimension's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval: Option<Interval>,
}

/// What a person should look at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// A name of the kind of finding.
    pub kind: &'static str,
    /// Where.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
    /// In words.
    pub what: String,
}
