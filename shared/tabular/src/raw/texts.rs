//! Rows on their way from any format into an Arrow file of text columns.

use std::fs::File;
use std::io::BufWriter;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray, UInt64Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::ipc::writer::FileWriter;
use features::Kind;

use super::job::{Fault, Job};
use super::rejects::{Rejects, unwritten};
use super::{KIND, ROW};
use crate::block::Part;
use crate::columnar;
use crate::table::Table;

/// Writes the rows of one file.
pub struct Texts<'a> {
    job: &'a Job,
    /// The columns that are written, as the file has them.
    columns: Vec<Column>,
    /// Made with the first rows, which tell the types of a columnar file.
    out: Option<Out>,
    rejects: Rejects<'a>,
    rows: u64,
    bytes: usize,
}

type Out = (FileWriter<BufWriter<File>>, SchemaRef);

struct Column {
    name: String,
    /// Its place among the file's columns.
    at: usize,
    /// The type that the values have by themselves.
    kind: Option<Kind>,
}

impl<'a> Texts<'a> {
    /// Begins the files of a job. `kinds` are the types that the values of the columns have by themselves.
    ///
    /// # Errors
    /// If they cannot be written, or no column is to be read.
    pub fn create(job: &'a Job, table: &Table, kinds: &[Option<Kind>]) -> Result<Self, Fault> {
        let columnar = table.encoding.is_none();
        let named = table.columns.iter().zip(kinds).enumerate();
        let columns: Vec<Column> = named
            .filter(|(_, (column, _))| !(columnar && is_index(&column.plan.name)))
            .map(|(at, (column, kind))| {
                let blank = column.plan.name.trim().is_empty();
                let name = if blank { format!("column_{}", at + 1) } else { column.plan.name.clone() };
                Column { name, at, kind: *kind }
            })
            .collect();
        if columns.is_empty() {
            return Err(Fault::data("has no column that can be read"));
        }
        Ok(Self { job, columns, out: None, rejects: Rejects::create(job)?, rows: 0, bytes: 0 })
    }

    /// Writes rows, and puts the rejected ones into quarantine.
    ///
    /// # Errors
    /// If a value cannot be text or is too long, a limit is met, or the files cannot be written.
    pub fn take(&mut self, part: &Part) -> Result<(), Fault> {
        for reject in &part.rejects {
            self.rejects.add(reject)?;
        }
        let mut arrays = Vec::with_capacity(self.columns.len() + 1);
        for column in &self.columns {
            let first = part.rows.number(0);
            let array = self.text(column, part.batch.column(column.at), first)?;
            self.bytes += array.value_data().len() + array.len() * size_of::<i32>();
            if self.job.table_bytes < self.bytes {
                let most = self.job.table_bytes;
                return Err(Fault::data(format!("row {first}: holds more than {most} bytes of values")));
            }
            arrays.push(Arc::new(array) as ArrayRef);
        }
        let rows = (0..part.batch.num_rows()).map(|at| part.rows.number(at) - 1);
        arrays.push(Arc::new(UInt64Array::from_iter_values(rows)));
        self.rows += part.batch.num_rows() as u64;
        let (mut out, schema) = match self.out.take() {
            Some(begun) => begun,
            None => begun(self.job, self.schema(Some(&part.batch)))?,
        };
        let batch = RecordBatch::try_new(Arc::clone(&schema), arrays).map_err(|error| failed(&error))?;
        out.write(&batch).map_err(|error| failed(&error))?;
        self.out = Some((out, schema));
        Ok(())
    }

    /// Ends the files: rows that were taken, rows that were not, lines of quarantine.
    ///
    /// # Errors
    /// If they cannot be written, or there were rows and none could be read.
    pub fn finish(mut self) -> Result<(u64, u64, usize), Fault> {
        let (mut out, _) = match self.out.take() {
            Some(begun) => begun,
            None => begun(self.job, self.schema(None))?,
        };
        out.finish().map_err(|error| failed(&error))?;
        let (left, lines, first) = self.rejects.finish()?;
        match first {
            Some(first) if self.rows == 0 => {
                Err(Fault::data(format!("none of its {left} rows can be read: {first}")))
            }
            _ => Ok((self.rows, left, lines)),
        }
    }

