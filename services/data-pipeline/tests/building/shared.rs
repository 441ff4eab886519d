//! Adult, where the shared folder is present: its question marks and duplicates are counted as they are counted here.

use super::{Bench, dimension, raw};
use contracts::pipeline::v1::{BuildPlan, DataFormat};
use std::collections::HashSet;
use std::path::PathBuf;

fn adult() -> Option<PathBuf> {
    let shared = std::env::var_os("WLP_SHARED")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared"), PathBuf::from);
    Some(shared.join("data/tabular/adult")).filter(|folder| folder.is_dir())
}

#[tokio::test]
async fn adult_has_the_missing_cells_and_duplicates_that_it_has() {
    let Some(adult) = adult() else {
        println!("not run: no shared folder (WLP_SHARED)");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::start(folder.path()).await;
    let text = std::fs::read_to_string(adult.join("adult_train.csv")).unwrap();
    let rows: Vec<&str> = text.lines().skip(1).filter(|line| !line.trim().is_empty()).collect();
    let marks: usize = rows.iter().map(|row| row.split(',').filter(|cell| cell.trim() == "?").count()).sum();
    let duplicates = rows.len() - rows.iter().collect::<HashSet<_>>().len();
    let columns = text.lines().next().unwrap().split(',').count();
    assert!(marks > 0 && duplicates > 0);
    for (number, file, format) in
        [("1.0.0", "adult_train.csv", DataFormat::Csv), ("1.0.1", "adult_train.parquet", DataFormat::Parquet)]
    {
        let plan = BuildPlan {
            missing_markers: vec!["?".into()],
            label_column: "income".into(),
            favourable_labels: vec![">50K".into()],
            group_columns: vec!["sex".into(), "race".into()],
            ..Default::default()
        };
        let bytes = std::fs::read(adult.join(file)).unwrap();
        let version = bench.build(number, &bytes, format, plan).await.unwrap();
        let completeness = dimension(&version, "completeness");
        assert_eq!(
            (completeness.bad, completeness.all),
            (marks as u64, (rows.len() * columns) as u64),
            "{file}"
        );
        let uniqueness = dimension(&version, "uniqueness");
        assert_eq!((uniqueness.bad, uniqueness.all), (duplicates as u64, rows.len() as u64), "{file}");
        assert_eq!(raw(uniqueness), (duplicates as u64, rows.len() as u64), "{file}");
        println!("{file}: {marks} cells missing, {duplicates} rows repeat an earlier one");
    }
}
