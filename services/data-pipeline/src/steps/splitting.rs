//! Splitting (§5.3): rows go to a split by a seeded hash of what they are, so that equal rows and rows of one group stay
//! together whatever the order of the input; by time where the plan says so. Ends with the audit of the splits.

use std::collections::{BTreeMap, HashMap};

use contracts::pipeline::v1::splits::Method;
use contracts::pipeline::v1::{BuildPlan, Splits};
use contracts::registry::v1::StepRecord;
use contracts::time::duration_from_wire;
use features::Kind;
use features::digest::Rows;
use features::leakage::Finding;
use features::split::time::LeftOut;
use features::split::{Shares, Units, balanced, entity, ordered, time};
use serde_json::json;

use super::{Did, audit, transformation};
use crate::table::{Split, Table};
use crate::{Error, plan};

/// The shares of the three splits; all training where the plan names none.
fn shares(plan: &BuildPlan) -> [f64; 3] {
    plan.splits.as_ref().map_or([1.0, 0.0, 0.0], |splits| [splits.train, splits.validation, splits.test])
}

/// Columns by which rows are the same thing: all but those that count rows (their position, their key), unless there are no
/// others.
pub fn telling(table: &Table, plan: &BuildPlan) -> Vec<String> {
    let positional = plan::positional(plan);
    let tells = |name: &String| !positional.contains(name.as_str()) && !plan.key_columns.contains(name);
    let names: Vec<String> = table.names().into_iter().filter(tells).collect();
    if names.is_empty() { table.names() } else { names }
}

/// Columns that name an entity.
pub fn entity_columns<'a>(plan: &'a BuildPlan, splits: &'a Splits) -> &'a [String] {
    if splits.entity_columns.is_empty() { &plan.key_columns } else { &splits.entity_columns }
}

/// The rows with their splits, without those that no split may have. Made before anything is fitted, so that fitting sees
/// the training rows alone.
///
/// # Errors
/// [`Error::Features`] for a column that is missing; if an event time is none, or no row is left.
pub fn assign(table: &Table, plan: &BuildPlan, total: u64) -> Result<(Table, LeftOut), Error> {
    let splits = plan.splits.clone().unwrap_or_default();
    let shares = Shares::new(&shares(plan))?;
    let (derived, _) = transformation::derive(table, plan, total)?;
    let (units, places) = units(table, &derived, plan, &splits)?;
    let strata = if splits.stratify_column.is_empty() {
        None
    } else {
        Some(texts(&derived, &splits.stratify_column)?)
    };
    let (parts, left_out) = match splits.method() {
        Method::Unspecified | Method::Random | Method::Stratified | Method::Group => {
            (ordered::assign(&units, &places, strata.as_deref(), &shares)?, LeftOut::default())
        }
        Method::StratifiedGroup => {
            let classes = numbered(&strata.unwrap_or_default());
            (balanced::assign(&units, &places, &classes, &shares)?, LeftOut::default())
        }
        Method::Entity => (entity::assign(&units, &places, &shares)?, LeftOut::default()),
        Method::Time => {
            let embargo = splits.embargo.as_ref().and_then(duration_from_wire).unwrap_or_default();
            let embargo = u64::try_from(embargo.as_micros()).unwrap_or(u64::MAX);
            time::assign(&units, &times(table, plan)?, embargo, &shares)?
        }
    };
    let mut kept = table.filter(|row| parts[row].is_some())?;
    kept.split = parts.iter().flatten().map(|part| Split::ALL[usize::from(*part)]).collect();
    if kept.rows() == 0 {
        return Err(Error::field("plan.splits", format!("leave out all {} rows", table.rows())));
    }
    Ok((kept, left_out))
}

/// What stays together, and the place of each unit in the seeded order.
fn units(
    table: &Table,
    derived: &Table,
    plan: &BuildPlan,
    splits: &Splits,
) -> Result<(Units, Vec<[u8; 32]>), Error> {
    let rows = Rows::of_columns(&table.batch, &telling(table, plan))?;
    let groups =
        if splits.group_column.is_empty() { None } else { Some(texts(derived, &splits.group_column)?) };
    let entities = match splits.method() {
        Method::Entity => Some(entities(table, entity_columns(plan, splits))?),
        _ => None,
    };
    let name = |row: usize| match (&groups, &entities) {
        (Some(groups), _) => groups[row].clone().into_bytes(),
        // a row without an entity is what its values say
        (None, Some(entities)) => entities[row].clone().unwrap_or_else(|| rows.digest(row).to_vec()),
        (None, None) => rows.digest(row).to_vec(),
    };
    let units = Units::of_labels((0..table.rows()).map(name))?;
    let place = |row: &u32| ordered::place(plan.seed, &name(*row as usize));
    let places: Vec<[u8; 32]> = units.first_rows().iter().map(place).collect();
    if !splits.near_duplicates {
        return Ok((units, places));
    }
    let joined = units.joined(&audit::near_duplicates(table, plan)?.units)?;
    let places = ordered::joined(&units, &places, &joined)?;
    Ok((joined, places))
}

