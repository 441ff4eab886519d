//! Columns on their way through the steps: names and arrays, without a schema that would be made anew for each step.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{Field, Schema};

use crate::column::Values;
use crate::error::{Error, Result};

/// Columns that steps change.
pub struct Frame {
    columns: Vec<(Arc<str>, ArrayRef)>,
    rows: usize,
}

impl Frame {
    /// The columns of a batch.
    pub fn of(rows: &RecordBatch) -> Self {
        let fields = rows.schema_ref().fields().iter();
        let columns = fields.zip(rows.columns());
        let columns = columns.map(|(field, array)| (field.name().as_str().into(), array.clone())).collect();
        Self { columns, rows: rows.num_rows() }
    }

    /// Columns with names that differ, each of `rows` rows.
    pub fn new(columns: Vec<(Arc<str>, ArrayRef)>, rows: usize) -> Self {
        Self { columns, rows }
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    fn place(&self, column: &str) -> Result<usize> {
        let place = self.columns.iter().position(|(name, _)| name.as_ref() == column);
        place.ok_or_else(|| Error::Missing(column.to_owned()))
    }

    /// The values of a column.
    pub fn values(&self, column: &str) -> Result<Values<'_>> {
        Values::of(column, &self.columns[self.place(column)?].1)
    }

    /// Puts an array in the place of a column's own.
    pub fn set(&mut self, column: &str, array: ArrayRef) -> Result<()> {
        let at = self.place(column)?;
        self.columns[at].1 = array;
        Ok(())
    }

    /// Puts `made` where `column` stood.
    pub fn replace(&mut self, column: &str, made: Vec<(String, ArrayRef)>) -> Result<()> {
        let at = self.place(column)?;
        self.columns.splice(at..=at, made.into_iter().map(|(name, array)| (name.into(), array)));
        self.differ()
    }

    /// Puts a column at the end.
    pub fn append(&mut self, name: &str, array: ArrayRef) -> Result<()> {
        self.columns.push((name.into(), array));
        self.differ()
    }

    fn differ(&self) -> Result<()> {
        let mut seen = HashSet::with_capacity(self.columns.len());
        match self.columns.iter().find(|(name, _)| !seen.insert(name.as_ref())) {
            Some((name, _)) => Err(Error::Twice(name.to_string())),
            None => Ok(()),
        }
    }

    /// All columns as a batch of nullable ones.
    pub fn batch(self) -> Result<RecordBatch> {
        batch(self.columns, self.rows)
    }

    /// Some columns as a batch, in this order.
    pub fn select(&self, names: &[String]) -> Result<RecordBatch> {
        let known: HashMap<&str, &(Arc<str>, ArrayRef)> =
            self.columns.iter().map(|column| (column.0.as_ref(), column)).collect();
        let chosen = names.iter().map(|name| {
            let column = known.get(name.as_str()).ok_or_else(|| Error::Missing(name.clone()))?;
            Ok((*column).clone())
        });
        batch(chosen.collect::<Result<_>>()?, self.rows)
    }
}

fn batch(columns: Vec<(Arc<str>, ArrayRef)>, rows: usize) -> Result<RecordBatch> {
    let field =
        |(name, array): &(Arc<str>, ArrayRef)| Field::new(name.to_string(), array.data_type().clone(), true);
    let fields: Vec<Field> = columns.iter().map(field).collect();
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    let arrays = columns.into_iter().map(|(_, array)| array).collect();
    Ok(RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &options)?)
}
