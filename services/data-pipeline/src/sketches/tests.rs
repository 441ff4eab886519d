#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use contracts::common::v1::column_profile::Distribution;
use features::Kind;
use prost::Message as _;

use super::*;

fn column(name: &str, kind: Kind, sensitive: bool) -> Column {
    Column { name: name.into(), kind, nullable: true, sensitive, label: false }
}

/// Rows of columns; the first tenth of ten is the test split, the second validation, the rest training.
fn table(columns: Vec<(&str, ArrayRef)>) -> Table {
    let columns = columns.into_iter().map(|(name, array)| (name, array, true));
    let batch = RecordBatch::try_from_iter_with_nullable(columns).unwrap();
    let rows = batch.num_rows();
    let split = |row: usize| match row % 10 {
        0 => Split::Test,
        1 => Split::Validation,
        _ => Split::Train,
    };
    Table {
        batch,
        source_row: (0..rows as u64).collect(),
        input: vec![0; rows],
        invalid: vec![false; rows],
        split: (0..rows).map(split).collect(),
        augmented: 0,
    }
}

fn sketched(rows: &Table, columns: &[Column]) -> DatasetSketches {
    let training = rows.part(Split::Train).unwrap();
    let reference = |column: &Column| {
        let values = training.column(&column.name).unwrap();
        ColumnProfile::reference(&column.name, values, column.is_categorical()).unwrap()
    };
    let references: Vec<ColumnProfile> = columns.iter().map(reference).collect();
    sketch(rows, columns, &references).unwrap()
}

fn counted(sketch: &ColumnSketch) -> u64 {
    let profile = sketch.profile.as_ref().unwrap();
    let present: u64 = match profile.distribution.as_ref().unwrap() {
        Distribution::Numeric(numbers) => numbers.counts.iter().sum(),
        Distribution::Categorical(levels) => levels.counts.iter().sum::<u64>() + levels.other,
    };
    assert_eq!(profile.rows, present + profile.missing);
    present
}

#[test]
fn each_split_and_each_group_has_its_own_sketch_within_its_bounds() {
    let rows = 20_000_usize;
    let number = |row: usize| (!row.is_multiple_of(7)).then(|| (row * 7_919 % 20_011) as f64);
    let group = |row: usize| (row % 3 < 2).then(|| ["a", "b"][row % 3]);
    let numbers: Vec<Option<f64>> = (0..rows).map(number).collect();
    let table = table(vec![
        ("n", Arc::new(Float64Array::from(numbers.clone()))),
        ("g", Arc::new(StringArray::from((0..rows).map(group).collect::<Vec<_>>()))),
    ]);
    let columns = [column("n", Kind::Float64, false), column("g", Kind::Utf8, true)];
    let all = sketched(&table, &columns);
    assert!(all.groups_left_out.is_empty());
    let head =
        |one: &ProfileSlice| (one.split.clone(), one.group_column.clone(), one.group.clone(), one.rows);
    let named: Vec<_> = all.slices.iter().map(head).collect();
    let wanted = |split: &str, column: &str, group: &str, rows| {
        (split.to_owned(), column.to_owned(), group.to_owned(), rows)
    };
    assert_eq!(
        named,
        [
            wanted("train", "", "", 16_000),
            wanted("validation", "", "", 2_000),
            wanted("test", "", "", 2_000),
            wanted("", "g", "a", 6_667),
            wanted("", "g", "b", 6_667),
            wanted("", "g", "", 6_666),
        ]
    );
    let of = |slice: &ProfileSlice, row: usize| {
        if slice.split.is_empty() {
            group(row).unwrap_or_default() == slice.group
        } else {
            table.split[row].as_str() == slice.split
        }
    };
    for slice in &all.slices {
        let mut exact: Vec<f64> =
            (0..rows).filter(|row| of(slice, *row)).filter_map(|row| numbers[row]).collect();
        exact.sort_unstable_by(f64::total_cmp);
        let sketch = &slice.columns[0];
        assert_eq!(counted(sketch), exact.len() as u64);
        assert_eq!(sketch.quantiles.len(), PROBABILITIES.len());
        for one in &sketch.quantiles {
            let rank = (one.probability * exact.len() as f64).ceil() as usize;
            let wanted = exact[rank - 1];
            assert!(one.lower <= wanted && wanted <= one.upper, "{one:?}, {wanted}");
            assert!(one.lower <= one.value && one.value <= one.upper, "{one:?}");
        }
        let (low, high) = (sketch.distinct_lower, sketch.distinct_upper);
        assert!(low <= sketch.distinct && sketch.distinct <= high);
        assert!((sketch.distinct - exact.len() as f64).abs() < 0.05 * exact.len() as f64, "all differ");
        assert!(sketch.frequent_error > 0 && sketch.rank_error < 0.01);
    }
    let groups = &all.slices[0].columns[1];
    assert_eq!((groups.distinct, groups.distinct_lower, groups.distinct_upper), (2.0, 2.0, 2.0), "exact");
    assert_eq!((groups.frequent.len(), groups.frequent_error, groups.quantiles.len()), (2, 0, 0));
    let missing = groups.profile.as_ref().unwrap().missing;
    assert_eq!(missing, (0..rows).filter(|row| row % 10 > 1 && row % 3 == 2).count() as u64);
}

#[test]
fn small_groups_beyond_the_limit_are_counted_and_bins_are_those_of_training() {
    let rows = 3_000_i64;
    let group: Vec<i64> = (0..rows).map(|row| if row % 2 == 0 { 1_000 } else { row % 50 }).collect();
    let table = table(vec![
        ("x", Arc::new(Int64Array::from((0..rows).collect::<Vec<_>>()))),
        ("g", Arc::new(Int64Array::from(group.clone()))),
    ]);
    let columns = [column("x", Kind::Int64, false), column("g", Kind::Int64, true)];
    let all = sketched(&table, &columns);
    let groups: Vec<_> = all.slices.iter().filter(|one| one.group_column == "g").collect();
    assert_eq!((groups.len(), groups[0].group.as_str(), groups[0].rows), (GROUPS, "1000", 1_500));
    let left = &all.groups_left_out[0];
    assert_eq!((left.group_column.as_str(), left.groups), ("g", 26 - GROUPS as u64));
    assert_eq!(left.rows + groups.iter().map(|one| one.rows).sum::<u64>(), rows as u64);
    let edges = |slice: &ProfileSlice| match slice.columns[0].profile.as_ref().unwrap().distribution.clone() {
        Some(Distribution::Numeric(numbers)) => numbers.edges,
        other => panic!("{other:?}"),
    };
    assert!(all.slices.iter().all(|slice| edges(slice) == edges(&all.slices[0])));
    assert_eq!(sketched(&table, &columns), all, "the same rows give the same sketches");
}

#[test]
fn a_slice_of_five_hundred_numbers_takes_half_a_mebibyte() {
    let names: Vec<String> = (0..500).map(|at| format!("measured_{at}")).collect();
    let array = |seed: usize| -> ArrayRef {
        Arc::new(Float64Array::from(
            (0..500).map(|row| (row * 7_919 + seed * 31) as f64 / 3.0).collect::<Vec<_>>(),
        ))
    };
    let table = table(names.iter().enumerate().map(|(at, name)| (name.as_str(), array(at))).collect());
    let columns: Vec<Column> = names.iter().map(|name| column(name, Kind::Float64, false)).collect();
    let all = sketched(&table, &columns);
    assert_eq!(all.slices.len(), 3);
    for slice in &all.slices {
        assert!(slice.encoded_len() < 600 << 10, "{} bytes", slice.encoded_len());
    }
}
