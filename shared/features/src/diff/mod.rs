//! How two versions of a table differ: schema, rows by key, columns, splits, drift.
//!
//! Exact: every row of both sides is looked at, and compared by hashes of 128 bits. Both sides are read as streams of
//! batches; one side's hashes are held, in as many passes as its memory limit asks for.

mod compare;
mod drift;
mod index;
mod prepare;
mod sample;
mod schema;

pub use compare::compare;
pub use drift::Drift;
pub use schema::ColumnChange;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use serde::{Deserialize, Serialize};
use statistics::Interval;

use crate::error::Result;

/// Batches that follow each other.
pub type Batches<'a> = Box<dyn Iterator<Item = Result<RecordBatch>> + 'a>;

/// A table that can be read again from its beginning. Its columns have the five types of [`crate::Kind`].
pub trait Source {
    /// Columns in order.
    fn schema(&self) -> SchemaRef;

    /// All rows in order.
    ///
    /// # Errors
    /// Of whatever is read.
    fn batches(&self) -> Result<Batches<'_>>;
}

/// A table in memory.
#[derive(Debug, Clone)]
pub struct InMemory {
    /// Columns of every batch.
    pub schema: SchemaRef,
    /// The rows.
    pub batches: Vec<RecordBatch>,
}

impl Source for InMemory {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn batches(&self) -> Result<Batches<'_>> {
        Ok(Box::new(self.batches.iter().cloned().map(Ok)))
    }
}

/// How two tables are compared.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// Columns that name a row; empty: rows have no names, and a row that differs is one removed and one added.
    pub key: Vec<String>,
    /// The column that says which split a row is in; it is compared apart.
    pub split: Option<String>,
    /// Columns that are not compared row by row.
    pub ignore: Vec<String>,
    /// Of the hashes. The answer does not depend on it; where rows come from strangers they should not know it.
    pub seed: u64,
    /// Bytes of hashes held at a time; beyond it the tables are read in several passes.
    pub memory: usize,
    /// Rows of each kind that are named.
    pub examples: usize,
    /// Rows of each side that drift is computed from: those whose keys' hashes are smallest; one for each key.
    pub drift_rows: usize,
    /// Confidence of intervals and of drift.
    pub confidence: f64,
    /// Smallest population stability index that is told as drift, where the difference is also significant. With 0 every
    /// significant difference is told; how small these can be is bounded by the sample.
    pub psi: f64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            key: Vec::new(),
            split: None,
            ignore: Vec::new(),
            seed: 0,
            memory: 512 << 20,
            examples: 10,
            drift_rows: 20_000,
            confidence: 0.95,
            psi: 0.0,
        }
    }
}

/// Counts of rows. `before = same + changed + removed` and `after = same + changed + added`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RowCounts {
    /// Rows of the first table.
    pub before: u64,
    /// Rows of the second.
    pub after: u64,
    /// In both, with equal values in all columns that both have.
    pub same: u64,
    /// In both by key, with other values.
    pub changed: u64,
    /// In the second alone.
    pub added: u64,
    /// In the first alone.
    pub removed: u64,
    /// Rows of the first beyond the first of their key.
    pub repeated_before: u64,
    /// Rows of the second beyond the first of their key.
    pub repeated_after: u64,
}

/// One column that both tables have.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ColumnDifference {
    /// Its name.
    pub column: String,
    /// Rows, present in both by key, in which its value is another.
    pub changed: u64,
    /// Missing values of the first table.
    pub missing_before: u64,
    /// Missing values of the second.
    pub missing_after: u64,
    /// Difference of the shares of missing values, second less first, with its interval; `None` without rows.
    pub missing_shift: Option<Interval>,
    /// How its distribution moved; `None` for keys and where a side has no values.
    pub drift: Option<Drift>,
}

/// Rows, present in both, that are in another split than before.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Movement {
    /// Split in the first table; empty where it has none.
    pub from: String,
    /// Split in the second.
    pub to: String,
    /// How many.
    pub rows: u64,
}

/// Places of some rows, from 0: the first of each kind.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Examples {
    /// In the second table.
    pub added: Vec<u64>,
    /// In the first table.
    pub removed: Vec<u64>,
    /// In the first and in the second.
    pub changed: Vec<(u64, u64)>,
}

/// What differs at all, which decides how the version number grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Extent {
    /// Nothing that the tables hold.
    Nothing,
    /// Rows, their values or their splits.
    Rows,
    /// Columns: names, types, order.
    Schema,
}

/// How two tables differ.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    /// Columns that came, went, moved or changed their type.
    pub schema: Vec<ColumnChange>,
    /// Counts of rows.
    pub rows: RowCounts,
    /// Columns that both have, in the first table's order.
    pub columns: Vec<ColumnDifference>,
    /// Movements between splits.
    pub moved: Vec<Movement>,
    /// Some of the rows.
    pub examples: Examples,
    /// What differs at all.
    pub extent: Extent,
    /// How often both tables were read.
    pub passes: u32,
}
