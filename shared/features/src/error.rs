//! What can go wrong with columns, always with the column's name.

/// Why a schema, a transform or a profile could not be made or applied.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    /// The batch lacks a column.
    #[error("column {0} is missing")]
    Missing(String),
    /// The column has a type that the operation does not take.
    #[error("column {column} is {actual}, required {required}")]
    Type {
        /// Which column.
        column: String,
        /// What it is.
        actual: String,
        /// What is taken.
        required: &'static str,
    },
    /// Nothing to fit on: the training rows hold no value of the column.
    #[error("column {0} has no value in the training rows, so {1} cannot be fitted")]
    Empty(String, &'static str),
    /// More levels than a fitted transform keeps.
    #[error("column {column} has more than {limit} levels")]
    TooManyLevels {
        /// Which column.
        column: String,
        /// How many are kept.
        limit: usize,
    },
    /// A parameter that means nothing.
    #[error("column {column}: {why}")]
    Parameter {
        /// Which column.
        column: String,
        /// What is wrong.
        why: String,
    },
    /// A column would be made twice.
    #[error("column {0} would stand twice")]
    Twice(String),
    /// The text is not a fitted transform.
    #[error("not a fitted transform: {0}")]
    Json(String),
    /// The bytes are no preprocessing.
    #[error("not a preprocessing: {0}")]
    Preprocessing(String),
    /// This program's kernels do not give what those gave that made the artifact.
    #[error("the golden rows give {observed}, required {expected}: this program's kernels differ")]
    Golden {
        /// As stored.
        expected: String,
        /// As replayed.
        observed: String,
    },
    /// Of Arrow.
    #[error("{0}")]
    Arrow(String),
    /// Of a sketch.
    #[error(transparent)]
    Statistics(#[from] statistics::Error),
}

/// With [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

impl From<arrow::error::ArrowError> for Error {
    fn from(error: arrow::error::ArrowError) -> Self {
        Self::Arrow(error.to_string())
    }
}
