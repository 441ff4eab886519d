//! The fitted transforms of a version as an artifact: of the training split alone, kept by the registry, and the same on raw
//! rows as on the stored ones.

use std::fmt::Write as _;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, RecordBatch, StringArray};
use contracts::pipeline::v1::dataset_read_service_client::DatasetReadServiceClient;
use contracts::pipeline::v1::transform_rule::Kind;
use contracts::pipeline::v1::{
    BuildPlan, CleaningRule, DataFormat, DerivedColumn, ReadSplitRequest, Splits, TransformRule,
    cleaning_rule::Action, derived_column::Operation as Derive,
};
use contracts::registry::v1::DatasetVersion;
use features::preprocessing::bits;
use features::{Preprocessing, Values};
use futures::TryStreamExt;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::Bench;

type Row = (usize, Option<f64>, &'static str, usize);

fn rows() -> Vec<Row> {
    let words = ["\u{e9}t\u{e9}", "E\u{301}te\u{301}", "ok", "never mind"];
    let x = |at: usize| (!at.is_multiple_of(7)).then_some(at as f64 * 1.5 - 40.0);
    (0..240).map(|at| (at, x(at), words[at % words.len()], at % 2)).collect()
}

fn csv(rows: &[Row]) -> String {
    let mut text = "id,x,t,y\n".to_owned();
    for (id, x, t, y) in rows {
        let x = x.map_or_else(|| "?".to_owned(), |x| x.to_string());
        writeln!(text, "{id},{x},{t},{y}").unwrap();
    }
    text
}

/// Rows stay in their split, whatever else they hold: the id says which.
fn plan() -> BuildPlan {
    let rule = |column: &str, kind: Kind| TransformRule {
        column: column.into(),
        kind: kind.into(),
        ..Default::default()
    };
    let fill =
        CleaningRule { column: "x".into(), action: Action::FillMean.into(), ..CleaningRule::default() };
    let half = DerivedColumn {
        name: "place".into(),
        operation: Derive::RowBand.into(),
        thresholds: vec![0.5],
        labels: vec!["first".into(), "second".into()],
        ..Default::default()
    };
    BuildPlan {
        label_column: "y".into(),
        key_columns: vec!["id".into()],
        missing_markers: vec!["?".into()],
        cleaning: vec![fill],
        derived: vec![half],
        transforms: vec![
            rule("x", Kind::Standardise),
            rule("t", Kind::Nfc),
            rule("t", Kind::Lowercase),
            rule("t", Kind::OneHot),
            rule("place", Kind::OneHot),
        ],
        splits: Some(Splits {
            train: 0.5,
            validation: 0.0,
            test: 0.5,
            group_column: "id".into(),
            ..Default::default()
        }),
        ..Default::default()
    }
}

async fn stored(bench: &Bench, version: &DatasetVersion, split: &str) -> RecordBatch {
    let request = ReadSplitRequest { name: version.name.clone(), split: split.into(), format: 0 };
    let stream = DatasetReadServiceClient::new(bench.peer()).read_split(request).await.unwrap().into_inner();
    let bytes: Vec<u8> = stream
        .try_fold(Vec::new(), |mut all, piece| async move {
            all.extend_from_slice(&piece.chunk);
            Ok(all)
        })
        .await
        .unwrap();
    let reader =
        ParquetRecordBatchReaderBuilder::try_new(bytes::Bytes::from(bytes)).unwrap().build().unwrap();
    let batches: Vec<RecordBatch> = reader.collect::<Result<_, _>>().unwrap();
    arrow::compute::concat_batches(&batches[0].schema(), &batches).unwrap()
}

fn ids(batch: &RecordBatch) -> Vec<usize> {
    let values = Values::in_batch(batch, "id").unwrap();
    (0..values.len()).map(|row| values.number(row).unwrap() as usize).collect()
}

fn artifact(bench: &Bench, version: &DatasetVersion) -> Vec<u8> {
    bench.told.artifacts.lock().unwrap()[&version.transform_digest].clone()
}

#[tokio::test]
async fn a_changed_test_row_leaves_the_artifact_as_it_was_and_a_training_row_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::start(folder.path()).await;
    let mut data = rows();
    let before = bench.build("1.0.0", csv(&data).as_bytes(), DataFormat::Csv, plan()).await.unwrap();
    let (train, test) =
        (ids(&stored(&bench, &before, "train").await), ids(&stored(&bench, &before, "test").await));
    assert!(train.len() > 50 && test.len() > 50);
    for id in &test {
        (data[*id].1, data[*id].2) = (Some(1e6), "only in the test split");
    }
    let after = bench.build("1.1.0", csv(&data).as_bytes(), DataFormat::Csv, plan()).await.unwrap();
    assert_eq!(ids(&stored(&bench, &after, "train").await), train, "no row moved");
    assert_ne!(after.manifest_digest, before.manifest_digest);
    assert_eq!(after.transform_digest, before.transform_digest);
    assert_eq!(artifact(&bench, &after), artifact(&bench, &before));
    data[train[0]].1 = Some(99.0);
    let other = bench.build("1.2.0", csv(&data).as_bytes(), DataFormat::Csv, plan()).await.unwrap();
    assert_ne!(other.transform_digest, before.transform_digest);
}

#[tokio::test]
async fn raw_rows_through_the_artifact_are_the_stored_rows() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::start(folder.path()).await;
    let data = rows();
    let version = bench.build("1.0.0", csv(&data).as_bytes(), DataFormat::Csv, plan()).await.unwrap();
    let artifact = Preprocessing::read(&artifact(&bench, &version)).unwrap();
    assert_eq!(artifact.digest(), version.transform_digest);
    let raw: Vec<&str> = artifact.inputs.iter().map(|input| input.name.as_str()).collect();
    assert_eq!(raw, ["id", "x", "t"], "neither the label nor the row's place");
    assert_eq!(artifact.inputs[1].missing_texts, ["?"]);
    let features: Vec<&str> =
        artifact.outputs.iter().filter(|output| output.feature).map(|output| output.name.as_str()).collect();
    assert_eq!(features, ["x", "t=never mind", "t=ok", "t=\u{e9}t\u{e9}"]);
    let rest: Vec<String> = features.iter().map(ToString::to_string).collect();
    let replay = artifact.replay(&rest).unwrap();
    for split in ["train", "test"] {
        let stored = stored(&bench, &version, split).await;
        let chosen: Vec<Row> = ids(&stored).into_iter().map(|id| data[id]).collect();
        let x: ArrayRef = Arc::new(chosen.iter().map(|row| row.1).collect::<Float64Array>());
        let t: ArrayRef = Arc::new(chosen.iter().map(|row| Some(row.2)).collect::<StringArray>());
        let raw = RecordBatch::try_from_iter_with_nullable([("x", x, true), ("t", t, true)]).unwrap();
        let places: Vec<usize> = rest.iter().map(|name| stored.schema().index_of(name).unwrap()).collect();
        let made = replay.apply(&raw).unwrap();
        assert_eq!(bits(&made).unwrap(), bits(&stored.project(&places).unwrap()).unwrap(), "{split}");
    }
}
