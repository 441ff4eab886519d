//! What each operation learns from the training rows.

use std::collections::BTreeMap;

use arrow::array::RecordBatch;

use super::{LEVELS, Operation, Step};
use crate::column::{Values, number_text};
use crate::error::{Error, Result};

pub fn one(operation: &Operation, training: &RecordBatch) -> Result<Step> {
    Ok(match operation {
        Operation::FillMedian(column) => {
            Step::Fill { column: column.clone(), value: median(training, column)? }
        }
        Operation::FillMode(column) => Step::Fill { column: column.clone(), value: mode(training, column)? },
        Operation::FillConstant(column, value) => Step::Fill { column: column.clone(), value: value.clone() },
        Operation::Clip(column, share) => clip(training, column, *share)?,
        Operation::Derive(derived) => Step::Derive(derived.clone()),
        Operation::Standardise(column) => standardise(training, column)?,
        Operation::MinMax(column) => min_max(training, column)?,
        Operation::OneHot(column) => {
            Step::OneHot { column: column.clone(), levels: levels(training, column)? }
        }
        Operation::Ordinal(column) => {
            Step::Ordinal { column: column.clone(), levels: levels(training, column)? }
        }
        Operation::Lowercase(column) => Step::Lowercase { column: column.clone() },
        Operation::Tokenise(column, size) => tokens(training, column, *size)?,
    })
}

/// Finite values, ascending.
fn sorted(training: &RecordBatch, column: &str, what: &'static str) -> Result<Vec<f64>> {
    let values = Values::in_batch(training, column)?;
    if !values.kind().is_number() {
        let actual = values.kind().as_str().to_owned();
        return Err(Error::Type { column: column.to_owned(), actual, required: "a number" });
    }
    let mut numbers: Vec<f64> =
        (0..values.len()).filter_map(|row| values.number(row)).filter(|number| number.is_finite()).collect();
    if numbers.is_empty() {
        return Err(Error::Empty(column.to_owned(), what));
    }
    numbers.sort_unstable_by(f64::total_cmp);
    Ok(numbers)
}

/// The lower median: a value that occurs, so that integers stay integers.
fn median(training: &RecordBatch, column: &str) -> Result<String> {
    let numbers = sorted(training, column, "the median")?;
    Ok(number_text(numbers[(numbers.len() - 1) / 2]))
}

fn counts(training: &RecordBatch, column: &str) -> Result<BTreeMap<String, u64>> {
    let values = Values::in_batch(training, column)?;
    let mut counts = BTreeMap::new();
    for text in (0..values.len()).filter_map(|row| values.text(row)) {
        match counts.get_mut(text.as_ref()) {
            Some(count) => *count += 1,
            None => {
                counts.insert(text.into_owned(), 1);
            }
        }
    }
    Ok(counts)
}

fn mode(training: &RecordBatch, column: &str) -> Result<String> {
    let counts = counts(training, column)?;
    let best = counts.into_iter().max_by(|a, b| a.1.cmp(&b.1).then_with(|| b.0.cmp(&a.0)));
    best.map(|(text, _)| text).ok_or_else(|| Error::Empty(column.to_owned(), "the mode"))
}

fn clip(training: &RecordBatch, column: &str, share: f64) -> Result<Step> {
    if !(0.0..0.5).contains(&share) {
        let why = format!("share to clip is {share}, required 0 to below 0.5");
        return Err(Error::Parameter { column: column.to_owned(), why });
    }
    let numbers = sorted(training, column, "a quantile")?;
    let cut = (share * numbers.len() as f64).floor() as usize;
    let (low, high) = (numbers[cut], numbers[numbers.len() - 1 - cut]);
    Ok(Step::Clip { column: column.to_owned(), low, high })
}

fn standardise(training: &RecordBatch, column: &str) -> Result<Step> {
    let numbers = sorted(training, column, "a mean")?;
    let count = numbers.len() as f64;
    let shift = numbers.iter().sum::<f64>() / count;
    let variance = numbers.iter().map(|number| (number - shift).powi(2)).sum::<f64>() / count;
    let deviation = variance.sqrt();
    let divisor = if deviation > 0.0 && deviation.is_finite() { deviation } else { 1.0 };
    Ok(Step::Scale { column: column.to_owned(), shift, divisor })
}

fn min_max(training: &RecordBatch, column: &str) -> Result<Step> {
    let numbers = sorted(training, column, "a range")?;
    let (shift, width) = (numbers[0], numbers[numbers.len() - 1] - numbers[0]);
    let divisor = if width > 0.0 && width.is_finite() { width } else { 1.0 };
    Ok(Step::Scale { column: column.to_owned(), shift, divisor })
}

fn levels(training: &RecordBatch, column: &str) -> Result<Vec<String>> {
    let counts = counts(training, column)?;
    if LEVELS < counts.len() {
        return Err(Error::TooManyLevels { column: column.to_owned(), limit: LEVELS });
    }
    Ok(counts.into_keys().collect())
}

fn tokens(training: &RecordBatch, column: &str, size: usize) -> Result<Step> {
    let Values::Utf8(texts) = Values::in_batch(training, column)? else {
        let actual = Values::in_batch(training, column)?.kind().as_str().to_owned();
        return Err(Error::Type { column: column.to_owned(), actual, required: "utf8" });
    };
    let mut counts = BTreeMap::<&str, u64>::new();
    for token in texts.iter().flatten().flat_map(str::split_whitespace) {
        *counts.entry(token).or_default() += 1;
    }
    let mut order: Vec<_> = counts.into_iter().collect();
    order.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(b.0)));
    let mut vocabulary: Vec<_> =
        order.into_iter().take(size.min(LEVELS)).map(|(token, _)| token.to_owned()).collect();
    vocabulary.sort_unstable();
    Ok(Step::Tokenise { column: column.to_owned(), vocabulary })
}
