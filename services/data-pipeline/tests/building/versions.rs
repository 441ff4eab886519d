//! Versions that follow each other: their numbers, what they store, how they differ, their sketches.

use super::{Bench, NAME, csv, plan, told};
use contracts::pipeline::v1::dataset_build_service_client::DatasetBuildServiceClient;
use contracts::pipeline::v1::dataset_read_service_client::DatasetReadServiceClient;
use contracts::pipeline::v1::splits::Method;
use contracts::pipeline::v1::*;
use contracts::registry::v1::DatasetVersion;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;
use tonic::Code;

/// Builds a version whose number the registry is to say.
async fn next(bench: &Bench, data: &str, plan: &BuildPlan) -> DatasetVersion {
    let input = DataInput {
        data_source: "dataSources/s".into(),
        digest: bench.upload(data.as_bytes()).await,
        format: DataFormat::Csv.into(),
        ..Default::default()
    };
    let request = BuildDatasetVersionRequest {
        parent: "datasets/d".into(),
        inputs: vec![input],
        plan: Some(plan.clone()),
        ..Default::default()
    };
    let operation =
        DatasetBuildServiceClient::new(bench.peer()).build_dataset_version(request).await.unwrap();
    bench.end(&operation.into_inner().name).await.unwrap()
}

/// Every stored Parquet file, by its path.
fn parquets(folder: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut open = vec![folder.join("blobs")];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
            if entry.file_type().unwrap().is_dir() {
                open.push(entry.path());
            } else if std::fs::read(entry.path()).unwrap().starts_with(b"PAR1") {
                found.insert(entry.path().display().to_string());
            }
        }
    }
    found
}

fn number(version: &DatasetVersion) -> &str {
    contracts::name::last(&version.name)
}

/// Each row's split depends on its key and the seed alone.
fn by_entity(seed: u64) -> BuildPlan {
    BuildPlan {
        key_columns: vec!["id".into()],
        splits: Some(Splits {
            train: 0.6,
            validation: 0.2,
            test: 0.2,
            method: Method::Entity.into(),
            ..Default::default()
        }),
        seed,
        ..Default::default()
    }
}

fn table(ids: impl Iterator<Item = u32>, x: impl Fn(u32) -> String) -> String {
    let mut text = "id,x,t\n".to_owned();
    for id in ids {
        let _ = writeln!(text, "{id},{},word{}", x(id), id % 5);
    }
    text
}

fn plain(id: u32) -> String {
    format!("{}.5", id * 37 % 101)
}

#[tokio::test]
async fn numbers_follow_from_what_differs_and_the_same_bytes_are_stored_once() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::start(folder.path()).await;
    let data = table(0..300, plain);
    let first = next(&bench, &data, &by_entity(1)).await;
    assert_eq!((number(&first), first.tag.as_str()), ("1.0.0", "ds-v1.0.0"));
    let stored = parquets(folder.path());
    assert_eq!(stored.len(), 4, "three splits and the clean rows");

    let again = next(&bench, &data, &by_entity(1)).await;
    let what = |version: &DatasetVersion| (version.name.clone(), version.manifest_digest.clone());
    assert_eq!(what(&again), what(&first), "the same content is the same version");

    // Other bounds that no row breaks: nothing but what is recorded of the version differs.
    let bounds =
        ColumnRule { name: "x".into(), nullable: true, min: Some(0.0), max: Some(1e3), ..Default::default() };
    let bounded = BuildPlan { columns: vec![bounds], ..by_entity(1) };
    let checked = next(&bench, &data, &bounded).await;
    assert_eq!(number(&checked), "1.0.1");
    assert_ne!(checked.manifest_digest, first.manifest_digest);
    assert_eq!((&checked.splits, &checked.sketch_digest), (&first.splits, &first.sketch_digest));
    assert_eq!(parquets(folder.path()), stored, "no rows are stored again");

    // One row more: only its split and the clean rows are other files.
    let longer = next(&bench, &table(0..301, plain), &bounded).await;
    assert_eq!(number(&longer), "1.1.0");
    let same = longer.splits.iter().filter(|split| checked.splits.contains(split)).count();
    assert_eq!(same, 2);
    assert_eq!(parquets(folder.path()).difference(&stored).count(), 2);

    let wider = table(0..301, plain).replace("id,x,t\n", "id,x,u\n");
    assert_eq!(number(&next(&bench, &wider, &bounded).await), "2.0.0");

    let mut reader = DatasetReadServiceClient::new(bench.peer());
    for version in [&first, &checked, &longer] {
        let card = GetDataCardRequest { name: version.name.clone() };
        let card = reader.get_data_card(card).await.unwrap().into_inner();
        assert!(card.markdown.contains(number(version)), "{}", card.markdown);
    }
}

