//! The kernels: element by element, no state between rows.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use arrow::datatypes::{Field, Schema};

use super::{Derivation, Derived, Step};
use crate::column::Values;
use crate::error::{Error, Result};
use crate::schema::UTC;

pub fn one(step: &Step, rows: &RecordBatch) -> Result<RecordBatch> {
    match step {
        Step::Fill { column, value } => {
            let filled = fill(column, Values::in_batch(rows, column)?, value)?;
            replace(rows, column, vec![(column.clone(), filled)])
        }
        Step::Clip { column, low, high } => {
            let clipped: ArrayRef = match Values::in_batch(rows, column)? {
                Values::Int64(array) => {
                    let (low, high) = (low.ceil() as i64, high.floor() as i64);
                    Arc::new(
                        array
                            .iter()
                            .map(|value| value.map(|it| it.max(low).min(high)))
                            .collect::<Int64Array>(),
                    )
                }
                values => Arc::new(numbers(column, values, |it| it.max(*low).min(*high))?),
            };
            replace(rows, column, vec![(column.clone(), clipped)])
        }
        Step::Derive(derived) => {
            let made = derive(derived, rows)?;
            append(rows, vec![(derived.name.clone(), made)])
        }
        Step::Scale { column, shift, divisor } => {
            let scaled = numbers(column, Values::in_batch(rows, column)?, |it| (it - shift) / divisor)?;
            replace(rows, column, vec![(column.clone(), Arc::new(scaled))])
        }
        Step::OneHot { column, levels } => {
            let values = Values::in_batch(rows, column)?;
            let places = places(values, levels);
            let hot = |(at, level): (usize, &String)| {
                let flags: Int64Array =
                    places.iter().map(|place| Some(i64::from(*place == Some(Some(at))))).collect();
                (format!("{column}={level}"), Arc::new(flags) as ArrayRef)
            };
            replace(rows, column, levels.iter().enumerate().map(hot).collect())
        }
        Step::Ordinal { column, levels } => {
            let places = places(Values::in_batch(rows, column)?, levels);
            let number = |place: Option<usize>| place.map_or(-1, |at| at as i64);
            let array: Int64Array = places.into_iter().map(|place| place.map(number)).collect();
            replace(rows, column, vec![(column.clone(), Arc::new(array))])
        }
        Step::Lowercase { column } => {
            let array = texts(rows, column)?;
            let lower: StringArray = array.iter().map(|text| text.map(str::to_lowercase)).collect();
            replace(rows, column, vec![(column.clone(), Arc::new(lower))])
        }
        Step::Tokenise { column, vocabulary } => tokenise(rows, column, vocabulary),
    }
}

/// Reads the constant by the column's type.
fn fill(column: &str, values: Values<'_>, constant: &str) -> Result<ArrayRef> {
    let unreadable = |required| Error::Parameter {
        column: column.to_owned(),
        why: format!("{constant:?} cannot fill it, required {required}"),
    };
    Ok(match values {
        Values::Float64(array) => {
            let with: f64 = constant
                .parse()
                .ok()
                .filter(|it: &f64| it.is_finite())
                .ok_or_else(|| unreadable("a number"))?;
            let known = |value: Option<f64>| value.filter(|it| !it.is_nan()).or(Some(with));
            Arc::new(array.iter().map(known).collect::<Float64Array>())
        }
        Values::Int64(array) => {
            let whole = |it: f64| (it.fract() == 0.0 && it.abs() < 9e15).then_some(it as i64);
            let with = constant.parse::<i64>().ok().or_else(|| constant.parse::<f64>().ok().and_then(whole));
            let with = with.ok_or_else(|| unreadable("a whole number"))?;
            Arc::new(array.iter().map(|value| value.or(Some(with))).collect::<Int64Array>())
        }
        Values::Utf8(array) => {
            Arc::new(array.iter().map(|value| value.or(Some(constant))).collect::<StringArray>())
        }
        Values::Bool(array) => {
            let with = constant.parse::<bool>().map_err(|_| unreadable("true or false"))?;
            Arc::new(array.iter().map(|value| value.or(Some(with))).collect::<BooleanArray>())
        }
        Values::Timestamp(array) => {
            let with = arrow::compute::kernels::cast_utils::string_to_timestamp_nanos(constant)
                .map_err(|_| unreadable("a time"))?
                / 1000;
            let filled: TimestampMicrosecondArray = array.iter().map(|value| value.or(Some(with))).collect();
            Arc::new(filled.with_timezone(UTC))
        }
    })
}

fn numbers(column: &str, values: Values<'_>, work: impl Fn(f64) -> f64) -> Result<Float64Array> {
    if !values.kind().is_number() {
        let actual = values.kind().as_str().to_owned();
        return Err(Error::Type { column: column.to_owned(), actual, required: "a number" });
    }
    Ok((0..values.len()).map(|row| values.number(row).map(&work)).collect())
}

