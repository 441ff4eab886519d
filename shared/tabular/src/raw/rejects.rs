//! Rows that cannot be read, as lines of JSON.

use std::fs::File;
use std::io::{BufWriter, Write};

use super::job::{Fault, Job, line};
use crate::quarantine::Reject;
use serde_json::json;

/// Writes a line for each row that was rejected, and counts them all.
pub struct Rejects<'a> {
    job: &'a Job,
    file: BufWriter<File>,
    /// Lines that were written.
    pub lines: usize,
    /// Rows that were rejected.
    pub rows: u64,
    /// The first of them, in words.
    pub first: Option<String>,
}

impl<'a> Rejects<'a> {
    /// An empty file.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn create(job: &'a Job) -> Result<Self, Fault> {
        let file = File::create(&job.quarantine).map_err(|error| unwritten(&error))?;
        Ok(Self { job, file: BufWriter::new(file), lines: 0, rows: 0, first: None })
    }

    /// Takes a row in.
    ///
    /// # Errors
    /// If the line cannot be written.
    pub fn add(&mut self, reject: &Reject) -> Result<(), Fault> {
        self.rows += 1;
        if self.first.is_none() {
            let at = reject.line.map(|line| format!(" (line {line})")).unwrap_or_default();
            let column = reject.column.as_ref().map(|name| format!(", column {name:?}")).unwrap_or_default();
            let (row, reason, what) = (reject.row, reject.reason.as_str(), &reject.what);
            self.first = Some(format!("row {row}{at}{column}: {reason}: {what}"));
        }
        if self.lines == self.job.quarantine_lines {
            return Ok(());
        }
        self.write(&json!({
            "source_row": self.job.first_row + reject.row - 1,
            "input": self.job.input,
            "row": reject.row,
            "line": reject.line,
            "column": reject.column,
            "rule": "readable",
            "reason": reject.reason.as_str(),
            "value": line(&reject.what),
        }))
    }

    /// The end of the file, which says how many rows have no line of their own.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn finish(mut self) -> Result<(u64, usize, Option<String>), Fault> {
        let without = self.rows - self.lines as u64;
        if without > 0 {
            self.write(
                &json!({ "input": self.job.input, "rule": "readable", "rows_without_a_line": without }),
            )?;
        }
        self.file.flush().map_err(|error| unwritten(&error))?;
        Ok((self.rows, self.lines, self.first))
    }

    fn write(&mut self, line: &serde_json::Value) -> Result<(), Fault> {
        self.lines += 1;
        writeln!(self.file, "{line}").map_err(|error| unwritten(&error))
    }
}

/// The service's own folder cannot be written.
pub fn unwritten(error: &std::io::Error) -> Fault {
    Fault::host(format!("what was read of it cannot be written: {error}"))
}
