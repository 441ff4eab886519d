//! Splitting (§5.3): rows go to a split by a seeded hash of what they are, so that equal rows and rows of one group stay
//! together whatever the order of the input; a stratum is cut in the asked shares. Ends with the leakage check.

use std::collections::{BTreeMap, HashMap};

use contracts::pipeline::v1::BuildPlan;
use contracts::registry::v1::StepRecord;
use features::digest::Rows;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::{Did, transformation};
use crate::table::{Split, Table};
use crate::{Error, plan};

/// The shares of the three splits; all training where the plan names none.
fn shares(plan: &BuildPlan) -> [f64; 3] {
    plan.splits.as_ref().map_or([1.0, 0.0, 0.0], |splits| [splits.train, splits.validation, splits.test])
}

/// What stays together: a group, or equal rows.
struct Unit {
    order: [u8; 32],
    rows: Vec<usize>,
}

/// Columns by which rows are the same thing: all but those that count rows (their position, their key), unless there are no
/// others.
fn telling(table: &Table, plan: &BuildPlan) -> Vec<String> {
    let positional = plan::positional(plan);
    let tells = |name: &String| !positional.contains(name.as_str()) && !plan.key_columns.contains(name);
    let names: Vec<String> = table.names().into_iter().filter(tells).collect();
    if names.is_empty() { table.names() } else { names }
}

/// The split of each row. Made before anything is fitted, so that fitting sees the training rows alone.
///
/// # Errors
/// [`Error::Features`] for a column that is missing.
pub fn assign(table: &Table, plan: &BuildPlan, total: u64) -> Result<Vec<Split>, Error> {
    let shares = shares(plan);
    let splits = plan.splits.clone().unwrap_or_default();
    let (derived, _) = transformation::derive(table, plan, total)?;
    let text = |column: &str| -> Result<Vec<String>, Error> {
        let values = derived.column(column)?;
        Ok((0..derived.rows()).map(|row| values.text(row).unwrap_or_default().into_owned()).collect())
    };
    let strata = if splits.stratify_column.is_empty() { None } else { Some(text(&splits.stratify_column)?) };
    let groups = if splits.group_column.is_empty() { None } else { Some(text(&splits.group_column)?) };
    let names = telling(table, plan);
    let rows = Rows::of_columns(&table.batch, &names)?;

    // Units by what they are; a unit belongs to the stratum of its first row.
    let mut units: HashMap<Vec<u8>, usize> = HashMap::new();
    let mut by_stratum: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    let mut all: Vec<Unit> = Vec::new();
    for row in 0..table.rows() {
        let key = groups
            .as_ref()
            .map_or_else(|| rows.digest(row).to_vec(), |groups| groups[row].clone().into_bytes());
        let at = *units.entry(key).or_insert_with_key(|key| {
            let order =
                Sha256::new().chain_update(plan.seed.to_le_bytes()).chain_update(key).finalize().into();
            all.push(Unit { order, rows: Vec::new() });
            let stratum = strata.as_ref().map_or_else(String::new, |strata| strata[row].clone());
            by_stratum.entry(stratum).or_default().push(all.len() - 1);
            all.len() - 1
        });
        all[at].rows.push(row);
    }
    let mut assigned = vec![Split::Train; table.rows()];
    for mut stratum in by_stratum.into_values() {
        stratum.sort_by_key(|at| all[*at].order);
        let count: usize = stratum.iter().map(|at| all[*at].rows.len()).sum();
        let mut before = 0;
        for at in stratum {
            let middle = (before as f64 + all[at].rows.len() as f64 / 2.0) / count as f64;
            before += all[at].rows.len();
            let split = if middle < shares[0] || shares[1] + shares[2] == 0.0 {
                Split::Train
            } else if middle < shares[0] + shares[1] || shares[2] == 0.0 {
                Split::Validation
            } else {
                Split::Test
            };
            for row in &all[at].rows {
                assigned[*row] = split;
            }
        }
    }
    Ok(assigned)
}

/// Joins rows that became equal on the way, counts what still leaks, and records the step. With a group column no row
/// moves, because that would tear its group apart: equal rows of different groups are counted as leaked.
///
/// # Errors
/// If a split that the plan asks for is empty.
pub fn run(table: &Table, plan: &BuildPlan, input: &str) -> Result<(Table, u64, StepRecord), Error> {
    let names = telling(table, plan);
    let encoded = Rows::of_columns(&table.batch, &names)?;
    let digests: Vec<[u8; 32]> = (0..table.rows()).map(|row| encoded.digest(row)).collect();
    let mut earliest: HashMap<[u8; 32], Split> = HashMap::new();
    for (digest, split) in digests.iter().zip(&table.split) {
        earliest.entry(*digest).and_modify(|seen| *seen = (*seen).min(*split)).or_insert(*split);
    }
    let splits = plan.splits.clone().unwrap_or_default();
    let torn: Vec<usize> =
        (0..table.rows()).filter(|row| earliest[&digests[*row]] != table.split[*row]).collect();
    let mut rows = table.clone();
    let leaked = if splits.group_column.is_empty() {
        for row in &torn {
            rows.split[*row] = earliest[&digests[*row]];
        }
        0
    } else {
        torn.len() as u64
    };
    let counts = Split::ALL.map(|split| rows.split.iter().filter(|one| **one == split).count());
    for ((split, share), count) in Split::ALL.into_iter().zip(shares(plan)).zip(counts) {
        if share > 0.0 && count == 0 {
            let why = format!("{} of {} rows leave none for it", share, rows.rows());
            return Err(Error::field(&format!("plan.splits.{}", split.as_str()), why));
        }
    }
    let record = Did {
        step: "splitting",
        code: include_str!("splitting.rs"),
        input,
        output: rows.digest()?,
        parameters: json!({
            "train": shares(plan)[0], "validation": shares(plan)[1], "test": shares(plan)[2],
            "stratify_column": splits.stratify_column,
            "group_column": splits.group_column,
            "rejoined_rows": if leaked == 0 { torn.len() } else { 0 },
            "leaked_rows": leaked,
        }),
        seed: plan.seed,
        rows_in: table.rows(),
        rows_out: rows.rows(),
        rejects: 0,
    };
    Ok((rows, leaked, record.record()))
}
