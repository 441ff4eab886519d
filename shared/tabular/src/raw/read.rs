//! Reads one file of any format as text columns, in one pass and bounded memory: the values as they stand, whatever the types
//! may turn out to be. What was recognised is said; rows that cannot be read go to quarantine.

use features::Kind;
use serde_json::{Value, json};

use super::job::{Answer, Fault, Found, Job};
use super::texts::Texts;
use crate::declared::{Declared, Scalar};
use crate::dialect::Dialect;
use crate::error::{Cause, Error, Result};
use crate::format::Format;
use crate::limits::Limits;
use crate::table::Table;

/// Readings at most: each one after the first knows more of names and encoding.
const READINGS: usize = 3;
/// Notes of what may surprise that go into the record.
const NOTES: usize = 20;
/// Rows of a text are this many times as long as a cell may be, at most.
const CELLS_A_ROW: usize = 16;

/// Reads the file of a job and writes what it holds.
///
/// # Errors
/// Where it cannot be read, and why.
pub fn read(job: &Job) -> Answer {
    let fault = |error: Error| Fault::of(&error);
    let sentinels = job.missing.iter().cloned().map(Scalar::Text).collect();
    let declared = Declared { sentinels, ..Declared::default() };
    let mut table = Table::open(&job.path, limits(job), Some(&declared)).map_err(fault)?;
    if let Some(asked) = job.format.filter(|asked| !asked.is(table.format)) {
        let (is, said) = (table.format.as_str(), asked.as_str());
        return Err(Fault::data(format!("is {is}, and the request says {said}")));
    }
    named_by_the_plan(&mut table, job, &declared).map_err(fault)?;
    for _ in 0..READINGS {
        let kinds = declared_kinds(&mut table, &declared).map_err(fault)?;
        check_names(&table, job)?;
        if let Some((taken, left, quarantined)) = pass(&table, job, &kinds)? {
            return Ok(Found { detected: detected(&table), taken, left, quarantined });
        }
        table.settle(Some(&declared)).map_err(fault)?;
    }
    Err(Fault::data("changes while it is read"))
}

fn limits(job: &Job) -> Limits {
    let row_bytes = job.cell_bytes.saturating_mul(CELLS_A_ROW);
    Limits {
        rows: job.rows,
        columns: job.columns,
        cell_bytes: job.cell_bytes,
        row_bytes,
        unfolded_bytes: job.unfolded_bytes,
        ..Limits::default()
    }
}

/// A first row that looks like values is a header all the same where the plan speaks of a column by one of its cells.
fn named_by_the_plan(table: &mut Table, job: &Job, declared: &Declared) -> Result<()> {
    let Some(found) = table.dialect.filter(|dialect| !dialect.header && !job.names.is_empty()) else {
        return Ok(());
    };
    let notes = table.notes.clone();
    table.dialect = Some(Dialect { header: true, ..found });
    table.settle(Some(declared))?;
    if !table.columns.iter().any(|column| job.names.contains(&column.plan.name)) {
        table.dialect = Some(found);
        table.settle(Some(declared))?;
    }
    table.notes = notes;
    Ok(())
}

/// Makes text columns of all columns, and tells which hold texts by the format's own word: what stands in quotes in JSON lines
/// is a text, however much it looks like a number.
fn declared_kinds(table: &mut Table, declared: &Declared) -> Result<Vec<Option<Kind>>> {
    let json = table.format == Format::Jsonl;
    if json {
        table.settle(Some(declared))?;
    }
    let typed = json || table.encoding.is_none();
    let mut kinds = Vec::new();
    for column in &mut table.columns {
        let text = typed && !column.other && column.plan.kind == Kind::Utf8;
        kinds.push(text.then_some(Kind::Utf8));
        column.plan.kind = Kind::Utf8;
        column.plan.declared = true;
        column.plan.sentinels.clear();
    }
    Ok(kinds)
}

fn check_names(table: &Table, job: &Job) -> std::result::Result<(), Fault> {
    let mut names = table.columns.iter().map(|column| &column.plan.name);
    match names.find(|name| job.reserved.contains(name)) {
        Some(name) => Err(Fault::data(format!("column {name:?}: the name is reserved, required another"))),
        None => Ok(()),
    }
}

/// Reads all rows: how many were taken and how many were not, and the lines of quarantine. `None` if something was met that
/// the beginning of the file did not show.
fn pass(
    table: &Table,
    job: &Job,
    kinds: &[Option<Kind>],
) -> std::result::Result<Option<(u64, u64, usize)>, Fault> {
    let reader = table.reader().map_err(|error| Fault::of(&error))?;
    let mut texts = Texts::create(job, table, kinds)?;
    while let Some((_, piece)) = reader.next().map_err(|error| Fault::of(&error))? {
        let mut failed = None;
        let decoded = reader.decode(piece, &mut |part| {
            texts.take(&part).map_err(|fault| {
                failed = Some(fault);
                Error::new(Cause::Unreadable, &job.path, "is not read on")
            })
        });
        match (failed, decoded) {
            (Some(fault), _) => return Err(fault),
            (None, Err(error)) => return Err(Fault::of(&error)),
            (None, Ok(false)) => return Ok(None),
            (None, Ok(true)) => {}
        }
    }
    texts.finish().map(Some)
}

/// What was recognised, as it stands in the record of the step.
fn detected(table: &Table) -> Value {
    let dialect = table.dialect.map(
        |dialect| json!({ "delimiter": dialect.delimiter, "quote": dialect.quote, "header": dialect.header }),
    );
    let mut out = json!({
        "format": table.format.as_str(),
        "compression": table.source.compression,
        "bytes": table.source.size,
    });
    let further = [
        ("encoding", table.encoding.map(|encoding| json!(encoding.as_str()))),
        ("dialect", dialect),
        ("notes", notes(&table.notes)),
    ];
    for (name, value) in further {
        if let Some(value) = value {
            out[name] = value;
        }
    }
    out
}

fn notes(notes: &[String]) -> Option<Value> {
    // The types of columns are the next step's business.
    let surprising: Vec<&String> = notes.iter().filter(|note| !note.contains("as its first rows")).collect();
    let shown = &surprising[..surprising.len().min(NOTES)];
    (!shown.is_empty()).then(|| json!(shown))
}
