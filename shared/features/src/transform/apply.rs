//! What each fitted step does to the columns: element by element, no state between rows.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Float64Array, Int64Array, StringArray, TimestampMicrosecondArray,
};

use super::frame::Frame;
use super::{Derivation, Derived, Step, category, text, time};
use crate::column::Values;
use crate::error::{Error, Result};
use crate::schema::UTC;

/// Carries out one step.
pub fn one(step: &Step, frame: &mut Frame) -> Result<()> {
    match step {
        Step::Fill { column, value } => {
            let filled = fill(column, frame.values(column)?, value)?;
            frame.set(column, filled)
        }
        Step::Clip { column, low, high } => {
            let clipped = clip(column, frame.values(column)?, *low, *high)?;
            frame.set(column, clipped)
        }
        Step::Derive(derived) => {
            let made = derive(derived, frame)?;
            frame.append(&derived.name, made)
        }
        Step::Scale { column, shift, divisor } => {
            let scaled = numbers(column, frame.values(column)?, |it| (it - shift) / divisor)?;
            frame.set(column, Arc::new(scaled))
        }
        Step::Log1p { column } => {
            let logs = numbers(column, frame.values(column)?, libm::log1p)?;
            frame.set(column, Arc::new(logs))
        }
        Step::Bucketise { column, cuts } => {
            let values = frame.values(column)?;
            number_column(column, values)?;
            let bucket = |row| values.number(row).map(|it| band(cuts, it) as i64);
            let buckets: Int64Array = (0..values.len()).map(bucket).collect();
            frame.set(column, Arc::new(buckets))
        }
        Step::OneHot { column, levels } => {
            let made = category::one_hot(column, frame.values(column)?, levels);
            frame.replace(column, made)
        }
        Step::Ordinal { column, levels } => {
            let made = category::ordinal(frame.values(column)?, levels);
            frame.set(column, made)
        }
        Step::Frequency { column, levels, shares } => {
            let made = category::frequency(frame.values(column)?, levels, shares);
            frame.set(column, made)
        }
        Step::Hash { column, buckets } => {
            let made = category::hash(frame.values(column)?, *buckets);
            frame.set(column, made)
        }
        Step::Lowercase { column } => {
            let made = text::mapped(texts(frame, column)?, str::to_lowercase);
            frame.set(column, made)
        }
        Step::Unicode { column, form } => {
            let made = text::mapped(texts(frame, column)?, |it| text::normal(it, *form));
            frame.set(column, made)
        }
        Step::Tokenise { column, vocabulary } => {
            let made = text::counts(column, texts(frame, column)?, vocabulary, str::split_whitespace);
            frame.replace(column, made)
        }
        Step::TokenisePattern { column, pattern, vocabulary } => {
            let made = text::counts(column, texts(frame, column)?, vocabulary, |it| pattern.tokens(it));
            frame.replace(column, made)
        }
        Step::WordPiece { column, vocabulary, length } => {
            let made = text::pieces(column, texts(frame, column)?, vocabulary, *length);
            frame.replace(column, made)
        }
        Step::DateParts { column, parts } => {
            let made = time::parts(column, frame.values(column)?, parts)?;
            frame.replace(column, made)
        }
    }
}

/// Comparisons, not `max` and `min`: those may give either zero where both signs meet, by the instruction that the
/// compiler chose.
fn clip(column: &str, values: Values<'_>, low: f64, high: f64) -> Result<ArrayRef> {
    let within = |it: f64| {
        if it < low {
            low
        } else if high < it {
            high
        } else {
            it
        }
    };
    Ok(match values {
        Values::Int64(array) => {
            let (low, high) = (low.ceil() as i64, high.floor() as i64);
            let one = |value: Option<i64>| value.map(|it| it.max(low).min(high));
            Arc::new(array.iter().map(one).collect::<Int64Array>())
        }
        values => Arc::new(numbers(column, values, within)?),
    })
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
            let with = time::read(constant).ok_or_else(|| unreadable("a time"))?;
            let filled: TimestampMicrosecondArray = array.iter().map(|value| value.or(Some(with))).collect();
            Arc::new(filled.with_timezone(UTC))
        }
    })
}

fn number_column(column: &str, values: Values<'_>) -> Result<()> {
    if values.kind().is_number() {
        return Ok(());
    }
    let actual = values.kind().as_str().to_owned();
    Err(Error::Type { column: column.to_owned(), actual, required: "a number" })
}

fn numbers(column: &str, values: Values<'_>, work: impl Fn(f64) -> f64) -> Result<Float64Array> {
    number_column(column, values)?;
    Ok((0..values.len()).map(|row| values.number(row).map(&work)).collect())
}

fn texts<'a>(frame: &'a Frame, column: &str) -> Result<&'a StringArray> {
    match frame.values(column)? {
        Values::Utf8(array) => Ok(array),
        other => {
            let actual = other.kind().as_str().to_owned();
            Err(Error::Type { column: column.to_owned(), actual, required: "utf8" })
        }
    }
}

fn derive(derived: &Derived, frame: &Frame) -> Result<ArrayRef> {
    let parts = derived.from.iter().map(|name| frame.values(name)).collect::<Result<Vec<_>>>()?;
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
    // In the order of the columns: sums of doubles depend on it.
    let sum = |row: usize| parts.iter().try_fold(0.0, |sum, part| Some(sum + part.number(row)?));
    let mean = |row: usize| sum(row).map(|sum| sum / parts.len() as f64);
    let all = 0..frame.rows();
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
