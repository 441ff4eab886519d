//! Files as programs write them: types that Parquet declares, missing numbers as NaN, row indexes, nested columns.

use super::{Bench, dimension};
use arrow::array::{ArrayRef, Float64Array, Int32Array, ListArray, RecordBatch, StringArray};
use arrow::datatypes::Int32Type;
use contracts::pipeline::v1::*;
use std::sync::Arc;

fn parquet(columns: Vec<(&str, ArrayRef)>) -> Vec<u8> {
    let batch = RecordBatch::try_from_iter_with_nullable(
        columns.into_iter().map(|(name, array)| (name, array, true)),
    )
    .unwrap();
    let mut file = Vec::new();
    let mut writer = parquet::arrow::ArrowWriter::try_new(&mut file, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    file
}

fn kinds(version: &contracts::registry::v1::DatasetVersion) -> Vec<(&str, &str)> {
    version.columns.iter().map(|one| (one.name.as_str(), one.r#type.as_str())).collect()
}

#[tokio::test]
async fn the_types_of_a_parquet_file_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::start(folder.path()).await;
    let numbers = Float64Array::from(vec![Some(1.0), Some(f64::NAN), None, Some(f64::INFINITY)]);
    let bytes = parquet(vec![
        ("x", Arc::new(numbers)),
        ("code", Arc::new(StringArray::from(vec!["1", "2", "3", "4"]))),
        ("n", Arc::new(Int32Array::from(vec![1, 2, 3, 4]))),
        ("__index_level_0__", Arc::new(Int32Array::from(vec![9, 8, 7, 6]))),
    ]);
    let version = bench.build("1.0.0", &bytes, DataFormat::Parquet, BuildPlan::default()).await.unwrap();
    assert_eq!(kinds(&version), [("x", "float64"), ("code", "utf8"), ("n", "int64")]);
    assert_eq!(dimension(&version, "validity").bad, 1, "infinity is no number");
    assert_eq!(dimension(&version, "completeness").bad, 3, "NaN is missing, and so is what cannot be read");
}

#[tokio::test]
async fn a_nested_column_is_taken_if_the_plan_drops_it() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::start(folder.path()).await;
    let lists = ListArray::from_iter_primitive::<Int32Type, _, _>(vec![Some(vec![Some(1)]), None]);
    let bytes = parquet(vec![("v", Arc::new(Int32Array::from(vec![1, 2]))), ("deep", Arc::new(lists))]);
    let refused = bench.build("1.0.0", &bytes, DataFormat::Parquet, BuildPlan::default()).await.unwrap_err();
    assert!(refused.message.contains("\"deep\"") && refused.message.contains("drop"), "{}", refused.message);
    let drop = ColumnRule { name: "deep".into(), drop: true, ..Default::default() };
    let plan = BuildPlan { columns: vec![drop], ..Default::default() };
    let version = bench.build("1.0.1", &bytes, DataFormat::Parquet, plan).await.unwrap();
    assert_eq!(kinds(&version), [("v", "int64")]);
}

#[tokio::test]
async fn an_index_without_a_name_and_missing_numbers_of_a_csv_file_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::start(folder.path()).await;
    let data = ",x,whole,id,t\n0,1.5,1,12345678901234567890,nan\n1,nan,NaN,12345678901234567891,b\n";
    let version = bench.build("1.0.0", data.as_bytes(), DataFormat::Csv, BuildPlan::default()).await.unwrap();
    let wanted = [("column_1", "int64"), ("x", "float64"), ("whole", "int64"), ("id", "utf8"), ("t", "utf8")];
    assert_eq!(kinds(&version), wanted, "an identifier that 64 bits do not hold keeps its digits");
    assert_eq!(dimension(&version, "completeness").bad, 2);
}

#[tokio::test]
async fn semicolons_and_tabs_stand_between_cells_where_the_header_has_them() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::start(folder.path()).await;
    for (number, data) in
        [("1.0.0", "\"a\";b\n\"1,5\";2\n"), ("1.0.1", "a\tb\nx, y\t2\n"), ("1.0.2", "a,b\nx;y,2\n")]
    {
        let version =
            bench.build(number, data.as_bytes(), DataFormat::Csv, BuildPlan::default()).await.unwrap();
        assert_eq!(kinds(&version), [("a", "utf8"), ("b", "int64")], "{data:?}");
    }
}
