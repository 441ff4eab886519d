//! What each operation learns from the training rows.

use std::collections::BTreeMap;

use super::frame::Frame;
use super::{LEVELS, Operation, Pattern, Pieces, Step};
use crate::column::{Values, number_text};
use crate::error::{Error, Result};
use crate::schema::Kind;

pub fn one(operation: &Operation, training: &Frame) -> Result<Step> {
    Ok(match operation {
        Operation::FillMean(column) => Step::Fill { column: column.clone(), value: mean(training, column)? },
        Operation::FillMedian(column) => {
            Step::Fill { column: column.clone(), value: median(training, column)? }
        }
        Operation::FillMode(column) => Step::Fill { column: column.clone(), value: mode(training, column)? },
        Operation::FillConstant(column, value) => Step::Fill { column: column.clone(), value: value.clone() },
        Operation::Clip(column, share) => clip(training, column, *share)?,
        Operation::ClipTo(column, low, high) => clip_to(column, *low, *high)?,
        Operation::Derive(derived) => Step::Derive(derived.clone()),
        Operation::Standardise(column) => standardise(training, column)?,
        Operation::MinMax(column) => min_max(training, column)?,
        Operation::Robust(column) => robust(training, column)?,
        Operation::Log1p(column) => Step::Log1p { column: column.clone() },
        Operation::Bucketise(column, parts) => bucketise(training, column, *parts)?,
        Operation::OneHot(column) => {
            Step::OneHot { column: column.clone(), levels: levels(training, column)? }
        }
        Operation::Ordinal(column) => {
            Step::Ordinal { column: column.clone(), levels: levels(training, column)? }
        }
        Operation::Frequency(column) => frequency(training, column)?,
        Operation::Hash(column, buckets) => hash(column, *buckets)?,
        Operation::Lowercase(column) => Step::Lowercase { column: column.clone() },
        Operation::Unicode(column, form) => Step::Unicode { column: column.clone(), form: *form },
        Operation::Tokenise(column, size) => {
            let vocabulary = vocabulary(training, column, *size, str::split_whitespace)?;
            Step::Tokenise { column: column.clone(), vocabulary }
        }
        Operation::TokenisePattern(column, pattern, size) => {
            let pattern = Pattern::new(pattern).map_err(|why| parameter(column, why))?;
            let vocabulary = vocabulary(training, column, *size, |text| pattern.tokens(text))?;
            Step::TokenisePattern { column: column.clone(), pattern, vocabulary }
        }
        Operation::WordPiece(column, vocabulary, length) => word_piece(column, vocabulary, *length)?,
        Operation::DateParts(column, parts) => {
            let mut seen = Vec::new();
            if parts.is_empty()
                || parts.iter().any(|part| {
                    seen.contains(&part) || {
                        seen.push(part);
                        false
                    }
                })
            {
                return Err(parameter(column, "parts of a time must be named, each once".into()));
            }
            Step::DateParts { column: column.clone(), parts: parts.clone() }
        }
    })
}

fn parameter(column: &str, why: String) -> Error {
    Error::Parameter { column: column.to_owned(), why }
}

