//! Extraction (§5.3): the bytes of every input, from a source that may be used (§5.1), checked against their digest, as text.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Field, Schema};
use contracts::pipeline::v1::{BuildDatasetVersionRequest, DataInput};
use contracts::registry::v1::{GetDataSourceRequest, StepRecord, data_source::State};
use contracts::time::from_wire;
use features::digest::sha256;
use serde_json::json;
use storage::Digest;

use super::Did;
use crate::table::Table;
use crate::{Error, Limits, Pipeline, blocking, input};

/// Reads all inputs, one after the other; a column that an input lacks is missing in its rows.
///
/// # Errors
/// [`Error::Source`], [`Error::BadData`], [`Error::Blob`].
pub async fn run(
    pipeline: &Pipeline,
    request: &BuildDatasetVersionRequest,
    check_sources: bool,
) -> Result<(Table, StepRecord), Error> {
    if check_sources {
        for input in &request.inputs {
            usable(pipeline, &input.data_source).await?;
        }
    }
    let plan = request.plan.clone().unwrap_or_default();
    let dropped: Vec<String> =
        plan.columns.iter().filter(|rule| rule.drop).map(|rule| rule.name.clone()).collect();
    let (mut batches, mut together) = (Vec::new(), Together::new(*pipeline.limits()));
    for (at, one) in request.inputs.iter().enumerate() {
        let batch = read(pipeline, at, one, &dropped, together.left()).await?;
        together.add(&batch)?;
        batches.push(batch);
    }
    let (table, output) = blocking::run("inputs", move || {
        let table = joined(&batches)?;
        let output = table.digest()?;
        Ok((table, output))
    })
    .await?;
    if table.rows() == 0 {
        return Err(Error::BadData { input: "inputs".into(), what: "have no rows".into() });
    }
    let inputs: Vec<_> = request.inputs.iter().map(|one| {
        json!({ "data_source": one.data_source, "digest": one.digest, "format": one.format().as_str_name() })
    }).collect();
    let record = Did {
        step: "extraction",
        code: include_str!("extraction.rs"),
        input: &sha256(
            request.inputs.iter().map(|one| one.digest.as_str()).collect::<Vec<_>>().join("\n").as_bytes(),
        ),
        output,
        parameters: json!({ "inputs": inputs }),
        seed: 0,
        rows_in: table.rows(),
        rows_out: table.rows(),
        rejects: 0,
    };
    Ok((table, record.record()))
}

/// Asks the registry whether the source is approved and its contract runs.
async fn usable(pipeline: &Pipeline, name: &str) -> Result<(), Error> {
    let request = GetDataSourceRequest { name: name.to_owned() };
    let source =
        pipeline.deps().sources.clone().get_data_source(request).await.map_err(Error::Registry)?.into_inner();
    let refused = |required: &str, observed: String| {
        Err(Error::Source { source_name: name.to_owned(), required: required.to_owned(), observed })
    };
    if source.state() != State::Approved {
        return refused(
            "an approved source",
            source.state().as_str_name().trim_start_matches("STATE_").to_lowercase(),
        );
    }
    match source.contract_expire_time.as_ref().and_then(from_wire) {
        Some(end) if end <= pipeline.clock().now() => {
            refused("a contract that runs", "it has expired".into())
        }
        _ => Ok(()),
    }
}

/// What all inputs hold together, so that the limits hold for their sum while it grows.
struct Together {
    limits: Limits,
    rows: u64,
    bytes: usize,
    names: HashSet<String>,
}

impl Together {
    fn new(limits: Limits) -> Self {
        Self { limits, rows: 0, bytes: 0, names: HashSet::new() }
    }

    /// What the next input may hold.
    fn left(&self) -> Limits {
        Limits {
            rows: self.limits.rows - self.rows,
            table_bytes: self.limits.table_bytes - self.bytes,
            ..self.limits
        }
    }

    fn add(&mut self, batch: &RecordBatch) -> Result<(), Error> {
        self.rows += batch.num_rows() as u64;
        self.bytes += batch.get_array_memory_size();
        self.names.extend(batch.schema_ref().fields().iter().map(|field| field.name().clone()));
        // A column that an input lacks still takes an offset in each of its rows.
        let empty = self.names.len() as u64 * self.rows * size_of::<i32>() as u64;
        let refuse = |what: String| Err(Error::BadData { input: "inputs".into(), what });
        if self.limits.rows < self.rows {
            return refuse(format!(
                "have {} rows together, at most {} are taken",
                self.rows, self.limits.rows
            ));
        }
        if self.limits.columns < self.names.len() {
            let (found, most) = (self.names.len(), self.limits.columns);
            return refuse(format!("have {found} columns together, at most {most} are taken"));
        }
        if self.limits.table_bytes < self.bytes || self.limits.table_bytes as u64 <= empty {
            return refuse(format!("hold more than {} bytes of values together", self.limits.table_bytes));
        }
        Ok(())
    }
}

async fn read(
    pipeline: &Pipeline,
    at: usize,
    one: &DataInput,
    dropped: &[String],
    limits: Limits,
) -> Result<RecordBatch, Error> {
    let name = format!("inputs[{at}] ({})", one.digest);
    let digest: Digest = one.digest.parse().map_err(|_| {
        Error::field(&format!("inputs[{at}].digest"), "required: sha256:<64 hexadecimal digits>")
    })?;
    pipeline.blobs().check(&digest).await?;
    let path = pipeline.blobs().local_path(&digest);
    input::read(&name, path, one.format(), dropped, limits).await
}

/// Rows of all inputs under the union of their columns, in the order of first appearance.
fn joined(batches: &[RecordBatch]) -> Result<Table, Error> {
    let (mut names, mut seen) = (Vec::<String>::new(), HashSet::new());
    for field in batches.iter().flat_map(|batch| batch.schema_ref().fields().iter()) {
        if seen.insert(field.name().clone()) {
            names.push(field.name().clone());
        }
    }
    let field = |name: &String| {
        // A type that every input declares for the column is its type.
        let declared: Vec<_> =
            batches.iter().filter_map(|batch| batch.schema_ref().field_with_name(name).ok()).collect();
        let first = declared.first().map(|field| field.metadata().clone()).unwrap_or_default();
        let same = declared.iter().all(|field| *field.metadata() == first);
        let plain = Field::new(name, DataType::Utf8, true);
        if same { plain.with_metadata(first) } else { plain }
    };
    let fields: Vec<_> = names.iter().map(field).collect();
    let schema = Arc::new(Schema::new(fields));
    let widened = |batch: &RecordBatch| {
        let column = |name: &String| -> ArrayRef {
            let found = batch.column_by_name(name).cloned();
            found.unwrap_or_else(|| Arc::new(StringArray::new_null(batch.num_rows())))
        };
        RecordBatch::try_new(schema.clone(), names.iter().map(column).collect())
    };
    let widened = batches.iter().map(widened).collect::<Result<Vec<_>, _>>()?;
    let batch = concat_batches(&schema, &widened)?;
    let rows = batch.num_rows();
    let input =
        batches.iter().enumerate().flat_map(|(at, batch)| std::iter::repeat_n(at as u16, batch.num_rows()));
    Ok(Table {
        source_row: (0..rows as u64).collect(),
        input: input.collect(),
        invalid: vec![false; rows],
        split: Vec::new(),
        augmented: 0,
        batch,
    })
}
