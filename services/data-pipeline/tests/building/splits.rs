//! Splits by every method: what belongs together stays together, and the audit in the record says what leaks.

use super::{Bench, csv, read};
use contracts::pipeline::v1::splits::Method;
use contracts::pipeline::v1::*;
use contracts::registry::v1::DatasetVersion;
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

fn thirds(method: Method) -> Splits {
    Splits { train: 0.6, validation: 0.2, test: 0.2, method: method.into(), ..Default::default() }
}

fn with(splits: Splits) -> BuildPlan {
    BuildPlan { splits: Some(splits), seed: 11, ..Default::default() }
}

async fn built(bench: &Bench, version: &str, data: &str, plan: BuildPlan) -> DatasetVersion {
    bench.build(version, data.as_bytes(), DataFormat::Csv, plan).await.unwrap()
}

/// The first column of each split of version 1.0.0.
async fn first_column(bench: &Bench) -> BTreeMap<&'static str, BTreeSet<String>> {
    let mut all = BTreeMap::new();
    for split in ["train", "validation", "test"] {
        let text = String::from_utf8(read(bench, split, DataFormat::Csv).await).unwrap();
        let cell = |line: &str| line.split(',').next().unwrap().to_owned();
        all.insert(split, text.lines().skip(1).map(cell).collect());
    }
    all
}

/// Verdict and rows of each check of the audit.
fn audit(version: &DatasetVersion) -> BTreeMap<String, (String, u64)> {
    let record = version.steps.iter().find(|step| step.step == "splitting").unwrap();
    let parameters: serde_json::Value = serde_json::from_str(&record.parameters).unwrap();
    let one = |one: &serde_json::Value| {
        let text = |name: &str| one[name].as_str().unwrap().to_owned();
        (text("check"), (text("verdict"), one["rows"].as_u64().unwrap()))
    };
    parameters["audit"].as_array().unwrap().iter().map(one).collect()
}

#[tokio::test]
async fn groups_are_cut_where_they_always_were() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::start(folder.path()).await;
    let rows = |group: usize| 1 + group % 4;
    let mut data = "g,v\n".to_owned();
    for group in 0..60 {
        for row in 0..rows(group) {
            let _ = writeln!(data, "group{group},{}", group * 10 + row);
        }
    }
    // In the order of SHA-256 of seed and name, cut where the middle of a group passes a share.
    let place = |group: &usize| {
        let name = format!("group{group}");
        Sha256::new().chain_update(11_u64.to_le_bytes()).chain_update(name.as_bytes()).finalize().to_vec()
    };
    let mut order: Vec<usize> = (0..60).collect();
    order.sort_by_key(place);
    let all: usize = (0..60).map(rows).sum();
    let (mut expected, mut before) = (BTreeMap::<&str, BTreeSet<String>>::new(), 0);
    for group in order {
        let middle = (before as f64 + rows(group) as f64 / 2.0) / all as f64;
        before += rows(group);
        let split = if middle < 0.6 {
            "train"
        } else if middle < 0.6 + 0.2 {
            "validation"
        } else {
            "test"
        };
        expected.entry(split).or_default().insert(format!("group{group}"));
    }
    let splits = |method| Splits { group_column: "g".into(), ..thirds(method) };
    let usual = built(&bench, "1.0.0", &data, with(splits(Method::Unspecified))).await;
    assert_eq!(first_column(&bench).await, expected);
    let named = built(&bench, "1.0.1", &data, with(splits(Method::Group))).await;
    assert_eq!(named.splits, usual.splits, "by its name the method gives the same bytes");
    assert_eq!(audit(&named)["shared_keys"], ("pass".to_owned(), 0));
}

