//! A file read as a stream: the same rows in every format, types that settle late, and what is wrong is told.

#![allow(clippy::unwrap_used)]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, Date32Array, Int32Array, ListArray, RecordBatch, UInt64Array};
use arrow::datatypes::Int32Type;
use features::Kind;
use features::diff::{Extent, Options, Source, compare};
use parquet::arrow::ArrowWriter;
use tabular::error::Cause;
use tabular::stream::Stream;
use tabular::{Error, Limits};

fn saved(folder: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

fn open(path: &Path) -> Stream {
    Stream::open(path, Limits::default()).unwrap()
}

/// Compares two files as the command does: types that settle late are settled, then it begins anew.
fn difference(before: &Path, after: &Path) -> features::diff::Difference {
    let (mut before, mut after) = (open(before), open(after));
    let options = Options { key: vec!["id".into()], ..Options::default() };
    loop {
        match compare(&before, &after, &options) {
            Ok(found) => return found,
            Err(error) => assert!(before.recover().unwrap() | after.recover().unwrap(), "{error}"),
        }
    }
}

fn csv(rows: usize, change: impl Fn(usize) -> Option<String>) -> String {
    let mut text = "id,n,t\n".to_owned();
    for row in 0..rows {
        let value = change(row).unwrap_or_else(|| (row * 3).to_string());
        let _ = writeln!(text, "{row},{value},text {}", row % 5);
    }
    text
}

#[test]
fn a_table_in_two_formats_does_not_differ_and_one_cell_does() {
    let folder = tempfile::tempdir().unwrap();
    let mut lines = String::new();
    for row in 0..30_000 {
        let _ = writeln!(lines, "{{\"id\":{row},\"n\":{},\"t\":\"text {}\"}}", row * 3, row % 5);
    }
    let before = saved(folder.path(), "a.csv", csv(30_000, |_| None).as_bytes());
    let same = saved(folder.path(), "b.jsonl", lines.as_bytes());
    let found = difference(&before, &same);
    assert_eq!((found.extent, found.rows.same), (Extent::Nothing, 30_000));
    let other = csv(30_000, |row| (row == 12_345).then(|| "7".into()));
    let found = difference(&before, &saved(folder.path(), "c.csv", other.as_bytes()));
    assert_eq!((found.rows.changed, found.rows.same), (1, 29_999));
    assert_eq!(found.examples.changed, [(12_345, 12_345)]);
}

#[test]
fn a_type_that_holds_for_the_first_rows_alone_is_settled_by_all() {
    let folder = tempfile::tempdir().unwrap();
    let before = saved(folder.path(), "a.csv", csv(60_000, |_| None).as_bytes());
    let late = csv(60_000, |row| (row == 59_990).then(|| "soon".into()));
    let after = saved(folder.path(), "b.csv", late.as_bytes());
    let mut stream = open(&after);
    assert_eq!(Kind::of(stream.schema().field(1).data_type()), Some(Kind::Int64), "so it begins");
    let rows = stream.whole(1 << 30).unwrap();
    assert_eq!((rows.num_rows(), Kind::of(rows.schema().field(1).data_type())), (60_000, Some(Kind::Utf8)));
    let found = difference(&before, &after);
    assert_eq!((found.extent, found.rows.changed), (Extent::Schema, 1), "the others have the same text");
}

#[test]
fn values_of_other_types_are_taken_as_the_nearest_of_the_five() {
    let folder = tempfile::tempdir().unwrap();
    let written = |columns: Vec<(&str, ArrayRef)>, name: &str| {
        let rows = RecordBatch::try_from_iter(columns).unwrap();
        let mut bytes = Vec::new();
        let mut writer = ArrowWriter::try_new(&mut bytes, rows.schema(), None).unwrap();
        writer.write(&rows).unwrap();
        writer.close().unwrap();
        saved(folder.path(), name, &bytes)
    };
    let lists = ListArray::from_iter_primitive::<Int32Type, _, _>([Some(vec![Some(1), None]), None]);
    let path = written(
        vec![
            ("i", Arc::new(Int32Array::from(vec![1, -2]))),
            ("d", Arc::new(Date32Array::from(vec![0, 1]))),
            ("l", Arc::new(lists)),
        ],
        "a.parquet",
    );
    let rows = open(&path).whole(1 << 20).unwrap();
    let text =
        |column: &str, row| features::Values::in_batch(&rows, column).unwrap().text(row).map(String::from);
    assert_eq!((text("i", 1).as_deref(), text("l", 0).as_deref()), (Some("-2"), Some("[1, ]")));
    assert!(text("d", 1).unwrap().starts_with("1970-01-02T00:00:00") && text("l", 1).is_none());

    let huge = written(vec![("u", Arc::new(UInt64Array::from(vec![u64::MAX])))], "b.parquet");
    let refused: Error = open(&huge).whole(1 << 20).unwrap_err();
    assert!(refused.cause == Cause::Damaged && refused.to_string().contains("column u"), "{refused}");
}

#[test]
fn rows_that_cannot_be_read_are_counted_and_too_many_bytes_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut text = csv(2_000, |_| None);
    text.push_str("1,2\n3,4,5,6\n7,8,nine\n");
    let mut stream = open(&saved(folder.path(), "a.csv", text.as_bytes()));
    let rows = stream.whole(1 << 20).unwrap();
    assert_eq!((rows.num_rows() as u64 + stream.unread(), stream.unread()), (2_003, 2));
    let refused = stream.whole(1_000).unwrap_err();
    assert_eq!(refused.cause, Cause::Limit, "{refused}");
}
