//! Transformation (§5.3): derived columns, then normalising, encoding, tokenising; fitted on the training rows alone.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use contracts::pipeline::v1::{BuildPlan, DerivedColumn};
use contracts::registry::v1::StepRecord;
use features::preprocessing::Raw;
use features::transform::band;
use features::{Fitted, Operation, Preprocessing, Schema};
use serde_json::json;

use super::Did;
use crate::table::{Split, Table};
use crate::{Error, plan, transforms};

/// Makes the derived columns and applies the transforms.
///
/// # Errors
/// [`Error::Features`].
pub fn run(
    table: &Table,
    plan: &BuildPlan,
    total: u64,
    input: &str,
    most: usize,
) -> Result<(Table, Fitted, StepRecord), Error> {
    let (derived, first) = derive(table, plan, total)?;
    let work: Vec<Operation> = plan.transforms.iter().filter_map(transforms::operation).collect();
    let second = Fitted::fit(&work, &derived.part(Split::Train)?.batch)?;
    room(&second, derived.rows(), most)?;
    let rows = derived.with(second.apply(&derived.batch)?);
    let fitted = first.then(second);
    let described = plan.transforms.iter().map(|rule| {
        json!({
            "column": rule.column, "kind": rule.kind().as_str_name(), "parameters": rule.parameters, "texts": rule.texts,
        })
    });
    let record = Did {
        step: "transformation",
        code: include_str!("transformation.rs"),
        input,
        output: rows.digest()?,
        parameters: json!({
            "derived": plan.derived.iter().map(derived_json).collect::<Vec<_>>(),
            "transforms": described.collect::<Vec<_>>(),
            "fitted": fitted.digest(),
        }),
        seed: plan.seed,
        rows_in: table.rows(),
        rows_out: rows.rows(),
        rejects: 0,
    };
    Ok((rows, fitted, record.record()))
}

/// Refuses transforms that make more columns than memory holds, before they are made.
fn room(fitted: &Fitted, rows: usize, most: usize) -> Result<(), Error> {
    let mut bytes = 0_usize;
    for step in &fitted.steps {
        let made = step.width();
        if made < 2 {
            continue;
        }
        bytes = bytes.saturating_add(made.saturating_mul(rows).saturating_mul(size_of::<i64>()));
        if most < bytes {
            return Err(Error::TooLarge {
                what: format!("{made} columns made of {:?}", step.reads().first().unwrap_or(&"")),
                allowed: most,
            });
        }
    }
    Ok(())
}

/// The derived columns alone; nothing is fitted. `total` rows were extracted.
///
/// # Errors
/// [`Error::Features`].
pub fn derive(table: &Table, plan: &BuildPlan, total: u64) -> Result<(Table, Fitted), Error> {
    let (mut rows, mut fitted) = (table.clone(), Fitted::default());
    for derived in &plan.derived {
        rows = match plan::derivation(derived) {
            Some(operation) => {
                let one = Fitted::fit(&[operation], &rows.batch)?; // a derivation learns nothing
                let next = rows.with(one.apply(&rows.batch)?);
                fitted = fitted.then(one);
                next
            }
            None => by_position(&rows, derived, total)?,
        };
    }
    Ok((rows, fitted))
}

/// The band of a row's place among all rows of the inputs, as a share.
fn by_position(rows: &Table, derived: &DerivedColumn, total: u64) -> Result<Table, Error> {
    let share = |line: &u64| *line as f64 / total.max(1) as f64;
    let label = |line| derived.labels.get(band(&derived.thresholds, share(line)));
    let array: StringArray = rows.source_row.iter().map(label).collect();
    let fields = rows.batch.schema_ref().fields().iter();
    let mut columns: Vec<(String, ArrayRef)> = fields
        .zip(rows.batch.columns())
        .map(|(field, array)| (field.name().clone(), array.clone()))
        .collect();
    columns.push((derived.name.clone(), Arc::new(array)));
    let nullable = columns.into_iter().map(|(name, array)| (name, array, true));
    Ok(rows.with(RecordBatch::try_from_iter_with_nullable(nullable)?))
}

/// What serving replays: nothing that is made of the label or of a row's position, which requests do not carry.
///
/// # Errors
/// [`Error::Features`].
pub fn serving(
    before: Raw,
    fitted: &Fitted,
    plan: &BuildPlan,
    schema: &Schema,
) -> Result<Preprocessing, Error> {
    let positional = plan::positional(plan).into_iter().map(str::to_owned);
    let label = Some(plan.label_column.clone()).filter(|name| !name.is_empty());
    let never = positional.chain(label).collect();
    let is_feature = |name: &str| {
        let group = schema.find(name).is_some_and(|column| column.sensitive);
        !group && !plan.key_columns.iter().any(|key| key == name)
    };
    Ok(Preprocessing::new(before, &fitted.steps, &never, is_feature)?)
}

fn derived_json(derived: &DerivedColumn) -> serde_json::Value {
    json!({
        "name": derived.name,
        "from": derived.from,
        "operation": derived.operation().as_str_name(),
        "thresholds": derived.thresholds,
        "labels": derived.labels,
    })
}
