//! The difference of two tables, held against what comparing row by row says.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use features::Error;
use features::diff::{ColumnChange, Difference, Extent, InMemory, Options, compare};
use proptest::collection::vec;
use proptest::prelude::*;

type Row = (i64, Option<i64>, Option<String>, u8);

fn row() -> impl Strategy<Value = Row> {
    (0..20_i64, proptest::option::of(0..3_i64), proptest::option::of("[ab]{0,2}"), 0..3_u8)
}

/// Rows in batches of `size`.
fn table(rows: &[Row], size: usize) -> InMemory {
    let batch = |rows: &[Row]| {
        let columns: [(&str, ArrayRef); 4] = [
            ("id", Arc::new(rows.iter().map(|row| row.0).collect::<Int64Array>())),
            ("n", Arc::new(rows.iter().map(|row| row.1).collect::<Int64Array>())),
            ("t", Arc::new(rows.iter().map(|row| row.2.as_deref()).collect::<StringArray>())),
            ("part", Arc::new(StringArray::from_iter_values(rows.iter().map(|row| format!("s{}", row.3))))),
        ];
        RecordBatch::try_from_iter_with_nullable(columns.map(|(name, array)| (name, array, true))).unwrap()
    };
    InMemory { schema: batch(&[]).schema(), batches: rows.chunks(size).map(batch).collect() }
}

fn keyed() -> Options {
    Options { key: vec!["id".into()], split: Some("part".into()), ..Options::default() }
}

/// Rows with one row for each key, as a map.
fn unique(rows: &[Row]) -> BTreeMap<i64, Row> {
    rows.iter().map(|row| (row.0, row.clone())).collect()
}

fn small(mut one: Difference) -> Difference {
    one.passes = 0;
    one
}

proptest! {
    /// Counts are those of a comparison key by key.
    #[test]
    fn counts_are_those_of_each_key(before in vec(row(), 0..40), after in vec(row(), 0..40)) {
        let (before, after) = (unique(&before), unique(&after));
        let rows = |map: &BTreeMap<i64, Row>| map.values().cloned().collect::<Vec<_>>();
        let found = compare(&table(&rows(&before), 7), &table(&rows(&after), 3), &keyed()).unwrap();
        let both: Vec<(&Row, &Row)> = before.iter().filter_map(|(key, row)| Some((row, after.get(key)?))).collect();
        let count = |differs: &dyn Fn(&(&Row, &Row)) -> bool| both.iter().filter(|pair| differs(pair)).count() as u64;
        prop_assert_eq!(found.rows.changed, count(&|(a, b)| (a.1, &a.2) != (b.1, &b.2)));
        prop_assert_eq!(found.rows.same, count(&|(a, b)| (a.1, &a.2) == (b.1, &b.2)));
        prop_assert_eq!(found.rows.removed, (before.len() - both.len()) as u64);
        prop_assert_eq!(found.rows.added, (after.len() - both.len()) as u64);
        let changed: Vec<u64> = found.columns.iter().map(|one| one.changed).collect();
        prop_assert_eq!(changed, vec![0, count(&|(a, b)| a.1 != b.1), count(&|(a, b)| a.2 != b.2), 0]);
        let moved: u64 = found.moved.iter().map(|one| one.rows).sum();
        prop_assert_eq!(moved, count(&|(a, b)| a.3 != b.3));
        let nothing = found.rows.changed + found.rows.added + found.rows.removed + moved == 0;
        prop_assert_eq!(found.extent == Extent::Nothing, nothing);
    }

    /// Repeated keys lose no row, and neither batches nor passes change the answer.
    #[test]
    fn batches_and_passes_change_nothing(before in vec(row(), 0..60), after in vec(row(), 0..60), size in 1..9_usize) {
        let whole = compare(&table(&before, 100), &table(&after, 100), &keyed()).unwrap();
        let rows = whole.rows;
        prop_assert_eq!(rows.before, rows.same + rows.changed + rows.removed);
        prop_assert_eq!(rows.after, rows.same + rows.changed + rows.added);
        prop_assert_eq!(rows.repeated_before, (before.len() - unique(&before).len()) as u64);
        prop_assert_eq!(rows.repeated_after, (after.len() - unique(&after).len()) as u64);
        let cut = compare(&table(&before, size), &table(&after, size + 1), &keyed()).unwrap();
        prop_assert_eq!(&cut, &whole);
        // Passes need keys that can be told apart; so little memory makes several of them.
        let most = |rows: &[Row]| unique(rows).keys().map(|key| rows.iter().filter(|row| row.0 == *key).count()).max().unwrap_or(0);
        if most(&before).max(most(&after)) < 8 {
            let passes = compare(&table(&before, size), &table(&after, size), &Options { memory: 3_000, seed: 5, ..keyed() });
            if let Ok(passes) = passes {
                prop_assert_eq!(passes.rows, whole.rows);
                prop_assert_eq!(passes.moved, whole.moved);
            }
        }
    }

    /// A table equals itself, with and without a key, and the two directions mirror each other.
    #[test]
    fn a_table_equals_itself(rows in vec(row(), 0..40), other in vec(row(), 0..40)) {
        for options in [keyed(), Options { key: Vec::new(), ..keyed() }] {
            let same = compare(&table(&rows, 5), &table(&rows, 6), &options).unwrap();
            prop_assert_eq!((same.extent, same.rows.same), (Extent::Nothing, rows.len() as u64));
            let there = compare(&table(&rows, 5), &table(&other, 5), &options).unwrap();
            let back = compare(&table(&other, 5), &table(&rows, 5), &options).unwrap();
            prop_assert_eq!((there.rows.added, there.rows.changed), (back.rows.removed, back.rows.changed));
        }
    }
}

