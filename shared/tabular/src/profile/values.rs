//! A column of a batch as numbers or texts, with a hash of each value.

use arrow::array::{Array, ArrayRef, AsArray, StringArray};
use arrow::buffer::NullBuffer;
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, Date32Type, Date64Type, Float64Type, Int64Type, TimeUnit, TimestampMicrosecondType,
    TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType, UInt64Type,
};
use arrow::error::ArrowError;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use statistics::hashing::{mix, of_integer, of_number};
use twox_hash::XxHash3_128;

/// Hash of a row without a value.
const MISSING: u64 = mix(0x6d69_7373_696e_6721);
/// Hashes of the truth values.
pub const FALSE: u64 = mix(0x6661_6c73_6500_0000);
/// See [`FALSE`].
pub const TRUE: u64 = mix(0x7472_7565_0000_0000);

/// The hash of a text.
#[inline]
pub fn hash(text: &str) -> u128 {
    XxHash3_128::oneshot(text.as_bytes())
}

/// The lower half of the hash of a text, by which values are told apart.
#[inline]
pub fn short_hash(text: &str) -> u64 {
    hash(text) as u64
}

/// Room that is used for one column after another.
#[derive(Debug, Default)]
pub struct Room {
    /// Hash of each row's value.
    pub low: Vec<u64>,
    /// The second half of a text's hash; empty for other values, whose hash is a bijection.
    pub high: Vec<u64>,
    /// Each row's value where it is a number, NaN where there is none.
    pub numbers: Vec<f64>,
    /// Whether a row has no value.
    pub missing: Vec<bool>,
}

/// Texts of a column in any of Arrow's forms.
pub enum Texts {
    /// Short offsets.
    Short(StringArray),
    /// Long offsets.
    Long(arrow::array::LargeStringArray),
    /// Views.
    View(arrow::array::StringViewArray),
}

impl Texts {
    /// The text of a row.
    #[inline]
    pub fn text(&self, row: usize) -> &str {
        match self {
            Self::Short(texts) => texts.value(row),
            Self::Long(texts) => texts.value(row),
            Self::View(texts) => texts.value(row),
        }
    }

    /// Bytes of all values, and the longest one: what a dictionary repeats counts each time.
    pub fn bytes(&self, missing: &[bool]) -> (u64, usize, usize) {
        let (mut sum, mut longest, mut at) = (0, 0, 0);
        for row in (0..missing.len()).filter(|row| !missing[*row]) {
            let length = match self {
                Self::Short(texts) => texts.value_length(row) as usize,
                Self::Long(texts) => texts.value_length(row) as usize,
                Self::View(texts) => texts.views()[row] as u32 as usize,
            };
            sum += length as u64;
            if longest < length {
                (longest, at) = (length, row);
            }
        }
        (sum, longest, at)
    }
}

/// What a column holds.
pub enum Column {
    /// Numbers or times: they are in [`Room::numbers`].
    Numbers,
    /// Truth values: 1 and 0 in [`Room::numbers`].
    Truths,
    /// Texts.
    Texts(Texts),
}

/// Fills `room` with a column: values, hashes and what is missing.
///
/// # Errors
/// Of Arrow, where a value cannot be shown as text.
pub fn read(array: &ArrayRef, room: &mut Room) -> Result<Column, ArrowError> {
    let rows = array.len();
    room.low.clear();
    room.high.clear();
    room.numbers.clear();
    room.missing.clear();
    // A dictionary has nulls of its values too.
    let nulls = array.logical_nulls();
    match &nulls {
        Some(nulls) => room.missing.extend(nulls.iter().map(|valid| !valid)),
        None => room.missing.resize(rows, false),
    }
    let nulls = nulls.as_ref();
    let whole = |room: &mut Room, values: &[i64], number: fn(i64) -> f64| {
        room.low.extend(values.iter().map(|value| of_integer(*value)));
        room.numbers.extend(values.iter().map(|value| number(*value)));
        without(room, nulls);
    };
    match array.data_type() {
        DataType::Boolean => {
            let truths = array.as_boolean();
            let values = truths.values();
            room.low.extend(values.iter().map(|truth| if truth { TRUE } else { FALSE }));
            room.numbers.extend(values.iter().map(|truth| if truth { 1.0 } else { 0.0 }));
            without(room, nulls);
            return Ok(Column::Truths);
        }
        DataType::Int64 => whole(room, array.as_primitive::<Int64Type>().values(), |value| value as f64),
        DataType::UInt64 => {
            let values = array.as_primitive::<UInt64Type>().values();
            room.low.extend(values.iter().map(|value| mix(*value)));
            room.numbers.extend(values.iter().map(|value| *value as f64));
            without(room, nulls);
        }
        it if it.is_integer() => {
            let wide = cast(array, &DataType::Int64)?;
            whole(room, wide.as_primitive::<Int64Type>().values(), |value| value as f64);
        }
        DataType::Float64 => {
            let values = array.as_primitive::<Float64Type>().values();
            room.low.extend(values.iter().map(|value| of_number(*value)));
            room.numbers.extend_from_slice(values);
            without(room, nulls);
        }
        DataType::Float16
        | DataType::Float32
        | DataType::Decimal32(..)
        | DataType::Decimal64(..)
        | DataType::Decimal128(..)
        | DataType::Decimal256(..) => {
            return read(&cast(array, &DataType::Float64)?, room);
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            whole(room, array.as_primitive::<TimestampMicrosecondType>().values(), |value| value as f64);
        }
        DataType::Timestamp(TimeUnit::Millisecond, _) => {
            whole(room, array.as_primitive::<TimestampMillisecondType>().values(), |value| {
                value as f64 * 1e3
            });
        }
        DataType::Timestamp(TimeUnit::Second, _) => {
            whole(room, array.as_primitive::<TimestampSecondType>().values(), |value| value as f64 * 1e6);
        }
        DataType::Timestamp(TimeUnit::Nanosecond, _) => {
            let micros = |value: i64| value.div_euclid(1_000) as f64;
            whole(room, array.as_primitive::<TimestampNanosecondType>().values(), micros);
        }
        DataType::Date32 => {
            let days = array.as_primitive::<Date32Type>().values();
            room.low.extend(days.iter().map(|day| of_integer(i64::from(*day))));
            room.numbers.extend(days.iter().map(|day| f64::from(*day) * 86_400e6));
            without(room, nulls);
        }
        DataType::Date64 => {
            whole(room, array.as_primitive::<Date64Type>().values(), |value| value as f64 * 1e3);
        }
        DataType::Utf8 => return Ok(texts(Texts::Short(array.as_string::<i32>().clone()), room)),
        DataType::LargeUtf8 => return Ok(texts(Texts::Long(array.as_string::<i64>().clone()), room)),
        DataType::Utf8View => return Ok(texts(Texts::View(array.as_string_view().clone()), room)),
        DataType::Dictionary(_, value) => return read(&cast(array, value)?, room),
        // What is nothing of these is profiled as it is written.
        _ => {
            let options = FormatOptions::default().with_null("null");
            let formatter = ArrayFormatter::try_new(array.as_ref(), &options)?;
            let written: Result<StringArray, ArrowError> = (0..rows)
                .map(|row| match room.missing[row] {
                    true => Ok(None),
                    false => formatter.value(row).try_to_string().map(Some),
                })
                .collect();
            return Ok(texts(Texts::Short(written?), room));
        }
    }
    Ok(Column::Numbers)
}

