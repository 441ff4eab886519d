//! The seven steps of §5.3 in order. Each is a file: from rows to rows, and the record of what it did. The same input,
//! parameters and seed give the same output digest, on any machine and at any time.

pub mod audit;
pub mod augmentation;
pub mod cleaning;
pub mod extraction;
pub mod splitting;
pub mod transformation;
pub mod validation;
pub mod versioning;

use std::time::SystemTime;

use contracts::pipeline::v1::{BuildDatasetVersionRequest, BuildPlan, DataInput};
use contracts::registry::v1::StepRecord;
use contracts::time::to_wire;
use features::digest::sha256;
use features::leakage::Finding;
use features::{Preprocessing, Schema};
use serde_json::Value;

use crate::table::Table;
use crate::{Error, Pipeline, blocking};

/// Bytes of a step's parameters in its record at most; longer ones are kept by their digest.
const PARAMETER_BYTES: usize = 15 * 1024;

/// What a run of the seven steps made.
pub struct Built {
    /// The inputs, each with its digest.
    pub inputs: Vec<DataInput>,
    /// Seven records in order.
    pub steps: Vec<StepRecord>,
    /// What was found in the data as it came.
    pub raw: validation::Found,
    /// Rows after cleaning, before transformation, with their splits.
    pub clean: Table,
    /// Columns of `clean`.
    pub clean_schema: Schema,
    /// The version's rows.
    pub rows: Table,
    /// The version's columns.
    pub schema: Schema,
    /// Rows that stand in more than one split.
    pub leaked: u64,
    /// What the audit of the splits found.
    pub audit: Vec<Finding>,
    /// What serving replays.
    pub serving: Preprocessing,
    /// The files.
    pub files: versioning::Files,
}

/// Takes note of each step's begin; answers with an error where the run must stop.
#[tonic::async_trait]
pub trait Progress: Send + Sync {
    /// `step` begins; `share` of the work is done.
    async fn at(&self, step: &str, share: f64) -> Result<(), Error>;
}

/// Carries out the seven steps.
///
/// # Errors
/// Whatever makes the build impossible.
pub async fn run(
    pipeline: &Pipeline,
    request: &BuildDatasetVersionRequest,
    check_sources: bool,
    progress: &dyn Progress,
) -> Result<Built, Error> {
    let plan = request.plan.clone().unwrap_or_default();
    let now = || pipeline.clock().now();
    let most = pipeline.limits().table_bytes;
    let mut steps = Vec::new();

    progress.at("extraction", 0.0).await?;
    let begin = now();
    let request = &extraction::complete(pipeline, request, check_sources).await?;
    let (table, unread, record) = extraction::run(pipeline, request).await?;
    let total = record.rows_in;
    crate::plan::check_columns(&plan, &table.names())?;
    let mut last = push(&mut steps, record, begin, now());

    progress.at("validation", 0.15).await?;
    let begin = now();
    let (asked, input) = (plan.clone(), last.clone());
    let (table, raw, record) =
        blocking::run("validation", move || validation::run(&table, &asked, &input, unread)).await?;
    pipeline.blobs().put(raw.quarantine.clone().into()).await?;
    last = push(&mut steps, record, begin, now());

    progress.at("cleaning", 0.3).await?;
    let begin = now();
    let (asked, input, schema) = (plan.clone(), last.clone(), raw.schema.clone());
    let work = move || cleaning::run(&table, &asked, &schema, total, &input);
    let (clean, fills, before, record) = blocking::run("cleaning", work).await?;
    last = push(&mut steps, record, begin, now());

    progress.at("transformation", 0.45).await?;
    let begin = now();
    let (asked, input, table) = (plan.clone(), last.clone(), clean.clone());
    let work = move || transformation::run(&table, &asked, total, &input, most);
    let (table, transforms, record) = blocking::run("transformation", work).await?;
    last = push(&mut steps, record, begin, now());

    progress.at("augmentation", 0.55).await?;
    let begin = now();
    let (asked, input) = (plan.clone(), last.clone());
    let (table, record) =
        blocking::run("augmentation", move || augmentation::run(&table, &asked, &input, most)).await?;
    let carried_out = record.not_applicable_reason.is_empty();
    let after = push(&mut steps, record, begin, now());
    last = if carried_out { after } else { last };

    progress.at("splitting", 0.65).await?;
    let begin = now();
    let (asked, input) = (plan.clone(), last.clone());
    let work = move || splitting::run(&table, clean, &asked, total, &input);
    let splitting::Ended { rows, clean, leaked, audit, record } = blocking::run("splitting", work).await?;
    last = push(&mut steps, record, begin, now());

    progress.at("versioning", 0.75).await?;
    let begin = now();
    let schema = described(&plan, &rows)?;
    let before =
        before.with_missing_texts(|name| crate::plan::missing_texts(&plan, &raw.missing_texts, name));
    let serving = transformation::serving(before, &fills.then(transforms), &plan, &schema)?;
    let earlier = steps.clone();
    let parts = versioning::Parts {
        clean: clean.clone(),
        rows: rows.clone(),
        schema: schema.clone(),
        serving: serving.clone(),
    };
    let (files, record) =
        blocking::run("versioning", move || versioning::run(&parts, &earlier, &last)).await?;
    for bytes in files.blobs() {
        pipeline.blobs().put(bytes).await?;
    }
    push(&mut steps, record, begin, now());
    let clean_schema = described(&plan, &clean)?;
    Ok(Built {
        inputs: request.inputs.clone(),
        steps,
        raw,
        clean,
        clean_schema,
        rows,
        schema,
        leaked,
        audit,
        serving,
        files,
    })
}

/// The columns of a table as the plan describes them.
fn described(plan: &BuildPlan, table: &Table) -> Result<Schema, Error> {
    let names = table.names();
    let columns = names.iter().map(|name| Ok(crate::plan::column(plan, name, table.column(name)?.kind())));
    Ok(Schema { columns: columns.collect::<Result<_, Error>>()? })
}

fn push(steps: &mut Vec<StepRecord>, mut record: StepRecord, begin: SystemTime, end: SystemTime) -> String {
    record.start_time = Some(to_wire(begin));
    record.end_time = Some(to_wire(end));
    let output = record.output_digest.clone();
    steps.push(record);
    output
}

/// Digest of the code of a step: its file and the crate's version.
fn code(source: &str) -> String {
    sha256(format!("{}\n{source}", env!("CARGO_PKG_VERSION")).as_bytes())
}

/// What a step says of itself.
struct Did<'a> {
    step: &'a str,
    code: &'a str,
    input: &'a str,
    output: String,
    parameters: Value,
    seed: u64,
    rows_in: usize,
    rows_out: usize,
    rejects: usize,
}

impl Did<'_> {
    fn record(self) -> StepRecord {
        let mut parameters = self.parameters.to_string();
        if PARAMETER_BYTES < parameters.len() {
            parameters =
                serde_json::json!({ "parameters_digest": sha256(parameters.as_bytes()) }).to_string();
        }
        StepRecord {
            step: self.step.to_owned(),
            input_digest: self.input.to_owned(),
            output_digest: self.output,
            code_digest: code(self.code),
            parameters,
            seed: self.seed,
            rows_in: self.rows_in as u64,
            rows_out: self.rows_out as u64,
            rejects: self.rejects as u64,
            ..StepRecord::default()
        }
    }
}
