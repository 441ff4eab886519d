//! A file as a stream of batches whose columns have the five types.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, StringArray};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{Field, Schema, SchemaRef};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use features::diff::{Batches, Source};
use tabular::table::Reader;
use tabular::{Limits, Table};

/// A file that can be read again and again.
pub struct File {
    pub table: Table,
    schema: SchemaRef,
    /// A value was met that does not fit the types of the first rows.
    stale: Cell<bool>,
    /// Rows of the last reading that could not be read: ragged ones, for example.
    pub unread: Cell<u64>,
    /// Why the last reading ended.
    failed: RefCell<Option<tabular::Error>>,
}

impl File {
    /// Recognises a file.
    pub fn open(path: &Path, max_unfolded: Option<u64>) -> anyhow::Result<Self> {
        let mut limits = Limits::default();
        if let Some(bytes) = max_unfolded {
            (limits.unfolded_bytes, limits.unfolding) = (bytes, u64::MAX);
        }
        let table = Table::open(path, limits, None)?;
        let schema = schema(&table);
        Ok(Self { table, schema, stale: Cell::new(false), unread: Cell::new(0), failed: RefCell::new(None) })
    }

    /// What is to be done after a reading failed: nothing, after the types were settled by all rows, or to give up.
    pub fn recover(&mut self) -> anyhow::Result<bool> {
        if self.stale.replace(false) {
            self.table.settle(None)?;
            self.schema = schema(&self.table);
            return Ok(true);
        }
        match self.failed.take() {
            Some(error) => Err(error.into()),
            None => Ok(false),
        }
    }

    /// All rows as one batch of at most `most` bytes.
    pub fn whole(&mut self, most: usize) -> anyhow::Result<RecordBatch> {
        loop {
            match self.collected(most) {
                Ok(batch) => return Ok(batch),
                Err(error) if !self.recover()? => return Err(error),
                Err(_) => {}
            }
        }
    }

    fn collected(&self, most: usize) -> anyhow::Result<RecordBatch> {
        let (mut batches, mut bytes) = (Vec::new(), 0);
        for batch in self.batches()? {
            let batch = batch?;
            bytes += batch.get_array_memory_size();
            let path = self.table.source.path.display();
            anyhow::ensure!(
                bytes <= most,
                "{path} needs more than {most} bytes of memory: give --max-memory"
            );
            batches.push(batch);
        }
        Ok(arrow::compute::concat_batches(&self.schema, &batches)?)
    }
}

fn schema(table: &Table) -> SchemaRef {
    let field =
        |column: &tabular::table::Column| Field::new(&column.plan.name, column.plan.kind.arrow(), true);
    Arc::new(Schema::new(table.columns.iter().map(field).collect::<Vec<_>>()))
}

impl Source for File {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn batches(&self) -> features::Result<Batches<'_>> {
        self.unread.set(0);
        let reader = self.table.reader().map_err(|error| self.fail(error))?;
        Ok(Box::new(Reading { file: self, reader, ready: VecDeque::new(), ended: false }))
    }
}

impl File {
    fn fail(&self, error: tabular::Error) -> features::Error {
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

fn plain(array: &ArrayRef, other: bool, field: &Field) -> Result<ArrayRef, arrow::error::ArrowError> {
    if array.data_type() == field.data_type() {
        return Ok(Arc::clone(array));
    }
    if other {
        let format = FormatOptions::default();
        let shown = ArrayFormatter::try_new(array.as_ref(), &format)?;
        let text = |row: usize| (!array.is_null(row)).then(|| shown.value(row).try_to_string()).transpose();
        let texts = (0..array.len()).map(text).collect::<Result<Vec<Option<String>>, _>>()?;
        return Ok(Arc::new(StringArray::from(texts)));
    }
    // A number that does not fit is an error, not a missing value.
    cast_with_options(array, field.data_type(), &CastOptions { safe: false, ..CastOptions::default() })
}

struct Reading<'a> {
    file: &'a File,
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
