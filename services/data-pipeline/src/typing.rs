//! From texts to typed columns: which type a column has, and which cells do not read as it.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BooleanArray, Float64Array, Int64Array, StringArray, TimestampMicrosecondArray,
};
use arrow::compute::kernels::cast_utils::string_to_timestamp_nanos;
use arrow::datatypes::Field;
use features::schema::UTC;
use features::{Kind, MissingMarkers};

/// The type that the file itself declares for a column, if it declares one.
pub fn declared(field: &Field) -> Option<Kind> {
    field.metadata().get(tabular::raw::KIND).and_then(|kind| Kind::parse(kind))
}

/// The text that most often stands for a missing value, as it is written; the first in order of those that tie.
pub fn most_frequent_marker(texts: &StringArray, missing: &MissingMarkers) -> Option<String> {
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for text in texts.iter().flatten().filter(|text| !text.is_empty() && missing.is_missing(text)) {
        *counts.entry(text).or_default() += 1;
    }
    let most = counts.values().copied().max()?;
    counts.into_iter().find(|(_, count)| *count == most).map(|(text, _)| text.to_owned())
}

/// How many programs write a missing number.
fn is_nan(text: &str) -> bool {
    text.trim().eq_ignore_ascii_case("nan")
}

/// The narrowest type that every value reads as; text where there is none. "NaN" among numbers is a missing number.
pub fn infer(texts: &StringArray, missing: &MissingMarkers) -> Kind {
    let mut possible = vec![Kind::Int64, Kind::Float64, Kind::Bool, Kind::Timestamp];
    let mut seen = false;
    for text in texts.iter().flatten().filter(|text| !missing.is_missing(text)) {
        seen = true;
        let text = text.trim();
        possible.retain(|kind| match kind {
            Kind::Int64 => is_nan(text) || (!is_code(text) && text.parse::<i64>().is_ok()),
            Kind::Float64 => is_nan(text) || (!is_code(text) && number(text).is_some()),
            Kind::Bool => truth(text).is_some(),
            Kind::Timestamp => text.len() >= 10 && text.contains('-') && time(text).is_some(),
            Kind::Utf8 => true,
        });
        if possible.is_empty() {
            return Kind::Utf8;
        }
    }
    if seen { possible.first().copied().unwrap_or(Kind::Utf8) } else { Kind::Utf8 }
}

/// A number with leading zeros, or a whole one that 64 bits do not hold, is a code: as a number it would lose digits.
fn is_code(text: &str) -> bool {
    let digits = text.trim_start_matches(['+', '-']).as_bytes();
    let zeros = digits.len() > 1 && digits[0] == b'0' && digits[1].is_ascii_digit();
    zeros || (digits.len() > 18 && digits.iter().all(u8::is_ascii_digit) && text.parse::<i64>().is_err())
}

/// A typed column and the rows whose text does not read as its type (they are missing in the column).
pub fn read(texts: &StringArray, kind: Kind, missing: &MissingMarkers) -> (ArrayRef, Vec<usize>) {
    let mut bad = Vec::new();
    let known = |row: usize| {
        let text = (!texts.is_null(row)).then(|| texts.value(row))?;
        (!missing.is_missing(text)).then_some(text)
    };
    let number_or_none = |row: usize| known(row).filter(|text| !is_nan(text));
    let rows = 0..texts.len();
    let array: ArrayRef = match kind {
        Kind::Utf8 => Arc::new(rows.map(known).collect::<StringArray>()),
        Kind::Int64 => Arc::new(each(rows, number_or_none, whole, &mut bad).collect::<Int64Array>()),
        Kind::Float64 => Arc::new(each(rows, number_or_none, number, &mut bad).collect::<Float64Array>()),
        Kind::Bool => Arc::new(each(rows, known, truth, &mut bad).collect::<BooleanArray>()),
        Kind::Timestamp => {
            let times: TimestampMicrosecondArray = each(rows, known, time, &mut bad).collect();
            Arc::new(times.with_timezone(UTC))
        }
    };
    (array, bad)
}

fn each<'a, T: 'a>(
    rows: impl Iterator<Item = usize> + 'a,
    known: impl Fn(usize) -> Option<&'a str> + 'a,
    read: impl Fn(&str) -> Option<T> + 'a,
    bad: &'a mut Vec<usize>,
) -> impl Iterator<Item = Option<T>> + 'a {
    rows.map(move |row| {
        let text = known(row)?;
        let value = read(text.trim());
        if value.is_none() {
            bad.push(row);
        }
        value
    })
}

/// `5.0` is whole: Parquet files often hold integers as doubles because of missing values.
fn whole(text: &str) -> Option<i64> {
    let small = |it: &f64| it.fract() == 0.0 && it.abs() < 9e15;
    text.parse().ok().or_else(|| number(text).filter(small).map(|it| it as i64))
}

/// A finite number.
fn number(text: &str) -> Option<f64> {
    text.parse().ok().filter(|it: &f64| it.is_finite())
}

fn truth(text: &str) -> Option<bool> {
    match text {
        "true" | "True" | "TRUE" => Some(true),
        "false" | "False" | "FALSE" => Some(false),
        _ => None,
    }
}

/// RFC 3339 or a date; without an offset it is UTC. Microseconds.
fn time(text: &str) -> Option<i64> {
    string_to_timestamp_nanos(text).ok().map(|nanos| nanos.div_euclid(1000))
}
