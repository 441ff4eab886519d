//! CSV and Parquet through DataFusion: one partition, so that rows keep their order, within a memory limit.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, RecordBatch, StringArray};
use arrow::compute::{cast, concat_batches};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::dataframe::DataFrame;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::prelude::{CsvReadOptions, ParquetReadOptions, SessionConfig, SessionContext};
use futures::StreamExt;
use parquet::basic::Type as PhysicalType;
use parquet::file::reader::{FileReader, SerializedFileReader};

use super::csv::Header;
use super::{Bad, check_names, is_index, named};
use crate::{Limits, typing};

/// Rows that are decoded at once.
const BATCH_ROWS: u64 = 8192;

/// Reads a CSV file whose header is known.
///
/// # Errors
/// What is wrong.
pub async fn csv(path: &Path, header: &Header, limits: &Limits) -> Result<RecordBatch, Bad> {
    let fields = header.names.iter().map(|name| Field::new(name, DataType::Utf8, true));
    let schema = Schema::new(fields.collect::<Vec<_>>());
    let options = CsvReadOptions::new()
        .has_header(true)
        .schema(&schema)
        .newlines_in_values(true)
        .delimiter(header.delimiter)
        .file_extension("");
    let frame = context(limits, BATCH_ROWS as usize)?.read_csv(text(path)?, options).await.map_err(said)?;
    collect(frame, header.names.clone(), false, limits).await
}

/// Reads a Parquet file of flat columns. One of `dropped` may be nested: it is read as missing. The file's types are kept
/// beside the text.
///
/// # Errors
/// What is wrong.
pub async fn parquet(path: &Path, dropped: &[String], limits: &Limits) -> Result<RecordBatch, Bad> {
    let rows_at_once = claimed(path, limits)?;
    let options = ParquetReadOptions::new().skip_metadata(true).file_extension("");
    let frame = context(limits, rows_at_once)?.read_parquet(text(path)?, options).await.map_err(said)?;
    let fields: Vec<_> =
        frame.schema().fields().iter().filter(|field| !is_index(field.name())).cloned().collect();
    let names: Vec<String> = fields.iter().enumerate().map(|(at, field)| named(field.name(), at)).collect();
    check_names(&names, limits)?;
    let nested = |data_type: &DataType| data_type.is_nested() || is_binary(data_type);
    let (mut read, mut skipped) = (Vec::new(), Vec::new());
    for (field, name) in fields.iter().zip(names) {
        match (nested(field.data_type()), dropped.contains(&name)) {
            (false, _) => read.push((field.name().as_str(), name)),
            (true, true) => skipped.push(name),
            (true, false) => {
                return Err(format!(
                    "column {name:?} is {}, required a number, text, truth value or time; the plan may drop it",
                    field.data_type()
                ));
            }
        }
    }
    let places: Vec<&str> = read.iter().map(|(place, _)| *place).collect();
    if places.is_empty() {
        return Err("has no column that can be read".into());
    }
    let frame = frame.select_columns(&places).map_err(said)?;
    let names: Vec<String> = read.into_iter().map(|(_, name)| name).collect();
    with_missing(&collect(frame, names, true, limits).await?, skipped)
}

/// Looks at what the file says of itself and gives the number of rows to decode at once. A dictionary repeats its values, so
/// the rows of a few bytes may become many: each may be as long as all that the column holds.
fn claimed(path: &Path, limits: &Limits) -> Result<usize, Bad> {
    let bad = |error: &dyn std::fmt::Display| {
        format!("cannot be read: {}", error.to_string().chars().take(300).collect::<String>())
    };
    let file = File::open(path).map_err(|error| bad(&error))?;
    let reader = SerializedFileReader::new(file).map_err(|error| bad(&error))?;
    let metadata = reader.metadata();
    if u64::try_from(metadata.file_metadata().num_rows()).is_ok_and(|rows| limits.rows < rows) {
        return Err(format!("has more than {} rows", limits.rows));
    }
    let (mut whole, mut widest) = (0_u64, 0_u64);
    for group in metadata.row_groups() {
        let mut longest = 0_u64;
        for column in group.columns() {
            let size = u64::try_from(column.uncompressed_size()).unwrap_or(u64::MAX);
            whole = whole.saturating_add(size);
            if column.dictionary_page_offset().is_some() && column.column_type() == PhysicalType::BYTE_ARRAY {
                longest = longest.saturating_add(size);
            }
        }
        widest = widest.max(longest);
    }
    let most = limits.table_bytes as u64;
    if most < whole {
        return Err(format!("holds more than {most} bytes of values"));
    }
    Ok(most.checked_div(widest).unwrap_or(BATCH_ROWS).clamp(1, BATCH_ROWS) as usize)
}

