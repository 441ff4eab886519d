//! Consistency (§5.2, "same across sources?"): rows of one key in several inputs must agree, and rules within a row hold.

use std::collections::HashMap;

use contracts::pipeline::v1::{BuildPlan, CrossRule};
use contracts::registry::v1::QualityMeasurement;
use features::Values;
use features::digest::Rows;

use super::{counted, share};
use crate::Error;
use crate::steps::Built;
use crate::table::Table;

/// Two numbers are the same where they differ by no more than this share of the larger.
const TOLERANCE: f64 = 1e-9;

/// The dimension.
///
/// # Errors
/// If a column is missing.
pub fn consistency(built: &Built, plan: &BuildPlan) -> Result<QualityMeasurement, Error> {
    let table = &built.clean;
    // Of the rows as they came: cleaning drops rows that agree, and what it fills in contradicts what a source says.
    let (differ, compared) = built.raw.contradictions;
    let inputs = table.input.iter().copied().max().map_or(0, |last| usize::from(last) + 1);
    let (mut bad, mut all, mut details) = (0, 0, Vec::new());
    if inputs > 1 && !plan.key_columns.is_empty() {
        details.push(share(
            "contradicting_keys",
            differ,
            compared,
            "wilson",
            format!("key={}", plan.key_columns.join(",")),
        ));
        (bad, all) = (bad + differ, all + compared);
    }
    for rule in &plan.cross_rules {
        let (broken, looked) = within(table, rule)?;
        let slice = format!("{} {} {}", rule.left, rule.comparator, rule.right);
        details.push(share("broken_rules", broken, looked, "wilson", slice));
        (bad, all) = (bad + broken, all + looked);
    }
    if all == 0 {
        let reason = match (inputs, plan.key_columns.is_empty()) {
            (0 | 1, _) => {
                "a single input and no rule between columns: there is nothing that could contradict it"
            }
            (_, true) => "the inputs have no key by which their rows could be compared",
            (_, false) => "no key stands in more than one input",
        };
        let not_applicable_reason = reason.to_owned();
        return Ok(QualityMeasurement {
            dimension: "consistency".into(),
            not_applicable_reason,
            details,
            ..QualityMeasurement::default()
        });
    }
    let method = "keys whose rows differ between inputs, and rows that break a rule between columns";
    let out = counted("consistency", "inconsistent_rows", bad, all, method);
    Ok(QualityMeasurement { details, ..out })
}

/// Keys whose rows differ between inputs, and all that stand in more than one input. A row without its whole key has none.
///
/// # Errors
/// If a column is missing.
pub fn across(table: &Table, plan: &BuildPlan) -> Result<(u64, u64), Error> {
    if plan.key_columns.is_empty() {
        return Ok((0, 0));
    }
    let parts = key_parts(table, &plan.key_columns)?;
    let keys = Rows::of_columns(&table.batch, &plan.key_columns)?;
    let others = table.names().into_iter().filter(|name| !plan.key_columns.contains(name));
    let others = others.collect::<Vec<_>>();
    let values = others.iter().map(|name| table.column(name)).collect::<Result<Vec<_>, _>>()?;
    let mut first: HashMap<[u8; 32], usize> = HashMap::new();
    let mut compared: HashMap<[u8; 32], bool> = HashMap::new();
    for row in (0..table.rows()).filter(|row| parts.iter().all(|part| !part.is_missing(*row))) {
        let key = keys.digest(row);
        let seen = *first.entry(key).or_insert(row);
        if table.input[seen] != table.input[row] {
            let differs = values.iter().any(|column| !same(column, seen, row));
            *compared.entry(key).or_default() |= differs;
        }
    }
    Ok((compared.values().filter(|differs| **differs).count() as u64, compared.len() as u64))
}

/// The columns of a key.
///
/// # Errors
/// If a column is missing.
pub fn key_parts<'a>(table: &'a Table, keys: &[String]) -> Result<Vec<Values<'a>>, Error> {
    keys.iter().map(|name| table.column(name)).collect()
}

/// A value that is missing contradicts nothing.
fn same(values: &Values<'_>, a: usize, b: usize) -> bool {
    if values.is_missing(a) || values.is_missing(b) {
        return true;
    }
    match (values.number(a), values.number(b)) {
        (Some(x), Some(y)) => (x - y).abs() <= TOLERANCE * x.abs().max(y.abs()),
        _ => values.text(a) == values.text(b),
    }
}

/// Rows that break a rule, and rows in which both sides are known.
fn within(table: &Table, rule: &CrossRule) -> Result<(u64, u64), Error> {
    let (left, right) = (table.column(&rule.left)?, table.column(&rule.right)?);
    let (mut broken, mut looked) = (0, 0);
    for row in 0..table.rows() {
        let holds = match (left.number(row), right.number(row)) {
            (Some(a), Some(b)) => match rule.comparator.as_str() {
                "<" => a < b + rule.tolerance,
                "<=" => a <= b + rule.tolerance,
                ">" => a > b - rule.tolerance,
                ">=" => a >= b - rule.tolerance,
                _ => (a - b).abs() <= rule.tolerance,
            },
            _ => match (left.text(row), right.text(row)) {
                (Some(a), Some(b)) => rule.comparator != "==" || a == b,
                _ => continue,
            },
        };
        looked += 1;
        broken += u64::from(!holds);
    }
    Ok((broken, looked))
}
