//! Levels of a category, by their text: a double that is no number is missing, -0 is the level `0`, and texts are
//! compared code point by code point. Two spellings of one letter are two levels unless a Unicode form was made before.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array};

use crate::column::Values;

/// For each row: missing, unknown, or the place of its level.
fn places(values: Values<'_>, levels: &[String]) -> Vec<Option<Option<usize>>> {
    let place = |row| {
        let text = values.text(row)?;
        Some(levels.binary_search_by(|level| level.as_str().cmp(text.as_ref())).ok())
    };
    (0..values.len()).map(place).collect()
}

/// A column of 0 and 1 for each level; all zeros where the value is missing or unknown.
pub fn one_hot(column: &str, values: Values<'_>, levels: &[String]) -> Vec<(String, ArrayRef)> {
    // Most levels stand in no row of a small request: these share their zeros.
    let mut flags: Vec<Option<Vec<i64>>> = vec![None; levels.len()];
    for (row, place) in places(values, levels).into_iter().enumerate() {
        if let Some(level) = place.flatten() {
            flags[level].get_or_insert_with(|| vec![0; values.len()])[row] = 1;
        }
    }
    let zeros: ArrayRef = Arc::new(Int64Array::from(vec![0; values.len()]));
    let array = |flags: Option<Vec<i64>>| {
        flags.map_or_else(|| zeros.clone(), |flags| Arc::new(Int64Array::from(flags)) as ArrayRef)
    };
    let named = levels.iter().map(|level| hot_name(column, level));
    named.zip(flags.into_iter().map(array)).collect()
}

/// The column of a level.
pub fn hot_name(column: &str, level: &str) -> String {
    format!("{column}={level}")
}

/// The level's place; -1 where it is unknown.
pub fn ordinal(values: Values<'_>, levels: &[String]) -> ArrayRef {
    let number = |place: Option<usize>| place.map_or(-1, |at| at as i64);
    Arc::new(places(values, levels).into_iter().map(|place| place.map(number)).collect::<Int64Array>())
}

/// The level's share of the training rows; 0 where it is unknown.
pub fn frequency(values: Values<'_>, levels: &[String], shares: &[f64]) -> ArrayRef {
    let share = |place: Option<usize>| place.and_then(|at| shares.get(at).copied()).unwrap_or(0.0);
    Arc::new(places(values, levels).into_iter().map(|place| place.map(share)).collect::<Float64Array>())
}

/// The bucket of a value's text.
pub fn hash(values: Values<'_>, buckets: u32) -> ArrayRef {
    let bucket = |row| values.text(row).map(|text| bucket(&text, buckets));
    Arc::new((0..values.len()).map(bucket).collect::<Int64Array>())
}

/// FNV-1a over the UTF-8 bytes, its bits mixed by the end of SplitMix64, modulo the buckets: the same everywhere, and
/// blind to the label.
///
/// Source: Fowler, Noll, Vo; Steele, Lea, Flood 2014.
fn bucket(text: &str, buckets: u32) -> i64 {
    let byte = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3);
    let hash = text.bytes().fold(0xCBF2_9CE4_8422_2325, byte);
    let hash = (hash ^ (hash >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let hash = (hash ^ (hash >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    ((hash ^ (hash >> 31)) % u64::from(buckets.max(1))) as i64
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::StringArray;

    #[test]
    fn a_hash_spreads_over_all_buckets_and_tells_spellings_apart() {
        let texts: StringArray = (0..4000).map(|at| Some(format!("level {at}"))).collect();
        let made = hash(Values::Utf8(&texts), 8);
        let values = Values::of("t", &made).unwrap();
        let mut counts = [0_u32; 8];
        (0..4000).for_each(|row| counts[values.number(row).unwrap() as usize] += 1);
        assert!(counts.iter().all(|count| (400..600).contains(count)), "{counts:?}");
        assert_ne!(bucket("\u{e9}", 1 << 30), bucket("e\u{301}", 1 << 30));
    }
}
