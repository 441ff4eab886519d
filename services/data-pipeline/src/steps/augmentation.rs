//! Augmentation (§5.3, "if applicable"): noisy copies of training rows, with the line of their parent.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch};
use arrow::compute::concat_batches;
use contracts::pipeline::v1::BuildPlan;
use contracts::registry::v1::StepRecord;
use features::{Kind, Values};
use serde_json::json;
use statistics::Moments;
use statistics::random::SplitMix64;

use super::Did;
use crate::table::{Split, Table};
use crate::{Error, plan};

/// Appends the copies.
///
/// # Errors
/// Of Arrow.
pub fn run(table: &Table, plan: &BuildPlan, input: &str, most: usize) -> Result<(Table, StepRecord), Error> {
    let asked = plan.augmentation.clone().unwrap_or_default();
    let did = |rows: &Table, output: String| Did {
        step: "augmentation",
        code: include_str!("augmentation.rs"),
        input,
        output,
        parameters: json!({ "noise": asked.noise, "copies": asked.copies }),
        seed: plan.seed,
        rows_in: table.rows(),
        rows_out: rows.rows(),
        rejects: 0,
    };
    if asked.copies == 0 {
        let given = asked.not_applicable_reason.trim();
        let reason = if given.is_empty() { "the plan asks for none" } else { given };
        let record = did(table, input.to_owned()).record();
        return Ok((table.clone(), StepRecord { not_applicable_reason: reason.to_owned(), ..record }));
    }
    let training: Vec<usize> = (0..table.rows()).filter(|row| table.split[*row] == Split::Train).collect();
    let parents = table.take(&training)?;
    let copied = parents.batch.get_array_memory_size().saturating_mul(asked.copies as usize);
    if most < copied.saturating_add(table.batch.get_array_memory_size()) {
        return Err(Error::TooLarge {
            what: format!("{} copies of the training rows", asked.copies),
            allowed: most,
        });
    }
    let mut generator = SplitMix64::new(plan.seed ^ 0x6175_676d_656e_7421);
    let mut batches = vec![table.batch.clone()];
    for _ in 0..asked.copies {
        batches.push(noisy(&parents, plan, asked.noise, &mut generator)?);
    }
    let mut rows = table.with(concat_batches(&table.batch.schema(), &batches)?);
    for _ in 0..asked.copies {
        rows.source_row.extend(&parents.source_row);
        rows.input.extend(&parents.input);
        rows.invalid.extend(&parents.invalid);
        rows.split.extend(&parents.split);
    }
    rows.augmented = parents.rows() * asked.copies as usize;
    let record = did(&rows, rows.digest()?).record();
    Ok((rows, record))
}

/// One copy of each row: every number that is neither label nor group moves by normal noise.
fn noisy(
    parents: &Table,
    plan: &BuildPlan,
    noise: f64,
    generator: &mut SplitMix64,
) -> Result<RecordBatch, Error> {
    let mut columns: Vec<ArrayRef> = Vec::new();
    for (name, array) in parents.names().into_iter().zip(parents.batch.columns()) {
        let values = Values::of(&name, array)?;
        let described = plan::column(plan, &name, values.kind());
        if described.label || described.sensitive || !values.kind().is_number() {
            columns.push(array.clone());
            continue;
        }
        let all = 0..values.len();
        let moments: Moments = all.clone().filter_map(|row| values.number(row)).collect();
        let deviation = noise * moments.variance().map_or(0.0, f64::sqrt);
        let moved: Vec<Option<f64>> =
            all.map(|row| values.number(row).map(|number| number + deviation * normal(generator))).collect();
        columns.push(if values.kind() == Kind::Int64 {
            Arc::new(moved.into_iter().map(|value| value.map(|it| it.round() as i64)).collect::<Int64Array>())
        } else {
            Arc::new(moved.into_iter().collect::<Float64Array>())
        });
    }
    Ok(RecordBatch::try_new(parents.batch.schema(), columns)?)
}

/// Standard normal by Box and Muller.
fn normal(generator: &mut SplitMix64) -> f64 {
    let (radius, angle) = (1.0 - generator.next_f64(), generator.next_f64());
    (-2.0 * radius.ln()).sqrt() * (std::f64::consts::TAU * angle).cos()
}
