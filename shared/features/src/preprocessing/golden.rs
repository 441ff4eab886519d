//! Golden rows: raw rows that are stored with the artifact, and the digest of what came of them.
//!
//! A golden row is nobody's row. Each of its cells comes from another training row, texts are cut, and some cells are
//! replaced by values that programs treat differently: missing, NaN, both zeros, infinities, unknown levels, letters in two
//! spellings.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, RecordBatchOptions, StringArray,
    TimestampMicrosecondArray,
};
use arrow::datatypes::{Field, Schema};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use statistics::random::SplitMix64;

use super::Input;
use crate::column::Values;
use crate::error::{Error, Result};
use crate::schema::{Kind, UTC};

/// Golden rows, where the data is not too wide for so many.
const ROWS: usize = 1000;
/// Golden cells at most, and rows at least, whatever the width.
const CELLS: usize = 200_000;
const FEWEST: usize = 16;
/// One cell in so many is a trap.
const TRAPS: usize = 8;
/// Characters of a text at most.
const CHARACTERS: usize = 200;

const FLOATS: [Option<f64>; 10] = [
    None,
    Some(f64::NAN),
    Some(-0.0),
    Some(0.0),
    Some(f64::INFINITY),
    Some(f64::NEG_INFINITY),
    Some(5e-324),
    Some(1e308),
    Some(-1e308),
    Some(-1.0),
];
const INTEGERS: [Option<i64>; 5] = [None, Some(0), Some(-1), Some(i64::MAX), Some(i64::MIN)];
const TEXTS: [Option<&str>; 10] = [
    None,
    Some(""),
    Some("never seen"),
    Some("\u{c9}cole"),
    Some("E\u{301}cole"),
    Some("\u{fb01}n \u{130} \u{df}"),
    Some("\u{200b}zero width"),
    Some("\u{1f468}\u{200d}\u{1f4bb}, ok!"),
    Some("  two  words "),
    Some("\u{ff11}\u{ff12}"),
];
const BOOLS: [Option<bool>; 3] = [None, Some(true), Some(false)];
const TIMES: [Option<i64>; 4] = [None, Some(0), Some(-1), Some(1_709_251_199_999_999)];

/// Rows whose outputs are known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Golden {
    /// For each input its cells in text form; doubles with all their digits, times in microseconds.
    columns: Vec<Vec<Option<String>>>,
    /// Over the bits of the outputs.
    pub digest: String,
}

impl Golden {
    /// Of raw rows and what came of them.
    ///
    /// # Errors
    /// [`Error::Type`].
    pub fn of(rows: &RecordBatch, made: &RecordBatch) -> Result<Self> {
        let column = |name: &String| {
            let values = Values::in_batch(rows, name)?;
            Ok((0..values.len()).map(|row| written(values, row)).collect())
        };
        let names: Vec<String> =
            rows.schema_ref().fields().iter().map(|field| field.name().clone()).collect();
        Ok(Self { columns: names.iter().map(column).collect::<Result<_>>()?, digest: bits(made)? })
    }

    /// The raw rows.
    ///
    /// # Errors
    /// [`Error::Preprocessing`] for cells that are none of these inputs.
    pub fn rows(&self, inputs: &[Input]) -> Result<RecordBatch> {
        let bad = |why: String| Error::Preprocessing(format!("golden rows: {why}"));
        let count = self.columns.first().map_or(0, Vec::len);
        if self.columns.len() != inputs.len() || self.columns.iter().any(|cells| cells.len() != count) {
            return Err(bad("the columns are not those of the inputs".into()));
        }
        if count == 0 && !inputs.is_empty() {
            return Err(bad("there are none".into()));
        }
        let read = |(input, cells): (&Input, &Vec<Option<String>>)| {
            let array = array(input.kind, cells);
            array.ok_or_else(|| bad(format!("a cell of {:?} is no {}", input.name, input.kind.as_str())))
        };
        let arrays = inputs.iter().zip(&self.columns).map(read).collect::<Result<_>>()?;
        batch(inputs, arrays, count)
    }
}

fn written(values: Values<'_>, row: usize) -> Option<String> {
    Some(match values {
        Values::Float64(array) if !array.is_null(row) => format!("{:?}", array.value(row)),
        Values::Timestamp(array) if !array.is_null(row) => array.value(row).to_string(),
        Values::Float64(_) | Values::Timestamp(_) => return None,
        other => other.text(row)?.into_owned(),
    })
}