/// The canonical bytes of each row's entity; `None` where all of its columns are missing.
fn entities(table: &Table, names: &[String]) -> Result<Vec<Option<Vec<u8>>>, Error> {
    let columns = names.iter().map(|name| table.column(name)).collect::<Result<Vec<_>, _>>()?;
    let one = |row: usize| {
        let named = columns.iter().any(|values| !values.is_missing(row));
        named.then(|| {
            let mut bytes = Vec::new();
            columns.iter().for_each(|values| values.encode(row, &mut bytes));
            bytes
        })
    };
    Ok((0..table.rows()).map(one).collect())
}

fn texts(table: &Table, column: &str) -> Result<Vec<String>, Error> {
    let values = table.column(column)?;
    Ok((0..table.rows()).map(|row| values.text(row).unwrap_or_default().into_owned()).collect())
}

/// Texts as numbers, by the order of the texts.
fn numbered(texts: &[String]) -> Vec<u32> {
    let mut numbers: BTreeMap<&str, u32> = texts.iter().map(|text| (text.as_str(), 0)).collect();
    numbers.values_mut().zip(0..).for_each(|(number, next)| *number = next);
    texts.iter().map(|text| numbers[text.as_str()]).collect()
}

/// The event time of each row in microseconds.
///
/// # Errors
/// If the column holds no times.
pub fn times(table: &Table, plan: &BuildPlan) -> Result<Vec<Option<i64>>, Error> {
    let values = table.column(&plan.event_time_column)?;
    if values.kind() != Kind::Timestamp {
        let why = format!("{:?} is {}, required timestamp", plan.event_time_column, values.kind().as_str());
        return Err(Error::field("plan.event_time_column", why));
    }
    Ok((0..table.rows()).map(|row| values.number(row).map(|micros| micros as i64)).collect())
}

/// Every split that the plan asks for has rows.
///
/// # Errors
/// [`Error::BadRequest`] that names the first one without.
pub fn check_filled(rows: &Table, plan: &BuildPlan) -> Result<(), Error> {
    for (split, share) in Split::ALL.into_iter().zip(shares(plan)) {
        if share > 0.0 && !rows.split.contains(&split) {
            let why = format!("{} of {} rows leave none for it", share, rows.rows());
            return Err(Error::field(&format!("plan.splits.{}", split.as_str()), why));
        }
    }
    Ok(())
}

/// What the step ended with.
pub struct Ended {
    /// The rows in their final splits.
    pub rows: Table,
    /// The clean rows in the same splits.
    pub clean: Table,
    /// Rows that stand in more than one split.
    pub leaked: u64,
    /// What the audit found.
    pub audit: Vec<Finding>,
    /// The record.
    pub record: StepRecord,
}

/// Joins rows that became equal on the way, counts what still leaks, audits the clean rows in their splits, and records the
/// step. Where groups, entities or time decide no row moves, because that would tear them apart: equal rows are then
/// counted as leaked.
///
/// # Errors
/// If a split that the plan asks for is empty.
pub fn run(table: &Table, clean: Table, plan: &BuildPlan, total: u64, input: &str) -> Result<Ended, Error> {
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
    let by_rows = matches!(splits.method(), Method::Unspecified | Method::Random | Method::Stratified);
    let leaked = if splits.group_column.is_empty() && by_rows {
        for row in &torn {
            rows.split[*row] = earliest[&digests[*row]];
        }
        0
    } else {
        torn.len() as u64
    };
    check_filled(&rows, plan)?;
    let clean = Table { split: rows.split.iter().take(clean.rows()).copied().collect(), ..clean };
    let audit = audit::audit(&clean, plan, total)?;
    let record = Did {
        step: "splitting",
        code: include_str!("splitting.rs"),
        input,
        output: rows.digest()?,
        parameters: json!({
            "train": shares(plan)[0], "validation": shares(plan)[1], "test": shares(plan)[2],
            "method": splits.method().as_str_name(),
            "stratify_column": splits.stratify_column,
            "group_column": splits.group_column,
            "entity_columns": splits.entity_columns,
            "embargo_seconds": splits.embargo.as_ref().and_then(duration_from_wire).unwrap_or_default().as_secs_f64(),
            "near_duplicates": splits.near_duplicates,
            "near_duplicate_columns": splits.near_duplicate_columns,
            "rejoined_rows": if leaked == 0 { torn.len() } else { 0 },
            "leaked_rows": leaked,
            "audit": audit,
        }),
        seed: plan.seed,
        rows_in: table.rows(),
        rows_out: rows.rows(),
        rejects: 0,
    };
    Ok(Ended { rows, clean, leaked, audit, record: record.record() })
}
