//! Raw columns: how a request carries them, and how it says that a value is missing.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Float64Array, Int64Array, StringArray, TimestampMicrosecondArray,
};
use serde::{Deserialize, Serialize};

use crate::missing::MissingMarkers;
use crate::schema::{Kind, UTC};
use crate::transform::read_time;

/// Whole numbers up to here are doubles one by one.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// A raw column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// Its name.
    pub name: String,
    /// Its type in the data.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// Whether a value was missing in the training rows, so that requests may leave values out too.
    pub missing: bool,
    /// Texts that mean missing beside the empty one, compared without white space around them; of a text column the first
    /// is the one that the data had most often.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing_texts: Vec<String>,
}

/// The type of tensor that carries a raw column: one element for each row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// Doubles; NaN is missing. Also whole numbers of which some may be missing.
    Fp64,
    /// Whole numbers, none missing.
    Int64,
    /// Texts; the empty one and the data's markers are missing. Also times (RFC 3339), and truth values of which some may
    /// be missing (`true`, `false`).
    Bytes,
    /// Truth values, none missing.
    Bool,
}

/// The values of a raw column as a request carries them.
#[derive(Debug, Clone, PartialEq)]
pub enum Given<'a> {
    /// Of [`Asked::Fp64`].
    Floats(Vec<f64>),
    /// Of [`Asked::Int64`].
    Ints(Vec<i64>),
    /// Of [`Asked::Bytes`].
    Texts(Vec<&'a [u8]>),
    /// Of [`Asked::Bool`].
    Bools(Vec<bool>),
}

impl Input {
    /// How requests carry it.
    pub fn asked(&self) -> Asked {
        match (self.kind, self.missing) {
            (Kind::Float64, _) | (Kind::Int64, true) => Asked::Fp64,
            (Kind::Int64, false) => Asked::Int64,
            (Kind::Bool, false) => Asked::Bool,
            (Kind::Utf8 | Kind::Timestamp, _) | (Kind::Bool, true) => Asked::Bytes,
        }
    }

    /// The values as the data-pipeline would have read them.
    ///
    /// # Errors
    /// The first row whose value cannot stand in this column, and what is required.
    pub fn array(&self, given: Given<'_>) -> Result<ArrayRef, String> {
        let required = |row: usize, what: &str| format!("row {row} is {what}");
        match (self.kind, self.asked(), given) {
            (Kind::Float64, _, Given::Floats(values)) => {
                if let Some(row) = values.iter().position(|value| value.is_infinite()) {
                    return Err(required(
                        row,
                        "infinite, required a finite number, or NaN where it is missing",
                    ));
                }
                Ok(Arc::new(Float64Array::from(values)))
            }
            (Kind::Int64, Asked::Fp64, Given::Floats(values)) => {
                let whole = |it: f64| it.is_nan() || (it.fract() == 0.0 && it.abs() <= EXACT);
                if let Some(row) = values.iter().position(|value| !whole(*value)) {
                    let what = "no whole number up to 2^53, and not NaN, which means missing";
                    return Err(required(row, what));
                }
                let one = |value: f64| (!value.is_nan()).then_some(value as i64);
                Ok(Arc::new(values.into_iter().map(one).collect::<Int64Array>()))
            }
            (Kind::Int64, _, Given::Ints(values)) => Ok(Arc::new(Int64Array::from(values))),
            (Kind::Bool, _, Given::Bools(values)) => Ok(Arc::new(BooleanArray::from(values))),
            (kind, Asked::Bytes, Given::Texts(values)) => self.read(kind, &values),
            (_, asked, _) => Err(format!("values are not of the type {asked:?} that carries the column")),
        }
    }

