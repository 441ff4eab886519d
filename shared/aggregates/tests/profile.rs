//! The same profile of the same rows, however the table is cut up.

#![allow(clippy::unwrap_used, clippy::float_cmp)]

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use aggregates::plan::Kind;
use aggregates::profile::{Bounded, ColumnProfile, TableProfile};
use aggregates::{function, register, table};
use datafusion::arrow::array::{
    ArrayRef, AsArray, BinaryArray, BooleanArray, Date32Array, Decimal128Array, DictionaryArray,
    Float64Array, Int64Array, ListArray, NullArray, RecordBatch, StringArray,
};
use datafusion::arrow::datatypes::{Float64Type, Int32Type, SchemaRef};
use datafusion::arrow::util::display::array_value_to_string;
use datafusion::datasource::MemTable;
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::prelude::{DataFrame, SessionConfig, SessionContext, col};
use proptest::collection::vec;
use proptest::prelude::*;
use statistics::distinct::DistinctSketch;
use statistics::state::State;

const ROWS: usize = 30_000;
const CITIES: [&str; 4] = ["Köln", "Zürich", "東京", "e\u{301}"];

/// A number that looks random and is the same in every run.
fn drawn(at: usize, of: u64) -> u64 {
    statistics::hashing::mix((at as u64) << 8 | of)
}

fn weight(at: usize) -> Option<f64> {
    match at % 500 {
        0..50 => None,
        50 => Some(f64::NAN),
        51 => Some(f64::INFINITY),
        52 => Some(-0.0),
        53 => Some(0.0),
        _ => Some((drawn(at, 1) % 1_000_000) as f64 / 1_000.0 - 500.0),
    }
}

/// Rows of every kind of column.
fn rows(range: std::ops::Range<usize>) -> RecordBatch {
    let rows = || range.clone();
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("id", Arc::new(Int64Array::from_iter_values(rows().map(|at| at as i64)))),
        ("weight", Arc::new(rows().map(weight).collect::<Float64Array>())),
        (
            "city \"of\" birth",
            Arc::new(
                rows()
                    .map(|at| (at % 7 != 0).then(|| CITIES[(drawn(at, 2) % 4) as usize]))
                    .collect::<StringArray>(),
            ),
        ),
        (
            "name",
            Arc::new(StringArray::from_iter_values(rows().map(|at| format!("n{}", drawn(at, 3) % 9_000)))),
        ),
        ("flag", Arc::new(rows().map(|at| Some(drawn(at, 4).is_multiple_of(3))).collect::<BooleanArray>())),
        ("day", Arc::new(Date32Array::from_iter_values(rows().map(|at| (drawn(at, 5) % 4_000) as i32)))),
        (
            "price",
            Arc::new(
                Decimal128Array::from_iter_values(rows().map(|at| i128::from(drawn(at, 6) % 100_000)))
                    .with_precision_and_scale(12, 2)
                    .unwrap(),
            ),
        ),
        (
            "level",
            Arc::new(
                rows().map(|at| CITIES[(drawn(at, 7) % 3) as usize]).collect::<DictionaryArray<Int32Type>>(),
            ),
        ),
        ("bytes", Arc::new(BinaryArray::from_iter_values(rows().map(|at| [0, (at % 200) as u8])))),
        ("nothing", Arc::new(NullArray::new(range.len()))),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true)))
        .unwrap()
}

fn context(parts: usize) -> SessionContext {
    let config = SessionConfig::new().with_target_partitions(parts).with_batch_size(1_000);
    let mut context = SessionContext::new_with_config(config);
    register(&mut context).unwrap();
    context
}

fn in_parts(parts: Vec<Vec<RecordBatch>>) -> DataFrame {
    let schema: SchemaRef = parts[0][0].schema();
    let table = MemTable::try_new(schema, parts.clone()).unwrap();
    context(parts.len()).read_table(Arc::new(table)).unwrap()
}