#[test]
fn several_passes_give_the_answer_of_one() {
    let rows = |change: i64| -> Vec<Row> {
        (0..5_000)
            .map(|id| (id, Some((id + change * i64::from(id % 10 == 0)) % 7), None, (id % 2) as u8))
            .collect()
    };
    let one = compare(&table(&rows(0), 512), &table(&rows(1), 512), &keyed()).unwrap();
    let many = compare(&table(&rows(0), 512), &table(&rows(1), 512), &Options { memory: 200_000, ..keyed() })
        .unwrap();
    assert!(one.passes == 1 && 1 < many.passes, "{} passes", many.passes);
    assert_eq!((one.rows.changed, one.columns[1].changed), (500, 500));
    assert_eq!(small(one), small(many));
    let stuck: Vec<Row> = (0..5_000).map(|_| (1, None, None, 0)).collect();
    let refused = compare(&table(&stuck, 512), &table(&stuck, 512), &Options { memory: 10_000, ..keyed() });
    assert!(matches!(refused, Err(Error::Parameter { .. })), "one key that does not fit is told, not held");
}

#[test]
fn columns_that_came_went_and_changed_their_type_are_told_apart() {
    let one = |columns: Vec<(&str, ArrayRef)>| {
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        InMemory { schema: batch.schema(), batches: vec![batch] }
    };
    let numbers = |values: &[i64]| Arc::new(Int64Array::from(values.to_vec())) as ArrayRef;
    let doubles = |values: &[f64]| Arc::new(Float64Array::from(values.to_vec())) as ArrayRef;
    let before = one(vec![("k", numbers(&[1, 2])), ("v", numbers(&[10, 20])), ("old", numbers(&[0, 0]))]);
    let after = one(vec![("v", doubles(&[10.0, 20.5])), ("k", numbers(&[1, 2])), ("new", numbers(&[0, 0]))]);
    let options = Options { key: vec!["k".into()], ..Options::default() };
    let found = compare(&before, &after, &options).unwrap();
    assert_eq!((found.extent, found.rows.same, found.rows.changed), (Extent::Schema, 1, 1), "10 is 10.0");
    let told: Vec<&str> = found
        .schema
        .iter()
        .map(|change| match change {
            ColumnChange::Added { column, .. } => column.as_str(),
            ColumnChange::Removed { column, .. } => column.as_str(),
            ColumnChange::Retyped { column, .. } => column.as_str(),
            ColumnChange::Reordered { .. } => "order",
        })
        .collect();
    assert_eq!(told, ["v", "old", "new", "order"]);
    let nowhere = Options { key: vec!["old".into()], ..Options::default() };
    assert_eq!(compare(&before, &after, &nowhere), Err(Error::Missing("old".into())));
}

#[test]
fn drift_shows_and_equal_tables_have_none() {
    let rows = |add: i64| -> Vec<Row> {
        (0..30_000).map(|id| (id, Some((id * 7919) % 101 + add), Some(format!("l{}", id % 5)), 0)).collect()
    };
    let same = compare(&table(&rows(0), 4096), &table(&rows(0), 4096), &keyed()).unwrap();
    let drift = same.columns[1].drift.unwrap();
    assert!(drift.distances.psi == 0.0 && !drift.drifted && drift.sample_before == 20_000, "{drift:?}");
    let moved = compare(&table(&rows(0), 4096), &table(&rows(40), 4096), &keyed()).unwrap();
    let told: Vec<bool> =
        moved.columns.iter().map(|one| one.drift.is_some_and(|drift| drift.drifted)).collect();
    assert_eq!(told, [false, true, false, false]);
}

/// One new value in a hundred shows though it would drown among a hundred others; new names where every name is new do not.
#[test]
fn a_value_never_seen_before_shows() {
    let rows = |version: i64, new: bool| -> Vec<Row> {
        let text = |id: i64| match id % 100 {
            0 if new => "never seen".to_owned(),
            _ => format!("level {}", (id * 7919 + version) % 101 * ((id * 31 + version) % 2)),
        };
        (0..30_000).map(|id| (id + version * 100_000, None, Some(text(id)), 0)).collect()
    };
    let novel = |new: bool| {
        let found = compare(&table(&rows(0, false), 4096), &table(&rows(1, new), 4096), &keyed()).unwrap();
        found.columns[2].drift.unwrap()
    };
    assert!(novel(true).novel.unwrap().lower > 0.005 && novel(true).drifted);
    assert!(!novel(false).drifted, "{:?}", novel(false));
    let names = |version: i64| -> Vec<Row> {
        (0..30_000)
            .map(|id| (id + version * 100_000, None, Some(format!("user {id} of {version}")), 0))
            .collect()
    };
    let found = compare(&table(&names(0), 4096), &table(&names(1), 4096), &keyed()).unwrap();
    assert!(!found.columns[2].drift.unwrap().drifted, "{found:?}");
    // Many values, each of them rare: the most frequent ones of a side are so by chance.
    let rare = |version: i64| -> Vec<Row> {
        let mut random = statistics::random::SplitMix64::new(version as u64);
        let mut text = || format!("u{}", random.below(100_000));
        let row = |id| (id + version * 100_000, None, Some(text()), 0);
        let mut rows: Vec<Row> = (0..30_000).map(row).collect();
        rows.extend_from_within(..600); // repeated rows are sampled together
        rows
    };
    for version in 1..6 {
        let found = compare(&table(&rare(0), 4096), &table(&rare(version), 4096), &keyed()).unwrap();
        assert!(!found.columns[2].drift.unwrap().drifted, "{version}: {:?}", found.columns[2]);
    }
}
