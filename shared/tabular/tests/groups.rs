//! Duplicates, missing values and labels by group, near-duplicates, and what is said of a table whose flaws are known.

#![allow(clippy::unwrap_used, clippy::float_cmp)]

use std::fmt::Write as _;
use std::num::NonZeroUsize;

use tabular::profile::{self, Options, Report};
use tabular::{Declared, Limits, Table};

fn profiled(text: &str, schema: Option<&str>, threads: usize) -> Report {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.csv");
    std::fs::write(&path, text).unwrap();
    let declared = schema.map(|text| Declared::parse(text).unwrap());
    let mut table = Table::open(&path, Limits::default(), declared.as_ref()).unwrap();
    let threads = NonZeroUsize::new(threads).unwrap();
    profile::run(&mut table, Options { declared: declared.as_ref(), targets: None, now: 0.0, threads })
        .unwrap()
}

fn part(report: &Report, dimension: &str, part: &str) -> (f64, u64) {
    let found = report.quality.iter().find(|it| it.dimension == dimension).unwrap();
    let names: Vec<&str> = found.details.iter().map(|it| it.part.as_str()).collect();
    let detail = found.details.iter().find(|it| it.part == part);
    let detail = detail.unwrap_or_else(|| panic!("{part} is not among {names:?}"));
    (detail.value, detail.of)
}

fn kinds(report: &Report) -> Vec<(&str, &str)> {
    report.findings.iter().map(|it| (it.kind, it.column.as_deref().unwrap_or_default())).collect()
}

const SCHEMA: &str = "label: paid\ncolumns:\n  sex: { sensitive: true }\n";

/// 400 women and 600 men. 40 women's rows stand twice; women are paid in one of four cases, men in three; every fifth
/// woman and no man has no age. Ten men's rows stand again with the other label.
fn people() -> String {
    let mut text = "id,sex,age,paid\n".to_owned();
    let mut row = |id: usize, sex: &str, again: bool| {
        let paid = if sex == "F" { id.is_multiple_of(4) } else { !id.is_multiple_of(4) };
        let age = if sex == "F" && id.is_multiple_of(5) { String::new() } else { (20 + id % 40).to_string() };
        let _ = writeln!(text, "{id},{sex},{age},{}", if paid != again { "yes" } else { "no" });
    };
    (0..360).for_each(|id| row(id, "F", false));
    (0..40).for_each(|id| row(id, "F", false));
    (1_000..1_590).for_each(|id| row(id, "M", false));
    (1_000..1_010).for_each(|id| row(id, "M", true));
    text
}

#[test]
fn groups_are_compared_in_all_that_is_counted() {
    let text = people();
    for threads in [1, 3] {
        let report = profiled(&text, Some(SCHEMA), threads);
        assert_eq!((report.rows, report.duplicate_rows.duplicates), (1_000, 40));
        assert_eq!(part(&report, "uniqueness", "sex = F"), (0.1, 400));
        assert_eq!(part(&report, "uniqueness", "sex = M"), (0.0, 600));
        assert_eq!(part(&report, "uniqueness", "gap by sex, duplicate rows: F above M"), (0.1, 1_000));
        assert_eq!(part(&report, "completeness", "gap by sex, no value in age: F above M"), (0.2, 1_000));
        // 45 of 180 and 10 of 40 women; the rarer label is told.
        let (gap, rows) = part(&report, "fairness", "gap by sex, paid = no: F above M");
        assert!((gap - 0.5).abs() < 0.02 && rows == 1_000, "{gap}");
        assert_eq!(report.label_conflicts, Some(10));
        let (share, _) =
            part(&report, "accuracy", "no audit: rows that equal an earlier one in all but the label");
        assert_eq!(share, 0.01);
        assert!(report.quality[0].estimate.is_none(), "no audit, no accuracy");
        let found = kinds(&report);
        for expected in [("label-conflicts", ""), ("group-gap", "sex"), ("missing-not-at-random", "age")] {
            assert!(found.contains(&expected), "{expected:?} in {found:?}");
        }
    }
}

#[test]
fn groups_of_many_values_leave_duplicates_exact() {
    // Values of a sensitive column beyond those that can be told apart, met in pieces of the file in any order.
    let mut text = "id,town\n".to_owned();
    for row in 0..120_000 {
        let _ = writeln!(text, "{},town {}", row % 60_000, row % 60_000 % 500);
    }
    let schema = "columns:\n  town: { sensitive: true }\n";
    for threads in [1, 4] {
        let report = profiled(&text, Some(schema), threads);
        assert_eq!(report.duplicate_rows.duplicates, 60_000);
    }
}

#[test]
fn near_duplicates_of_texts_are_found_and_others_are_not() {
    let mut text = "label,text\n".to_owned();
    for row in 0..500 {
        let word = |at: usize| ["amber", "birch", "cedar", "dune", "ember", "fjord", "grove"][at % 7];
        let (a, b, c) = (word(row), word(row / 7), word(row / 49));
        let _ = writeln!(text, "{},note {row} on the {a} and {b} near the {c}: {}", row % 2, row * 7_919);
    }
    let before = profiled(&text, None, 2);
    let near = before.near_duplicates.clone().unwrap();
    assert_eq!((near.rows, near.columns.as_slice(), near.jaccard), (500, &["text".to_owned()][..], 0.8));
    let long =
        "Please call the number on your last invoice before Friday to claim the prize that you have won";
    for end in ["", "!", "."] {
        let _ = writeln!(text, "1,{long}{end}");
    }
    let after = profiled(&text, None, 2).near_duplicates.unwrap();
    assert_eq!((after.repeated, after.clusters), (near.repeated + 2, near.clusters + 1));
    assert_eq!(near.repeated, 0, "rows that share a form only");
    assert_eq!(kinds(&before), [("label-like", "label")]);
}

#[test]
fn a_table_of_numbers_has_no_near_duplicates() {
    let text = (0..300).fold("a,b\n".to_owned(), |text, row| format!("{text}{row},{}\n", row % 100));
    assert!(profiled(&text, None, 1).near_duplicates.is_none());
}

#[test]
fn no_more_values_are_different_than_there_are() {
    let text = (0..50_000).fold("id\n".to_owned(), |mut text, row| {
        let _ = writeln!(text, "{}", row * 3);
        text
    });
    let report = profiled(&text, None, 2);
    let distinct = report.columns[0].distinct;
    assert!(distinct.count <= 50_000 && distinct.interval.upper <= 50_000.0 && !distinct.exact);
    assert!(distinct.interval.lower < 50_000.0 && kinds(&report) == [("identifier-like", "id")]);
}

#[test]
fn markers_are_told_by_name_and_counted_as_suspects() {
    let text = (0..200).fold("job,n\n".to_owned(), |mut text, row| {
        let job = if row % 20 == 0 {
            "unknown"
        } else {
            ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"][row % 12]
        };
        let _ = writeln!(text, "{job},{row}");
        text
    });
    let report = profiled(&text, None, 1);
    let marker = report.findings.iter().find(|it| it.kind == "missing-marker").unwrap();
    assert!(marker.what.contains("10 values") && marker.what.contains("\"unknown\""), "{}", marker.what);
    assert!(report.quality[1].reason.contains("10 more"), "{}", report.quality[1].reason);
}