async fn difference(
    bench: &Bench,
    (before, after): (&DatasetVersion, &DatasetVersion),
) -> Result<DatasetDifference, tonic::Status> {
    let request = DiffDatasetVersionsRequest {
        before: before.name.clone(),
        after: after.name.clone(),
        ..Default::default()
    };
    Ok(DatasetReadServiceClient::new(bench.peer()).diff_dataset_versions(request).await?.into_inner())
}

#[tokio::test]
async fn a_difference_tells_rows_by_key_values_splits_columns_and_quality() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::start(folder.path()).await;
    let first = next(&bench, &table(0..300, plain), &by_entity(1)).await;
    // Ten rows gone, twenty new ones, five with another value.
    let other = |id: u32| if (100..105).contains(&id) { "0.25".into() } else { plain(id) };
    let second = next(&bench, &table(10..320, other), &by_entity(1)).await;

    let told = difference(&bench, (&first, &second)).await.unwrap();
    assert_eq!((told.before.as_str(), told.after.as_str()), (first.name.as_str(), second.name.as_str()));
    assert_eq!((told.key_columns.as_slice(), told.bump.as_str()), (&["id".to_owned()][..], "minor"));
    let rows = told.rows.unwrap();
    assert_eq!((rows.before, rows.after, rows.same), (300, 310, 285));
    assert_eq!((rows.changed, rows.added, rows.removed), (5, 20, 10));
    let changed: Vec<_> = told.columns.iter().map(|one| (one.column.as_str(), one.changed)).collect();
    assert_eq!(changed, [("id", 0), ("x", 5), ("t", 0)]);
    assert!(told.columns[0].drift.is_none(), "a key does not drift");
    let drift = told.columns[1].drift.as_ref().unwrap();
    assert!(!drift.drifted && drift.ks.is_some() && drift.sample_after == 310, "{drift:?}");
    assert_eq!((told.schema.len(), told.clean_schema.len(), told.moved.len()), (0, 0, 0));
    let pairs: Vec<_> =
        told.examples.iter().map(|one| (one.source_row_before, one.source_row_after)).collect();
    let changed: Vec<_> = (100..105).map(|id| (Some(id), Some(id - 10))).collect();
    assert_eq!(pairs[..5], changed);
    assert_eq!(pairs[5..15], (290..300).map(|row| (None, Some(row))).collect::<Vec<_>>(), "the first ten");
    assert_eq!(pairs[15..], (0..10).map(|row| (Some(row), None)).collect::<Vec<_>>());
    let dimensions: Vec<_> = told.quality.iter().map(|one| one.dimension.clone()).collect();
    assert_eq!(dimensions, second.quality.iter().map(|one| one.dimension.clone()).collect::<Vec<_>>());
    let complete = told.quality.iter().find(|one| one.dimension == "completeness").unwrap();
    assert_eq!((complete.all_before, complete.all_after, complete.bad_after), (900, 930, 0));

    // Another seed deals the same rows out anew.
    let moved = next(&bench, &table(10..320, other), &by_entity(2)).await;
    let told = difference(&bench, (&second, &moved)).await.unwrap();
    let rows = told.rows.unwrap();
    assert_eq!((rows.same, rows.changed, rows.added, rows.removed), (310, 0, 0, 0));
    let between: u64 = told.moved.iter().map(|one| one.rows).sum();
    assert!(50 < between && between < 310 && told.bump == "minor", "{:?}", told.moved);
    assert!(told.moved.iter().all(|one| one.from != one.to));

    // A column more; scaled values are others, the rows themselves are not.
    let scaled = TransformRule {
        column: "x".into(),
        kind: transform_rule::Kind::Standardise.into(),
        ..Default::default()
    };
    let wider = table(10..320, other).replace('\n', ",7\n").replace("id,x,t,7", "id,x,t,n");
    let wider = next(&bench, &wider, &BuildPlan { transforms: vec![scaled], ..by_entity(2) }).await;
    let told = difference(&bench, (&moved, &wider)).await.unwrap();
    assert_eq!((told.bump.as_str(), told.rows.unwrap().same), ("major", 310));
    let added: Vec<_> =
        told.schema.iter().map(|one| (one.kind(), one.column.as_str(), one.after.as_str())).collect();
    assert_eq!(added, [(column_change::Kind::Added, "n", "int64")]);
    assert_eq!(told.schema, told.clean_schema);
    let same = difference(&bench, (&moved, &moved)).await.unwrap();
    assert_eq!((same.bump.as_str(), same.examples.len(), same.rows.unwrap().same), ("", 0, 310));
}