/// The rows dealt to so many parts in turns.
async fn profiled(parts: usize) -> TableProfile {
    let batches: Vec<RecordBatch> = (0..ROWS).step_by(500).map(|at| rows(at..at + 500)).collect();
    let mut dealt = vec![Vec::new(); parts];
    batches.into_iter().enumerate().for_each(|(at, batch)| dealt[at % parts].push(batch));
    TableProfile::of(in_parts(dealt)).await.unwrap()
}

fn column<'a>(profile: &'a TableProfile, name: &str) -> &'a ColumnProfile {
    profile.columns.iter().find(|column| column.name == name).unwrap()
}

fn holds(bounded: &Bounded, value: f64) -> bool {
    bounded.lower <= value
        && value <= bounded.upper
        && bounded.lower <= bounded.value
        && bounded.value <= bounded.upper
}

/// Counts every value of a column by its text.
fn counted(name: &str) -> BTreeMap<String, u64> {
    let batch = rows(0..ROWS);
    let array = batch.column_by_name(name).unwrap();
    let mut counts = BTreeMap::new();
    for row in (0..ROWS).filter(|row| array.is_valid(*row)) {
        *counts.entry(array_value_to_string(array, row).unwrap()).or_default() += 1;
    }
    counts
}

#[tokio::test]
async fn a_profile_says_what_is_there() {
    let profile = profiled(4).await;
    assert_eq!((profile.rows, profile.columns.len()), (ROWS as u64, 10));
    let id = column(&profile, "id");
    assert_eq!(
        (id.kind, id.missing, id.min.as_deref(), id.max.as_deref()),
        (Kind::Integer, 0, Some("0"), Some("29999"))
    );
    assert!(holds(&id.distinct, ROWS as f64) && id.distinct.lower < id.distinct.upper, "{:?}", id.distinct);
    for (name, kind) in [
        ("city \"of\" birth", Kind::Text),
        ("flag", Kind::Truth),
        ("level", Kind::Text),
        ("bytes", Kind::Bytes),
    ] {
        let (told, truth) = (column(&profile, name), counted(name));
        assert_eq!(told.kind, kind);
        assert_eq!(told.missing, ROWS as u64 - truth.values().sum::<u64>(), "{name}");
        assert_eq!(told.distinct.value, truth.len() as f64, "{name}");
        assert_eq!(told.distinct.lower, told.distinct.upper, "{name}: few values are exact");
        for one in &told.top {
            assert_eq!((one.at_least, one.at_most), (truth[&one.value], truth[&one.value]), "{name}");
        }
    }
    for name in ["id", "name", "day", "price"] {
        let (told, truth) = (column(&profile, name), counted(name));
        assert!(holds(&told.distinct, truth.len() as f64), "{name}: {:?}, {}", told.distinct, truth.len());
        for one in &told.top {
            assert!((one.at_least..=one.at_most).contains(&truth[&one.value]), "{name}: {one:?}");
        }
    }
    let nothing = column(&profile, "nothing");
    assert_eq!((nothing.missing, nothing.distinct.value, &nothing.min), (ROWS as u64, 0.0, &None));
    assert!(column(&profile, "day").min.as_deref() < column(&profile, "day").max.as_deref());
    let text = serde_json::to_string(&profile).unwrap();
    let read: TableProfile = serde_json::from_str(&text).unwrap();
    assert_eq!((read.rows, &read.digest), (profile.rows, &profile.digest));
    assert_eq!(read.disagreements(&profile), Vec::<String>::new());
}

