//! The audit of an import: rows of the version against the CSV files themselves, read apart from the data-pipeline.

use std::path::{Path, PathBuf};

use anyhow::Context;
use contracts::pipeline::v1::dataset_read_service_client::DatasetReadServiceClient;
use contracts::pipeline::v1::{AuditRow, DrawAuditSampleRequest};
use contracts::registry::v1::dataset_service_client::DatasetServiceClient;
use contracts::registry::v1::{DatasetAudit, RecordDatasetAuditRequest};
use tabular::typing::time;

use super::Caller;
use crate::reach::To;

/// Draws rows, compares them, records the audit as the QA engineer; gives a line about it.
pub async fn record(
    caller: &Caller,
    version: &str,
    files: &[PathBuf],
    rows: u32,
    seed: u64,
) -> anyhow::Result<String> {
    let mut truth = Truth::default();
    for file in files {
        truth.read(file)?;
    }
    let mut reader = DatasetReadServiceClient::new(caller.peer(To::DataPipeline, "qa-engineer")?);
    let request = DrawAuditSampleRequest { name: version.into(), rows, seed };
    let sample = reader.draw_audit_sample(request).await?.into_inner();
    let known: Vec<_> =
        sample.columns.iter().map(|name| truth.names.iter().position(|one| one == name)).collect();
    let wrong: Vec<String> =
        sample.rows.iter().filter_map(|row| truth.differs(row, &sample.columns, &known)).collect();
    let compared = known.iter().flatten().count() as u64;
    let audit = DatasetAudit {
        sample_digest: sample.digest,
        rows: sample.rows.len() as u64,
        cells: sample.rows.len() as u64 * compared,
        wrong_rows: wrong.len() as u64,
        method: "each cell against the imported CSV files, read apart".into(),
        wrong: wrong.iter().take(5).cloned().collect(),
        ..Default::default()
    };
    let said = format!("audit: {} rows, {} cells, {} wrong rows", audit.rows, audit.cells, audit.wrong_rows);
    let request =
        RecordDatasetAuditRequest { name: version.into(), audit: Some(audit), ..Default::default() };
    DatasetServiceClient::new(caller.peer(To::Registry, "qa-engineer")?)
        .record_dataset_audit(request)
        .await?;
    Ok(said)
}

/// The files' records in order.
#[derive(Default)]
struct Truth {
    names: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Truth {
    fn read(&mut self, file: &Path) -> anyhow::Result<()> {
        anyhow::ensure!(file.extension().is_some_and(|kind| kind == "csv"), "--audit takes CSV files only");
        let text =
            std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        let mut records = records(text.trim_start_matches('\u{feff}'));
        anyhow::ensure!(!records.is_empty(), "{} is empty", file.display());
        let names = records.remove(0);
        anyhow::ensure!(self.names.is_empty() || self.names == names, "{} has other columns", file.display());
        self.names = names;
        self.rows.extend(records);
        Ok(())
    }

    /// What differs in a row, as text.
    fn differs(&self, row: &AuditRow, columns: &[String], known: &[Option<usize>]) -> Option<String> {
        let Some(truth) = usize::try_from(row.source_row).ok().and_then(|at| self.rows.get(at)) else {
            return Some(format!("row {} is no row of the files", row.source_row));
        };
        for ((value, column), place) in row.values.iter().zip(columns).zip(known) {
            let Some(expected) = place.and_then(|place| truth.get(place)) else { continue };
            if !same(value, expected) {
                return Some(format!("row {} column {column}: {value:?} is {expected:?}", row.source_row));
            }
        }
        None
    }
}

/// Texts without the spaces around them, numbers or times; a missing cell against a marker is what cleaning makes of it.
fn same(value: &str, expected: &str) -> bool {
    let (value, expected) = (value.trim(), expected.trim());
    let numbers = value.parse::<f64>().ok().zip(expected.parse::<f64>().ok());
    let equal = numbers
        .is_some_and(|(one, other)| one.to_bits() == other.to_bits() || (one - other).abs() < f64::EPSILON);
    let times = time(value).zip(time(expected)).is_some_and(|(one, other)| one == other);
    value == expected || equal || times || (value.is_empty() && ["?", "NA", ""].contains(&expected))
}

/// RFC 4180.
fn records(text: &str) -> Vec<Vec<String>> {
    let (mut all, mut record, mut cell) = (Vec::new(), Vec::new(), String::new());
    let (mut quoted, mut letters) = (false, text.chars().peekable());
    while let Some(letter) = letters.next() {
        match letter {
            '"' if quoted && letters.peek() == Some(&'"') => {
                letters.next();
                cell.push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => record.push(std::mem::take(&mut cell)),
            '\r' if !quoted && letters.peek() == Some(&'\n') => {}
            '\n' if !quoted => {
                record.push(std::mem::take(&mut cell));
                all.push(std::mem::take(&mut record));
            }
            letter => cell.push(letter),
        }
    }
    if !cell.is_empty() || !record.is_empty() {
        record.push(cell);
        all.push(record);
    }
    all.retain(|record| record.iter().any(|cell| !cell.is_empty()));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_commas_and_line_ends_are_read() {
        let read = records("a,b\r\n\"x, \"\"y\"\"\",2\n\"two\nlines\",3");
        assert_eq!(read, [vec!["a", "b"], vec!["x, \"y\"", "2"], vec!["two\nlines", "3"]]);
    }

    #[test]
    fn numbers_are_compared_as_numbers() {
        assert!(same("1.0", "1") && same("Private", " Private") && same("", "?"));
        assert!(!same("1.0", "2") && !same("", "1"));
    }

    #[test]
    fn times_are_compared_as_times() {
        assert!(
            same("2011-01-01T00:00:00.000000Z", "2011-01-01")
                && same("2011-01-01 01:00:00", "2011-01-01T00:00-01:00")
        );
        assert!(!same("2011-01-01T00:00:00Z", "2011-01-01T01:00:00Z") && !same("2011-01-01", "1"));
    }
}
