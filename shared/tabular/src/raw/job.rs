//! What a reader is asked, and what it answers.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::{Cause, Error};
use crate::format::Format;

/// Characters of an answer's words at most.
const WORDS: usize = 2_000;

/// One input that is to be read as text columns.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Job {
    /// The file.
    pub path: PathBuf,
    /// The format that the request names; without one the content decides.
    pub format: Option<Asked>,
    /// Place of the input in the request.
    pub input: usize,
    /// Rows of the inputs before it.
    pub first_row: u64,
    /// Columns of which it does not matter what stands in them.
    pub dropped: Vec<String>,
    /// Texts that mean "missing".
    pub missing: Vec<String>,
    /// Columns that the plan speaks of: a first row with one of them is a header.
    pub names: Vec<String>,
    /// Names that no column may have.
    pub reserved: Vec<String>,
    /// Rows at most.
    pub rows: u64,
    /// Columns at most.
    pub columns: usize,
    /// Bytes of a cell at most.
    pub cell_bytes: usize,
    /// Bytes of all values at most.
    pub table_bytes: usize,
    /// Bytes at most that a compressed file becomes.
    pub unfolded_bytes: u64,
    /// Lines of the quarantine file at most.
    pub quarantine_lines: usize,
    /// Where the rows are written: an Arrow IPC file of text columns and, last, the row of the input from 0.
    pub result: PathBuf,
    /// Where rejected rows are written: JSON lines.
    pub quarantine: PathBuf,
}

/// A format that a request names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Asked {
    /// Delimited text, whatever stands between its cells.
    Csv,
    /// Delimited text with tabs.
    Tsv,
    /// JSON lines.
    Jsonl,
    /// Parquet.
    Parquet,
    /// Arrow IPC, file or stream.
    Arrow,
}

impl Asked {
    /// Its usual name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Csv => "CSV",
            Self::Tsv => "TSV",
            Self::Jsonl => "JSON lines",
            Self::Parquet => "Parquet",
            Self::Arrow => "Arrow IPC",
        }
    }

    /// Whether a file that was recognised is of this format.
    pub fn is(self, format: Format) -> bool {
        match self {
            Self::Csv => matches!(format, Format::Csv | Format::Tsv),
            Self::Tsv => format == Format::Tsv,
            Self::Jsonl => format == Format::Jsonl,
            Self::Parquet => format == Format::Parquet,
            Self::Arrow => matches!(format, Format::ArrowFile | Format::ArrowStream),
        }
    }
}

/// What was found in an input that could be read.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Found {
    /// Format, compression, encoding, dialect and what may surprise, for the record.
    pub detected: Value,
    /// Rows that were written.
    pub taken: u64,
    /// Rows that could not be read and stand in quarantine.
    pub left: u64,
    /// Lines of the quarantine file.
    pub quarantined: usize,
}

/// Why an input cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// Whose fault it is.
    pub blame: Blame,
    /// Row, line, column and cause.
    pub what: String,
}

/// Whose fault it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Blame {
    /// The file's.
    Data,
    /// The host's: it says nothing about the file.
    Host,
}

/// The answer of a reader.
pub type Answer = Result<Found, Fault>;

impl Fault {
    /// The file is to blame.
    pub fn data(what: impl AsRef<str>) -> Self {
        Self { blame: Blame::Data, what: line(what.as_ref()) }
    }

    /// The host is to blame.
    pub fn host(what: impl AsRef<str>) -> Self {
        Self { blame: Blame::Host, what: line(what.as_ref()) }
    }

    /// The words of a reading that failed, without the path, which says nothing to whoever sent the file.
    pub fn of(error: &Error) -> Self {
        let said = error.to_string();
        let what = said.strip_prefix(&error.file).unwrap_or(&said).trim_start_matches([',', ':', ' ']);
        // The system's own errors: a disk that is full, a file that may not be opened.
        let ours = error.cause == Cause::Unreadable && what.contains("(os error");
        if ours { Self::host(what) } else { Self::data(what) }
    }
}

/// One line of bounded length without control characters: what stands in a file is a stranger's.
pub fn line(text: &str) -> String {
    let mut out = String::new();
    for letter in text.trim().chars().take(WORDS) {
        if letter.is_control() { out.extend(letter.escape_unicode()) } else { out.push(letter) }
    }
    out
}