    fn read(&self, kind: Kind, values: &[&[u8]]) -> Result<ArrayRef, String> {
        let markers = MissingMarkers::new(&self.missing_texts);
        let mut texts = Vec::with_capacity(values.len());
        for (row, value) in values.iter().enumerate() {
            let text = std::str::from_utf8(value).map_err(|_| format!("row {row} is not UTF-8"))?;
            texts.push((!markers.is_missing(text)).then_some(text));
        }
        let each = |what: &str, read: &dyn Fn(&str) -> Option<i64>| -> Result<Vec<Option<i64>>, String> {
            let one = |(row, text): (usize, &Option<&str>)| match text {
                None => Ok(None),
                Some(text) => match read(text.trim()) {
                    Some(value) => Ok(Some(value)),
                    None => Err(format!("row {row} is {:?}, required {what}", shown(text))),
                },
            };
            texts.iter().enumerate().map(one).collect()
        };
        Ok(match kind {
            Kind::Timestamp => {
                let times = each("a time as 2026-01-31T10:00:00Z", &read_time)?;
                Arc::new(TimestampMicrosecondArray::from(times).with_timezone(UTC))
            }
            Kind::Bool => {
                let truth = |text: &str| match text {
                    "true" | "True" | "TRUE" => Some(1),
                    "false" | "False" | "FALSE" => Some(0),
                    _ => None,
                };
                let values = each("true or false", &truth)?;
                let one = |value: Option<i64>| value.map(|it| it == 1);
                Arc::new(values.into_iter().map(one).collect::<BooleanArray>())
            }
            Kind::Utf8 | Kind::Float64 | Kind::Int64 => Arc::new(texts.into_iter().collect::<StringArray>()),
        })
    }
}

fn shown(text: &str) -> String {
    text.chars().take(40).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::column::Values;

    fn input(kind: Kind, missing: bool) -> Input {
        Input { name: "c".into(), kind, missing, missing_texts: vec!["?".into()] }
    }

    #[test]
    fn values_are_read_as_the_data_was() {
        let array = |kind, missing, given| input(kind, missing).array(given);
        let texts = |list: &[&'static str]| Given::Texts(list.iter().map(|text| text.as_bytes()).collect());
        let made = array(Kind::Int64, true, Given::Floats(vec![3.0, f64::NAN, -0.0])).unwrap();
        let values = Values::of("c", &made).unwrap();
        assert_eq!([0, 1, 2].map(|row| values.number(row)), [Some(3.0), None, Some(0.0)]);
        let made = array(Kind::Utf8, true, texts(&["a", "", " ? ", " b"])).unwrap();
        let values = Values::of("c", &made).unwrap();
        assert_eq!(
            [0, 1, 2, 3].map(|row| values.text(row)),
            [Some("a".into()), None, None, Some(" b".into())]
        );
        let made = array(Kind::Timestamp, false, texts(&["1970-01-02", "?"])).unwrap();
        assert_eq!(Values::of("c", &made).unwrap().number(0), Some(86_400e6));
        let made = array(Kind::Bool, true, texts(&["True", "?"])).unwrap();
        assert_eq!(Values::of("c", &made).unwrap().number(0), Some(1.0));
    }

    #[test]
    fn what_the_column_cannot_hold_is_named_with_its_row() {
        let why = |kind, missing, given| input(kind, missing).array(given).unwrap_err();
        assert!(
            why(Kind::Float64, true, Given::Floats(vec![1.0, f64::INFINITY])).contains("row 1 is infinite")
        );
        assert!(why(Kind::Int64, true, Given::Floats(vec![0.5])).contains("row 0 is no whole number"));
        assert!(why(Kind::Int64, true, Given::Floats(vec![1e16])).contains("2^53"));
        assert!(why(Kind::Utf8, false, Given::Texts(vec![b"a", b"\xff"])).contains("row 1 is not UTF-8"));
        assert!(
            why(Kind::Timestamp, false, Given::Texts(vec![b"noon"])).contains("\"noon\", required a time")
        );
        assert!(why(Kind::Int64, false, Given::Bools(vec![true])).contains("Int64"));
    }
}
