//! Dataset versions through the real build over a fake registry.

#![allow(clippy::unwrap_used, clippy::float_cmp)]

mod cards;
mod fake;
mod flaws;
mod formats;
mod hostile;
mod measures;
mod preprocessing;
mod reading;
mod shared;
mod splits;
mod stores;
mod versions;

use contracts::pipeline::v1::cleaning_rule::Action;
use contracts::pipeline::v1::dataset_build_service_client::DatasetBuildServiceClient;
use contracts::pipeline::v1::dataset_read_service_client::DatasetReadServiceClient;
use contracts::pipeline::v1::derived_column::Operation as Derive;
use contracts::pipeline::v1::transform_rule::Kind as Transform;
use contracts::pipeline::v1::*;
use contracts::registry::v1::{DatasetVersion, QualityMeasurement};
use fake::{Bench, Told};
use futures::TryStreamExt;
use std::fmt::Write as _;
use std::time::Duration;

const NAME: &str = "datasets/d/versions/1.0.0";

/// `rows` rows that differ: a number that tells the label, a text, the label.
fn csv(rows: usize) -> String {
    let row = |at: usize| format!("{},{}.25,word{} x,{}\n", at, (at % 2) * 10, at % 7, at % 2);
    "id,x,t,y\n".to_owned() + &(0..rows).map(row).collect::<String>()
}

fn rule(name: &str, kind: &str, min: f64, max: f64) -> ColumnRule {
    let (name, r#type) = (name.into(), kind.into());
    ColumnRule { name, r#type, nullable: true, min: Some(min), max: Some(max), ..Default::default() }
}

fn plan() -> BuildPlan {
    BuildPlan {
        columns: vec![
            rule("id", "int64", 0.0, 1e6),
            rule("x", "float64", 0.0, 100.0),
            rule("y", "int64", 0.0, 1.0),
        ],
        label_column: "y".into(),
        favourable_labels: vec!["1".into()],
        group_columns: vec!["cohort".into()],
        missing_markers: vec!["?".into()],
        derived: vec![DerivedColumn {
            name: "cohort".into(),
            operation: Derive::RowBand.into(),
            thresholds: vec![0.5],
            labels: vec!["first".into(), "second".into()],
            ..Default::default()
        }],
        splits: Some(Splits {
            train: 0.4,
            validation: 0.1,
            test: 0.5,
            stratify_column: "y".into(),
            ..Default::default()
        }),
        seed: 7,
        ..Default::default()
    }
}

/// The error of an operation as the status that a call would have had.
fn told(error: &contracts::rpc::Status) -> tonic::Status {
    use prost::Message;
    let code = tonic::Code::from_i32(error.code);
    tonic::Status::with_details(code, error.message.clone(), error.encode_to_vec().into())
}

fn dimension<'a>(version: &'a DatasetVersion, name: &str) -> &'a QualityMeasurement {
    version.quality.iter().find(|one| one.dimension == name).unwrap()
}

/// `bad`, `all` of the data as it came.
fn raw(measured: &QualityMeasurement) -> (u64, u64) {
    let found = measured
        .details
        .iter()
        .find(|one| one.convention.starts_with("raw") && one.slice.is_empty())
        .unwrap();
    ((found.value * found.sample_size as f64).round() as u64, found.sample_size)
}

async fn read(bench: &Bench, split: &str, format: DataFormat) -> Vec<u8> {
    let request = ReadSplitRequest { name: NAME.into(), split: split.into(), format: format.into() };
    let pieces = DatasetReadServiceClient::new(bench.peer()).read_split(request).await.unwrap().into_inner();
    pieces.map_ok(|piece| piece.chunk.to_vec()).try_concat().await.unwrap()
}

