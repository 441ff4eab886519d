//! Parquet and Arrow files: checked by what they say of themselves before anything is decoded.

use std::fs::File;
use std::io::BufReader;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, FieldRef, Schema};
use arrow::ipc::reader::{FileReader, StreamReader};
use features::Kind;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder,
};
use parquet::file::metadata::RowGroupMetaData;

use crate::error::{Cause, Error, Result};
use crate::limits::Limits;
use crate::source::{Seekable, Source};

/// Rows that are decoded at once.
const BATCH_ROWS: usize = 8_192;
/// Row groups are taken together until they have so many rows.
const JOB_ROWS: u64 = 65_536;

/// The kind of an Arrow type, or `None` for what is shown as text.
pub fn kind(data_type: &DataType) -> Option<Kind> {
    match data_type {
        DataType::Dictionary(_, value) => kind(value),
        DataType::Boolean => Some(Kind::Bool),
        it if it.is_integer() => Some(Kind::Int64),
        it if it.is_floating() => Some(Kind::Float64),
        DataType::Decimal32(..)
        | DataType::Decimal64(..)
        | DataType::Decimal128(..)
        | DataType::Decimal256(..) => Some(Kind::Float64),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Some(Kind::Utf8),
        DataType::Timestamp(..) | DataType::Date32 | DataType::Date64 => Some(Kind::Timestamp),
        _ => None,
    }
}

/// Runs a reader of foreign code: where it breaks off, the file is damaged.
pub fn guarded<T>(file: &Path, work: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err(Error::new(Cause::Damaged, file, "is damaged: its reader broke off")))
}

/// What is wrong, in one line of bounded length.
fn damaged(file: &Path, error: &dyn std::fmt::Display) -> Error {
    let said: String = error.to_string().lines().next().unwrap_or_default().chars().take(300).collect();
    Error::new(Cause::Damaged, file, format!("cannot be read: {said}"))
}

/// A Parquet file whose footer was read and checked.
#[derive(Debug, Clone)]
pub struct Parquet {
    file: Seekable,
    metadata: ArrowReaderMetadata,
    jobs: Arc<Vec<(Vec<usize>, u64)>>,
    /// Rows that the footer tells of.
    pub rows: u64,
}

impl Parquet {
    /// Reads the footer.
    ///
    /// # Errors
    /// If it is damaged, or tells of more than the limits allow.
    pub fn open(source: &Source, limits: &Limits) -> Result<Self> {
        let file = source.seekable(limits)?;
        let name = source.path.as_path();
        guarded(name, || {
            let opened = File::open(&file.path).map_err(|error| Error::io(name, &error))?;
            let metadata = ArrowReaderMetadata::load(&opened, ArrowReaderOptions::new())
                .map_err(|error| damaged(name, &error))?;
            let rows = claimed(&metadata, name, file.size, limits)?;
            let metadata = with_views(metadata);
            let mut jobs: Vec<(Vec<usize>, u64)> = Vec::new();
            let (mut first, mut open) = (1, 0);
            for (at, group) in metadata.metadata().row_groups().iter().enumerate() {
                let count = group.num_rows() as u64;
                match jobs.last_mut() {
                    Some((groups, _)) if 0 < open && open + count <= JOB_ROWS => {
                        groups.push(at);
                        open += count;
                    }
                    _ => {
                        jobs.push((vec![at], first));
                        open = count;
                    }
                }
                first += count;
            }
            Ok(Self { file, metadata, jobs: Arc::new(jobs), rows })
        })
    }

    /// The columns.
    pub fn fields(&self) -> Vec<FieldRef> {
        self.metadata.schema().fields().iter().cloned().collect()
    }

    /// The row groups of a job and its first row, or `None` after the last.
    pub fn job(&self, at: usize) -> Option<(Vec<usize>, u64)> {
        self.jobs.get(at).cloned()
    }

    /// Decodes row groups, batch by batch, each with its first row.
    ///
    /// # Errors
    /// If they are damaged, or of `take`.
    pub fn decode(
        &self,
        source: &Source,
        groups: Vec<usize>,
        first: u64,
        take: &mut dyn FnMut(u64, RecordBatch) -> Result<()>,
    ) -> Result<()> {
        let name = source.path.as_path();
        let sum = |of: fn(&RowGroupMetaData) -> i64| -> u64 {
            let groups = groups.iter().map(|at| of(self.metadata.metadata().row_group(*at)));
            groups.map(|size| u64::try_from(size).unwrap_or_default()).sum()
        };
        let (bytes, rows) = (sum(RowGroupMetaData::compressed_size), sum(RowGroupMetaData::num_rows));
        let open = || -> Result<_> {
            let opened = File::open(&self.file.path).map_err(|error| Error::io(name, &error))?;
            ParquetRecordBatchReaderBuilder::new_with_metadata(opened, self.metadata.clone())
                .with_row_groups(groups)
                .with_batch_size(BATCH_ROWS)
                .build()
                .map_err(|error| damaged(name, &error))
        };
        let mut reader = guarded(name, open)?;
        let mut row = first;
        loop {
            let batch = guarded(name, || {
                reader.next().transpose().map_err(|error| damaged(name, &error).at_row(row))
            })?;
            let Some(batch) = batch else { break };
            let count = batch.num_rows() as u64;
            take(row, batch)?;
            row += count;
            let part = u128::from(bytes) * u128::from(count) / u128::from(rows.max(1));
            source.read.fetch_add(part as u64, Ordering::Relaxed);
        }
        Ok(())
    }
}

