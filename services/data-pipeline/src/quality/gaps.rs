//! By how much groups of people, and rows of different labels, differ: in missing values, in duplicates, in labels. Each gap
//! is the largest one between two groups of a column, with an interval that holds though it was sought for.

use contracts::common::v1::Measurement;
use contracts::pipeline::v1::BuildPlan;
use features::Schema;
use statistics::balance::largest_gap;
use statistics::contingency::homogeneity;

use super::groups::{Grouped, favourable};
use super::{CONFIDENCE, share};
use crate::Error;
use crate::steps::Built;
use crate::table::Table;

/// Rows of a group from which on it is compared.
const FLOOR: u64 = 30;
/// Different labels at most by which rows are compared; with more the label is a quantity.
const LABELS: usize = 10;
/// Gaps in missing values that are told at most.
const GAPS: usize = 50;

/// The groups of each group column, and the labels where they are few.
///
/// # Errors
/// If a column is missing.
pub fn compared(built: &Built, plan: &BuildPlan) -> Result<Vec<Grouped>, Error> {
    let mut all = Grouped::all(built, plan)?;
    if !plan.label_column.is_empty() {
        let labels = Grouped::of(built, &plan.label_column)?;
        if (2..=LABELS).contains(&labels.groups.len()) && !plan.group_columns.contains(&plan.label_column) {
            all.push(labels);
        }
    }
    Ok(all)
}

/// The gap in one share between the groups of a column; `events` counts in the rows of a group.
fn gap(metric: &str, of: &str, by: &Grouped, events: impl Fn(&[usize]) -> u64) -> Option<Measurement> {
    let counts: Vec<(u64, u64)> =
        by.groups.iter().map(|(_, rows)| (events(rows), rows.len() as u64)).collect();
    let found = largest_gap(&counts, FLOOR, CONFIDENCE).ok()??;
    let name = |at: usize| by.groups[at].0.as_str();
    Some(Measurement {
        metric: metric.to_owned(),
        value: found.difference,
        sample_size: found.trials,
        lower: Some(found.interval.lower),
        upper: Some(found.interval.upper),
        confidence: CONFIDENCE,
        convention: "newcombe, simultaneous over pairs of groups".to_owned(),
        slice: format!("{of}, by {}: {} above {}", by.column, name(found.high), name(found.low)),
        ..Measurement::default()
    })
}

/// Gaps in missing values that are surely above nothing, largest first, and how strongly a gap goes with the groups.
///
/// # Errors
/// If a column is missing.
pub fn missing(table: &Table, schema: &Schema, groups: &[Grouped]) -> Result<Vec<Measurement>, Error> {
    let (mut gaps, mut dependent) = (Vec::new(), Vec::new());
    for column in &schema.columns {
        let values = table.column(&column.name)?;
        let gone: Vec<bool> = (0..table.rows()).map(|row| values.is_missing(row)).collect();
        if gone.iter().all(|gone| !gone) {
            continue;
        }
        let count = |rows: &[usize]| rows.iter().filter(|row| gone[**row]).count() as u64;
        for by in groups.iter().filter(|by| by.column != column.name) {
            let of = format!("column={}", column.name);
            gaps.extend(gap("missing_gap", &of, by, count));
            dependent.extend(dependence(&of, by, count));
        }
    }
    gaps.retain(|gap| gap.lower.is_some_and(|lower| lower > 0.0));
    for found in [&mut gaps, &mut dependent] {
        found.sort_by(|a, b| b.value.total_cmp(&a.value));
        found.truncate(GAPS);
    }
    gaps.append(&mut dependent);
    Ok(gaps)
}

/// Cramér's V between a value being there and the group of its row; nothing where all or none is there.
fn dependence(of: &str, by: &Grouped, missing: impl Fn(&[usize]) -> u64) -> Option<Measurement> {
    let gone: Vec<u64> = by.groups.iter().map(|(_, rows)| missing(rows)).collect();
    let there: Vec<u64> =
        by.groups.iter().zip(&gone).map(|((_, rows), gone)| rows.len() as u64 - gone).collect();
    let test = homogeneity(&there, &gone).ok()?;
    Some(Measurement {
        metric: "missing_dependence".to_owned(),
        value: test.cramers_v,
        sample_size: by.groups.iter().map(|(_, rows)| rows.len() as u64).sum(),
        convention: format!("Cramér's V, chi-squared p={:.3e}", test.p_value),
        slice: format!("{of}, by {}", by.column),
        ..Measurement::default()
    })
}

/// Rows that equal an earlier one, in each group, and the gap.
pub fn duplicates(repeated: &[bool], groups: &[Grouped]) -> Vec<Measurement> {
    let count = |rows: &[usize]| rows.iter().filter(|row| repeated[**row]).count() as u64;
    let mut told = Vec::new();
    for by in groups {
        for (group, rows) in &by.groups {
            let slice = format!("{}={group}", by.column);
            told.push(share("duplicate_rows", count(rows), rows.len() as u64, "wilson", slice));
        }
        told.extend(gap("duplicate_gap", "rows", by, count));
    }
    told
}

/// Gaps in the favourable label between the groups of each column; where none is favourable, in each label.
///
/// # Errors
/// If a column is missing.
pub fn labels(built: &Built, plan: &BuildPlan, groups: &[Grouped]) -> Result<Vec<Measurement>, Error> {
    if plan.label_column.is_empty() {
        return Ok(Vec::new());
    }
    let label = &plan.label_column;
    let mut asked: Vec<(String, Vec<bool>)> = Vec::new();
    if let Some(favourable) = favourable(built, plan)? {
        asked.push((format!("{label} favourable"), favourable));
    } else {
        let labels = Grouped::of(built, label)?;
        if (2..=LABELS).contains(&labels.groups.len()) {
            // Of two labels the second says what the first does.
            let few = if labels.groups.len() == 2 { 1 } else { labels.groups.len() };
            let all = labels.groups.iter().map(|(_, rows)| rows.len()).sum();
            for (value, rows) in labels.groups.iter().take(few) {
                let mut has = vec![false; all];
                rows.iter().for_each(|row| has[*row] = true);
                asked.push((format!("{label}={value}"), has));
            }
        }
    }
    let mut told = Vec::new();
    for by in groups.iter().filter(|by| by.column != *label) {
        for (of, has) in &asked {
            let count = |rows: &[usize]| rows.iter().filter(|row| has[**row]).count() as u64;
            told.extend(gap("label_gap", of, by, count));
        }
    }
    Ok(told)
}
