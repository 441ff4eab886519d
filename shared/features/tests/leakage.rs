//! The audit of splits: planted leaks are found, and what does not leak passes.

#![allow(clippy::unwrap_used)]

use arrow::array::{Float64Array, Int64Array, StringArray};
use features::leakage::adversarial::{self, Compared};
use features::leakage::{Limits, Verdict, labels, overlap, shared};
use features::near::{Options, Shingles, TokenSets, find};
use features::split::{Parts, Shares, Units, ordered};
use features::{Values, hash};
use proptest::collection::vec;
use proptest::prelude::*;
use statistics::random::SplitMix64;

const COMPARED: Compared<'_> = Compared { first: (0, "train"), second: (1, "test"), rows: 4_000, seed: 9 };

fn halves(rows: usize) -> Parts {
    let units = Units::single(rows).unwrap();
    let places: Vec<[u8; 32]> = (0..rows).map(|row| ordered::place(4, &row.to_le_bytes())).collect();
    ordered::assign(&units, &places, None, &Shares::new(&[0.5, 0.5]).unwrap()).unwrap()
}

fn auc(columns: &[Values<'_>], units: &Units, parts: &Parts) -> features::leakage::Finding {
    adversarial::check(columns, units, parts, &COMPARED, &Limits::default()).unwrap()
}

#[test]
fn parts_that_were_drawn_alike_pass_and_a_shift_of_the_spread_fails() {
    let mut random = SplitMix64::new(1);
    let rows = 6_000;
    let parts = halves(rows);
    let units = Units::single(rows).unwrap();
    let number: Vec<f64> = (0..rows).map(|_| random.next_f64() - 0.5).collect();
    let level: Vec<String> = (0..rows).map(|_| format!("level {}", random.below(9))).collect();
    // The same mean on both sides, another spread: a straight line would not see it.
    let spread =
        number.iter().zip(&parts).map(|(value, part)| if *part == Some(1) { value * 2.0 } else { *value });
    let (spread, number) = (Float64Array::from_iter_values(spread), Float64Array::from(number.clone()));
    let level = StringArray::from_iter_values(level);
    let alike = auc(&[Values::Float64(&number), Values::Utf8(&level)], &units, &parts);
    assert_eq!(alike.verdict, Verdict::Pass, "{alike:?}");
    let interval = alike.interval.unwrap();
    assert!(interval.lower < 0.5 && 0.5 < interval.upper, "{alike:?}");
    let shifted = auc(&[Values::Float64(&spread), Values::Utf8(&level)], &units, &parts);
    assert_eq!(shifted.verdict, Verdict::Fail, "{shifted:?}");
    let again = auc(&[Values::Float64(&spread), Values::Utf8(&level)], &units, &parts);
    assert_eq!(again, shifted, "the same numbers give the same answer");
}

/// A column that names the group tells its part of rows that were learnt from, which is no difference between the parts.
#[test]
fn the_name_of_a_group_tells_nothing_of_other_groups() {
    let rows = 6_000;
    let groups: Vec<i64> = (0..rows as i64).map(|row| row / 20).collect();
    let units = Units::of_labels(&groups).unwrap();
    let places: Vec<[u8; 32]> = (0..units.len()).map(|unit| ordered::place(8, &unit.to_le_bytes())).collect();
    let parts = ordered::assign(&units, &places, None, &Shares::new(&[0.5, 0.5]).unwrap()).unwrap();
    let names = StringArray::from_iter_values(groups.iter().map(|group| format!("group{group}")));
    let column = [Values::Utf8(&names)];
    let fair = auc(&column, &units, &parts);
    assert!(fair.value < 0.55, "{fair:?}");
    assert!(0.9 < auc(&column, &Units::single(rows).unwrap(), &parts).value, "row by row it would tell");
}

#[test]
fn few_rows_do_not_pass() {
    let number = Float64Array::from_iter_values((0..40).map(f64::from));
    let found = auc(&[Values::Float64(&number)], &Units::single(40).unwrap(), &halves(40));
    assert_eq!(found.verdict, Verdict::Inconclusive, "{found:?}");
    let found = auc(&[Values::Float64(&number)], &Units::single(40).unwrap(), &vec![Some(0); 40]);
    assert_eq!((found.verdict, found.value.is_nan()), (Verdict::Inconclusive, true));
}

#[test]
fn keys_and_rows_of_two_parts_are_named() {
    let key = Int64Array::from(vec![Some(1), Some(2), Some(1), None, None, Some(3)]);
    let parts = [0, 0, 1, 0, 1, 2].map(Some);
    let found = shared::keys(&["id".into()], &[Values::Int64(&key)], &parts, 20).unwrap();
    assert_eq!((found.rows, found.sample.as_slice(), found.verdict), (1, [2].as_slice(), Verdict::Fail));
    let left_out = [Some(0), Some(0), None, Some(0), Some(1), Some(2)];
    let found = shared::keys(&["id".into()], &[Values::Int64(&key)], &left_out, 20).unwrap();
    assert_eq!((found.rows, found.verdict), (0, Verdict::Pass), "what no part has leaks nothing");
    let found =
        shared::rows(&[Values::Int64(&key)], &[Some(2), Some(1), Some(0), None, None, None], 0).unwrap();
    assert_eq!((found.rows, found.sample.len()), (1, 0), "a sample of none");
}

#[test]
fn planted_near_duplicates_across_parts_are_found() {
    let mut random = SplitMix64::new(2);
    let mut texts = Vec::new();
    for _ in 0..500 {
        let text: Vec<String> = (0..30).map(|_| format!("word{}", random.below(5_000))).collect();
        let text = text.join(" ");
        texts.push(text.clone());
        texts.push(format!("{text} indeed"));
    }
    let array = StringArray::from_iter_values(&texts);
    let sets = TokenSets::of_texts(&[Values::Utf8(&array)], Shingles::Characters(5), texts.len()).unwrap();
    let found = find(&sets, &Options::default()).unwrap();
    let parts: Parts = (0..texts.len()).map(|row| Some((row % 2) as u8)).collect();
    let torn = shared::near(&found, 0.8, &parts, 3);
    assert_eq!((torn.rows, torn.sample.as_slice(), torn.verdict), (500, [1, 3, 5].as_slice(), Verdict::Fail));
    let together: Parts = (0..texts.len()).map(|row| Some((row / 2 % 2) as u8)).collect();
    assert_eq!(shared::near(&found, 0.8, &together, 3).verdict, Verdict::Pass);
}

#[test]
fn time_overlap_counts_rows_that_are_not_later() {
    let times: Vec<Option<i64>> = [10, 20, 30, 25, 40, 100].map(Some).into();
    let parts = [0, 0, 0, 1, 1, 2].map(Some);
    assert_eq!(overlap::check(&times, 0, &parts, 9).sample, [3]);
    assert_eq!(overlap::check(&times, 11, &parts, 9).sample, [3, 4]);
    assert_eq!(overlap::check(&[Some(1), None], 0, &[Some(0), Some(1)], 9).verdict, Verdict::Inconclusive);
    assert_eq!(overlap::check(&[Some(1), Some(2)], 0, &[Some(0), Some(2)], 9).verdict, Verdict::Pass);
}

#[test]
fn label_shares_are_judged_with_all_intervals_at_once() {
    let limits = Limits::default();
    let of = |rows: usize, share: [usize; 2]| {
        let parts: Parts = (0..2 * rows).map(|row| Some((row / rows) as u8)).collect();
        let label = |row: usize| Some(if row % rows * 100 / rows < share[row / rows] { "yes" } else { "no" });
        let labels: Vec<_> = (0..2 * rows).map(label).collect();
        labels::check(&labels, &parts, &["train", "test"], &limits).unwrap()
    };
    assert_eq!(of(10_000, [30, 31]).verdict, Verdict::Pass);
    assert_eq!(of(10_000, [30, 45]).verdict, Verdict::Fail);
    assert_eq!(of(50, [30, 32]).verdict, Verdict::Inconclusive);
    let gap = of(10_000, [45, 30]);
    assert!(
        (gap.value - 0.15).abs() < 1e-9
            && gap.interval.unwrap().lower < 0.15
            && gap.interval.unwrap().upper > 0.15
    );
    let none: [Option<&str>; 2] = [None, None];
    let found = labels::check(&none, &[Some(0), Some(1)], &["a", "b"], &limits).unwrap();
    assert_eq!(found.verdict, Verdict::Inconclusive);
}

proptest! {
    /// A row leaks if and only if its key stands in an earlier part.
    #[test]
    fn shared_keys_are_those_of_every_pair(rows in vec((proptest::option::of(0..12_i64), proptest::option::of(0..4_u8)), 0..60)) {
        let key: Int64Array = rows.iter().map(|row| row.0).collect();
        let parts: Parts = rows.iter().map(|row| row.1).collect();
        let found = shared::keys(&["k".into()], &[Values::Int64(&key)], &parts, usize::MAX).unwrap();
        let leaks = |(key, part): &(Option<i64>, Option<u8>)| {
            key.is_some() && part.is_some() && rows.iter().any(|(k, p)| k == key && p.is_some() && p < part)
        };
        let expected: Vec<u64> = (0..rows.len()).filter(|row| leaks(&rows[*row])).map(|row| row as u64).collect();
        prop_assert_eq!(found.sample, expected);
    }

    /// Hashes see what the canonical bytes see: -0 is 0, and there is one "missing".
    #[test]
    fn hashes_agree_with_canonical_bytes(numbers in vec(prop_oneof![Just(0.0), Just(-0.0), Just(f64::NAN), -2.0..2.0_f64], 2..20)) {
        let array = Float64Array::from(numbers);
        let values = Values::Float64(&array);
        let hashes = hash::rows(&[values], values.len(), 3);
        let bytes = |row: usize| { let mut out = Vec::new(); values.encode(row, &mut out); out };
        for a in 0..values.len() {
            for b in 0..a {
                prop_assert_eq!(hashes[a] == hashes[b], bytes(a) == bytes(b));
            }
        }
    }
}
