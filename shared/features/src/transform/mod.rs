//! Transforms: planned as [`Operation`]s, fitted on the training rows alone, applied to any rows.
//!
//! Every kernel works element by element and keeps no state between rows, so a row alone and the same row in a batch
//! give the same bits. A fitted transform is canonical JSON in which doubles are texts that read back exactly.

mod apply;
mod exact;
mod fit;

pub use apply::band;

use arrow::array::RecordBatch;
use serde::{Deserialize, Serialize};

use crate::digest::sha256;
use crate::error::{Error, Result};

/// Levels that a fitted one-hot or ordinal encoding keeps at most.
pub const LEVELS: usize = 1024;

/// What is to be done to a column; nothing is known of the data yet.
#[derive(Debug, Clone, PartialEq)]
pub enum Operation {
    /// Missing values become the lower median of the training rows.
    FillMedian(String),
    /// Missing values become the most frequent value of the training rows (ties: the smallest text).
    FillMode(String),
    /// Missing values become this, read by the column's type.
    FillConstant(String, String),
    /// Values beyond the quantiles `share` and `1 - share` of the training rows become these quantiles.
    Clip(String, f64),
    /// A new column.
    Derive(Derived),
    /// Zero mean and unit variance on the training rows.
    Standardise(String),
    /// 0 to 1 on the training rows.
    MinMax(String),
    /// A column of 0 and 1 for each level; an unknown level is all zeros.
    OneHot(String),
    /// The level's place among the sorted levels; an unknown level is -1.
    Ordinal(String),
    /// Lower case.
    Lowercase(String),
    /// Counts of white-space tokens: of all (`vocabulary` 0), or of each of the most frequent ones.
    Tokenise(String, usize),
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
    /// Lower case.
    Lowercase {
        /// Which column.
        column: String,
    },
    /// Token counts.
    Tokenise {
        /// Which column.
        column: String,
        /// Empty: all tokens together.
        vocabulary: Vec<String>,
    },
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
        let (mut steps, mut rows) = (Vec::new(), training.clone());
        for operation in operations {
            let step = fit::one(operation, &rows)?;
            rows = apply::one(&step, &rows)?;
            steps.push(step);
        }
        Ok(Self { steps })
    }

    /// Applies the operations; the rows stay in order.
    ///
    /// # Errors
    /// [`Error::Missing`], [`Error::Type`].
    pub fn apply(&self, rows: &RecordBatch) -> Result<RecordBatch> {
        self.steps.iter().try_fold(rows.clone(), |rows, step| apply::one(step, &rows))
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