fn array(kind: Kind, cells: &[Option<String>]) -> Option<ArrayRef> {
    fn each<T: std::str::FromStr>(cells: &[Option<String>]) -> Option<Vec<Option<T>>> {
        let one = |cell: &Option<String>| match cell {
            None => Some(None),
            Some(text) => text.parse().ok().map(Some),
        };
        cells.iter().map(one).collect()
    }
    Some(match kind {
        Kind::Float64 => Arc::new(Float64Array::from(each(cells)?)),
        Kind::Int64 => Arc::new(Int64Array::from(each(cells)?)),
        Kind::Bool => Arc::new(BooleanArray::from(each(cells)?)),
        Kind::Timestamp => Arc::new(TimestampMicrosecondArray::from(each(cells)?).with_timezone(UTC)),
        Kind::Utf8 => Arc::new(cells.iter().map(Option::as_deref).collect::<StringArray>()),
    })
}

fn batch(inputs: &[Input], arrays: Vec<ArrayRef>, rows: usize) -> Result<RecordBatch> {
    let fields = inputs.iter().map(|input| Field::new(&input.name, input.kind.arrow(), true));
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    Ok(RecordBatch::try_new_with_options(schema, arrays, &options)?)
}

/// Draws golden rows from the training rows. The same training rows give the same golden ones.
///
/// # Errors
/// [`Error::Missing`] or [`Error::Type`] for an input that is not there.
pub fn draw(training: &RecordBatch, inputs: &[Input]) -> Result<RecordBatch> {
    let rows = (CELLS / inputs.len().max(1)).clamp(FEWEST, ROWS);
    let mut arrays: Vec<ArrayRef> = Vec::with_capacity(inputs.len());
    for (at, input) in inputs.iter().enumerate() {
        let values = Values::in_batch(training, &input.name)?;
        let mut dice = SplitMix64::new(at as u64);
        let mut cell = || {
            let trap = (training.num_rows() == 0 || dice.below(TRAPS) == 0).then(|| dice.next_u64() as usize);
            (trap, dice.below(training.num_rows()))
        };
        let cells: Vec<_> = (0..rows).map(|_| cell()).collect();
        let cells = cells.into_iter();
        arrays.push(match values {
            Values::Float64(array) => {
                let one = |(trap, row): (Option<usize>, usize)| {
                    trap.map_or_else(
                        || array.is_valid(row).then(|| array.value(row)),
                        |it| FLOATS[it % FLOATS.len()],
                    )
                };
                Arc::new(cells.map(one).collect::<Float64Array>())
            }
            Values::Int64(array) => {
                let one = |(trap, row): (Option<usize>, usize)| {
                    trap.map_or_else(
                        || array.is_valid(row).then(|| array.value(row)),
                        |it| INTEGERS[it % INTEGERS.len()],
                    )
                };
                Arc::new(cells.map(one).collect::<Int64Array>())
            }
            Values::Bool(array) => {
                let one = |(trap, row): (Option<usize>, usize)| {
                    trap.map_or_else(
                        || array.is_valid(row).then(|| array.value(row)),
                        |it| BOOLS[it % BOOLS.len()],
                    )
                };
                Arc::new(cells.map(one).collect::<BooleanArray>())
            }
            Values::Timestamp(array) => {
                let one = |(trap, row): (Option<usize>, usize)| {
                    trap.map_or_else(
                        || array.is_valid(row).then(|| array.value(row)),
                        |it| TIMES[it % TIMES.len()],
                    )
                };
                Arc::new(cells.map(one).collect::<TimestampMicrosecondArray>().with_timezone(UTC))
            }
            Values::Utf8(array) => {
                let one = |(trap, row): (Option<usize>, usize)| {
                    trap.map_or_else(
                        || array.is_valid(row).then(|| cut(array.value(row))),
                        |it| TEXTS[it % TEXTS.len()],
                    )
                };
                Arc::new(cells.map(one).collect::<StringArray>())
            }
        });
    }
    batch(inputs, arrays, rows)
}

fn cut(text: &str) -> &str {
    text.char_indices().nth(CHARACTERS).map_or(text, |(at, _)| &text[..at])
}

/// Digest over names, types and the bits of every cell: -0 is not 0, and one "missing" stands for nothing and NaN.
///
/// # Errors
/// [`Error::Type`].
pub fn bits(rows: &RecordBatch) -> Result<String> {
    let mut hasher = Sha256::new();
    hasher.update(b"wlp-bits/1\n");
    let mut bytes = Vec::new();
    for (field, array) in rows.schema_ref().fields().iter().zip(rows.columns()) {
        let values = Values::of(field.name(), array)?;
        bytes.clear();
        for part in [field.name().as_str(), values.kind().as_str()] {
            bytes.extend((part.len() as u64).to_le_bytes());
            bytes.extend(part.as_bytes());
        }
        for row in 0..values.len() {
            match values {
                Values::Float64(array) if !values.is_missing(row) => {
                    bytes.push(1);
                    bytes.extend(array.value(row).to_bits().to_le_bytes());
                }
                _ => values.encode(row, &mut bytes),
            }
        }
        hasher.update(&bytes);
    }
    hasher.update((rows.num_rows() as u64).to_le_bytes());
    Ok(format!("sha256:{}", hex::encode(hasher.finalize())))
}