#[tokio::test]
async fn earlier_rows_come_before_later_ones_and_the_embargo_is_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::start(folder.path()).await;
    let mut data = "at,v\n".to_owned();
    for row in 0..300 {
        let row = row * 37 % 300; // in no order
        let _ = writeln!(data, "2025-{:02}-{:02}T{:02}:00:00Z,{row}", 1 + row / 28, 1 + row % 28, row % 24);
    }
    let mut plan = with(Splits {
        embargo: Some(prost_types::Duration { seconds: 2 * 86_400, nanos: 0 }),
        ..thirds(Method::Time)
    });
    plan.event_time_column = "at".into();
    plan.columns = vec![ColumnRule { name: "at".into(), r#type: "timestamp".into(), ..Default::default() }];
    let version = built(&bench, "1.0.0", &data, plan.clone()).await;
    let at = first_column(&bench).await;
    assert!(at["train"].last() < at["validation"].first() && at["validation"].last() < at["test"].first());
    let cleaning = version.steps.iter().find(|step| step.step == "cleaning").unwrap();
    assert!((2..12).contains(&cleaning.rejects), "{}", cleaning.rejects);
    assert_eq!(cleaning.rejects + version.rows, 300);
    assert_eq!(audit(&version)["time_overlap"], ("pass".to_owned(), 0));
    plan.splits = Some(thirds(Method::Random));
    let mixed = built(&bench, "1.0.1", &data, plan).await;
    assert_eq!(audit(&mixed)["time_overlap"].0, "fail", "rows dealt out at random overlap in time");
}

#[tokio::test]
async fn near_duplicates_stay_together_where_that_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::start(folder.path()).await;
    let mut data = "pair,t\n".to_owned();
    for pair in 0..150_u64 {
        let word = |at: u64| format!("word{}", (pair * 7919 + at * 104_729) % 9973);
        let text = (0..20).map(word).collect::<Vec<_>>().join(" ");
        let _ = writeln!(data, "{pair},{text}\n{pair},{text} again");
    }
    let version = built(&bench, "1.0.0", &data, with(thirds(Method::Random))).await;
    let found = audit(&version);
    assert!(found["near_duplicates"].0 == "fail" && 20 < found["near_duplicates"].1, "{found:?}");
    assert_eq!(found["equal_rows"], ("pass".to_owned(), 0));
    let together = Splits { near_duplicates: true, ..thirds(Method::Random) };
    let version = built(&bench, "1.0.1", &data, with(together)).await;
    assert_eq!(audit(&version)["near_duplicates"], ("pass".to_owned(), 0));
    assert_eq!((version.rows, version.leaked_rows), (300, Some(0)));
}

#[tokio::test]
async fn an_entity_does_not_move_when_others_are_added() {
    let folder = tempfile::tempdir().unwrap();
    let data = |rows: std::ops::Range<usize>| {
        rows.fold("id,v\n".to_owned(), |all, row| all + &format!("user{},{row}\n", row / 2))
    };
    let plan = BuildPlan { key_columns: vec!["id".into()], ..with(thirds(Method::Entity)) };
    let mut seen = Vec::new();
    for (at, rows) in [200..400, 0..400].into_iter().enumerate() {
        let own = folder.path().join(at.to_string());
        std::fs::create_dir(&own).unwrap();
        let bench = Bench::start(&own).await;
        built(&bench, "1.0.0", &data(rows), plan.clone()).await;
        seen.push(first_column(&bench).await);
    }
    for (split, users) in &seen[0] {
        assert!(users.is_subset(&seen[1][split]) && !users.is_empty(), "{split}");
    }
}

#[tokio::test]
async fn a_method_names_what_it_lacks_and_what_it_does_not_look_at() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::start(folder.path()).await;
    let embargo = Some(prost_types::Duration { seconds: 1, nanos: 0 });
    let cases = [
        (thirds(Method::Stratified), vec!["plan.splits.stratify_column"]),
        (thirds(Method::StratifiedGroup), vec!["plan.splits.stratify_column", "plan.splits.group_column"]),
        (Splits { group_column: "t".into(), ..thirds(Method::Random) }, vec!["plan.splits.group_column"]),
        (thirds(Method::Entity), vec!["plan.splits.entity_columns"]),
        (thirds(Method::Time), vec!["plan.event_time_column"]),
        (Splits { embargo, ..thirds(Method::Random) }, vec!["plan.splits.embargo"]),
        (Splits { method: 99, ..thirds(Method::Random) }, vec!["plan.splits.method"]),
        (
            Splits { near_duplicate_columns: vec!["t".into()], ..thirds(Method::Random) },
            vec!["plan.splits.near_duplicate_columns"],
        ),
    ];
    for (splits, fields) in cases {
        let refused =
            bench.ask("1.0.0", csv(10).as_bytes(), DataFormat::Csv, with(splits)).await.unwrap_err();
        let named: Vec<_> =
            runtime::status::field_violations(&refused).into_iter().map(|bad| bad.field).collect();
        assert_eq!(named, fields);
    }
}