/// Looks at what the footer claims and gives its number of rows.
fn claimed(metadata: &ArrowReaderMetadata, name: &Path, size: u64, limits: &Limits) -> Result<u64> {
    let limit = |what: String| Err(Error::new(Cause::Limit, name, what));
    let wrong = |what: &str| Err(Error::new(Cause::Damaged, name, format!("is damaged: {what}")));
    let parquet = metadata.metadata();
    let leaves = parquet.file_metadata().schema_descr().num_columns();
    if limits.columns < leaves {
        return limit(format!("has {leaves} columns, at most {} are taken", limits.columns));
    }
    let Ok(rows) = u64::try_from(parquet.file_metadata().num_rows()) else {
        return wrong("it tells of fewer than no rows");
    };
    let (mut counted, mut unfolded) = (0_u64, 0_u64);
    for (at, group) in parquet.row_groups().iter().enumerate() {
        let Ok(count) = u64::try_from(group.num_rows()) else {
            return wrong("a row group has fewer than no rows");
        };
        counted = counted.saturating_add(count);
        for column in group.columns() {
            // A dictionary stands before the values.
            let start = column.dictionary_page_offset().unwrap_or(i64::MAX).min(column.data_page_offset());
            let length = column.compressed_size();
            let inside = u64::try_from(start).ok().zip(u64::try_from(length).ok());
            if inside.is_none_or(|(start, length)| size < start.saturating_add(length)) {
                let error = Error::new(
                    Cause::Damaged,
                    name,
                    format!("is damaged: row group {at} ends outside the file"),
                );
                return Err(error.in_column(&column.column_path().string()));
            }
            unfolded = unfolded.saturating_add(u64::try_from(column.uncompressed_size()).unwrap_or(u64::MAX));
        }
    }
    if rows != counted {
        return wrong("its row groups do not have as many rows as it tells of");
    }
    if limits.rows < rows {
        return limit(format!("has {rows} rows, at most {} are taken", limits.rows));
    }
    let cells = rows.saturating_mul(leaves as u64);
    if limits.cells < cells {
        return limit(format!("has {cells} cells, at most {} are taken", limits.cells));
    }
    if limits.unfolded_bytes < unfolded {
        return limit(format!("its {size} bytes unfold to {unfolded}, more than is allowed"));
    }
    Ok(rows)
}

/// Texts are read as views: a dictionary's values are not copied row by row, however often they stand there.
fn with_views(metadata: ArrowReaderMetadata) -> ArrowReaderMetadata {
    let view = |field: &FieldRef| match field.data_type() {
        DataType::Utf8 | DataType::LargeUtf8 => {
            Arc::new(Field::clone(field).with_data_type(DataType::Utf8View))
        }
        DataType::Dictionary(_, value) if matches!(**value, DataType::Utf8 | DataType::LargeUtf8) => {
            Arc::new(Field::clone(field).with_data_type(DataType::Utf8View))
        }
        _ => Arc::clone(field),
    };
    let fields: Vec<FieldRef> = metadata.schema().fields().iter().map(view).collect();
    let schema = Arc::new(Schema::new(fields));
    let options = ArrowReaderOptions::new().with_schema(schema);
    ArrowReaderMetadata::try_new(Arc::clone(metadata.metadata()), options).unwrap_or(metadata)
}

/// An Arrow file or stream, read from its beginning.
pub enum Arrow {
    /// The file form.
    File(Box<FileReader<BufReader<File>>>),
    /// The stream form.
    Stream(Box<StreamReader<BufReader<Box<dyn std::io::Read + Send>>>>),
}

impl Arrow {
    /// Reads the schema.
    ///
    /// # Errors
    /// If it is damaged, or has more columns than the limits allow.
    pub fn open(source: &Source, stream: bool, limits: &Limits) -> Result<Self> {
        let name = source.path.as_path();
        guarded(name, || {
            let made = if stream {
                let bytes = BufReader::new(source.bytes(limits)?);
                let reader = StreamReader::try_new(bytes, None).map_err(|error| damaged(name, &error))?;
                Self::Stream(Box::new(reader))
            } else {
                let file = source.seekable(limits)?;
                let opened = File::open(&file.path).map_err(|error| Error::io(name, &error))?;
                let reader = FileReader::try_new(BufReader::new(opened), None);
                Self::File(Box::new(reader.map_err(|error| damaged(name, &error))?))
            };
            let count = made.fields().len();
            if limits.columns < count {
                let what = format!("has {count} columns, at most {} are taken", limits.columns);
                return Err(Error::new(Cause::Limit, name, what));
            }
            Ok(made)
        })
    }

    /// The columns.
    pub fn fields(&self) -> Vec<FieldRef> {
        match self {
            Self::File(reader) => reader.schema().fields().iter().cloned().collect(),
            Self::Stream(reader) => reader.schema().fields().iter().cloned().collect(),
        }
    }

    /// The next batch, or `None` at the end.
    ///
    /// # Errors
    /// If it is damaged.
    pub fn next(&mut self, source: &Source, row: u64) -> Result<Option<RecordBatch>> {
        let name = source.path.as_path();
        guarded(name, || {
            let batch = match self {
                Self::File(reader) => reader.next(),
                Self::Stream(reader) => reader.next(),
            };
            batch.transpose().map_err(|error| damaged(name, &error).at_row(row))
        })
    }
}
