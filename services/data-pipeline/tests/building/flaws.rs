//! Flaws are counted where they belong, whatever the plan repairs, and none hides behind another.

use super::{Bench, csv, dimension, rule};
use contracts::pipeline::v1::cleaning_rule::Action;
use contracts::pipeline::v1::*;
use contracts::registry::v1::DatasetVersion;
use std::fmt::Write as _;

fn clean(column: &str, action: Action) -> CleaningRule {
    CleaningRule { column: column.into(), action: action.into(), ..Default::default() }
}

async fn built(bench: &Bench, version: &str, inputs: &[&str], plan: BuildPlan) -> DatasetVersion {
    let mut all = Vec::new();
    for text in inputs {
        let digest = bench.upload(text.as_bytes()).await;
        all.push(DataInput {
            data_source: "dataSources/s".into(),
            digest,
            format: DataFormat::Csv.into(),
            ..Default::default()
        });
    }
    let operation = bench.ask_for(version, all, plan).await.unwrap();
    bench.end(&operation.name).await.unwrap()
}

fn of(version: &DatasetVersion, name: &str) -> (u64, u64) {
    (dimension(version, name).bad, dimension(version, name).all)
}

#[tokio::test]
async fn dropped_duplicates_and_filled_cells_do_not_make_sources_contradict() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::start(folder.path()).await;
    let rows = |change: usize| {
        (0..100).fold("k,v\n".to_owned(), |mut all, at| {
            let value = if at < change { 999 } else { at };
            let _ = writeln!(all, "k{at},{value}");
            all
        })
    };
    let plan = BuildPlan {
        key_columns: vec!["k".into()],
        cleaning: vec![clean("", Action::DropDuplicates)],
        ..Default::default()
    };
    let version = built(&bench, "1.0.0", &[&rows(0), &rows(1)], plan.clone()).await;
    assert_eq!(of(&version, "consistency"), (1, 100), "the keys that agree are compared too");
    assert_eq!(of(&version, "uniqueness"), (0, 101), "one thing in two sources is no duplicate");

    let holes = "k,v\na,1\nb,2\n,3\n,4\nc,5\n";
    let more = "k,v\na,1\nb,\n,7\nc,5\n";
    let filled = BuildPlan { cleaning: vec![clean("v", Action::FillMedian)], ..plan };
    let version = built(&bench, "1.0.1", &[holes, more], filled).await;
    assert_eq!(of(&version, "consistency"), (0, 3), "a missing value or key contradicts nothing");
}

#[tokio::test]
async fn a_key_that_stands_twice_is_a_duplicate_and_hides_none_between_splits() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::start(folder.path()).await;
    // Every value stands in two rows, which differ by their key alone; key 7 stands twice.
    let mut data = "id,v,w\n".to_owned();
    for at in 0..200 {
        let _ = writeln!(data, "{},{},{}", if at == 8 { 7 } else { at }, at / 2, at % 4 / 2);
    }
    let splits = Splits { train: 0.5, validation: 0.0, test: 0.5, ..Default::default() };
    let plan = BuildPlan { key_columns: vec!["id".into()], splits: Some(splits), ..Default::default() };
    let version = built(&bench, "1.0.0", &[&data], plan).await;
    assert_eq!(of(&version, "uniqueness"), (1, 200));
    let mut values = Vec::new();
    for split in ["train", "test"] {
        let text = String::from_utf8(super::read(&bench, split, DataFormat::Csv).await).unwrap();
        let own: std::collections::BTreeSet<String> = text
            .lines()
            .skip(1)
            .filter_map(|line| line.split_once(','))
            .map(|(_, rest)| rest.into())
            .collect();
        values.push(own);
    }
    assert!(values[0].is_disjoint(&values[1]), "rows that differ by their key alone stay together");
    assert!(version.columns.iter().any(|column| column.name == "id" && column.key));
}

#[tokio::test]
async fn a_rule_for_all_columns_fills_some_and_drops_the_rows_of_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::start(folder.path()).await;
    let data = "x,t,y\n1,a,0\n,b,1\n3,,0\n4,d,\n5,e,1\n";
    let plan = BuildPlan {
        label_column: "y".into(),
        cleaning: vec![clean("", Action::FillMedian), clean("", Action::DropRowsWithMissing)],
        ..Default::default()
    };
    let version = built(&bench, "1.0.0", &[data], plan).await;
    assert_eq!(version.rows, 3, "x is filled; a row without text and one without label are dropped");
    assert_eq!(of(&version, "completeness").0, 0);
}