#[tokio::test]
async fn numbers_are_within_their_bounds() {
    let profile = profiled(4).await;
    let numbers = column(&profile, "weight").numbers.as_ref().unwrap();
    let mut finite: Vec<f64> = (0..ROWS).filter_map(weight).filter(|value| value.is_finite()).collect();
    finite.sort_unstable_by(f64::total_cmp);
    assert_eq!(numbers.not_finite, 2 * (ROWS as u64 / 500));
    for quantile in &numbers.quantiles {
        let rank = (quantile.at * finite.len() as f64).ceil() as usize;
        assert!(holds(&quantile.value, finite[rank - 1]), "{quantile:?}");
    }
    assert!(numbers.rank_error > 0.0 && numbers.rank_error < 0.01, "{}", numbers.rank_error);
    let mean = finite.iter().sum::<f64>() / finite.len() as f64;
    let variance = finite.iter().map(|it| (it - mean).powi(2)).sum::<f64>() / (finite.len() - 1) as f64;
    let (told_mean, told_variance) = (numbers.mean.unwrap(), numbers.variance.unwrap());
    assert!(holds(&told_mean, mean) && told_mean.upper - told_mean.lower < 1e-6, "{told_mean:?}");
    assert!(
        holds(&told_variance, variance) && told_variance.upper - told_variance.lower < 1.0,
        "{told_variance:?}"
    );
    // Distinct floats: -0.0 is 0.0, NaN is one value, infinity another.
    let bits: std::collections::BTreeSet<u64> = finite.iter().map(|value| (value + 0.0).to_bits()).collect();
    assert!(holds(&column(&profile, "weight").distinct, bits.len() as f64 + 2.0));
    let price = column(&profile, "price").numbers.as_ref().unwrap();
    assert!(price.quantiles[6].value.upper < 1_000.0 && price.quantiles[0].value.lower >= 0.0);
}

#[tokio::test]
async fn parts_change_no_exact_number() {
    let whole = profiled(1).await;
    for parts in [4, 16] {
        let other = profiled(parts).await;
        assert_eq!(whole.disagreements(&other), Vec::<String>::new(), "{parts} parts");
        assert_eq!(other.digest, whole.digest);
        for (here, there) in whole.columns.iter().zip(&other.columns) {
            assert_eq!((here.missing, &here.min, &here.max), (there.missing, &there.min, &there.max));
            assert_eq!(here.distinct, there.distinct, "{}", here.name);
        }
    }
}

#[tokio::test]
async fn one_changed_cell_shows() {
    let whole = TableProfile::of(in_parts(vec![vec![rows(0..900)]])).await.unwrap();
    let one_less = TableProfile::of(in_parts(vec![vec![rows(0..899)]])).await.unwrap();
    let said = whole.disagreements(&one_less).join("; ");
    assert!(said.contains("rows: 900 and 899") && said.contains("digest"), "{said}");
    let batch = rows(0..900);
    let mut columns = batch.columns().to_vec();
    let weights = batch.column(1).as_primitive::<Float64Type>();
    columns[1] = Arc::new(
        weights
            .iter()
            .enumerate()
            .map(|(at, it)| if at == 77 { Some(1e9) } else { it })
            .collect::<Float64Array>(),
    );
    let changed = RecordBatch::try_new(batch.schema(), columns).unwrap();
    let changed = TableProfile::of(in_parts(vec![vec![changed]])).await.unwrap();
    let said = whole.disagreements(&changed).join("; ");
    assert!(
        said.contains("digest")
            && said.contains("mean")
            && said.contains("\"weight\"")
            && !said.contains("\"id\""),
        "{said}"
    );
}

#[tokio::test]
async fn files_in_any_number_tell_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let mut told: Vec<TableProfile> = Vec::new();
    for parts in [1, 4, 16] {
        let path = folder.path().join(format!("{parts}-files"));
        std::fs::create_dir(&path).unwrap();
        for part in 0..parts {
            let (from, to) = (part * ROWS / parts, (part + 1) * ROWS / parts);
            parquet(&path.join(format!("{part}.parquet")), &rows(from..to));
        }
        let table = table::open(&context(parts), &path).await.unwrap();
        told.push(TableProfile::of(table).await.unwrap());
    }
    for other in &told[1..] {
        assert_eq!(told[0].disagreements(other), Vec::<String>::new());
    }
    let memory = profiled(2).await;
    assert_eq!((told[0].rows, &told[0].digest), (memory.rows, &memory.digest));
}

