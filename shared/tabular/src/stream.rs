//! A file as a stream of batches whose columns have the five types, to be read again and again.
//!
//! The types of a text's columns are those of its first rows until a value is met that does not fit; then a reading ends with
//! an error, [`Stream::recover`] settles the types by all rows, and the reading begins anew.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, StringArray};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{Field, Schema, SchemaRef};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use features::diff::{Batches, Source};

use crate::error::{Cause, Error, Result};
use crate::limits::Limits;
use crate::table::{Column, Reader, Table};

/// A file that can be read again and again.
pub struct Stream {
    /// The file.
    pub table: Table,
    schema: SchemaRef,
    /// A value was met that does not fit the types of the first rows.
    stale: Cell<bool>,
    unread: Cell<u64>,
    /// Why the last reading ended.
    failed: RefCell<Option<Error>>,
}

impl Stream {
    /// Recognises a file.
    ///
    /// # Errors
    /// As [`Table::open`].
    pub fn open(path: &Path, limits: Limits) -> Result<Self> {
        let table = Table::open(path, limits, None)?;
        let schema = schema(&table);
        Ok(Self { table, schema, stale: Cell::new(false), unread: Cell::new(0), failed: RefCell::new(None) })
    }

    /// Rows of the last reading that could not be read: ragged ones, for example.
    pub fn unread(&self) -> u64 {
        self.unread.get()
    }

    /// After a reading that failed: whether the types were settled, so that another one is worth a try; `false` where this
    /// file was not to blame.
    ///
    /// # Errors
    /// What ended the reading.
    pub fn recover(&mut self) -> Result<bool> {
        if self.stale.replace(false) {
            self.table.settle(None)?;
            self.schema = schema(&self.table);
            return Ok(true);
        }
        self.failed.take().map_or(Ok(false), Err)
    }

    /// All rows as one batch.
    ///
    /// # Errors
    /// If the file cannot be read, or has more than `most` bytes of values.
    pub fn whole(&mut self, most: usize) -> Result<RecordBatch> {
        loop {
            let read = self.collected(most);
            match read {
                Ok(batch) => return Ok(batch),
                Err(error) => {
                    if !self.recover()? {
                        return Err(error);
                    }
                }
            }
        }
    }

    fn collected(&self, most: usize) -> Result<RecordBatch> {
        let wrong = |cause: Cause, what: String| Error::new(cause, &self.table.source.path, what);
        let damaged = |error: features::Error| wrong(Cause::Damaged, error.to_string());
        let (mut batches, mut bytes) = (Vec::new(), 0);
        for batch in self.batches().map_err(damaged)? {
            let batch = batch.map_err(damaged)?;
            bytes += batch.get_array_memory_size();
            if most < bytes {
                return Err(wrong(
                    Cause::Limit,
                    format!("its values need more than the {most} bytes that are allowed"),
                ));
            }
            batches.push(batch);
        }
        let joined = arrow::compute::concat_batches(&self.schema, &batches);
        joined.map_err(|error| wrong(Cause::Limit, format!("cannot be held as one table: {error}")))
    }
}

fn schema(table: &Table) -> SchemaRef {
    let field = |column: &Column| Field::new(&column.plan.name, column.plan.kind.arrow(), true);
    Arc::new(Schema::new(table.columns.iter().map(field).collect::<Vec<_>>()))
}

impl Source for Stream {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn batches(&self) -> features::Result<Batches<'_>> {
        self.unread.set(0);
        let reader = self.table.reader().map_err(|error| self.fail(error))?;
        Ok(Box::new(Reading { file: self, reader, ready: VecDeque::new(), ended: false }))
    }
}

impl Stream {
    fn fail(&self, error: Error) -> features::Error {
        let told = features::Error::Arrow(error.to_string());
        self.failed.replace(Some(error));
        told
    }

    /// The columns of a batch as the five types; what is none of them as text.
    fn plain(&self, batch: &RecordBatch) -> features::Result<RecordBatch> {
        let columns = batch.columns().iter().zip(&self.table.columns).zip(self.schema.fields());
        let plain = columns.map(|((array, column), field)| {
            plain(array, column.other, field).map_err(|why| features::Error::Parameter {
                column: column.plan.name.clone(),
                why: why.to_string(),
            })
        });
        Ok(RecordBatch::try_new(Arc::clone(&self.schema), plain.collect::<features::Result<_>>()?)?)
    }
}

fn plain(
    array: &ArrayRef,
    other: bool,
    field: &Field,
) -> std::result::Result<ArrayRef, arrow::error::ArrowError> {
    if array.data_type() == field.data_type() {
        return Ok(Arc::clone(array));
    }
    if other {
        let format = FormatOptions::default();
        let shown = ArrayFormatter::try_new(array.as_ref(), &format)?;
        let text = |row: usize| (!array.is_null(row)).then(|| shown.value(row).try_to_string()).transpose();
        let texts = (0..array.len()).map(text).collect::<std::result::Result<Vec<Option<String>>, _>>()?;
        return Ok(Arc::new(StringArray::from(texts)));
    }
    // A number that does not fit is an error, not a missing value.
    cast_with_options(array, field.data_type(), &CastOptions { safe: false, ..CastOptions::default() })
}

struct Reading<'a> {
    file: &'a Stream,
    reader: Reader<'a>,
    ready: VecDeque<RecordBatch>,
    ended: bool,
}

impl Reading<'_> {
    /// Reads the next piece of the file; whether there was one.
    fn advance(&mut self) -> features::Result<bool> {
        let file = self.file;
        let Some((_, job)) = self.reader.next().map_err(|error| file.fail(error))? else { return Ok(false) };
        let mut failed = None;
        let fits = self.reader.decode(job, &mut |part| {
            let left = part.rejects.iter().filter(|reject| reject.reason.leaves_the_table()).count() as u64;
            file.unread.set(file.unread.get() + left);
            match file.plain(&part.batch) {
                Ok(batch) => self.ready.push_back(batch),
                Err(error) => failed = failed.take().or(Some(error)),
            }
            Ok(())
        });
        let fits = fits.map_err(|error| file.fail(error))?;
        if let Some(error) = failed {
            return Err(error);
        }
        if !fits {
            file.stale.set(true);
            return Err(features::Error::Arrow("later rows have other types than the first".into()));
        }
        Ok(true)
    }
}

impl Iterator for Reading<'_> {
    type Item = features::Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(batch) = self.ready.pop_front() {
                return Some(Ok(batch));
            }
            if self.ended {
                return None;
            }
            match self.advance() {
                Ok(true) => {}
                Ok(false) => self.ended = true,
                Err(error) => {
                    self.ended = true;
                    return Some(Err(error));
                }
            }
        }
    }
}
