//! Splits of a table at hand, without a mesh: the same rules, the same code and the same rows as in a build whose other
//! steps change nothing.

use arrow::array::RecordBatch;
use contracts::pipeline::v1::{BuildPlan, DataFormat};
use features::leakage::Finding;
use features::split::time::LeftOut;

use crate::export::{self, Text};
use crate::parse::{self, Fields};
use crate::steps::{audit, splitting, versioning};
use crate::table::{Split, Table};
use crate::{Error, plan};

/// A table in its splits.
pub struct Splits {
    /// Name and rows of each split that has any: train, validation, test.
    pub parts: Vec<(&'static str, RecordBatch)>,
    /// Rows that no split may have, by reason.
    pub left_out: LeftOut,
    /// What the audit found; nothing where there is a single split.
    pub audit: Vec<Finding>,
}

/// Splits the rows of a table as `plan.splits`, `plan.seed` and the columns that the plan names say.
///
/// # Errors
/// [`Error::BadRequest`] with every field of the plan that is wrong or that names a column which is not there, and where a
/// split that was asked for gets no row.
pub fn split(batch: RecordBatch, plan: &BuildPlan) -> Result<Splits, Error> {
    let mut fields = Fields::default();
    parse::build_plan(&mut fields, plan);
    fields.done()?;
    let rows = batch.num_rows();
    let table = Table {
        batch,
        source_row: (0..rows as u64).collect(),
        input: vec![0; rows],
        invalid: vec![false; rows],
        split: Vec::new(),
        augmented: 0,
    };
    plan::check_columns(plan, &table.names())?;
    let (table, left_out) = splitting::assign(&table, plan, rows as u64)?;
    splitting::check_filled(&table, plan)?;
    let audit = audit::audit(&table, plan, rows as u64)?;
    let mut parts = Vec::new();
    for split in Split::ALL {
        let part = table.part(split)?;
        if part.rows() > 0 {
            parts.push((split.as_str(), part.batch));
        }
    }
    Ok(Splits { parts, left_out, audit })
}

/// Rows as the bytes of a file of any of the formats; Parquet without one.
///
/// # Errors
/// [`Error::Features`] for columns of other types than the five, or of Parquet.
pub fn file(rows: &RecordBatch, format: DataFormat) -> Result<Vec<u8>, Error> {
    match format {
        DataFormat::Csv => export::text_of(std::slice::from_ref(rows), Text::Csv),
        DataFormat::Tsv => export::text_of(std::slice::from_ref(rows), Text::Tsv),
        DataFormat::Jsonl => export::text_of(std::slice::from_ref(rows), Text::Jsonl),
        DataFormat::Arrow => export::arrow_of(&rows.schema(), std::slice::from_ref(rows)),
        DataFormat::Unspecified | DataFormat::Parquet => Ok(versioning::parquet(rows)?.to_vec()),
    }
}
