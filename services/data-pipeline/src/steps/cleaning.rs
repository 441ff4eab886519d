//! Cleaning (§5.3): rows are dropped first, then the splits are assigned, then missing values are filled and outliers
//! clipped by what the training rows alone say. Without rules the rows pass as they are.

use contracts::pipeline::v1::{BuildPlan, CleaningRule, cleaning_rule::Action};
use contracts::registry::v1::StepRecord;
use features::digest::Rows;
use features::preprocessing::Raw;
use features::{Fitted, Schema, Values};
use serde_json::json;
use std::collections::HashSet;

use super::{Did, splitting};
use crate::table::{Split, Table};
use crate::{Error, plan};

/// Cleans the rows of `total` that were extracted. What the training rows were before anything was filled is what requests
/// will look like.
///
/// # Errors
/// [`Error::Features`] where a rule cannot be fitted; if no row is left.
pub fn run(
    table: &Table,
    plan: &BuildPlan,
    schema: &Schema,
    total: u64,
    input: &str,
) -> Result<(Table, Fitted, Raw, StepRecord), Error> {
    let mut filled: HashSet<String> = HashSet::new();
    let (mut rows, mut work, mut late_duplicates) = (table.clone(), Vec::new(), false);
    for rule in &plan.cleaning {
        match rule.action() {
            Action::DropRowsWithMissing => rows = drop_missing(&rows, rule, schema, &filled)?,
            Action::DropInvalid => rows = rows.filter(|row| !rows.invalid[row])?,
            Action::DropDuplicates if work.is_empty() => rows = drop_duplicates(&rows)?,
            Action::DropDuplicates => late_duplicates = true,
            Action::Unspecified => {}
            Action::FillMean
            | Action::FillMedian
            | Action::FillMode
            | Action::FillConstant
            | Action::ClipQuantile => {
                let has_values = |name: &str| {
                    let values = rows.column(name);
                    values.is_ok_and(|values| (0..values.len()).any(|row| !values.is_missing(row)))
                };
                let operations = plan::fills(rule, schema, has_values);
                filled.extend(operations.iter().filter_map(plan::filled_column).map(str::to_owned));
                work.extend(operations);
            }
        }
    }
    if rows.rows() == 0 {
        return Err(Error::field("plan.cleaning", format!("drops all {} rows", table.rows())));
    }
    let (assigned, left_out) = splitting::assign(&rows, plan, total)?;
    rows = assigned;
    let training = rows.part(Split::Train)?.batch;
    let fitted = Fitted::fit(&work, &training)?;
    let mut clean = rows.with(fitted.apply(&rows.batch)?);
    if late_duplicates {
        clean = drop_duplicates(&clean)?;
    }
    let record = Did {
        step: "cleaning",
        code: include_str!("cleaning.rs"),
        input,
        output: clean.digest()?,
        parameters: json!({
            "rules": plan.cleaning.iter().map(rule_json).collect::<Vec<_>>(),
            "fitted": fitted.digest(),
            "left_out_by_splits": { "without_time": left_out.without_time, "torn": left_out.torn, "embargoed": left_out.embargoed },
        }),
        seed: plan.seed,
        rows_in: table.rows(),
        rows_out: clean.rows(),
        rejects: table.rows() - clean.rows(),
    };
    Ok((clean, fitted, Raw::of(&training)?, record.record()))
}

/// Rows without a missing cell in the rule's columns; a column that an earlier rule fills does not count.
fn drop_missing(
    rows: &Table,
    rule: &CleaningRule,
    schema: &Schema,
    filled: &HashSet<String>,
) -> Result<Table, Error> {
    let columns = plan::targets(rule, schema);
    let columns = columns.into_iter().filter(|column| !filled.contains(&column.name));
    let columns: Result<Vec<Values<'_>>, Error> = columns.map(|column| rows.column(&column.name)).collect();
    let columns = columns?;
    rows.filter(|row| columns.iter().all(|values| !values.is_missing(row)))
}

/// The first of equal rows.
fn drop_duplicates(rows: &Table) -> Result<Table, Error> {
    let encoded = Rows::of(&rows.batch)?;
    let mut seen = HashSet::new();
    let keep: Vec<bool> = (0..rows.rows()).map(|row| seen.insert(encoded.digest(row))).collect();
    rows.filter(|row| keep[row])
}

fn rule_json(rule: &CleaningRule) -> serde_json::Value {
    json!({
        "column": rule.column,
        "action": rule.action().as_str_name(),
        "parameter": rule.parameter,
        "text": rule.text,
    })
}
