//! The details of the dimensions over data whose flaws are known: by group, by label, and nearly repeated.

use super::{Bench, dimension};
use contracts::common::v1::Measurement;
use contracts::pipeline::v1::{BuildPlan, DataFormat, GroupReference};
use contracts::registry::v1::DatasetVersion;
use std::fmt::Write as _;

fn details<'a>(version: &'a DatasetVersion, of: &str, metric: &str) -> Vec<&'a Measurement> {
    dimension(version, of).details.iter().filter(|one| one.metric == metric).collect()
}

/// The one detail of a metric that speaks of a slice.
fn detail<'a>(version: &'a DatasetVersion, of: &str, metric: &str, slice: &str) -> &'a Measurement {
    let all = details(version, of, metric);
    let found = all.iter().find(|one| one.slice == slice);
    found.unwrap_or_else(|| {
        panic!("{slice} is not among {:?}", all.iter().map(|one| &one.slice).collect::<Vec<_>>())
    })
}

/// 400 women, 40 of them twice, and 600 men: women are paid in one of four cases, men in three, and of every fifth woman the
/// age is not known. One in two of both lives in the north.
fn people() -> String {
    let mut text = "id,sex,north,age,paid\n".to_owned();
    let mut row = |id: usize, sex: &str| {
        let paid = if sex == "F" { id.is_multiple_of(4) } else { !id.is_multiple_of(4) };
        let age = if sex == "F" && id.is_multiple_of(5) { String::new() } else { (20 + id % 40).to_string() };
        let _ = writeln!(text, "{id},{sex},{},{age},{}", id % 2, if paid { "yes" } else { "no" });
    };
    (0..360).for_each(|id| row(id, "F"));
    (0..40).for_each(|id| row(id, "F"));
    (1_000..1_600).for_each(|id| row(id, "M"));
    text
}

#[tokio::test]
async fn groups_are_compared_in_missing_values_duplicates_and_labels() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::start(folder.path()).await;
    let reference =
        |group: &str, share: f64| GroupReference { column: "sex".into(), group: group.into(), share };
    let plan = BuildPlan {
        label_column: "paid".into(),
        favourable_labels: vec!["yes".into()],
        group_columns: vec!["sex".into(), "north".into()],
        group_reference: vec![reference("F", 0.5), reference("M", 0.5)],
        ..Default::default()
    };
    let version = bench.build("1.0.0", people().as_bytes(), DataFormat::Csv, plan).await.unwrap();

    let gap = detail(&version, "completeness", "missing_gap", "column=age, by sex: F above M");
    assert_eq!((gap.value, gap.sample_size), (0.2, 1_000));
    assert!(0.1 < gap.lower.unwrap() && gap.upper.unwrap() < 0.3);
    let north = details(&version, "completeness", "missing_gap");
    assert!(north.iter().all(|one| !one.slice.contains("by north")), "both lack as much");
    assert!(detail(&version, "completeness", "missing_dependence", "column=age, by sex").value > 0.3);
    assert_eq!(details(&version, "completeness", "rows_with_missing")[0].value, 0.08);

    assert_eq!(detail(&version, "uniqueness", "duplicate_rows", "sex=F").value, 0.1);
    assert_eq!(detail(&version, "uniqueness", "duplicate_rows", "sex=M").value, 0.0);
    assert_eq!(detail(&version, "uniqueness", "duplicate_gap", "rows, by sex: F above M").value, 0.1);

    assert_eq!(detail(&version, "fairness", "label_gap", "paid favourable, by sex: M above F").value, 0.5);
    assert_eq!(detail(&version, "fairness", "intersection_share", "sex=M,north=0").sample_size, 1_000);
    let imbalance = dimension(&version, "fairness").value.clone().unwrap();
    assert!((imbalance.value - 0.1).abs() < 1e-12, "40 % instead of 50 %");
    assert!(imbalance.lower.unwrap() < 0.1 && 0.1 < imbalance.upper.unwrap());
    let told = detail(&version, "fairness", "representation", "column=sex");
    assert!((told.value - 0.4 / 0.6).abs() < 1e-12, "{}", told.value);
    assert!(version.quality.iter().all(|one| one.dimension != "accuracy"), "no audit, no accuracy");
}

#[tokio::test]
async fn texts_that_nearly_repeat_are_counted_and_a_column_that_gives_the_label_away_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::start(folder.path()).await;
    let mut data = "text,copy,other,y\n".to_owned();
    for row in 0..200 {
        let words = ["amber", "birch", "cedar", "dune", "ember", "fjord", "grove"];
        let (a, b) = (words[row % 7], words[row / 7 % 7]);
        let _ = writeln!(
            data,
            "entry {row} of {a} at {b}: {},{},{},{}",
            row * 7_919,
            row % 2 * 10,
            row / 3 % 2,
            row % 2
        );
    }
    for end in ["", "!", "."] {
        let _ = writeln!(
            data,
            "please call the number on your last invoice before Friday to claim a prize{end},0,0,0"
        );
    }
    let plan = BuildPlan { label_column: "y".into(), ..Default::default() };
    let version = bench.build("1.0.0", data.as_bytes(), DataFormat::Csv, plan).await.unwrap();
    let near = details(&version, "uniqueness", "near_duplicate_rows");
    assert_eq!((near.len(), near[0].slice.as_str()), (1, "texts of text"));
    assert_eq!((near[0].value * 203.0).round(), 2.0, "{}", near[0].convention);
    assert_eq!(dimension(&version, "uniqueness").bad, 0, "no rows are equal");
    let named: Vec<&str> =
        details(&version, "relevance", "label_determined").iter().map(|one| one.slice.as_str()).collect();
    assert_eq!(named, ["column=copy"]);
}
