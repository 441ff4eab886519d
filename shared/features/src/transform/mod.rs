//! Transforms: planned as [`Operation`]s, fitted on the training rows alone, applied to any rows.
//!
//! Every kernel works element by element and keeps no state between rows, so a row alone and the same row in a batch
//! give the same bits. A fitted transform is canonical JSON in which doubles are texts that read back exactly.
//!
//! What could differ between two programs is fixed here. Sums go over the values in ascending order (`fit`), or over the
//! columns in their order (`Derivation::Sum`). Deviations divide by the number of values, not by one less (ddof 0). A
//! quantile `q` is the smallest value of the training rows that at least the share `q` of them do not exceed: no value is
//! interpolated. A double that is no number is missing; -0 keeps its sign among numbers and is the level `0` among
//! categories. Logarithms are those of `libm`, not of the host. Infinite values are passed on, and nothing is fitted on
//! them. Levels are compared code point by code point: `Unicode` brings spellings together before.

mod apply;
mod category;
mod exact;
mod fit;
mod frame;
mod slice;
mod text;
mod time;

pub use apply::band;
pub use frame::Frame;
pub use slice::{needed, possible};
pub use text::{Form, Pattern, Pieces};
pub use time::{DatePart, read as read_time};

use arrow::array::RecordBatch;
use serde::{Deserialize, Serialize};

use crate::digest::sha256;
use crate::error::{Error, Result};

/// Levels that a fitted one-hot or ordinal encoding keeps at most.
pub const LEVELS: usize = 1024;

/// What is to be done to a column; nothing is known of the data yet.
#[derive(Debug, Clone, PartialEq)]
pub enum Operation {
    /// Missing values become the mean of the training rows; of whole numbers the nearest one, of two the even one.
    FillMean(String),
    /// Missing values become the lower median of the training rows.
    FillMedian(String),
    /// Missing values become the most frequent value of the training rows (ties: the smallest text).
    FillMode(String),
    /// Missing values become this, read by the column's type.
    FillConstant(String, String),
    /// Values beyond the quantiles `share` and `1 - share` of the training rows become these quantiles.
    Clip(String, f64),
    /// Values beyond these bounds become the bounds.
    ClipTo(String, f64, f64),
    /// A new column.
    Derive(Derived),
    /// Zero mean and unit variance on the training rows.
    Standardise(String),
    /// 0 to 1 on the training rows.
    MinMax(String),
    /// Median 0 and a distance of 1 between the quartiles of the training rows.
    Robust(String),
    /// `ln(1 + x)`; -1 becomes minus infinity, and less than that is missing from then on.
    Log1p(String),
    /// How many of the cut points a value reaches; cut points are the quantiles that make this many equal parts of the
    /// training rows, equal ones once.
    Bucketise(String, usize),
    /// A column of 0 and 1 for each level; an unknown level is all zeros.
    OneHot(String),
    /// The level's place among the sorted levels; an unknown level is -1.
    Ordinal(String),
    /// The level's share of the training rows that have a value; 0 for an unknown level.
    Frequency(String),
    /// One of this many buckets, by the value's text alone.
    Hash(String, usize),
    /// Lower case, by the Unicode tables of the compiler: no locale.
    Lowercase(String),
    /// A Unicode normal form.
    Unicode(String, Form),
    /// Counts of white-space tokens: of all (`vocabulary` 0), or of each of the most frequent ones.
    Tokenise(String, usize),
    /// As [`Operation::Tokenise`], with the matches of a regular expression for tokens.
    TokenisePattern(String, String, usize),
    /// The first pieces of the words as numbers in a vocabulary that has `[UNK]` and `[PAD]`: a column for each place.
    WordPiece(String, Vec<String>, usize),
    /// Parts of a time, a column for each.
    DateParts(String, Vec<DatePart>),
}

/// A column made from others, row by row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Derived {
    /// Name of the new column.
    pub name: String,
    /// The columns it is made from.
    pub from: Vec<String>,
    /// How.
    pub how: Derivation,
}

/// How a derived column is made. A missing part makes it missing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Derivation {
    /// Sum, in the order of the columns.
    Sum,
    /// Mean.
    Mean,
    /// Characters of a text.
    Length,
    /// The label of the band that the mean falls in; band `i` begins at threshold `i - 1`.
    Band {
        /// Cut points, ascending.
        #[serde(with = "exact::list")]
        thresholds: Vec<f64>,
        /// One more than thresholds.
        labels: Vec<String>,
    },
}

