//! Why a file cannot be read: one error that names file, row and column.

use std::fmt;
use std::path::Path;

/// What a function of this crate returns.
pub type Result<T> = std::result::Result<T, Error>;

/// What kind of obstacle it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// The file cannot be opened or read.
    Unreadable,
    /// The bytes are not what the format asks for.
    Damaged,
    /// The file is larger than a limit allows.
    Limit,
    /// The declared schema cannot be read, or does not fit the file.
    Schema,
}

/// An obstacle, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// What kind it is.
    pub cause: Cause,
    /// The file as it was named.
    pub file: String,
    /// Row of the data, from 1; a header is none.
    pub row: Option<u64>,
    /// Line of a text file, from 1.
    pub line: Option<u64>,
    /// Name of the column.
    pub column: Option<String>,
    /// What is wrong, in words.
    pub what: String,
}

impl std::error::Error for Error {}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(row) = self.row {
            write!(f, ", row {row}")?;
        }
        if let Some(line) = self.line {
            write!(f, " (line {line})")?;
        }
        if let Some(column) = &self.column {
            write!(f, ", column {column:?}")?;
        }
        write!(f, ": {}", self.what)
    }
}

impl Error {
    /// An obstacle of a whole file.
    pub fn new(cause: Cause, file: &Path, what: impl Into<String>) -> Self {
        let file = file.display().to_string();
        Self { cause, file, row: None, line: None, column: None, what: what.into() }
    }

    /// The same at a row.
    #[must_use]
    pub fn at_row(self, row: u64) -> Self {
        Self { row: Some(row), ..self }
    }

    /// The same at a line.
    #[must_use]
    pub fn at_line(self, line: u64) -> Self {
        Self { line: Some(line), ..self }
    }

    /// The same in a column.
    #[must_use]
    pub fn in_column(self, column: &str) -> Self {
        Self { column: Some(column.chars().take(80).collect()), ..self }
    }

    /// What an input or output error says; a limit that a reader met stays a limit.
    pub fn io(file: &Path, error: &std::io::Error) -> Self {
        if let Some(over) = error.get_ref().and_then(|inner| inner.downcast_ref::<Over>()) {
            return Self::new(over.cause, file, over.what.clone());
        }
        let cause = match error.kind() {
            std::io::ErrorKind::InvalidData
            | std::io::ErrorKind::InvalidInput
            | std::io::ErrorKind::UnexpectedEof => Cause::Damaged,
            _ => Cause::Unreadable,
        };
        Self::new(cause, file, format!("cannot be read: {error}"))
    }
}

/// An obstacle that a reader met, carried through `std::io::Error`.
#[derive(Debug)]
pub(crate) struct Over {
    cause: Cause,
    what: String,
}

impl std::error::Error for Over {}

impl fmt::Display for Over {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

pub(crate) fn over(cause: Cause, what: impl Into<String>) -> std::io::Error {
    std::io::Error::other(Over { cause, what: what.into() })
}