#[tokio::test]
async fn a_difference_that_cannot_be_made_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::start(folder.path()).await;
    let first = next(&bench, &table(0..60, plain), &by_entity(1)).await;
    let second = next(&bench, &table(0..60, plain).replace("id,x,t", "id,y,t"), &by_entity(1)).await;
    let mut reader = DatasetReadServiceClient::new(bench.peer());
    let request = |before: &str, after: &str| DiffDatasetVersionsRequest {
        before: before.into(),
        after: after.into(),
        ..Default::default()
    };
    let columns = DiffDatasetVersionsRequest {
        key_columns: vec!["id".into(), "x".into()],
        ignore_columns: vec!["nowhere".into()],
        ..request(&first.name, &second.name)
    };
    let refused = reader.diff_dataset_versions(columns).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    for words in ["key_columns[1]: datasets/d/versions/2.0.0 has no column \"x\"", "ignore_columns[0]"] {
        assert!(refused.message().contains(words), "{}", refused.message());
    }
    let many = DiffDatasetVersionsRequest { examples: 1001, ..request("d", &first.name) };
    let refused = reader.diff_dataset_versions(many).await.unwrap_err();
    assert!(
        refused.message().contains("before:") && refused.message().contains("examples:"),
        "{}",
        refused.message()
    );
    let unknown = request(&first.name, "datasets/d/versions/9.0.0");
    assert_eq!(reader.diff_dataset_versions(unknown).await.unwrap_err().code(), Code::NotFound);
}

#[tokio::test]
async fn sketches_are_read_by_split_and_by_group() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::start(folder.path()).await;
    let version = bench.build("1.0.0", csv(400).as_bytes(), DataFormat::Csv, plan()).await;
    let version = version.map_err(|error| told(&error)).unwrap();
    let mut reader = DatasetReadServiceClient::new(bench.peer());
    let request = |split: &str, group_column: &str| GetProfileRequest {
        name: NAME.into(),
        split: split.into(),
        group_column: group_column.into(),
    };
    let all = reader.get_profile(request("", "")).await.unwrap().into_inner();
    assert_eq!(all.columns, version.profiles);
    let slices: Vec<_> = all.slices.iter().map(|one| (one.split.as_str(), one.rows)).collect();
    assert_eq!(slices, [("train", 160), ("validation", 40), ("test", 200)]);
    for slice in &all.slices {
        assert_eq!(slice.columns.len(), version.columns.len());
    }
    let training: Vec<_> = all.slices[0].columns.iter().map(|one| one.profile.clone().unwrap()).collect();
    assert_eq!(training, version.profiles, "what the monitor compares with, column by column");
    let id = &all.slices[0].columns[0];
    assert_eq!((id.distinct, id.distinct_upper, id.frequent_error, id.rank_error), (160.0, 160.0, 0, 0.0));
    let median = id.quantiles.iter().find(|one| one.probability == 0.5).unwrap();
    assert_eq!((median.lower, median.upper), (median.value, median.value), "exact for so few rows");

    let test = reader.get_profile(request("test", "")).await.unwrap().into_inner();
    assert_eq!(test.slices, [all.slices[2].clone()]);
    let groups = reader.get_profile(request("", "cohort")).await.unwrap().into_inner();
    let named: Vec<_> = groups.slices.iter().map(|one| (one.group.as_str(), one.rows)).collect();
    assert_eq!(named, [("first", 200), ("second", 200)]);
    for (bad, words) in [
        (request("", "t"), "no sensitive column"),
        (request("train", "cohort"), "group_column"),
        (request("all", ""), "must be train, validation or test"),
    ] {
        let refused = reader.get_profile(bad).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument);
        assert!(refused.message().contains(words), "{}", refused.message());
    }
}
