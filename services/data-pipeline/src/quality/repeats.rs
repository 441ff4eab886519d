//! Rows that repeat others (§5.2, "duplicates?"): exactly, and nearly by what people wrote.

use std::collections::HashSet;

use contracts::common::v1::Measurement;
use contracts::pipeline::v1::BuildPlan;
use features::Values;
use features::digest::Rows;
use features::near::{Options, Shingles, TokenSets, find};

use super::share;
use crate::Error;
use crate::table::Table;

/// Characters of a text, on average, from which on it is one that people write.
const CHARACTERS: usize = 25;
/// Bytes of texts that are compared at most.
const BYTES: usize = 64 << 20;

/// Whether each row equals an earlier one of its input in every column.
///
/// # Errors
/// Of Arrow.
pub fn repeated(table: &Table) -> Result<Vec<bool>, Error> {
    let rows = Rows::of(&table.batch)?;
    let mut seen = HashSet::new();
    Ok((0..table.rows()).map(|row| !seen.insert((table.input[row], rows.digest(row)))).collect())
}

/// Rows beyond the first of each cluster of near-duplicates, by the columns of texts; nothing where there are none.
///
/// # Errors
/// If a column is missing.
pub fn near(table: &Table, plan: &BuildPlan) -> Result<Option<Measurement>, Error> {
    let (mut names, mut columns, mut bytes) = (Vec::new(), Vec::new(), 0);
    for name in table.names() {
        let other = name == plan.label_column || plan.key_columns.contains(&name);
        if other || plan.group_columns.contains(&name) {
            continue;
        }
        let values = table.column(&name)?;
        if let Some(size) = written(&values) {
            names.push(name);
            columns.push(values);
            bytes += size;
        }
    }
    if columns.is_empty() {
        return Ok(None);
    }
    let slice = format!("texts of {}", names.join(", "));
    if BYTES < bytes {
        let why = format!("{bytes} bytes of texts to compare, at most {BYTES} are");
        let value = f64::NAN;
        let metric = "near_duplicate_rows".to_owned();
        return Ok(Some(Measurement {
            metric,
            value,
            slice,
            undefined_reason: why,
            ..Measurement::default()
        }));
    }
    let texts: Vec<_> =
        columns.iter().flat_map(|values| (0..table.rows()).filter_map(|row| values.text(row))).collect();
    let sets =
        TokenSets::of_texts(&columns, Shingles::for_texts(texts.iter().map(AsRef::as_ref)), table.rows())?;
    let options = Options { seed: plan.seed, ..Options::default() };
    let found = find(&sets, &options)?;
    let convention = format!(
        "verified Jaccard index of {} or more, {} clusters, {} pairs not compared",
        options.jaccard,
        found.clusters(),
        found.not_compared
    );
    let rows = table.rows() as u64;
    Ok(Some(share("near_duplicate_rows", found.repeated_rows(), rows, &convention, slice)))
}

/// Bytes of a column, if people wrote its texts: they are long and mostly different.
fn written(values: &Values<'_>) -> Option<usize> {
    let Values::Utf8(array) = values else { return None };
    let (mut texts, mut bytes, mut different) = (0, 0, HashSet::new());
    for text in array.iter().flatten() {
        texts += 1;
        bytes += text.len();
        different.insert(text);
    }
    (texts > 0 && CHARACTERS * texts <= bytes && texts <= 2 * different.len()).then_some(bytes)
}