fn without(room: &mut Room, nulls: Option<&NullBuffer>) {
    if nulls.is_none_or(|nulls| nulls.null_count() == 0) {
        return;
    }
    for (row, missing) in room.missing.iter().enumerate() {
        if *missing {
            room.low[row] = MISSING;
            room.numbers[row] = f64::NAN;
        }
    }
}

/// The hashes of texts are made by [`hash_texts`], when their sizes were looked at.
fn texts(texts: Texts, room: &mut Room) -> Column {
    room.numbers.resize(room.missing.len(), f64::NAN);
    Column::Texts(texts)
}

/// Fills in the hashes of texts.
pub fn hash_texts(texts: &Texts, room: &mut Room) {
    let rows = room.missing.len();
    room.low.reserve(rows);
    room.high.reserve(rows);
    for row in 0..rows {
        let hash = if room.missing[row] { u128::from(MISSING) } else { hash(texts.text(row)) };
        room.low.push(hash as u64);
        room.high.push((hash >> 64) as u64);
    }
}

/// Hashes of rows: two lanes, each a bijection of a column's hash for fixed other columns.
#[derive(Debug, Default)]
pub struct Lanes {
    lanes: Vec<(u64, u64)>,
}

impl Lanes {
    /// Begins with so many rows.
    pub fn begin(&mut self, rows: usize) {
        self.lanes.clear();
        self.lanes.resize(rows, (0x243F_6A88_85A3_08D3, 0x1319_8A2E_0370_7344));
    }

    /// Takes the next column.
    pub fn take(&mut self, room: &Room) {
        let step = |lane: &mut (u64, u64), low: u64, high: u64| {
            lane.0 = (lane.0.rotate_left(23) ^ low).wrapping_mul(0x9E37_79B9_7F4A_7C15);
            lane.1 = (lane.1.rotate_left(29) ^ high).wrapping_mul(0xC2B2_AE3D_27D4_EB4F);
        };
        if room.high.is_empty() {
            self.lanes.iter_mut().zip(&room.low).for_each(|(lane, low)| step(lane, *low, *low));
        } else {
            let halves = room.low.iter().zip(&room.high);
            self.lanes.iter_mut().zip(halves).for_each(|(lane, (low, high))| step(lane, *low, *high));
        }
    }

    /// The hashes.
    pub fn hashes(&self) -> impl Iterator<Item = u128> {
        self.lanes.iter().map(|(a, b)| u128::from(mix(*a)) << 64 | u128::from(mix(*b)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{Float64Array, Int64Array};
    use std::collections::HashSet;
    use std::sync::Arc;

    #[test]
    fn rows_that_differ_in_little_have_different_hashes() {
        let a: ArrayRef = Arc::new(Int64Array::from_iter_values((0..4_096).map(|i| i / 64)));
        let b: ArrayRef = Arc::new(Int64Array::from_iter_values((0..4_096).map(|i| i % 64)));
        let (mut room, mut lanes) = (Room::default(), Lanes::default());
        lanes.begin(4_096);
        for column in [&a, &b] {
            read(column, &mut room).unwrap();
            lanes.take(&room);
        }
        assert_eq!(lanes.hashes().collect::<HashSet<_>>().len(), 4_096);
    }

    #[test]
    fn missing_is_no_value() {
        let mut room = Room::default();
        let numbers: ArrayRef =
            Arc::new(Float64Array::from(vec![Some(-0.0), None, Some(0.0), Some(f64::NAN)]));
        read(&numbers, &mut room).unwrap();
        assert_eq!(room.missing, [false, true, false, false]);
        assert!(room.low[0] == room.low[2] && room.low[1] != room.low[3]);
    }
}