#[tokio::test]
async fn a_version_has_seven_steps_seven_measurements_and_is_read_as_it_was_built() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::start(folder.path()).await;
    let version = bench.build("1.0.0", csv(400).as_bytes(), DataFormat::Csv, plan()).await.unwrap();

    let policy = &lifecycle::Policy::builtin().quality;
    let steps: Vec<_> = version
        .steps
        .iter()
        .map(|one| lifecycle::dataset::StepRecord {
            step: one.step.parse().unwrap(),
            input_digest: one.input_digest.clone(),
            code_digest: one.code_digest.clone(),
            parameters: one.parameters.clone(),
            seed: one.seed,
            output_digest: one.output_digest.clone(),
            rows_in: one.rows_in,
            rows_out: one.rows_out,
            rejects: one.rejects,
            not_applicable: one.not_applicable_reason.clone(),
        })
        .collect();
    assert_eq!(lifecycle::dataset::missing_steps(&steps, policy), []);
    assert_eq!((version.rows_in, version.rows, version.leaked_rows), (400, 400, Some(0)));
    let sizes: Vec<_> = version.splits.iter().map(|one| (one.split.as_str(), one.rows)).collect();
    assert_eq!(sizes, [("train", 160), ("validation", 40), ("test", 200)]);
    assert_eq!(version.contributors, ["data-engineer"]);
    assert_eq!((dimension(&version, "completeness").bad, dimension(&version, "completeness").all), (0, 1600));
    assert!(dimension(&version, "relevance").value.as_ref().unwrap().value > 0.9, "x tells y");
    assert!(!dimension(&version, "consistency").not_applicable_reason.is_empty());
    let groups: Vec<_> =
        version.group_shares.iter().map(|one| (one.group.as_str(), one.rows, one.positive_share)).collect();
    assert_eq!(groups, [("first", 200, 0.5), ("second", 200, 0.5)]);
    let training: u64 = version.profiles.iter().map(|one| one.rows).min().unwrap();
    assert_eq!((training, version.profiles.len()), (160, 5));

    let text = String::from_utf8(read(&bench, "train", DataFormat::Csv).await).unwrap();
    assert_eq!(text.lines().next(), Some("id,x,t,y,cohort"));
    assert_eq!(text.lines().count(), 161);
    let lines = String::from_utf8(read(&bench, "train", DataFormat::Jsonl).await).unwrap();
    assert!(lines.starts_with("{\"id\":") && lines.contains("\"x\":10.25,\"t\":\"word"), "{lines}");
    let parquet = read(&bench, "train", DataFormat::Unspecified).await;
    assert_eq!(storage::Digest::of(&parquet).to_string(), version.splits[0].digest);

    let mut reader = DatasetReadServiceClient::new(bench.peer());
    let asked = DrawAuditSampleRequest { name: NAME.into(), rows: 30, seed: 3 };
    let sample = reader.draw_audit_sample(asked.clone()).await.unwrap().into_inner();
    assert_eq!((sample.columns.len(), sample.rows.len()), (4, 30), "rows before transformation");
    assert!(sample.rows.iter().all(|row| row.values[0] == row.source_row.to_string()));
    assert_eq!(reader.draw_audit_sample(asked).await.unwrap().into_inner(), sample);
    let card = reader.get_data_card(GetDataCardRequest { name: NAME.into() }).await.unwrap().into_inner();
    assert_eq!(card.missing_sections, ["ethical-review", "maintenance"]);
    assert_eq!((card.markdown.matches("\n## ").count(), card.digest), (8, version.data_card_digest));
}