/// Finite values, ascending.
fn sorted(training: &Frame, column: &str, what: &'static str) -> Result<Vec<f64>> {
    let values = training.values(column)?;
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
fn median(training: &Frame, column: &str) -> Result<String> {
    let numbers = sorted(training, column, "the median")?;
    Ok(number_text(numbers[(numbers.len() - 1) / 2]))
}

fn counts(training: &Frame, column: &str) -> Result<BTreeMap<String, u64>> {
    let values = training.values(column)?;
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

fn mode(training: &Frame, column: &str) -> Result<String> {
    let counts = counts(training, column)?;
    let best = counts.into_iter().max_by(|a, b| a.1.cmp(&b.1).then_with(|| b.0.cmp(&a.0)));
    best.map(|(text, _)| text).ok_or_else(|| Error::Empty(column.to_owned(), "the mode"))
}

fn clip(training: &Frame, column: &str, share: f64) -> Result<Step> {
    if !(0.0..0.5).contains(&share) {
        let why = format!("share to clip is {share}, required 0 to below 0.5");
        return Err(Error::Parameter { column: column.to_owned(), why });
    }
    let numbers = sorted(training, column, "a quantile")?;
    let cut = (share * numbers.len() as f64).floor() as usize;
    let (low, high) = (numbers[cut], numbers[numbers.len() - 1 - cut]);
    Ok(Step::Clip { column: column.to_owned(), low, high })
}

fn standardise(training: &Frame, column: &str) -> Result<Step> {
    let numbers = sorted(training, column, "a mean")?;
    let count = numbers.len() as f64;
    let shift = numbers.iter().sum::<f64>() / count;
    if !shift.is_finite() {
        return Err(parameter(column, "the sum of its values is no finite number".into()));
    }
    let variance = numbers.iter().map(|number| (number - shift).powi(2)).sum::<f64>() / count;
    let deviation = variance.sqrt();
    let divisor = if deviation > 0.0 && deviation.is_finite() { deviation } else { 1.0 };
    Ok(Step::Scale { column: column.to_owned(), shift, divisor })
}

fn min_max(training: &Frame, column: &str) -> Result<Step> {
    let numbers = sorted(training, column, "a range")?;
    let (shift, width) = (numbers[0], numbers[numbers.len() - 1] - numbers[0]);
    let divisor = if width > 0.0 && width.is_finite() { width } else { 1.0 };
    Ok(Step::Scale { column: column.to_owned(), shift, divisor })
}

fn levels(training: &Frame, column: &str) -> Result<Vec<String>> {
    let counts = counts(training, column)?;
    if LEVELS < counts.len() {
        return Err(Error::TooManyLevels { column: column.to_owned(), limit: LEVELS });
    }
    Ok(counts.into_keys().collect())
}

/// The tokens that stand most often, at most `size` of them; of equally many the first by code points. Sorted.
fn vocabulary<'a, I: Iterator<Item = &'a str>>(
    training: &'a Frame,
    column: &str,
    size: usize,
    cut: impl Fn(&'a str) -> I,
) -> Result<Vec<String>> {
    let values = training.values(column)?;
    let Values::Utf8(texts) = values else {
        let actual = values.kind().as_str().to_owned();
        return Err(Error::Type { column: column.to_owned(), actual, required: "utf8" });
    };
    let mut counts = BTreeMap::<&str, u64>::new();
    for token in texts.iter().flatten().flat_map(cut) {
        *counts.entry(token).or_default() += 1;
    }
    let mut order: Vec<_> = counts.into_iter().collect();
    order.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(b.0)));
    let mut vocabulary: Vec<_> =
        order.into_iter().take(size.min(LEVELS)).map(|(token, _)| token.to_owned()).collect();
    vocabulary.sort_unstable();
    Ok(vocabulary)
}

/// The smallest value that at least this share of the values do not exceed; `numbers` are ascending and not none.
fn quantile(numbers: &[f64], share: f64) -> f64 {
    let rank = (share * numbers.len() as f64).ceil() as usize;
    numbers[rank.clamp(1, numbers.len()) - 1]
}

fn mean(training: &Frame, column: &str) -> Result<String> {
    let numbers = sorted(training, column, "the mean")?;
    let mean = numbers.iter().sum::<f64>() / numbers.len() as f64;
    if !mean.is_finite() {
        return Err(parameter(column, "the sum of its values is no finite number".into()));
    }
    let whole = training.values(column)?.kind() == Kind::Int64;
    Ok(number_text(if whole { mean.round_ties_even() } else { mean }))
}

fn clip_to(column: &str, low: f64, high: f64) -> Result<Step> {
    if !(low.is_finite() && high.is_finite() && low <= high) {
        return Err(parameter(
            column,
            format!("bounds to clip to are {low} and {high}, required low to high"),
        ));
    }
    Ok(Step::Clip { column: column.to_owned(), low, high })
}

fn robust(training: &Frame, column: &str) -> Result<Step> {
    let numbers = sorted(training, column, "quartiles")?;
    let width = quantile(&numbers, 0.75) - quantile(&numbers, 0.25);
    let divisor = if width > 0.0 && width.is_finite() { width } else { 1.0 };
    Ok(Step::Scale { column: column.to_owned(), shift: quantile(&numbers, 0.5), divisor })
}

fn bucketise(training: &Frame, column: &str, parts: usize) -> Result<Step> {
    if !(2..=LEVELS).contains(&parts) {
        return Err(parameter(column, format!("{parts} parts, required 2 to {LEVELS}")));
    }
    let numbers = sorted(training, column, "quantiles")?;
    let mut cuts: Vec<f64> = (1..parts).map(|at| quantile(&numbers, at as f64 / parts as f64)).collect();
    cuts.dedup_by(|a, b| a == b); // -0 and 0 are one cut
    Ok(Step::Bucketise { column: column.to_owned(), cuts })
}

fn frequency(training: &Frame, column: &str) -> Result<Step> {
    let levels = levels(training, column)?;
    let counts = counts(training, column)?;
    let all = counts.values().sum::<u64>() as f64;
    let shares = counts.into_values().map(|count| count as f64 / all).collect();
    Ok(Step::Frequency { column: column.to_owned(), levels, shares })
}

fn hash(column: &str, buckets: usize) -> Result<Step> {
    let held = u32::try_from(buckets).ok().filter(|it| (1..=1 << 24).contains(it));
    let buckets = held.ok_or_else(|| parameter(column, format!("{buckets} buckets, required 1 to 2^24")))?;
    Ok(Step::Hash { column: column.to_owned(), buckets })
}

fn word_piece(column: &str, vocabulary: &[String], length: usize) -> Result<Step> {
    if !(1..=LEVELS).contains(&length) {
        return Err(parameter(column, format!("{length} pieces, required 1 to {LEVELS}")));
    }
    let vocabulary = Pieces::new(vocabulary.to_vec()).map_err(|why| parameter(column, why))?;
    Ok(Step::WordPiece { column: column.to_owned(), vocabulary, length })
}
