//! Validation (§5.3): types, ranges, allowed values, patterns. No row is thrown away here: what breaks the schema is
//! counted, marked, and written to a quarantine file; cleaning drops it where the plan says so.

use std::collections::{BTreeMap, HashSet};

use arrow::array::{Array, ArrayRef, RecordBatch, StringArray};
use contracts::pipeline::v1::{BuildPlan, ColumnRule};
use contracts::registry::v1::StepRecord;
use features::digest::{Rows, sha256};
use features::{Kind, Schema, Values};
use serde_json::{Value, json};

use super::Did;
use super::extraction::Unread;
use crate::quality::agreement;
use crate::table::Table;
use crate::{Error, plan, typing};

/// Rows of the quarantine file at most.
const QUARANTINED: usize = 100_000;
/// Characters of a cell in the quarantine file.
const SHOWN: usize = 200;

/// What was found in the data as it came.
#[derive(Debug, Clone)]
pub struct Found {
    /// Columns with their types.
    pub schema: Schema,
    /// Rows.
    pub rows: u64,
    /// Rows that came and could not be read: they are in no other figure here.
    pub left: u64,
    /// Missing cells, by column.
    pub missing: BTreeMap<String, u64>,
    /// Rows that break the schema.
    pub invalid_rows: u64,
    /// Violations by `column: rule`.
    pub violations: BTreeMap<String, u64>,
    /// Rows that equal an earlier one.
    pub duplicates: u64,
    /// JSON lines: row, column, rule, value; first the rows that could not be read.
    pub quarantine: Vec<u8>,
    /// Lines of the input whose cell does not read as the column's type, by column.
    pub unreadable: BTreeMap<String, HashSet<u64>>,
    /// The most frequent text that stands for a missing value, by text column.
    pub missing_texts: BTreeMap<String, String>,
    /// Keys whose rows differ between inputs, and keys that were compared.
    pub contradictions: (u64, u64),
}