#[tokio::test]
async fn a_replay_gives_every_digest_again_and_a_repeated_request_the_same_operation() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::start(folder.path()).await;
    let mut plan = plan();
    let fill = |column: &str, action: Action| CleaningRule {
        column: column.into(),
        action: action.into(),
        ..Default::default()
    };
    plan.cleaning =
        vec![fill("", Action::DropDuplicates), fill("x", Action::FillMedian), fill("t", Action::FillMode)];
    let scale = |column: &str, kind: Transform| TransformRule {
        column: column.into(),
        kind: kind.into(),
        ..Default::default()
    };
    plan.transforms = vec![scale("x", Transform::Standardise), scale("t", Transform::OneHot)];
    plan.augmentation = Some(Augmentation { noise: 0.1, copies: 1, ..Default::default() });
    let mut data = csv(300);
    data.push_str("300,?,,1\n300,?,,1\n");
    let asked = bench.ask("1.0.0", data.as_bytes(), DataFormat::Csv, plan.clone()).await.unwrap();
    let again = bench.ask("1.0.0", data.as_bytes(), DataFormat::Csv, plan).await.unwrap();
    assert_eq!(asked.name, again.name);
    let version: DatasetVersion = bench.end(&asked.name).await.unwrap();
    assert_eq!(version.steps[2].rejects, 1, "the repeated row");
    assert!(version.rows > 400 && version.columns.iter().any(|one| one.name == "t=word0 x"));
    assert_eq!(dimension(&version, "completeness").bad, 0, "filled");
    assert_eq!(raw(dimension(&version, "completeness")), (4, 302 * 4));
    assert_eq!(raw(dimension(&version, "uniqueness")), (1, 302));
    let request = ReplayDatasetVersionRequest { name: NAME.into() };
    let operation = DatasetBuildServiceClient::new(bench.peer())
        .replay_dataset_version(request)
        .await
        .unwrap()
        .into_inner();
    let replayed: ReplayResult = bench.end(&operation.name).await.unwrap();
    assert!(replayed.same && replayed.differences.is_empty(), "{replayed:?}");
    assert_eq!(version.steps[4].rows_out, version.rows);
}

#[tokio::test]
async fn a_dirty_copy_shows_its_flaws_in_the_dimensions_they_belong_to() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::start(folder.path()).await;
    let mut data = String::from("id,x,t,y\n");
    for at in 0..200 {
        let x = if at % 5 == 0 {
            "?".to_owned()
        } else if at % 10 == 1 {
            "999".into()
        } else {
            format!("{at}.5")
        };
        let _ = writeln!(data, "{at},{},word,{}", if at < 150 { x } else { "1".into() }, at % 2);
    }
    let twice: String = data.lines().skip(1).take(20).fold(String::new(), |all, line| all + line + "\n");
    data.push_str(&twice);
    let version = bench.build("1.0.0", data.as_bytes(), DataFormat::Csv, plan()).await.unwrap();
    let of = |name: &str| (dimension(&version, name).bad, dimension(&version, name).all);
    // x is above 100 in the second hundred too
    let outside = data
        .lines()
        .skip(1)
        .filter(|line| line.split(',').nth(1).unwrap().parse::<f64>().is_ok_and(|x| x > 100.0))
        .count();
    assert_eq!(of("completeness"), (30 + 4, 220 * 4));
    assert_eq!(of("uniqueness"), (20, 220));
    assert_eq!(of("validity"), (outside as u64, 220));
    for name in ["completeness", "uniqueness", "validity"] {
        assert_eq!(raw(dimension(&version, name)), of(name), "without cleaning the version is the data");
        let value = dimension(&version, name).value.as_ref().unwrap();
        assert!(value.lower.unwrap() < value.value && value.value < value.upper.unwrap());
    }
    assert_eq!(version.leaked_rows, Some(0), "equal rows are in one split");
}

#[tokio::test]
async fn the_same_rows_in_three_formats_are_the_same_version() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::start(folder.path()).await;
    let version = bench
        .build("1.0.0", csv(100).as_bytes(), DataFormat::Csv, BuildPlan { seed: 1, ..Default::default() })
        .await
        .unwrap();
    let lines = read(&bench, "train", DataFormat::Jsonl).await;
    let parquet = read(&bench, "train", DataFormat::Parquet).await;
    for (number, bytes, format) in
        [("1.0.1", lines, DataFormat::Jsonl), ("1.0.2", parquet, DataFormat::Parquet)]
    {
        let other =
            bench.build(number, &bytes, format, BuildPlan { seed: 1, ..Default::default() }).await.unwrap();
        assert_eq!(other.schema_digest, version.schema_digest, "{format:?}");
        assert_eq!(other.splits, version.splits, "{format:?}");
    }
}