/// Columns that are not read, at the end and without values.
fn with_missing(batch: &RecordBatch, names: Vec<String>) -> Result<RecordBatch, Bad> {
    let mut fields: Vec<_> = batch.schema_ref().fields().iter().map(|field| field.as_ref().clone()).collect();
    let mut columns = batch.columns().to_vec();
    for name in names {
        fields.push(Field::new(name, DataType::Utf8, true));
        columns.push(Arc::new(StringArray::new_null(batch.num_rows())));
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).map_err(|error| error.to_string())
}

fn is_binary(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_)
    )
}

fn context(limits: &Limits, rows_at_once: usize) -> Result<SessionContext, Bad> {
    let mut config = SessionConfig::new().with_target_partitions(1).with_batch_size(rows_at_once);
    config.options_mut().execution.parquet.schema_force_view_types = false;
    let memory =
        RuntimeEnvBuilder::new().with_memory_limit(limits.table_bytes, 1.0).build_arc().map_err(said)?;
    Ok(SessionContext::new_with_config_rt(config, memory))
}

fn text(path: &Path) -> Result<String, Bad> {
    path.to_str().map(ToOwned::to_owned).ok_or_else(|| "lies in a folder whose name is not UTF-8".into())
}

/// The frame's rows as text columns of these names.
async fn collect(
    frame: DataFrame,
    names: Vec<String>,
    typed_file: bool,
    limits: &Limits,
) -> Result<RecordBatch, Bad> {
    let (mut stream, mut batches, mut rows, mut bytes) =
        (frame.execute_stream().await.map_err(said)?, Vec::new(), 0_u64, 0_usize);
    let typed = stream.schema();
    let field = |(at, name): (usize, &String)| {
        let plain = Field::new(name, DataType::Utf8, true);
        let kind = typed.fields().get(at).and_then(|field| typing::of_arrow(field.data_type()));
        match kind.filter(|_| typed_file) {
            Some(kind) => {
                plain.with_metadata([(typing::DECLARED.to_owned(), kind.as_str().to_owned())].into())
            }
            None => plain,
        }
    };
    let fields: Vec<_> = names.iter().enumerate().map(field).collect();
    let schema: SchemaRef = Arc::new(Schema::new(fields));
    while let Some(batch) = stream.next().await {
        let batch = batch.map_err(said)?;
        rows += batch.num_rows() as u64;
        if limits.rows < rows {
            return Err(format!("has more than {} rows", limits.rows));
        }
        let columns: Result<Vec<ArrayRef>, _> =
            batch.columns().iter().map(|array| cast(array, &DataType::Utf8)).collect();
        let columns = columns.map_err(|error| format!("cannot be read as text: {error}"))?;
        if let Some(name) = too_long(&names, &columns, limits.cell_bytes) {
            return Err(format!("column {name:?}: a value of more than {} bytes", limits.cell_bytes));
        }
        bytes += columns.iter().map(|array| array.get_array_memory_size()).sum::<usize>();
        if limits.table_bytes < bytes {
            return Err(format!("holds more than {} bytes of values", limits.table_bytes));
        }
        batches.push(RecordBatch::try_new(schema.clone(), columns).map_err(|error| error.to_string())?);
    }
    concat_batches(&schema, &batches).map_err(|error| format!("cannot be held in memory: {error}"))
}

/// A column with a text that is longer than a cell may be.
fn too_long<'a>(names: &'a [String], columns: &[ArrayRef], most: usize) -> Option<&'a String> {
    let long = |array: &ArrayRef| {
        let texts = array.as_string_opt::<i32>();
        texts.is_some_and(|texts| texts.offsets().lengths().any(|length| most < length))
    };
    names.iter().zip(columns).find(|(_, array)| long(array)).map(|(name, _)| name)
}

/// The engine's message without its own prefixes and paths, cut to what an operation's error holds.
fn said(error: datafusion::error::DataFusionError) -> Bad {
    let text = error.strip_backtrace();
    format!(
        "cannot be read: {}",
        text.lines().next().unwrap_or_default().chars().take(300).collect::<String>()
    )
}