/// Reads texts as types and checks them. `unread` are the rows that could not be read.
///
/// # Errors
/// If no column is left.
pub fn run(
    table: &Table,
    plan: &BuildPlan,
    input: &str,
    unread: Unread,
) -> Result<(Table, Found, StepRecord), Error> {
    let markers = plan::markers(plan);
    let mut broken = Broken::new(table, unread.lines);
    let (mut unreadable, mut missing_texts) = (BTreeMap::new(), BTreeMap::new());
    let (mut columns, mut schema) = (Vec::<(String, ArrayRef)>::new(), Schema::default());
    for (at, name) in table.names().into_iter().enumerate() {
        let rule = plan.columns.iter().find(|rule| rule.name == name).cloned().unwrap_or_default();
        if rule.drop {
            continue;
        }
        let Some(texts) = table.batch.column(at).as_any().downcast_ref::<StringArray>() else {
            return Err(Error::Internal(format!("column {name} is no text after extraction")));
        };
        let declared = typing::declared(table.batch.schema_ref().field(at));
        let kind = Kind::parse(&rule.r#type).or(declared).unwrap_or_else(|| typing::infer(texts, &markers));
        let (array, bad) = typing::read(texts, kind, &markers);
        for row in &bad {
            broken.note(*row, &name, kind.as_str(), Some(texts.value(*row)));
        }
        if kind == Kind::Utf8
            && let Some(text) = typing::most_frequent_marker(texts, &markers)
        {
            missing_texts.insert(name.clone(), text);
        }
        let described = plan::column(plan, &name, kind);
        let column = Cells { name: &name, nullable: described.nullable, texts, unreadable: &bad };
        check(&column, &rule, Values::of(&name, &array)?, &mut broken);
        if !bad.is_empty() {
            unreadable.insert(name.clone(), bad.iter().map(|row| table.source_row[*row]).collect());
        }
        schema.columns.push(described);
        columns.push((name, array));
    }
    if columns.is_empty() {
        return Err(Error::field("plan.columns", "every column is dropped"));
    }
    let batch = RecordBatch::try_from_iter_with_nullable(
        columns.into_iter().map(|(name, array)| (name, array, true)),
    )?;
    let checked = Table { invalid: broken.rows, ..table.with(batch) };
    let found = Found {
        rows: checked.rows() as u64,
        left: unread.rows,
        missing: missing(&checked, &schema)?,
        invalid_rows: checked.invalid.iter().filter(|bad| **bad).count() as u64,
        duplicates: duplicates(&checked, &plan.key_columns)?,
        contradictions: agreement::across(&checked, plan)?,
        unreadable,
        missing_texts,
        violations: broken.counts,
        quarantine: broken.file,
        schema,
    };
    let record = Did {
        step: "validation",
        code: include_str!("validation.rs"),
        input,
        output: checked.digest()?,
        parameters: json!({
            "columns": plan.columns.iter().map(rule_json).collect::<Vec<_>>(),
            "missing_markers": plan.missing_markers,
            "quarantine": sha256(&found.quarantine),
        }),
        seed: 0,
        rows_in: table.rows(),
        rows_out: checked.rows(),
        rejects: found.invalid_rows as usize,
    };
    Ok((checked, found, record.record()))
}

/// Missing cells by column.
///
/// # Errors
/// If a column is missing.
pub fn missing(table: &Table, schema: &Schema) -> Result<BTreeMap<String, u64>, Error> {
    let count = |name: &str| -> Result<u64, Error> {
        let values = table.column(name)?;
        Ok((0..values.len()).filter(|row| values.is_missing(*row)).count() as u64)
    };
    schema.columns.iter().map(|column| Ok((column.name.clone(), count(&column.name)?))).collect()
}

/// Rows that equal an earlier row in every column. With key columns: of the same input, or that repeat its key, since
/// several sources may well speak of the same thing.
///
/// # Errors
/// Of Arrow, or if a column is missing.
pub fn duplicates(table: &Table, keys: &[String]) -> Result<u64, Error> {
    let rows = Rows::of(&table.batch)?;
    let (mut seen, mut seen_keys) = (HashSet::new(), HashSet::new());
    if keys.is_empty() {
        return Ok((0..table.rows()).filter(|row| !seen.insert((0, rows.digest(*row)))).count() as u64);
    }
    let (parts, key) = (agreement::key_parts(table, keys)?, Rows::of_columns(&table.batch, keys)?);
    let mut bad = 0;
    for row in 0..table.rows() {
        let input = table.input[row];
        let row_again = !seen.insert((input, rows.digest(row)));
        let whole = parts.iter().all(|part| !part.is_missing(row));
        let key_again = whole && !seen_keys.insert((input, key.digest(row)));
        bad += u64::from(row_again || key_again);
    }
    Ok(bad)
}

struct Broken<'a> {
    table: &'a Table,
    rows: Vec<bool>,
    counts: BTreeMap<String, u64>,
    file: Vec<u8>,
    lines: usize,
}

impl<'a> Broken<'a> {
    fn new(table: &'a Table, file: Vec<u8>) -> Self {
        Self { table, rows: vec![false; table.rows()], counts: BTreeMap::new(), file, lines: 0 }
    }

    fn note(&mut self, row: usize, column: &str, rule: &str, value: Option<&str>) {
        self.rows[row] = true;
        *self.counts.entry(format!("{column}: {rule}")).or_default() += 1;
        if self.lines < QUARANTINED {
            self.lines += 1;
            let value: Option<String> = value.map(|text| text.chars().take(SHOWN).collect());
            let line = json!({ "source_row": self.table.source_row[row], "column": column, "rule": rule, "value": value });
            self.file.extend(line.to_string().bytes());
            self.file.push(b'\n');
        }
    }
}