#[tokio::test]
async fn inputs_that_contradict_each_other_are_counted_by_key() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::start(folder.path()).await;
    let first =
        "k,v,low,high\n".to_owned() + &(0..50).map(|at| format!("k{at},{at},1,2\n")).collect::<String>();
    let second = "k,v,low,high\n".to_owned()
        + &(40..60)
            .map(|at| {
                format!("k{at},{},{},2\n", if at < 43 { 999 } else { at }, if at == 59 { 3 } else { 1 })
            })
            .collect::<String>();
    let mut inputs = Vec::new();
    for text in [first, second] {
        let digest = bench.upload(text.as_bytes()).await;
        inputs.push(DataInput {
            data_source: "dataSources/s".into(),
            digest,
            format: DataFormat::Csv.into(),
            ..Default::default()
        });
    }
    let cross =
        CrossRule { left: "low".into(), comparator: "<".into(), right: "high".into(), tolerance: 0.0 };
    let plan = BuildPlan { key_columns: vec!["k".into()], cross_rules: vec![cross], ..Default::default() };
    let operation = bench.ask_for("1.0.0", inputs, plan).await.unwrap();
    let version: DatasetVersion = bench.end(&operation.name).await.unwrap();
    let measured = dimension(&version, "consistency");
    assert_eq!((measured.bad, measured.all), (3 + 1, 10 + 70), "three keys of ten, one row of seventy");
}

#[tokio::test]
async fn a_group_stays_together_and_what_leaks_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::start(folder.path()).await;
    let data =
        "g,v\n".to_owned() + &(0..300).map(|at| format!("group{},{at}\n", at / 10)).collect::<String>();
    let splits =
        Splits { train: 0.5, validation: 0.0, test: 0.5, group_column: "g".into(), ..Default::default() };
    let plan = BuildPlan { splits: Some(splits), ..Default::default() };
    let version = bench.build("1.0.0", data.as_bytes(), DataFormat::Csv, plan).await.unwrap();
    let mut sides = Vec::new();
    for split in ["train", "test"] {
        let text = String::from_utf8(read(&bench, split, DataFormat::Csv).await).unwrap();
        let groups: std::collections::BTreeSet<String> =
            text.lines().skip(1).map(|line| line.split(',').next().unwrap().to_owned()).collect();
        sides.push(groups);
    }
    assert!(sides[0].is_disjoint(&sides[1]) && sides[0].len() + sides[1].len() == 30);
    assert_eq!(version.leaked_rows, Some(0));
}

#[tokio::test]
async fn an_unfinished_build_goes_on_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let database = format!("sqlite://{}?mode=rwc", folder.path().join("p.db").display());
    let told = Told::default();
    let first = Bench::over(folder.path(), &database, told.clone(), |_| {}).await;
    let closed = told.gate.clone().write_owned().await;
    let asked = first.ask("1.0.0", csv(100).as_bytes(), DataFormat::Csv, plan()).await.unwrap();
    first.service.stop(Duration::from_secs(5)).await;
    assert!(told.versions.lock().unwrap().is_empty());
    drop(closed);
    let second = Bench::over(folder.path(), &database, told.clone(), |_| {}).await;
    let ended = tokio::time::timeout(Duration::from_secs(60), second.end::<DatasetVersion>(&asked.name))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(told.versions.lock().unwrap().keys().collect::<Vec<_>>(), [&ended.name]);
}

#[tokio::test]
async fn a_build_that_is_cancelled_registers_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::start(folder.path()).await;
    let closed = bench.told.gate.clone().write_owned().await;
    let asked = bench.ask("1.0.0", csv(100).as_bytes(), DataFormat::Csv, plan()).await.unwrap();
    let mut operations = contracts::longrunning::operations_client::OperationsClient::new(bench.peer());
    operations
        .cancel_operation(contracts::longrunning::CancelOperationRequest { name: asked.name.clone() })
        .await
        .unwrap();
    drop(closed);
    let ended = bench.end::<DatasetVersion>(&asked.name).await.unwrap_err();
    assert_eq!(ended.code, tonic::Code::Cancelled as i32);
    assert!(bench.told.versions.lock().unwrap().is_empty());
}