#[tokio::test]
async fn validity_counts_what_is_still_broken_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::start(folder.path()).await;
    let mut data = "age,job,must\n".to_owned();
    for at in 0..100 {
        let age = if at < 2 { "999".to_owned() } else { (20 + at % 50).to_string() };
        let job = if at < 2 || at % 10 == 5 { "" } else { "clerk" };
        let must = if at == 1 || at == 50 { "" } else { "z" };
        let _ = writeln!(data, "{age},{job},{must}");
    }
    let mut required = rule("must", "utf8", 0.0, 0.0);
    (required.nullable, required.min, required.max) = (false, None, None);
    let plan = BuildPlan {
        columns: vec![rule("age", "int64", 0.0, 120.0), required],
        cleaning: vec![CleaningRule { parameter: 0.05, ..clean("age", Action::ClipQuantile) }],
        ..Default::default()
    };
    let version = built(&bench, "1.0.0", &[&data], plan).await;
    // Row 0: its age is clipped and its job may be missing. Rows 1 and 50 lack what must be there.
    assert_eq!(of(&version, "validity"), (2, 100));
    let details = &dimension(&version, "validity").details;
    let missing = details.iter().find(|one| one.slice == "must: required").unwrap();
    assert!((missing.value - 0.02).abs() < 1e-12, "also where another column of the row is broken");
}

#[tokio::test]
async fn one_row_of_tomorrow_does_not_make_old_data_current() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::start(folder.path()).await;
    let data = "when,v\n1960-01-01,1\n2001-02-03,2\n2200-01-01,3\n";
    let plan = BuildPlan { event_time_column: "when".into(), ..Default::default() };
    let version = built(&bench, "1.0.0", &[data], plan.clone()).await;
    let timeliness = dimension(&version, "timeliness");
    assert_eq!(timeliness.newest_event_time.as_ref().unwrap().seconds, 981_158_400, "2001-02-03");
    assert!(timeliness.value.as_ref().unwrap().value > 9000.0);
    assert!(timeliness.details.iter().any(|one| one.metric == "future_events" && one.value > 0.3));
    let version = built(&bench, "1.0.1", &["when,v\n2200-01-01,3\n2199-01-01,4\n"], plan).await;
    let timeliness = dimension(&version, "timeliness");
    assert!(timeliness.newest_event_time.is_none() && timeliness.value.as_ref().unwrap().value.is_nan());
}

#[tokio::test]
async fn the_mark_of_a_missing_text_is_kept_for_whoever_asks_a_model() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::start(folder.path()).await;
    let data = "job,x\n?,1\nclerk,?\n?,3\nNA,4\n";
    let plan = BuildPlan { missing_markers: vec!["?".into(), "NA".into()], ..Default::default() };
    let version = built(&bench, "1.0.0", &[data], plan).await;
    let marks: Vec<_> =
        version.columns.iter().map(|one| (one.name.as_str(), one.missing_text.as_str())).collect();
    assert_eq!(marks, [("job", "?"), ("x", "")]);
}

#[tokio::test]
async fn limits_hold_for_all_inputs_together_and_for_what_is_made_of_them() {
    let folder = tempfile::tempdir().unwrap();
    let small = |config: &mut data_pipeline::Config| {
        config.limits.columns = 50;
        config.limits.rows = 500;
        config.limits.table_bytes = 4_000_000;
    };
    let bench = Bench::over(folder.path(), "sqlite::memory:", super::Told::default(), small).await;
    let digest = bench.upload(csv(300).as_bytes()).await;
    let input = DataInput {
        data_source: "dataSources/s".into(),
        digest,
        format: DataFormat::Csv.into(),
        ..Default::default()
    };
    let operation = bench.ask_for("1.0.0", vec![input.clone(), input], BuildPlan::default()).await.unwrap();
    let refused = bench.end::<DatasetVersion>(&operation.name).await.unwrap_err();
    assert!(refused.message.contains("more than 200 rows"), "{}", refused.message);

    let late = "{\"a\":1}\n".repeat(400)
        + "{"
        + &(0..49).map(|at| format!("\"b{at}\":1,")).collect::<String>()
        + "\"a\":2}\n";
    let few = bench.build("1.0.1", late.as_bytes(), DataFormat::Jsonl, BuildPlan::default()).await;
    assert!(few.is_ok(), "{few:?}");
    let bench = Bench::over(folder.path(), "sqlite::memory:", super::Told::default(), |config| {
        config.limits.table_bytes = 50_000;
    })
    .await;
    let refused =
        bench.build("1.0.2", late.as_bytes(), DataFormat::Jsonl, BuildPlan::default()).await.unwrap_err();
    assert!(refused.message.contains("more than 50000 bytes"), "{}", refused.message);
    let bench = Bench::over(folder.path(), "sqlite::memory:", super::Told::default(), |config| {
        config.limits.table_bytes = 600_000;
    })
    .await;
    let hot =
        TransformRule { column: "t".into(), kind: transform_rule::Kind::OneHot.into(), ..Default::default() };
    let wide = (0..300).fold("t,v\n".to_owned(), |all, at| all + &format!("w{at},{at}\n"));
    let plan = BuildPlan { transforms: vec![hot], ..Default::default() };
    let refused = bench.build("1.0.3", wide.as_bytes(), DataFormat::Csv, plan).await.unwrap_err();
    assert_eq!(refused.code, tonic::Code::ResourceExhausted as i32, "{}", refused.message);
}