/// A column as it came.
struct Cells<'a> {
    name: &'a str,
    nullable: bool,
    texts: &'a StringArray,
    /// Rows whose text does not read as the type, ascending.
    unreadable: &'a [usize],
}

/// Bounds, allowed values, pattern, and whether a value may be missing.
fn check(column: &Cells<'_>, rule: &ColumnRule, values: Values<'_>, broken: &mut Broken<'_>) {
    let Cells { name, nullable, texts, unreadable } = *column;
    let low = rule.min.map_or(f64::NEG_INFINITY, |min| min);
    let high = rule.max.map_or(f64::INFINITY, |max| max);
    for row in 0..values.len() {
        let raw = (!texts.is_null(row)).then(|| texts.value(row));
        let Some(text) = values.text(row) else {
            if !nullable && unreadable.binary_search(&row).is_err() {
                broken.note(row, name, "required", raw);
            }
            continue;
        };
        if values.kind().is_number() && values.number(row).is_some_and(|number| number < low || high < number)
        {
            broken.note(row, name, "range", raw);
        }
        if !rule.allowed_values.is_empty() && !rule.allowed_values.iter().any(|one| one == text.as_ref()) {
            broken.note(row, name, "allowed values", raw);
        }
        if !rule.pattern.is_empty() && !matches(&rule.pattern, &text) {
            broken.note(row, name, "pattern", raw);
        }
    }
}

/// A glob whose only special character is `*`.
fn matches(pattern: &str, text: &str) -> bool {
    let mut parts: Vec<&str> = pattern.split('*').collect();
    let last = parts.pop().unwrap_or_default();
    let Some((first, middle)) = parts.split_first() else { return text == last };
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    for part in middle {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

fn rule_json(rule: &ColumnRule) -> Value {
    let mut out = json!({ "name": rule.name, "type": rule.r#type, "nullable": rule.nullable });
    let optional = [
        ("min", rule.min.map(Value::from)),
        ("max", rule.max.map(Value::from)),
        ("allowed_values", (!rule.allowed_values.is_empty()).then(|| json!(rule.allowed_values))),
        ("pattern", (!rule.pattern.is_empty()).then(|| json!(rule.pattern))),
        ("drop", rule.drop.then_some(Value::Bool(true))),
    ];
    for (name, value) in optional.into_iter().filter_map(|(name, value)| Some((name, value?))) {
        out[name] = value;
    }
    out
}

/// Rows that were marked and still break the schema: a rule does not hold, or a cell is missing that could not be read or
/// that may not be missing.
///
/// # Errors
/// If a column is missing.
pub fn still_broken(table: &Table, plan: &BuildPlan, schema: &Schema, found: &Found) -> Result<u64, Error> {
    let values =
        schema.columns.iter().map(|column| table.column(&column.name)).collect::<Result<Vec<_>, _>>()?;
    let rules: Vec<Option<&ColumnRule>> = schema
        .columns
        .iter()
        .map(|column| plan.columns.iter().find(|rule| rule.name == column.name))
        .collect();
    let breaks = |row: usize| {
        values.iter().zip(&rules).zip(&schema.columns).any(|((values, rule), column)| {
            let Some(text) = values.text(row) else {
                let lines = found.unreadable.get(&column.name);
                return !column.nullable || lines.is_some_and(|lines| lines.contains(&table.source_row[row]));
            };
            let Some(rule) = rule else { return false };
            let outside = values.kind().is_number()
                && values.number(row).is_some_and(|number| {
                    rule.min.is_some_and(|min| number < min) || rule.max.is_some_and(|max| max < number)
                });
            let unknown =
                !rule.allowed_values.is_empty() && !rule.allowed_values.iter().any(|one| *one == text);
            outside || unknown || (!rule.pattern.is_empty() && !matches(&rule.pattern, &text))
        })
    };
    Ok((0..table.rows()).filter(|row| table.invalid[*row] && breaks(*row)).count() as u64)
}