/// One fitted operation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "kebab-case")]
pub enum Step {
    /// Missing values become `value`, read by the column's type.
    Fill {
        /// Which column.
        column: String,
        /// The value in text form.
        value: String,
    },
    /// Values are kept within bounds.
    Clip {
        /// Which column.
        column: String,
        /// Lower bound.
        #[serde(with = "exact")]
        low: f64,
        /// Upper bound.
        #[serde(with = "exact")]
        high: f64,
    },
    /// A new column.
    Derive(Derived),
    /// `(x - shift) / divisor`.
    Scale {
        /// Which column.
        column: String,
        /// Taken off.
        #[serde(with = "exact")]
        shift: f64,
        /// Divided by; 1 for a constant column.
        #[serde(with = "exact")]
        divisor: f64,
    },
    /// `column=level` for each level.
    OneHot {
        /// Which column.
        column: String,
        /// Sorted.
        levels: Vec<String>,
    },
    /// Place of the level.
    Ordinal {
        /// Which column.
        column: String,
        /// Sorted.
        levels: Vec<String>,
    },
    /// `ln(1 + x)`.
    Log1p {
        /// Which column.
        column: String,
    },
    /// Number of cut points that a value reaches.
    Bucketise {
        /// Which column.
        column: String,
        /// Ascending.
        #[serde(with = "exact::list")]
        cuts: Vec<f64>,
    },
    /// Share of the level.
    Frequency {
        /// Which column.
        column: String,
        /// Sorted.
        levels: Vec<String>,
        /// One for each level.
        #[serde(with = "exact::list")]
        shares: Vec<f64>,
    },
    /// Bucket of the value's text.
    Hash {
        /// Which column.
        column: String,
        /// How many.
        buckets: u32,
    },
    /// Lower case.
    Lowercase {
        /// Which column.
        column: String,
    },
    /// Unicode normal form.
    Unicode {
        /// Which column.
        column: String,
        /// Which form.
        form: Form,
    },
    /// Token counts.
    Tokenise {
        /// Which column.
        column: String,
        /// Sorted; empty: all tokens together.
        vocabulary: Vec<String>,
    },
    /// Counts of matches.
    TokenisePattern {
        /// Which column.
        column: String,
        /// What a token is.
        pattern: Pattern,
        /// Sorted; empty: all tokens together.
        vocabulary: Vec<String>,
    },
    /// Word pieces by their numbers.
    WordPiece {
        /// Which column.
        column: String,
        /// The number of a piece is its place.
        vocabulary: Pieces,
        /// Columns that are made.
        length: usize,
    },
    /// Parts of a time.
    DateParts {
        /// Which column.
        column: String,
        /// In the order of their columns.
        parts: Vec<DatePart>,
    },
}

/// Carries out fitted operations in order: what the data-pipeline, the evaluator and the gateway have in common.
///
/// # Errors
/// [`Error::Missing`], [`Error::Type`], [`Error::Twice`].
pub fn run(steps: &[Step], frame: &mut Frame) -> Result<()> {
    steps.iter().try_for_each(|step| apply::one(step, frame))
}

/// Fitted operations in order; what serving replays.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Fitted {
    /// In the order of application.
    pub steps: Vec<Step>,
}

impl Fitted {
    /// Fits the operations in order, each on the training rows as those before it left them.
    ///
    /// # Errors
    /// [`Error`] with the column.
    pub fn fit(operations: &[Operation], training: &RecordBatch) -> Result<Self> {
        let (mut steps, mut rows) = (Vec::new(), Frame::of(training));
        for operation in operations {
            let step = fit::one(operation, &rows)?;
            apply::one(&step, &mut rows)?;
            steps.push(step);
        }
        Ok(Self { steps })
    }

    /// Applies the operations; the rows stay in order.
    ///
    /// # Errors
    /// [`Error::Missing`], [`Error::Type`].
    pub fn apply(&self, rows: &RecordBatch) -> Result<RecordBatch> {
        let mut frame = Frame::of(rows);
        run(&self.steps, &mut frame)?;
        frame.batch()
    }

    /// These, then `next`.
    #[must_use]
    pub fn then(mut self, next: Self) -> Self {
        self.steps.extend(next.steps);
        self
    }

    /// Canonical JSON.
    pub fn json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default() // texts and numbers only: cannot fail
    }

    /// Reads [`Fitted::json`].
    ///
    /// # Errors
    /// [`Error::Json`].
    pub fn from_json(text: &str) -> Result<Self> {
        serde_json::from_str(text).map_err(|error| Error::Json(error.to_string()))
    }

    /// `sha256:` of [`Fitted::json`].
    pub fn digest(&self) -> String {
        sha256(self.json().as_bytes())
    }
}