    fn schema(&self, batch: Option<&RecordBatch>) -> SchemaRef {
        let field = |column: &Column| {
            let plain = Field::new(&column.name, DataType::Utf8, true);
            let stored = batch.map(|batch| batch.schema_ref().field(column.at).data_type());
            // A cell of a text file tells nothing of its type.
            let stored = stored.filter(|stored| **stored != DataType::Utf8);
            match column.kind.or_else(|| stored.and_then(kind_of)) {
                Some(kind) => plain.with_metadata([(KIND.to_owned(), kind.as_str().to_owned())].into()),
                None => plain,
            }
        };
        let mut fields: Vec<Field> = self.columns.iter().map(field).collect();
        fields.push(Field::new(ROW, DataType::UInt64, false));
        Arc::new(Schema::new(fields))
    }

    /// The values of a column as texts.
    fn text(&self, column: &Column, array: &ArrayRef, row: u64) -> Result<StringArray, Fault> {
        let wrong = |what: String| Fault::data(format!("row {row}, column {:?}: {what}", column.name));
        if unreadable(array.data_type()) {
            if self.job.dropped.contains(&column.name) {
                return Ok(StringArray::new_null(array.len()));
            }
            let what = "required a number, text, truth value or time; the plan may drop it";
            return Err(Fault::data(format!("column {:?} is {}, {what}", column.name, array.data_type())));
        }
        if let Some(texts) = array.as_string_opt::<i32>() {
            self.check_length(texts.iter().flatten().map(str::len)).map_err(wrong)?;
            return Ok(texts.clone());
        }
        // A few values of a dictionary may stand in many rows: their lengths are looked at before they are written out.
        let viewed = match array.data_type() {
            DataType::Dictionary(_, value) if is_text(value) => cast(array, &DataType::Utf8View),
            _ => Ok(Arc::clone(array)),
        };
        let viewed = viewed.map_err(|error| wrong(format!("cannot be read as text: {error}")))?;
        if let Some(views) = viewed.as_string_view_opt() {
            self.check_length(views.iter().flatten().map(str::len)).map_err(wrong)?;
        } else if let Some(texts) = viewed.as_string_opt::<i64>() {
            self.check_length(texts.iter().flatten().map(str::len)).map_err(wrong)?;
        }
        let texts = cast(&viewed, &DataType::Utf8)
            .map_err(|error| wrong(format!("cannot be read as text: {error}")))?;
        texts.as_string_opt::<i32>().cloned().ok_or_else(|| wrong("cannot be read as text".into()))
    }

    fn check_length(&self, lengths: impl Iterator<Item = usize>) -> Result<(), String> {
        let mut all = self.bytes;
        for length in lengths {
            if self.job.cell_bytes < length {
                return Err(format!("a value of more than {} bytes", self.job.cell_bytes));
            }
            all += length;
            if self.job.table_bytes < all {
                return Err(format!("holds more than {} bytes of values", self.job.table_bytes));
            }
        }
        Ok(())
    }
}

fn begun(job: &Job, schema: SchemaRef) -> Result<Out, Fault> {
    let file = File::create(&job.result).map_err(|error| unwritten(&error))?;
    let writer = FileWriter::try_new(BufWriter::new(file), &schema).map_err(|error| failed(&error))?;
    Ok((writer, schema))
}

fn failed(error: &arrow::error::ArrowError) -> Fault {
    Fault::host(format!("what was read of it cannot be written: {error}"))
}

/// The type that a file declares for a column; `None` where its values decide.
fn kind_of(stored: &DataType) -> Option<Kind> {
    match stored {
        DataType::Dictionary(_, value) => kind_of(value),
        // Its upper half is above the whole numbers that we know.
        DataType::UInt64 => None,
        stored => columnar::kind(stored),
    }
}

fn is_text(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

fn unreadable(data_type: &DataType) -> bool {
    let binary = matches!(
        data_type,
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_)
    );
    binary || data_type.is_nested() || matches!(data_type, DataType::RunEndEncoded(..))
}

/// Whether a column is the row index that pandas writes beside the data.
fn is_index(name: &str) -> bool {
    name.strip_prefix("__index_level_")
        .and_then(|rest| rest.strip_suffix("__"))
        .is_some_and(|level| !level.is_empty() && level.bytes().all(|byte| byte.is_ascii_digit()))
}