#[tokio::test]
async fn what_cannot_be_profiled_is_named() {
    let lists = ListArray::from_iter_primitive::<Int32Type, _, _>([Some(vec![Some(1)]), None]);
    let ids: ArrayRef = Arc::new(Int64Array::from(vec![1, 2]));
    let batch = RecordBatch::try_from_iter([
        ("id", ids),
        ("first", Arc::new(lists.clone()) as ArrayRef),
        ("second", Arc::new(lists) as ArrayRef),
    ])
    .unwrap();
    let error = TableProfile::of(in_parts(vec![vec![batch]])).await.unwrap_err().to_string();
    assert!(error.contains("\"first\" is List") && error.contains("\"second\" is List"), "{error}");
    let folder = tempfile::tempdir().unwrap();
    let wrong = folder.path().join("table.xls");
    std::fs::write(&wrong, "x").unwrap();
    assert!(table::open(&context(1), &wrong).await.unwrap_err().to_string().contains("xls"));
    assert!(table::open(&context(1), &folder.path().join("absent.csv")).await.is_err());
}

#[tokio::test]
async fn a_table_without_rows_has_a_profile() {
    let profile = TableProfile::of(in_parts(vec![vec![rows(0..0)], vec![]])).await.unwrap();
    assert_eq!((profile.rows, profile.digest.as_str()), (0, "00000000000000000000000000000000"));
    let weight = column(&profile, "weight");
    assert_eq!((weight.distinct.value, &weight.min), (0.0, &None));
    assert!(weight.numbers.as_ref().unwrap().quantiles.is_empty());
}

#[tokio::test]
async fn aggregates_work_by_group_too() {
    let batches: Vec<Vec<RecordBatch>> =
        (0..4).map(|part| vec![rows(part * 500..(part + 1) * 500)]).collect();
    let answer = function::<DistinctSketch>().call(vec![col("id")]).alias("ids");
    let grouped =
        in_parts(batches).aggregate(vec![col("flag")], vec![answer]).unwrap().collect().await.unwrap();
    let (mut groups, mut all) = (0, 0.0);
    for batch in &grouped {
        for bytes in batch.column(1).as_binary::<i32>().iter().flatten() {
            groups += 1;
            all += DistinctSketch::from_bytes(bytes).unwrap().estimate();
        }
    }
    assert_eq!(groups, 2);
    assert!((all - 2_000.0).abs() < 100.0, "{all}");
}

fn parquet(path: &Path, batch: &RecordBatch) {
    let mut writer = ArrowWriter::try_new(File::create(path).unwrap(), batch.schema(), None).unwrap();
    writer.write(batch).unwrap();
    writer.close().unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Rows dealt to parts at will: exact numbers are equal, bounds meet.
    #[test]
    fn any_parts_agree(
        values in vec((proptest::option::of(any::<f64>()), "[a-c]{0,2}"), 1..400),
        dealt in vec(0_usize..5, 400),
    ) {
        let batch = |rows: Vec<&(Option<f64>, String)>| {
            let numbers: ArrayRef = Arc::new(rows.iter().map(|row| row.0).collect::<Float64Array>());
            let texts: ArrayRef = Arc::new(StringArray::from_iter_values(rows.iter().map(|row| &row.1)));
            RecordBatch::try_from_iter_with_nullable([("number", numbers, true), ("text", texts, true)]).unwrap()
        };
        let whole = in_parts(vec![vec![batch(values.iter().collect())]]);
        let parts = (0..5)
            .map(|part| vec![batch(values.iter().zip(&dealt).filter(|(_, to)| **to == part).map(|it| it.0).collect())])
            .collect();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
        let (whole, parts) = runtime.block_on(async {
            (TableProfile::of(whole).await.unwrap(), TableProfile::of(in_parts(parts)).await.unwrap())
        });
        prop_assert_eq!(whole.disagreements(&parts), Vec::<String>::new());
    }
}