fn texts<'a>(rows: &'a RecordBatch, column: &str) -> Result<&'a StringArray> {
    match Values::in_batch(rows, column)? {
        Values::Utf8(array) => Ok(array),
        other => {
            let actual = other.kind().as_str().to_owned();
            Err(Error::Type { column: column.to_owned(), actual, required: "utf8" })
        }
    }
}

/// For each row: missing, unknown, or the place of its level.
fn places(values: Values<'_>, levels: &[String]) -> Vec<Option<Option<usize>>> {
    let place = |row| {
        let text = values.text(row)?;
        Some(levels.binary_search_by(|level| level.as_str().cmp(text.as_ref())).ok())
    };
    (0..values.len()).map(place).collect()
}

fn tokenise(rows: &RecordBatch, column: &str, vocabulary: &[String]) -> Result<RecordBatch> {
    let array = texts(rows, column)?;
    let count = |wanted: Option<&str>| -> ArrayRef {
        let matching = |text: &str| {
            text.split_whitespace().filter(|token| wanted.is_none_or(|wanted| wanted == *token)).count()
                as i64
        };
        Arc::new(array.iter().map(|text| text.map(matching)).collect::<Int64Array>())
    };
    let made = if vocabulary.is_empty() {
        vec![(format!("{column}_tokens"), count(None))]
    } else {
        vocabulary.iter().map(|token| (format!("{column}~{token}"), count(Some(token)))).collect()
    };
    replace(rows, column, made)
}

fn derive(derived: &Derived, rows: &RecordBatch) -> Result<ArrayRef> {
    let parts = derived.from.iter().map(|name| Values::in_batch(rows, name)).collect::<Result<Vec<_>>>()?;
    if let Derivation::Length = derived.how {
        let [Values::Utf8(array)] = parts.as_slice() else {
            let actual = format!("{} columns", parts.len());
            return Err(Error::Type { column: derived.name.clone(), actual, required: "one utf8 column" });
        };
        let length = |text: &str| text.chars().count() as i64;
        return Ok(Arc::new(array.iter().map(|text| text.map(length)).collect::<Int64Array>()));
    }
    if let Some(text) = parts.iter().position(|part| !part.kind().is_number()) {
        let actual = parts[text].kind().as_str().to_owned();
        return Err(Error::Type { column: derived.from[text].clone(), actual, required: "a number" });
    }
    let sum = |row: usize| parts.iter().try_fold(0.0, |sum, part| Some(sum + part.number(row)?));
    let mean = |row: usize| sum(row).map(|sum| sum / parts.len() as f64);
    let all = 0..rows.num_rows();
    Ok(match &derived.how {
        Derivation::Sum => Arc::new(all.map(sum).collect::<Float64Array>()),
        Derivation::Mean => Arc::new(all.map(mean).collect::<Float64Array>()),
        Derivation::Band { thresholds, labels } => {
            let label = |row| mean(row).and_then(|mean| labels.get(band(thresholds, mean)));
            Arc::new(all.map(label).collect::<StringArray>())
        }
        Derivation::Length => return Err(Error::Missing(derived.name.clone())),
    })
}

/// The band that a value falls in: band 0 is below the first threshold, a value on a threshold begins the next band.
pub fn band(thresholds: &[f64], value: f64) -> usize {
    thresholds.partition_point(|threshold| *threshold <= value)
}

/// Puts `made` where `column` stood.
fn replace(rows: &RecordBatch, column: &str, made: Vec<(String, ArrayRef)>) -> Result<RecordBatch> {
    let at = rows.schema_ref().index_of(column).map_err(|_| Error::Missing(column.to_owned()))?;
    let mut columns: Vec<(String, ArrayRef)> = named(rows);
    columns.splice(at..=at, made);
    batch(columns, rows.num_rows())
}

fn append(rows: &RecordBatch, made: Vec<(String, ArrayRef)>) -> Result<RecordBatch> {
    let mut columns = named(rows);
    columns.extend(made);
    batch(columns, rows.num_rows())
}

fn named(rows: &RecordBatch) -> Vec<(String, ArrayRef)> {
    let fields = rows.schema_ref().fields().iter();
    fields.zip(rows.columns()).map(|(field, array)| (field.name().clone(), array.clone())).collect()
}

/// A batch of nullable columns with names that differ.
fn batch(columns: Vec<(String, ArrayRef)>, rows: usize) -> Result<RecordBatch> {
    let mut seen = std::collections::BTreeSet::new();
    if let Some((name, _)) = columns.iter().find(|(name, _)| !seen.insert(name.as_str())) {
        return Err(Error::Twice(name.clone()));
    }
    let fields: Vec<Field> =
        columns.iter().map(|(name, array)| Field::new(name, array.data_type().clone(), true)).collect();
    let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(rows));
    let arrays = columns.into_iter().map(|(_, array)| array).collect();
    Ok(RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &options)?)
}
