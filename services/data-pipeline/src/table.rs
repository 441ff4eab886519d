//! Rows on their way through the steps: one Arrow batch, and for each row where it came from.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, UInt64Array};
use arrow::compute::take_record_batch;
use features::{Schema, Values, digest};

use crate::Error;

/// Column of the stored clean rows that holds the line of the input. Inputs cannot have a column of that name.
pub const SOURCE_ROW: &str = "__source_row";
/// Column of the stored clean rows that holds the split.
pub const SPLIT: &str = "__split";

/// The parts that a version is cut into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Split {
    /// What models learn from, and the only rows that transforms are fitted on.
    Train,
    /// For choosing among models.
    Validation,
    /// For evaluation.
    Test,
}

impl Split {
    /// In order.
    pub const ALL: [Self; 3] = [Self::Train, Self::Validation, Self::Test];

    /// As the contracts write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Validation => "validation",
            Self::Test => "test",
        }
    }
}

/// Rows of all inputs.
#[derive(Debug, Clone)]
pub struct Table {
    /// The values.
    pub batch: RecordBatch,
    /// From 0, over the inputs in order; an augmented row has that of its parent.
    pub source_row: Vec<u64>,
    /// Which input.
    pub input: Vec<u16>,
    /// Breaks the schema.
    pub invalid: Vec<bool>,
    /// Empty before the rows are assigned.
    pub split: Vec<Split>,
    /// How many rows at the end were made by augmentation.
    pub augmented: usize,
}

impl Table {
    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.batch.num_rows()
    }

    /// The rows of these places, in this order.
    ///
    /// # Errors
    /// Of Arrow.
    pub fn take(&self, rows: &[usize]) -> Result<Self, Error> {
        let places = UInt64Array::from_iter_values(rows.iter().map(|row| *row as u64));
        let original = self.rows() - self.augmented;
        Ok(Self {
            batch: take_record_batch(&self.batch, &places)?,
            source_row: rows.iter().map(|row| self.source_row[*row]).collect(),
            input: rows.iter().map(|row| self.input[*row]).collect(),
            invalid: rows.iter().map(|row| self.invalid[*row]).collect(),
            split: if self.split.is_empty() {
                Vec::new()
            } else {
                rows.iter().map(|row| self.split[*row]).collect()
            },
            augmented: rows.iter().filter(|row| original <= **row).count(),
        })
    }

    /// The rows for which `keep` is true.
    ///
    /// # Errors
    /// Of Arrow.
    pub fn filter(&self, keep: impl Fn(usize) -> bool) -> Result<Self, Error> {
        let rows: Vec<usize> = (0..self.rows()).filter(|row| keep(*row)).collect();
        if rows.len() == self.rows() { Ok(self.clone()) } else { self.take(&rows) }
    }

    /// The rows of one split, in order.
    ///
    /// # Errors
    /// Of Arrow.
    pub fn part(&self, split: Split) -> Result<Self, Error> {
        self.filter(|row| self.split.get(row) == Some(&split))
    }

    /// The rows as they came from the inputs, without augmented ones.
    ///
    /// # Errors
    /// Of Arrow.
    pub fn original(&self) -> Result<Self, Error> {
        let original = self.rows() - self.augmented;
        self.filter(|row| row < original)
    }

    /// The same rows with other values.
    #[must_use]
    pub fn with(&self, batch: RecordBatch) -> Self {
        Self { batch, ..self.clone() }
    }

    /// A column.
    ///
    /// # Errors
    /// [`features::Error::Missing`], [`features::Error::Type`].
    pub fn column(&self, name: &str) -> Result<Values<'_>, Error> {
        Ok(Values::in_batch(&self.batch, name)?)
    }

    /// Names in order.
    pub fn names(&self) -> Vec<String> {
        self.batch.schema_ref().fields().iter().map(|field| field.name().clone()).collect()
    }

    /// The values, with the line of the input and the split as columns.
    ///
    /// # Errors
    /// Of Arrow.
    pub fn with_origin(&self) -> Result<RecordBatch, Error> {
        let fields = self.batch.schema_ref().fields().iter();
        let mut columns: Vec<(String, ArrayRef)> = fields
            .zip(self.batch.columns())
            .map(|(field, array)| (field.name().clone(), array.clone()))
            .collect();
        let lines = self.source_row.iter().map(|row| *row as i64);
        columns.push((SOURCE_ROW.into(), Arc::new(Int64Array::from_iter_values(lines))));
        if !self.split.is_empty() {
            let splits = self.split.iter().map(|split| split.as_str());
            columns.push((SPLIT.into(), Arc::new(StringArray::from_iter_values(splits))));
        }
        let nullable = columns.into_iter().map(|(name, array)| (name, array, true));
        Ok(RecordBatch::try_from_iter_with_nullable(nullable)?)
    }

    /// Digest of values, lines and splits.
    ///
    /// # Errors
    /// Of Arrow.
    pub fn digest(&self) -> Result<String, Error> {
        Ok(digest::of_batches([&self.with_origin()?])?)
    }

    /// The values cut to a schema's columns.
    ///
    /// # Errors
    /// If a column is missing.
    pub fn cut(&self, schema: &Schema) -> Result<RecordBatch, Error> {
        let places: Result<Vec<usize>, _> =
            schema.columns.iter().map(|column| self.batch.schema_ref().index_of(&column.name)).collect();
        Ok(self.batch.project(&places?)?)
    }
}
