//! Sentences that hold for every input.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::compute::concat_batches;
use features::transform::{Derivation, Derived};
use features::{ColumnProfile, Fitted, Operation, Values, digest};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

type Row = (Option<f64>, Option<i64>, Option<String>);

fn row() -> impl Strategy<Value = Row> {
    let number = prop_oneof![Just(-0.0), Just(f64::NAN), Just(1e300), -100.0..100.0_f64];
    (option::of(number), option::of(-5..40_i64), option::of("[aB é]{0,6}"))
}

fn batch(rows: &[Row]) -> RecordBatch {
    let columns: [(&str, ArrayRef); 3] = [
        ("x", Arc::new(rows.iter().map(|row| row.0).collect::<Float64Array>())),
        ("n", Arc::new(rows.iter().map(|row| row.1).collect::<Int64Array>())),
        ("t", Arc::new(rows.iter().map(|row| row.2.as_deref()).collect::<StringArray>())),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.map(|(name, array)| (name, array, true))).unwrap()
}

fn plan() -> Vec<Operation> {
    let derived = |name: &str, from: &[&str], how| {
        let from = from.iter().map(ToString::to_string).collect();
        Operation::Derive(Derived { name: name.into(), from, how })
    };
    let band = Derivation::Band {
        thresholds: vec![0.0, 10.0],
        labels: vec!["low".into(), "mid".into(), "high".into()],
    };
    vec![
        Operation::FillMedian("x".into()),
        Operation::FillMode("n".into()),
        Operation::FillConstant("t".into(), "none".into()),
        Operation::Clip("x".into(), 0.1),
        derived("sum", &["x", "n"], Derivation::Sum),
        derived("mean", &["x", "n"], Derivation::Mean),
        derived("length", &["t"], Derivation::Length),
        derived("band", &["n"], band),
        Operation::Standardise("sum".into()),
        Operation::MinMax("mean".into()),
        Operation::Lowercase("t".into()),
        Operation::OneHot("band".into()),
        Operation::Ordinal("t".into()),
    ]
}

fn seen() -> Vec<Row> {
    vec![
        (Some(0.1), Some(1), Some("a".into())),
        (Some(3.0), Some(2), None),
        (None, Some(30), Some("bb a".into())),
    ]
}

proptest! {
    /// A row alone and the same row in a batch give the same bits, also through the transform's JSON.
    #[test]
    fn rows_and_batches_agree(training in vec(row(), 0..20), rows in vec(row(), 1..20)) {
        let training: Vec<Row> = seen().into_iter().chain(training).collect();
        let fitted = Fitted::fit(&plan(), &batch(&training)).unwrap();
        let read = Fitted::from_json(&fitted.json()).unwrap();
        prop_assert_eq!(&read, &fitted);
        let whole = fitted.apply(&batch(&rows)).unwrap();
        let single: Vec<_> = rows.iter().map(|row| read.apply(&batch(std::slice::from_ref(row))).unwrap()).collect();
        let joined = concat_batches(&whole.schema(), &single).unwrap();
        prop_assert_eq!(digest::of_batches([&whole]).unwrap(), digest::of_batches([&joined]).unwrap());
        prop_assert_eq!(digest::of_batches([&whole]).unwrap(), digest::of_batches(&single).unwrap());
        for (at, column) in whole.columns().iter().enumerate() {
            prop_assert_eq!(column.to_data(), joined.column(at).to_data());
        }
    }

    /// Profiles of parts, merged, count what the profile of the whole counts.
    #[test]
    fn merged_profiles_are_the_whole(reference in vec(row(), 1..40), rows in vec(row(), 0..40), cut in 0..40_usize) {
        let (reference, cut) = (batch(&reference), cut.min(rows.len()));
        for column in ["x", "n", "t"] {
            let profile = ColumnProfile::reference(column, Values::in_batch(&reference, column).unwrap(), column == "t").unwrap();
            prop_assert_eq!(profile.rows(), reference.num_rows() as u64);
            let window = |rows: &[Row]| {
                let (batch, mut window) = (batch(rows), profile.empty_like().unwrap());
                window.add(Values::in_batch(&batch, column).unwrap());
                window
            };
            let (whole, mut merged) = (window(&rows), window(&rows[..cut]));
            merged.merge(&window(&rows[cut..])).unwrap();
            prop_assert_eq!(whole.profile.bins(), merged.profile.bins());
            prop_assert_eq!(whole.range, merged.range);
            prop_assert_eq!((whole.rows(), whole.profile.missing()), (merged.rows(), merged.profile.missing()));
        }
    }

    /// The shortest text of a double reads back as the same double.
    #[test]
    fn numbers_read_back(value in any::<f64>().prop_filter("finite", |it| it.is_finite())) {
        prop_assert_eq!(features::column::number_text(value).parse::<f64>().unwrap(), value);
    }
}

#[test]
fn training_rows_alone_are_learnt_from() {
    let fitted = Fitted::fit(&plan(), &batch(&seen())).unwrap();
    let applied = fitted.apply(&batch(&[(Some(1e9), None, Some("never seen".into()))])).unwrap();
    let ordinal = Values::in_batch(&applied, "t").unwrap();
    assert_eq!(ordinal.text(0).as_deref(), Some("-1"), "an unknown level");
    assert_eq!(
        Values::in_batch(&applied, "x").unwrap().number(0),
        Some(3.0),
        "clipped at what training holds"
    );
    assert!(fitted.apply(&batch(&seen()).project(&[0, 1]).unwrap()).is_err(), "a missing column is an error");
}

/// Of long texts the beginning is kept, in the reference and in windows alike.
#[test]
fn a_profile_keeps_no_whole_documents() {
    let long = "é".repeat(1000);
    let reference = ColumnProfile::of_texts("t", [Some(long.as_str()), Some("short"), None]).unwrap();
    let statistics::profile::FeatureProfile::Categorical(counts) = &reference.profile else { panic!() };
    assert!(counts.levels().iter().all(|level| level.len() <= features::profile::NAME_BYTES));
    let mut window = reference.empty_like().unwrap();
    window.add_texts([Some(long.as_str())]);
    let statistics::profile::FeatureProfile::Categorical(counts) = &window.profile else { panic!() };
    assert_eq!(counts.other(), 0, "the same text is the same level");
}
