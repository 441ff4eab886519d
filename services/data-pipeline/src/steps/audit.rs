//! The audit of the splits: what one part knows of another, over the rows after cleaning and before transformation. It is a
//! report; the gate rests on equal rows alone.

use std::collections::BTreeSet;

use contracts::pipeline::v1::BuildPlan;
use features::leakage::adversarial::{self, Compared};
use features::leakage::{Finding, Limits, Verdict, labels, overlap, shared};
use features::near::{Found, Options, Shingles, TokenSets, find};
use features::split::Units;
use features::{Kind, Values};

use super::{splitting, transformation};
use crate::Error;
use crate::table::{Split, Table};

/// Tokens that are compared at most, 512 MiB of them.
const TOKENS: usize = 1 << 26;
/// Characters from which a column's values, on average, are texts and not names.
const TEXT_CHARACTERS: usize = 25;
/// Rows of each split that the adversarial model looks at.
const MODEL_ROWS: usize = 10_000;
/// Different labels up to which shares are compared; with more it is a quantity.
const LABELS: usize = 50;

/// Audits the splits of clean rows; nothing where there is a single split. `total` rows were extracted.
///
/// # Errors
/// [`Error::Features`] for a column that is missing.
pub fn audit(clean: &Table, plan: &BuildPlan, total: u64) -> Result<Vec<Finding>, Error> {
    let used: BTreeSet<Split> = clean.split.iter().copied().collect();
    let (Some(first), Some(last)) = (used.first().copied(), used.last().copied()) else {
        return Ok(Vec::new());
    };
    if first == last {
        return Ok(Vec::new());
    }
    let limits = Limits::default();
    let parts: Vec<Option<u8>> = clean.split.iter().map(|split| Some(*split as u8)).collect();
    let splits = plan.splits.clone().unwrap_or_default();
    let (derived, _) = transformation::derive(clean, plan, total)?;
    let telling = splitting::telling(clean, plan);
    let mut found = Vec::new();

    let group = std::slice::from_ref(&splits.group_column);
    let group = if splits.group_column.is_empty() { &[] } else { group };
    for names in [plan.key_columns.as_slice(), group, splits.entity_columns.as_slice()] {
        if !names.is_empty() {
            found.push(shared::keys(names, &columns(&derived, names)?, &parts, limits.sample)?);
        }
    }
    found.push(shared::rows(&columns(clean, &telling)?, &parts, limits.sample)?);
    let options = Options::default();
    let near = match near_duplicates(clean, plan) {
        Ok(near) => {
            found.push(shared::near(&near, options.jaccard, &parts, limits.sample));
            near.units
        }
        Err(Error::TooLarge { what, allowed }) => {
            found.push(not_looked(
                "near_duplicates",
                format!("not looked for: {what} needs more than {allowed} bytes"),
            ));
            Units::single(clean.rows())?
        }
        Err(error) => return Err(error),
    };
    if !plan.event_time_column.is_empty() && clean.column(&plan.event_time_column)?.kind() == Kind::Timestamp
    {
        let embargo =
            splits.embargo.as_ref().and_then(contracts::time::duration_from_wire).unwrap_or_default();
        let embargo = u64::try_from(embargo.as_micros()).unwrap_or(u64::MAX);
        found.push(overlap::check(&splitting::times(clean, plan)?, embargo, &parts, limits.sample));
    }
    let units = if group.is_empty() {
        near
    } else {
        near.joined(&shared::equal(&columns(&derived, group)?, clean.rows())?)?
    };
    let apart = |name: &&String| {
        **name != plan.label_column
            && **name != plan.event_time_column
            && **name != splits.group_column
            && !splits.entity_columns.contains(name)
    };
    let seen: Vec<&String> = telling.iter().filter(apart).collect();
    if !seen.is_empty() {
        let compared = Compared {
            first: (first as u8, first.as_str()),
            second: (last as u8, last.as_str()),
            rows: MODEL_ROWS,
            seed: plan.seed,
        };
        found.push(adversarial::check(&columns(clean, &seen)?, &units, &parts, &compared, &limits)?);
    }
    if !plan.label_column.is_empty() {
        found.extend(label_shares(&derived, plan, &parts, &limits)?);
    }
    Ok(found)
}

fn columns<'a, S: AsRef<str>>(table: &'a Table, names: &[S]) -> Result<Vec<Values<'a>>, Error> {
    names.iter().map(|name| table.column(name.as_ref())).collect()
}

fn not_looked(check: &str, what: String) -> Finding {
    Finding {
        check: check.to_owned(),
        what,
        value: f64::NAN,
        interval: None,
        limit: 0.0,
        rows: 0,
        sample: Vec::new(),
        verdict: Verdict::Inconclusive,
    }
}

/// Shares of labels; nothing for a quantity.
fn label_shares(
    table: &Table,
    plan: &BuildPlan,
    parts: &[Option<u8>],
    limits: &Limits,
) -> Result<Option<Finding>, Error> {
    let values = table.column(&plan.label_column)?;
    let labels: Vec<Option<String>> =
        (0..table.rows()).map(|row| values.text(row).map(|text| text.into_owned())).collect();
    let different: BTreeSet<&str> = labels.iter().flatten().map(String::as_str).collect();
    if values.kind() == Kind::Float64 && LABELS < different.len() {
        return Ok(None);
    }
    let names = Split::ALL.map(Split::as_str);
    Ok(Some(labels::check(&labels, parts, &names, limits)?))
}

/// Clusters of near-duplicates: by the shingles of the texts, or by the values where there are no texts.
///
/// # Errors
/// [`Error::TooLarge`] where the rows have more tokens than memory holds.
pub fn near_duplicates(table: &Table, plan: &BuildPlan) -> Result<Found, Error> {
    let asked = plan.splits.clone().unwrap_or_default().near_duplicate_columns;
    let names = if asked.is_empty() { splitting::telling(table, plan) } else { asked };
    let all = columns(table, &names)?;
    let texts: Vec<Values<'_>> = all.iter().copied().filter(is_text).collect();
    let tokens = if texts.is_empty() {
        table.rows().saturating_mul(all.len())
    } else {
        texts.iter().map(characters).sum()
    };
    if TOKENS < tokens {
        return Err(Error::TooLarge {
            what: format!("{tokens} tokens to compare for near-duplicates"),
            allowed: TOKENS * size_of::<u64>(),
        });
    }
    let sets = if texts.is_empty() {
        TokenSets::of_values(&all, table.rows())?
    } else {
        let written: Vec<_> =
            texts.iter().flat_map(|values| (0..table.rows()).filter_map(|row| values.text(row))).collect();
        let shingles = Shingles::for_texts(written.iter().map(AsRef::as_ref));
        TokenSets::of_texts(&texts, shingles, table.rows())?
    };
    Ok(find(&sets, &Options { seed: plan.seed, ..Options::default() })?)
}

/// Whether the values of a column are texts that people wrote, by their length.
fn is_text(values: &Values<'_>) -> bool {
    let there = (0..values.len()).filter(|row| !values.is_missing(*row)).count();
    values.kind() == Kind::Utf8 && TEXT_CHARACTERS * there < characters(values)
}

/// Bytes of a column of texts.
fn characters(values: &Values<'_>) -> usize {
    match values {
        Values::Utf8(array) => array.iter().flatten().map(str::len).sum(),
        _ => 0,
    }
}
