//! Versioning (§5.3): one Parquet file for each split with fixed writer settings, the clean rows for audits, the fitted
//! transforms, and a manifest over all of it. The same rows give the same bytes.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::Schema as ArrowSchema;
use bytes::Bytes;
use contracts::registry::v1::{DatasetSplit, StepRecord};
use features::digest::sha256;
use features::{Preprocessing, Schema};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::{WriterProperties, WriterVersion};
use serde_json::json;

use super::Did;
use crate::Error;
use crate::table::{Split, Table};

/// Rows of a row group.
const GROUP_ROWS: usize = 65_536;
/// zstd level: half the size of snappy on tables, still faster than the disk.
const LEVEL: i32 = 3;

/// What a version is made of.
pub struct Parts {
    /// Rows before transformation.
    pub clean: Table,
    /// Final rows.
    pub rows: Table,
    /// Their columns.
    pub schema: Schema,
    /// What serving replays.
    pub serving: Preprocessing,
}

/// The files of a version, content-addressed.
#[derive(Debug, Clone)]
pub struct Files {
    /// In the order train, validation, test; empty ones are left out.
    pub splits: Vec<(DatasetSplit, Bytes)>,
    /// Rows before transformation, with line and split.
    pub clean: Bytes,
    /// The preprocessing as JSON.
    pub transform: Bytes,
    /// The schema as JSON.
    pub schema: Bytes,
    /// The manifest as JSON.
    pub manifest: Bytes,
}

impl Files {
    /// Everything to be stored.
    pub fn blobs(&self) -> impl Iterator<Item = Bytes> {
        let named = [&self.clean, &self.transform, &self.schema, &self.manifest].map(Bytes::clone);
        self.splits.iter().map(|(_, bytes)| bytes.clone()).collect::<Vec<_>>().into_iter().chain(named)
    }
}

/// Writes the files.
///
/// # Errors
/// Of Parquet.
pub fn run(parts: &Parts, steps: &[StepRecord], input: &str) -> Result<(Files, StepRecord), Error> {
    let mut splits = Vec::new();
    for split in Split::ALL {
        let part = parts.rows.part(split)?;
        if part.rows() == 0 {
            continue;
        }
        let bytes = parquet(&part.cut(&parts.schema)?)?;
        let digest = sha256(&bytes);
        let (rows, size_bytes) = (part.rows() as u64, bytes.len() as u64);
        splits.push((DatasetSplit { split: split.as_str().into(), rows, digest, size_bytes }, bytes));
    }
    let clean = parquet(&parts.clean.with_origin()?)?;
    let listed = splits.iter().map(|(split, _)| {
        json!({ "split": split.split, "rows": split.rows, "digest": split.digest, "size_bytes": split.size_bytes })
    });
    let done = steps.iter().map(|step| {
        json!({
            "step": step.step, "input": step.input_digest, "output": step.output_digest, "code": step.code_digest,
            "parameters": sha256(step.parameters.as_bytes()), "seed": step.seed.to_string(),
        })
    });
    let manifest = json!({
        "format": "wlp-dataset/1",
        "splits": listed.collect::<Vec<_>>(),
        "clean": sha256(&clean),
        "schema": parts.schema.digest(),
        "transform": parts.serving.digest(),
        "steps": done.collect::<Vec<_>>(),
    });
    let files = Files {
        splits,
        clean,
        transform: parts.serving.json().into(),
        schema: parts.schema.json().into(),
        manifest: manifest.to_string().into(),
    };
    let record = Did {
        step: "versioning",
        code: include_str!("versioning.rs"),
        input,
        output: sha256(&files.manifest),
        parameters: json!({ "format": "parquet", "compression": format!("zstd({LEVEL})"), "row_group_rows": GROUP_ROWS }),
        seed: 0,
        rows_in: parts.rows.rows(),
        rows_out: parts.rows.rows(),
        rejects: 0,
    };
    Ok((files, record.record()))
}

/// Rows as Parquet: nothing in it depends on when or where it was written.
pub fn parquet(rows: &RecordBatch) -> Result<Bytes, Error> {
    let properties = WriterProperties::builder()
        .set_created_by("wlp".into())
        .set_writer_version(WriterVersion::PARQUET_1_0)
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(LEVEL)?))
        .set_max_row_group_row_count(Some(GROUP_ROWS))
        .build();
    let schema = Arc::new(ArrowSchema::new(rows.schema_ref().fields().clone()));
    let options = ArrowWriterOptions::new().with_properties(properties);
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new_with_options(&mut bytes, schema.clone(), options)?;
    writer.write(&RecordBatch::try_new(schema, rows.columns().to_vec())?)?;
    writer.close()?;
    Ok(bytes.into())
}
