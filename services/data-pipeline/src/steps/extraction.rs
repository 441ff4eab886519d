//! Extraction (§5.3): the bytes of every input, from a source that may be used (§5.1), checked against their digest, as text.
//! Rows that cannot be read are counted, and go to quarantine.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Field, Schema};
use contracts::pipeline::v1::{BuildDatasetVersionRequest, BuildPlan, DataInput};
use contracts::registry::v1::{GetDataSourceRequest, StepRecord, data_source::State};
use contracts::time::from_wire;
use features::digest::sha256;
use serde_json::{Value, json};
use storage::Digest;

use super::Did;
use crate::input::{Input, Read, Spoken};
use crate::table::Table;
use crate::{Error, Limits, Pipeline, blocking};

/// Lines of the quarantine file at most that tell of rows that could not be read.
const QUARANTINED: usize = 100_000;

/// Rows that could not be read.
#[derive(Debug, Clone, Default)]
pub struct Unread {
    /// How many.
    pub rows: u64,
    /// A line of JSON for each, the first ones of very many: input, row, line, column, reason, value.
    pub lines: Vec<u8>,
}

/// The request with the digest of every input: what lies in a store is fetched, unless its bytes are here already. Before
/// that the sources are asked about, if `check_sources`.
///
/// # Errors
/// [`Error::Source`]; [`Error::BadData`] for what is not there, may not be read, or has another digest than is required;
/// [`Error::Reader`].
pub async fn complete(
    pipeline: &Pipeline,
    request: &BuildDatasetVersionRequest,
    check_sources: bool,
) -> Result<BuildDatasetVersionRequest, Error> {
    if check_sources {
        for input in &request.inputs {
            usable(pipeline, &input.data_source).await?;
        }
    }
    let mut request = request.clone();
    for (at, one) in request.inputs.iter_mut().enumerate().filter(|(_, one)| !one.uri.is_empty()) {
        let required: Option<Digest> = one.digest.parse().ok();
        if let Some(required) = &required
            && pipeline.blobs().exists(required).await?
        {
            continue;
        }
        let (reader, input) = (pipeline.reader(), format!("inputs[{at}].uri ({})", one.uri));
        let bounds = (pipeline.limits().upload_bytes, reader.wall());
        let fetched =
            pipeline.stores().fetch(&input, &one.uri, pipeline.blobs(), reader.folder(), bounds).await?;
        if required.is_some_and(|required| required != fetched) {
            let what = format!("has the digest {fetched}, required {}", one.digest);
            return Err(Error::BadData { input, what });
        }
        one.digest = fetched.to_string();
    }
    Ok(request)
}

/// Reads all inputs, one after the other; a column that an input lacks is missing in its rows.
///
/// # Errors
/// [`Error::BadData`], [`Error::Reader`], [`Error::Blob`].
pub async fn run(
    pipeline: &Pipeline,
    request: &BuildDatasetVersionRequest,
) -> Result<(Table, Unread, StepRecord), Error> {
    let spoken = spoken(&request.plan.clone().unwrap_or_default());
    let (mut parts, mut inputs) = (Vec::new(), Vec::new());
    let (mut together, mut unread) = (Together::new(*pipeline.limits()), Unread::default());
    let mut lines = 0;
    for (at, one) in request.inputs.iter().enumerate() {
        let name = format!("inputs[{at}] ({})", one.digest);
        let input = Input {
            name: &name,
            path: stored(pipeline, at, one).await?,
            format: one.format(),
            at,
            first_row: together.rows,
            quarantine_lines: QUARANTINED.saturating_sub(lines),
        };
        let read = pipeline.reader().read(input, &spoken, together.left()).await?;
        inputs.push(told(one, &read));
        unread.rows += read.left;
        unread.lines.extend_from_slice(&read.quarantine);
        lines += read.quarantined;
        let first_row = together.rows;
        together.add(&read)?;
        parts.push((first_row, read));
    }
    let (table, output) = blocking::run("inputs", move || {
        let table = joined(parts)?;
        let output = table.digest()?;
        Ok((table, output))
    })
    .await?;
    if table.rows() == 0 {
        return Err(Error::BadData { input: "inputs".into(), what: "have no rows".into() });
    }
    let digests: Vec<&str> = request.inputs.iter().map(|one| one.digest.as_str()).collect();
    let record = Did {
        step: "extraction",
        code: &format!("{}{}", include_str!("extraction.rs"), tabular::raw::CODE),
        input: &sha256(digests.join("\n").as_bytes()),
        output,
        parameters: json!({ "inputs": inputs, "quarantine": sha256(&unread.lines) }),
        seed: 0,
        rows_in: table.rows() + unread.rows as usize,
        rows_out: table.rows(),
        rejects: unread.rows as usize,
    };
    Ok((table, unread, record.record()))
}

/// What the plan says of columns.
fn spoken(plan: &BuildPlan) -> Spoken {
    let dropped = plan.columns.iter().filter(|rule| rule.drop).map(|rule| rule.name.clone()).collect();
    let one = [&plan.label_column, &plan.event_time_column];
    let names = plan.columns.iter().map(|rule| &rule.name).chain(&plan.key_columns).chain(one);
    let names = names.filter(|name| !name.is_empty()).cloned().collect();
    Spoken { dropped, missing: plan.missing_markers.clone(), names }
}

/// An input in the record of the step: what was asked for, and what was found.
fn told(one: &DataInput, read: &Read) -> Value {
    let mut out = json!({
        "data_source": one.data_source,
        "digest": one.digest,
        "format": one.format().as_str_name(),
        "detected": read.detected,
        "rows": read.all_rows(),
        "rejects": read.left,
    });
    if !one.uri.is_empty() {
        out["uri"] = one.uri.clone().into();
    }
    out
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

/// Where the bytes of an input lie, once they were checked.
async fn stored(pipeline: &Pipeline, at: usize, one: &DataInput) -> Result<std::path::PathBuf, Error> {
    let digest: Digest = one.digest.parse().map_err(|_| {
        Error::field(&format!("inputs[{at}].digest"), "required: sha256:<64 hexadecimal digits>")
    })?;
    pipeline.blobs().check(&digest).await?;
    Ok(pipeline.blobs().local_path(&digest))
}

/// What all inputs hold together, so that the limits hold for their sum while it grows.
struct Together {
    limits: Limits,
    /// With those that could not be read.
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

    fn add(&mut self, read: &Read) -> Result<(), Error> {
        self.rows += read.all_rows();
        self.bytes += read.bytes();
        self.names.extend(read.batch.schema_ref().fields().iter().map(|field| field.name().clone()));
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

/// Rows of all inputs under the union of their columns, in the order of first appearance. With each input comes the number of
/// the rows before it.
fn joined(parts: Vec<(u64, Read)>) -> Result<Table, Error> {
    let (mut source_row, mut input, mut batches) = (Vec::new(), Vec::new(), Vec::new());
    for (at, (first, read)) in parts.into_iter().enumerate() {
        input.extend(std::iter::repeat_n(at as u16, read.rows.len()));
        source_row.extend(read.rows.iter().map(|row| first + row));
        batches.push(read.batch);
    }
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
    Ok(Table { source_row, input, invalid: vec![false; rows], split: Vec::new(), augmented: 0, batch })
}
