//! A split as typed columns, read from its Parquet file.

use crate::{Error, Limits};
use arrow::array::{Array, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int64Type};
use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

/// Cells of one column; `None` where a value is missing.
#[derive(Debug, Clone, PartialEq)]
pub enum Cells {
    /// Whole numbers of every width, exact.
    Integers(Vec<Option<i64>>),
    /// Numbers.
    Floats(Vec<Option<f64>>),
    /// Truth values.
    Bools(Vec<Option<bool>>),
    /// Text, and everything else in its text form.
    Texts(Vec<Option<String>>),
}

/// A named column.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its cells.
    pub cells: Cells,
}

/// Rows of a split.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Table {
    columns: Vec<Column>,
    rows: usize,
}

impl Cells {
    fn empty(kind: &DataType) -> Self {
        match kind {
            kind if kind.is_integer() => Self::Integers(Vec::new()),
            kind if kind.is_floating() => Self::Floats(Vec::new()),
            DataType::Decimal128(..) | DataType::Decimal256(..) => Self::Floats(Vec::new()),
            DataType::Boolean => Self::Bools(Vec::new()),
            _ => Self::Texts(Vec::new()),
        }
    }

    fn append(&mut self, array: &dyn Array) -> Result<(), arrow::error::ArrowError> {
        match self {
            Self::Integers(cells) => {
                cells.extend(cast(array, &DataType::Int64)?.as_primitive::<Int64Type>().iter())
            }
            Self::Floats(cells) => {
                cells.extend(cast(array, &DataType::Float64)?.as_primitive::<Float64Type>().iter())
            }
            Self::Bools(cells) => cells.extend(array.as_boolean().iter()),
            Self::Texts(cells) => {
                let texts = cast(array, &DataType::Utf8)?;
                cells.extend(texts.as_string::<i32>().iter().map(|text| text.map(str::to_owned)));
            }
        }
        Ok(())
    }

    /// Whether the cells are numbers or truth values.
    pub fn is_numeric(&self) -> bool {
        !matches!(self, Self::Texts(_))
    }

    /// Whether a cell is missing.
    pub fn is_missing(&self, row: usize) -> bool {
        match self {
            Self::Integers(cells) => cells.get(row).is_none_or(Option::is_none),
            Self::Floats(cells) => cells.get(row).is_none_or(Option::is_none),
            Self::Bools(cells) => cells.get(row).is_none_or(Option::is_none),
            Self::Texts(cells) => cells.get(row).is_none_or(Option::is_none),
        }
    }

    /// A cell as text; a whole number has no decimal point, whatever the column's type.
    pub fn text(&self, row: usize) -> Option<String> {
        match self {
            Self::Integers(cells) => cells.get(row)?.map(|value| value.to_string()),
            Self::Floats(cells) => cells.get(row)?.map(number_text),
            Self::Bools(cells) => cells.get(row)?.map(|value| value.to_string()),
            Self::Texts(cells) => cells.get(row)?.clone(),
        }
    }

    /// A cell as a number: `Ok(None)` where it is missing, the text where it is none.
    ///
    /// # Errors
    /// The text that is no number.
    pub fn number(&self, row: usize) -> Result<Option<f64>, String> {
        Ok(match self {
            Self::Integers(cells) => cells.get(row).copied().flatten().map(|value| value as f64),
            Self::Floats(cells) => cells.get(row).copied().flatten(),
            Self::Bools(cells) => cells.get(row).copied().flatten().map(|value| f64::from(u8::from(value))),
            Self::Texts(cells) => match cells.get(row).and_then(Option::as_deref).map(str::trim) {
                None | Some("") => None,
                Some(text) => Some(text.parse::<f64>().map_err(|_| text.to_owned())?),
            },
        })
    }
}

/// `3` for 3.0, the shortest form that reads back otherwise.
pub fn number_text(value: f64) -> String {
    if value.fract() == 0.0 && value.abs() < 1e15 { format!("{value:.0}") } else { value.to_string() }
}

impl Table {
    /// Of columns of the same length.
    ///
    /// # Errors
    /// [`Error::Damaged`] if lengths differ or a name stands twice.
    pub fn new(columns: Vec<Column>) -> Result<Self, Error> {
        let length = |cells: &Cells| match cells {
            Cells::Integers(cells) => cells.len(),
            Cells::Floats(cells) => cells.len(),
            Cells::Bools(cells) => cells.len(),
            Cells::Texts(cells) => cells.len(),
        };
        let rows = columns.first().map_or(0, |column| length(&column.cells));
        for (at, column) in columns.iter().enumerate() {
            if length(&column.cells) != rows {
                return Err(Error::Damaged(format!("column {} has another number of rows", column.name)));
            }
            if columns[..at].iter().any(|earlier| earlier.name == column.name) {
                return Err(Error::Damaged(format!("column {} stands twice", column.name)));
            }
        }
        Ok(Self { columns, rows })
    }

    /// Reads a Parquet file. Dictionaries, dates and decimals become text or numbers.
    ///
    /// # Errors
    /// [`Error::Damaged`] for a file that cannot be read, [`Error::TooLarge`] for more rows than the limits allow.
    pub fn from_parquet(file: Bytes, limits: &Limits) -> Result<Self, Error> {
        let bad =
            |error: &dyn std::fmt::Display| Error::Damaged(format!("the split cannot be read: {error}"));
        let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(|error| bad(&error))?;
        let claimed = builder.metadata().file_metadata().num_rows();
        if usize::try_from(claimed).map_or(true, |rows| limits.rows < rows) {
            return Err(Error::TooLarge {
                what: "rows of the split".into(),
                observed: claimed.to_string(),
                allowed: limits.rows,
            });
        }
        let fields = builder.schema().fields().clone();
        let mut columns: Vec<Column> = fields
            .iter()
            .map(|field| Column { name: field.name().clone(), cells: Cells::empty(&flat(field.data_type())) })
            .collect();
        for batch in builder.build().map_err(|error| bad(&error))? {
            let batch: RecordBatch = batch.map_err(|error| bad(&error))?;
            for (column, array) in columns.iter_mut().zip(batch.columns()) {
                let plain = cast(array, &flat(array.data_type())).map_err(|error| bad(&error))?;
                column.cells.append(&plain).map_err(|error| bad(&error))?;
            }
        }
        Self::new(columns)
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// All columns, in the file's order.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// The column of that name.
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// The column of that name, or an error that names those that there are.
    ///
    /// # Errors
    /// [`Error::DoesNotFit`].
    pub fn required(&self, name: &str, what: &str) -> Result<&Column, Error> {
        self.column(name).ok_or_else(|| {
            let known: Vec<&str> = self.columns.iter().map(|column| column.name.as_str()).collect();
            Error::unfit(
                format!("{what} {name:?}"),
                format!("the split has the columns {}", known.join(", ")),
            )
        })
    }
}

/// The type of the values, without the dictionary around it.
fn flat(kind: &DataType) -> DataType {
    match kind {
        DataType::Dictionary(_, value) => value.as_ref().clone(),
        other => other.clone(),
    }
}
