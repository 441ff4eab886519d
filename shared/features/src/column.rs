//! One column's values behind one face: as number, as text, as canonical bytes.

use std::borrow::Cow;

use arrow::array::{
    Array, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::util::display::array_value_to_string;

use crate::error::{Error, Result};
use crate::schema::Kind;

/// A column of one of the five types.
#[derive(Debug, Clone, Copy)]
pub enum Values<'a> {
    /// Doubles.
    Float64(&'a Float64Array),
    /// Integers.
    Int64(&'a Int64Array),
    /// Texts.
    Utf8(&'a StringArray),
    /// Truth values.
    Bool(&'a BooleanArray),
    /// Times.
    Timestamp(&'a TimestampMicrosecondArray),
}

impl<'a> Values<'a> {
    /// The values of an array; `name` is for the error.
    ///
    /// # Errors
    /// [`Error::Type`] for a type that is none of the five.
    pub fn of(name: &str, array: &'a dyn Array) -> Result<Self> {
        let any = array.as_any();
        let found = match Kind::of(array.data_type()) {
            Some(Kind::Float64) => any.downcast_ref().map(Self::Float64),
            Some(Kind::Int64) => any.downcast_ref().map(Self::Int64),
            Some(Kind::Utf8) => any.downcast_ref().map(Self::Utf8),
            Some(Kind::Bool) => any.downcast_ref().map(Self::Bool),
            Some(Kind::Timestamp) => any.downcast_ref().map(Self::Timestamp),
            None => None,
        };
        found.ok_or_else(|| Error::Type {
            column: name.to_owned(),
            actual: array.data_type().to_string(),
            required: "float64, int64, utf8, bool or timestamp",
        })
    }

    /// The values of a batch's column.
    ///
    /// # Errors
    /// [`Error::Missing`], [`Error::Type`].
    pub fn in_batch(batch: &'a RecordBatch, name: &str) -> Result<Self> {
        let array = batch.column_by_name(name).ok_or_else(|| Error::Missing(name.to_owned()))?;
        Self::of(name, array)
    }

    fn array(&self) -> &'a dyn Array {
        match self {
            Self::Float64(array) => *array,
            Self::Int64(array) => *array,
            Self::Utf8(array) => *array,
            Self::Bool(array) => *array,
            Self::Timestamp(array) => *array,
        }
    }

    /// The type.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Float64(_) => Kind::Float64,
            Self::Int64(_) => Kind::Int64,
            Self::Utf8(_) => Kind::Utf8,
            Self::Bool(_) => Kind::Bool,
            Self::Timestamp(_) => Kind::Timestamp,
        }
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.array().len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the value is missing; a double that is no number counts as missing.
    pub fn is_missing(&self, row: usize) -> bool {
        match self {
            Self::Float64(array) => array.is_null(row) || array.value(row).is_nan(),
            other => other.array().is_null(row),
        }
    }

    /// The value as a number: truth values are 0 and 1, times are microseconds, texts have none.
    pub fn number(&self, row: usize) -> Option<f64> {
        if self.is_missing(row) {
            return None;
        }
        match self {
            Self::Float64(array) => Some(array.value(row)),
            Self::Int64(array) => Some(array.value(row) as f64),
            Self::Bool(array) => Some(f64::from(u8::from(array.value(row)))),
            Self::Timestamp(array) => Some(array.value(row) as f64),
            Self::Utf8(_) => None,
        }
    }

    /// The value in text form: numbers with all their digits, times as RFC 3339.
    pub fn text(&self, row: usize) -> Option<Cow<'a, str>> {
        if self.is_missing(row) {
            return None;
        }
        Some(match self {
            Self::Float64(array) => Cow::Owned(number_text(array.value(row))),
            Self::Int64(array) => Cow::Owned(array.value(row).to_string()),
            Self::Bool(array) => Cow::Borrowed(if array.value(row) { "true" } else { "false" }),
            Self::Utf8(array) => Cow::Borrowed(array.value(row)),
            Self::Timestamp(array) => Cow::Owned(
                array_value_to_string(*array, row).unwrap_or_else(|_| array.value(row).to_string()),
            ),
        })
    }

    /// Appends canonical bytes of the value: a tag, then the value. -0 is 0, and there is one "missing".
    pub fn encode(&self, row: usize, out: &mut Vec<u8>) {
        if self.is_missing(row) {
            out.push(0);
            return;
        }
        match self {
            Self::Float64(array) => {
                out.push(1);
                out.extend((array.value(row) + 0.0).to_bits().to_le_bytes());
            }
            Self::Int64(array) => {
                out.push(2);
                out.extend(array.value(row).to_le_bytes());
            }
            Self::Utf8(array) => {
                let text = array.value(row);
                out.push(3);
                out.extend((text.len() as u64).to_le_bytes());
                out.extend(text.as_bytes());
            }
            Self::Bool(array) => out.extend([4, u8::from(array.value(row))]),
            Self::Timestamp(array) => {
                out.push(5);
                out.extend(array.value(row).to_le_bytes());
            }
        }
    }
}

/// The shortest text that reads back as the same double.
pub fn number_text(value: f64) -> String {
    let value = value + 0.0; // -0 is 0
    if value == 0.0 || (1e-5..1e15).contains(&value.abs()) {
        format!("{value}")
    } else {
        format!("{value:e}")
    }
}
