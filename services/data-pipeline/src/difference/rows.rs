//! The clean rows of a version, read from their file batch by batch.

use std::fs::File;
use std::path::{Path, PathBuf};

use arrow::array::{Array, Int64Array, RecordBatchReader};
use arrow::datatypes::SchemaRef;
use features::diff::{Batches, Source};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};

use crate::Error;
use crate::table::SOURCE_ROW;

/// Rows of a batch.
const BATCH: usize = 8192;

/// Stored rows without the column of their origin.
pub struct Stored {
    path: PathBuf,
    schema: SchemaRef,
}

impl Stored {
    /// Reads what columns the file has.
    ///
    /// # Errors
    /// [`Error::Damaged`].
    pub fn open(path: &Path) -> Result<Self, Error> {
        let schema = reader(path, |name| name != SOURCE_ROW)?.schema();
        Ok(Self { path: path.to_owned(), schema })
    }

    /// The lines of the inputs that rows came from; `places` are places in the file.
    ///
    /// # Errors
    /// [`Error::Damaged`].
    pub fn source_rows(&self, places: &[u64]) -> Result<Vec<u64>, Error> {
        if places.is_empty() {
            return Ok(Vec::new());
        }
        let mut lines: Vec<u64> = Vec::new();
        for batch in reader(&self.path, |name| name == SOURCE_ROW)? {
            let batch = batch.map_err(|error| Error::Damaged(error.to_string()))?;
            let column = batch.column_by_name(SOURCE_ROW);
            let column = column.and_then(|column| column.as_any().downcast_ref::<Int64Array>());
            let column = column.ok_or_else(|| without_origin(&self.path))?;
            lines.extend(column.iter().map(|line| line.unwrap_or_default().cast_unsigned()));
        }
        let line = |place: &u64| usize::try_from(*place).ok().and_then(|place| lines.get(place)).copied();
        places.iter().map(|place| line(place).ok_or_else(|| without_origin(&self.path))).collect()
    }
}

fn without_origin(path: &Path) -> Error {
    Error::Damaged(format!("{} does not say where its rows came from", path.display()))
}

impl Source for Stored {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn batches(&self) -> features::Result<Batches<'_>> {
        let read = reader(&self.path, |name| name != SOURCE_ROW);
        let batches = read.map_err(|error| features::Error::Arrow(error.to_string()))?;
        Ok(Box::new(batches.map(|batch| batch.map_err(|error| features::Error::Arrow(error.to_string())))))
    }
}

/// The columns of a file for which `take` is true.
fn reader(path: &Path, take: impl Fn(&str) -> bool) -> Result<ParquetRecordBatchReader, Error> {
    let damaged = |error: &dyn std::fmt::Display| Error::Damaged(format!("{}: {error}", path.display()));
    let file = File::open(path).map_err(|error| damaged(&error))?;
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(|error| damaged(&error))?;
    let fields = builder.schema().fields().iter().enumerate();
    let columns: Vec<usize> = fields.filter(|(_, field)| take(field.name())).map(|(at, _)| at).collect();
    let mask = ProjectionMask::roots(builder.parquet_schema(), columns);
    builder.with_projection(mask).with_batch_size(BATCH).build().map_err(|error| damaged(&error))
}
