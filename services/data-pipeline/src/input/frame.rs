//! CSV and Parquet through DataFusion: one partition, so that rows keep their order, within a memory limit.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::compute::{cast, concat_batches};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::dataframe::DataFrame;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::prelude::{CsvReadOptions, ParquetReadOptions, SessionConfig, SessionContext};
use futures::StreamExt;

use super::csv::Header;
use super::{Bad, check_names};
use crate::Limits;

/// Reads a CSV file whose header is known.
///
/// # Errors
/// What is wrong.
pub async fn csv(path: &Path, header: &Header, limits: &Limits) -> Result<RecordBatch, Bad> {
    let fields = header.names.iter().map(|name| Field::new(name, DataType::Utf8, true));
    let schema = Schema::new(fields.collect::<Vec<_>>());
    let options =
        CsvReadOptions::new().has_header(true).schema(&schema).newlines_in_values(true).file_extension("");
    let frame = context(limits)?.read_csv(text(path)?, options).await.map_err(said)?;
    collect(frame, limits).await
}

/// Reads a Parquet file of flat columns.
///
/// # Errors
/// What is wrong.
pub async fn parquet(path: &Path, limits: &Limits) -> Result<RecordBatch, Bad> {
    let options = ParquetReadOptions::new().skip_metadata(true).file_extension("");
    let frame = context(limits)?.read_parquet(text(path)?, options).await.map_err(said)?;
    let fields = frame.schema().fields();
    let names: Vec<String> = fields.iter().map(|field| field.name().clone()).collect();
    check_names(&names, limits)?;
    let nested = fields.iter().find(|field| field.data_type().is_nested() || is_binary(field.data_type()));
    if let Some(field) = nested {
        return Err(format!(
            "column {:?} is {}, required a number, text, truth value or time",
            field.name(),
            field.data_type()
        ));
    }
    collect(frame, limits).await
}

fn is_binary(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_)
    )
}

fn context(limits: &Limits) -> Result<SessionContext, Bad> {
    let mut config = SessionConfig::new().with_target_partitions(1).with_batch_size(8192);
    config.options_mut().execution.parquet.schema_force_view_types = false;
    let memory =
        RuntimeEnvBuilder::new().with_memory_limit(limits.table_bytes, 1.0).build_arc().map_err(said)?;
    Ok(SessionContext::new_with_config_rt(config, memory))
}

fn text(path: &Path) -> Result<String, Bad> {
    path.to_str().map(ToOwned::to_owned).ok_or_else(|| "lies in a folder whose name is not UTF-8".into())
}

async fn collect(frame: DataFrame, limits: &Limits) -> Result<RecordBatch, Bad> {
    let (mut stream, mut batches, mut rows, mut bytes) =
        (frame.execute_stream().await.map_err(said)?, Vec::new(), 0_u64, 0_usize);
    let names: Vec<_> = stream.schema().fields().iter().map(|field| field.name().clone()).collect();
    let fields: Vec<_> = names.into_iter().map(|name| Field::new(name, DataType::Utf8, true)).collect();
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
        bytes += columns.iter().map(|array| array.get_array_memory_size()).sum::<usize>();
        if limits.table_bytes < bytes {
            return Err(format!("holds more than {} bytes of values", limits.table_bytes));
        }
        batches.push(RecordBatch::try_new(schema.clone(), columns).map_err(|error| error.to_string())?);
    }
    concat_batches(&schema, &batches).map_err(|error| format!("cannot be held in memory: {error}"))
}

/// The engine's message without its own prefixes and paths, cut to what an operation's error holds.
fn said(error: datafusion::error::DataFusionError) -> Bad {
    let text = error.strip_backtrace();
    format!(
        "cannot be read: {}",
        text.lines().next().unwrap_or_default().chars().take(300).collect::<String>()
    )
}
