//! What a reading left in its folder, taken into memory.

use std::fs::File;
use std::io::BufReader;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, UInt64Type};
use arrow::ipc::reader::FileReader;
use serde_json::Value;
use tabular::raw::{Fault, Found, Job};

/// An input that was read.
#[derive(Debug)]
pub struct Read {
    /// Its rows as text columns; a field's metadata has the type that the file declares.
    pub batch: RecordBatch,
    /// The row of the input of each of them, from 0.
    pub rows: Vec<u64>,
    /// Rows that could not be read.
    pub left: u64,
    /// A line of JSON for each of those, but for what was too many.
    pub quarantine: Vec<u8>,
    /// Lines of it.
    pub quarantined: usize,
    /// Format, compression, encoding, dialect.
    pub detected: Value,
}

impl Read {
    /// Bytes of the values, and of where each begins.
    pub fn bytes(&self) -> usize {
        let texts = self.batch.columns().iter().filter_map(|array| array.as_string_opt::<i32>());
        texts.map(|texts| texts.value_data().len() + texts.len() * size_of::<i32>()).sum()
    }

    /// Rows of the input, with those that could not be read.
    pub fn all_rows(&self) -> u64 {
        self.rows.len() as u64 + self.left
    }
}

/// Reads the files of a job that was answered.
///
/// # Errors
/// If they are not what the answer says.
pub fn take_in(job: &Job, found: Found) -> Result<Read, Fault> {
    let unread =
        |error: &dyn std::fmt::Display| Fault::host(format!("what was read of it cannot be used: {error}"));
    let file = File::open(&job.result).map_err(|error| unread(&error))?;
    let reader = FileReader::try_new(BufReader::new(file), None).map_err(|error| unread(&error))?;
    let schema = reader.schema();
    let (last, texts) = schema.fields().split_last().ok_or_else(|| unread(&"it has no columns"))?;
    if *last.data_type() != DataType::UInt64 || texts.iter().any(|field| *field.data_type() != DataType::Utf8)
    {
        return Err(unread(&"its columns are no texts"));
    }
    let batches = reader.collect::<Result<Vec<_>, _>>().map_err(|error| unread(&error))?;
    let mut rows = Vec::new();
    for batch in &batches {
        let numbers = batch.column(batch.num_columns() - 1).as_primitive_opt::<UInt64Type>();
        let numbers = numbers.filter(|numbers| numbers.null_count() == 0);
        rows.extend_from_slice(numbers.ok_or_else(|| unread(&"it has no row numbers"))?.values());
    }
    if rows.len() as u64 != found.taken || job.rows < found.taken {
        return Err(unread(&"it has other rows than were read"));
    }
    let whole = concat_batches(&schema, &batches).map_err(|error| unread(&error))?;
    drop(batches);
    let places: Vec<usize> = (0..texts.len()).collect();
    let batch = whole.project(&places).map_err(|error| unread(&error))?;
    let quarantine = std::fs::read(&job.quarantine).map_err(|error| unread(&error))?;
    let Found { left, quarantined, detected, .. } = found;
    Ok(Read { batch, rows, left, quarantine, quarantined, detected })
}
