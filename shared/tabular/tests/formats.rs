//! One table in every format tells the same, on one thread or many.

#![allow(clippy::unwrap_used, clippy::float_cmp)]

use std::fmt::Write as _;
use std::io::Write;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::ipc::writer::{FileWriter, StreamWriter};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use tabular::profile::{self, Options, Report};
use tabular::{Declared, Format, Limits, Table};

const ROWS: i64 = 40_000;

fn profiled(path: &Path, threads: usize, schema: Option<&str>) -> Report {
    let declared = schema.map(|text| Declared::parse(text).unwrap());
    let mut table = Table::open(path, Limits::default(), declared.as_ref()).unwrap();
    let threads = NonZeroUsize::new(threads).unwrap();
    profile::run(&mut table, Options { declared: declared.as_ref(), targets: None, now: 0.0, threads })
        .unwrap()
}

fn saved(folder: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

/// Row 0 and row 1 are equal; every tenth weight is missing; a comma and a quote stand in texts.
fn row(at: i64) -> (i64, Option<f64>, String) {
    let at = at.max(1);
    (at, (at % 10 != 0).then_some(at as f64 / 8.0), format!("n, \"{}\"", at % 7))
}

fn batch(rows: std::ops::Range<i64>) -> RecordBatch {
    let rows: Vec<_> = rows.map(row).collect();
    let id: ArrayRef = Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.0)));
    let weight: ArrayRef = Arc::new(rows.iter().map(|row| row.1).collect::<Float64Array>());
    let text: ArrayRef = Arc::new(StringArray::from_iter_values(rows.iter().map(|row| &row.2)));
    RecordBatch::try_from_iter_with_nullable([
        ("id", id, true),
        ("weight", weight, true),
        ("text", text, true),
    ])
    .unwrap()
}

fn delimited(between: char) -> String {
    let mut text = format!("id{between}weight{between}text\n");
    for (id, weight, name) in (0..ROWS).map(row) {
        let weight = weight.map_or(String::new(), |weight| weight.to_string());
        let _ = writeln!(text, "{id}{between}{weight}{between}\"{}\"", name.replace('"', "\"\""));
    }
    text
}

fn jsonl() -> String {
    let line = |(id, weight, text): (i64, Option<f64>, String)| {
        let weight = weight.map_or("null".into(), |weight| weight.to_string());
        format!("{{\"id\": {id}, \"weight\": {weight}, \"text\": {}}}\n", serde_json::json!(text))
    };
    (0..ROWS).map(row).map(line).collect()
}

fn parquet(group: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    let properties = WriterProperties::builder().set_max_row_group_row_count(Some(group)).build();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch(0..1).schema(), Some(properties)).unwrap();
    writer.write(&batch(0..ROWS)).unwrap();
    writer.close().unwrap();
    bytes
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn arrow_file() -> Vec<u8> {
    let mut writer = FileWriter::try_new(Vec::new(), &batch(0..1).schema()).unwrap();
    writer.write(&batch(0..ROWS / 2)).unwrap();
    writer.write(&batch(ROWS / 2..ROWS)).unwrap();
    writer.into_inner().unwrap()
}

fn arrow_stream() -> Vec<u8> {
    let mut writer = StreamWriter::try_new(Vec::new(), &batch(0..1).schema()).unwrap();
    writer.write(&batch(0..ROWS)).unwrap();
    writer.into_inner().unwrap()
}

#[test]
fn every_format_tells_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let csv = delimited(',');
    let files = [
        (Format::Csv, csv.clone().into_bytes()),
        (Format::Csv, gzip(csv.as_bytes())),
        (Format::Csv, zstd::encode_all(csv.as_bytes(), 1).unwrap()),
        (Format::Csv, delimited(';').into_bytes()),
        (Format::Csv, csv.replace('\n', "\r\n").into_bytes()),
        (Format::Csv, csv.encode_utf16().flat_map(u16::to_le_bytes).collect()),
        (Format::Tsv, delimited('\t').into_bytes()),
        (Format::Jsonl, jsonl().into_bytes()),
        (Format::Jsonl, gzip(jsonl().as_bytes())),
        (Format::Parquet, parquet(1 << 20)),
        (Format::Parquet, gzip(&parquet(900))),
        (Format::ArrowFile, arrow_file()),
        (Format::ArrowFile, zstd::encode_all(arrow_file().as_slice(), 1).unwrap()),
        (Format::ArrowStream, arrow_stream()),
    ];
    for (at, (format, bytes)) in files.into_iter().enumerate() {
        // The name says nothing.
        let report = profiled(&saved(folder.path(), &format!("{at}.dat"), &bytes), 2, None);
        assert_eq!((report.file.format, report.rows), (format, ROWS as u64), "{at}");
        let kinds: Vec<_> = report.columns.iter().map(|column| column.kind).collect();
        assert_eq!(kinds, ["int64", "float64", "utf8"], "{at}");
        assert_eq!(report.duplicate_rows.duplicates, 1, "{at}");
        let [id, weight, text] = report.columns.as_slice() else { panic!("{at}: three columns") };
        assert_eq!((weight.missing.count, text.distinct.count), (3_999, 7), "{at}");
        assert!(id.distinct.interval.lower < 39_999.0 && 39_999.0 < id.distinct.interval.upper, "{at}");
        let numbers = weight.numbers.as_ref().unwrap();
        assert_eq!((numbers.min.text(), numbers.max.text()), ("0.125".into(), "4999.875".into()), "{at}");
        assert!(numbers.rank_error < 0.005 && report.quarantine.left == 0, "{at}");
    }
}

#[test]
fn threads_change_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let schema = "{columns: {text: {sensitive: true, values: ['n, \"1\"']}}, label: text, key: [id], sentinels: [0.125]}";
    for (name, bytes) in [("a.csv", delimited(',').into_bytes()), ("a.parquet", parquet(900))] {
        let path = saved(folder.path(), name, &bytes);
        let told = |threads| serde_json::to_string(&profiled(&path, threads, Some(schema))).unwrap();
        let one = told(1);
        for threads in [2, 3, 7] {
            assert_eq!(one, told(threads), "{name} on {threads} threads");
        }
    }
}

#[test]
fn types_that_do_not_hold_are_settled_by_all_rows() {
    let folder = tempfile::tempdir().unwrap();
    let mut text = String::from("a,b,c,d\n");
    for at in 0..30_000 {
        let _ = writeln!(text, "{at},{at},,{at}");
    }
    text.push_str("1.5,x,3,?\n");
    let report = profiled(&saved(folder.path(), "late.csv", text.as_bytes()), 2, None);
    let kinds: Vec<_> = report.columns.iter().map(|column| column.kind).collect();
    assert_eq!(kinds, ["float64", "utf8", "int64", "int64"]);
    assert_eq!(report.rows, 30_001);
    assert_eq!(report.file.notes.len(), 2, "{:?}", report.file.notes);
    assert_eq!(report.columns[1].texts.as_ref().unwrap().looks_like.as_ref().unwrap().misfits, 1);
    assert_eq!(report.columns[3].missing.suspected["?"], 1);
    let mut lines = "{\"a\": 1}\n".repeat(10_000);
    lines.push_str("{\"a\": 2, \"late\": true}\n");
    let report = profiled(&saved(folder.path(), "late.jsonl", lines.as_bytes()), 2, None);
    assert_eq!((report.columns.len(), report.columns[1].missing.count), (2, 10_000));
}

#[test]
fn encodings_are_found_late_too() {
    let folder = tempfile::tempdir().unwrap();
    let mut bytes = b"name,n\n".to_vec();
    for at in 0..40_000 {
        bytes.extend_from_slice(format!("plain{},{at}\n", at % 9).as_bytes());
    }
    bytes.extend_from_slice(b"stra\xDFe,1\n");
    let report = profiled(&saved(folder.path(), "latin.csv", &bytes), 2, None);
    assert_eq!(report.file.encoding.unwrap().as_str(), "windows-1252 (Latin-1)");
    let top: Vec<_> = report.columns[0].top.iter().map(|top| top.value.text()).collect();
    assert!(top.contains(&"straße".to_owned()) && report.file.notes.len() == 1, "{top:?}");
}

#[test]
fn a_schema_is_checked_row_by_row() {
    let folder = tempfile::tempdir().unwrap();
    let text = "id,age,sex,mail,from,to\n1,30,F,a@b.de,2026-01-01,2026-01-02\n2,-5,F,a@b.de,2026-01-01,2026-01-02\n\
                3,x,M,a@b.de,2026-01-01,2026-01-02\n3,40,Q,nobody,2026-01-03,2026-01-02\n5,-999,M,,?,2026-01-02\n";
    let schema = r"
columns:
  id: {type: int64, required: true}
  age: {type: int64, min: 0, max: 120, unit: years, sentinels: [-999]}
  sex: {values: [F, M], sensitive: true}
  mail: {pattern: '[^@ ]+@[^@ ]+', required: true}
  from: {type: timestamp}
sentinels: ['?']
key: [id]
rules: [{left: from, is: '<=', right: to}]
population: {sex: {F: 0.5, M: 0.5}}
audit: {checked: 1000, wrong: 2}
";
    let report = profiled(&saved(folder.path(), "a.csv", text.as_bytes()), 1, Some(schema));
    let counts: Vec<_> = report
        .quarantine
        .counts
        .iter()
        .map(|it| format!("{:?} {}", it.reason, it.column.clone().unwrap_or_default()))
        .collect();
    let expected = ["Type age", "Missing mail", "Range age", "Set sex", "Pattern mail", "Rule from <= to"];
    assert_eq!(counts, expected);
    assert_eq!((report.quarantine.left, report.quarantine.broken, report.rows), (1, 3, 4));
    assert_eq!(report.columns[1].missing.sentinels["-999"], 1);
    assert_eq!(report.columns[4].missing.sentinels["?"], 1);
    assert_eq!(report.duplicate_keys.unwrap().duplicates, 0, "the other row 3 left the table");
    assert!(!report.holds() && report.declared);
    let rejected = report.quarantine.examples.iter().find(|it| it.column.as_deref() == Some("age")).unwrap();
    assert_eq!((rejected.row, rejected.line), (3, Some(4)));
    let accuracy = &report.quality[0];
    assert!(accuracy.interval.unwrap().lower > 0.99 && accuracy.estimate == Some(0.998));
    let absent =
        profiled(&saved(folder.path(), "b.csv", b"id\n1\n2\n"), 1, Some("{columns: {age: {type: int64}}}"));
    assert_eq!(absent.breaches, ["column \"age\" is not in the file"]);
}

#[test]
fn a_suggested_schema_holds() {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in [("a.csv", delimited(',').into_bytes()), ("a.parquet", parquet(5_000))] {
        let path = saved(folder.path(), name, &bytes);
        let suggested = serde_norway::to_string(&profiled(&path, 1, None).suggested).unwrap();
        let report = profiled(&path, 1, Some(&suggested));
        assert!(report.holds(), "{name}: {suggested} {:?} {:?}", report.quarantine, report.breaches);
    }
}

#[test]
fn a_page_holds_nothing_that_a_file_put_there() {
    let folder = tempfile::tempdir().unwrap();
    let text = "<script>alert(1)</script>,\"a\"\"onload=x\"\n<img src=x>,&amp;\n<img src=x>,2\n";
    let report = profiled(&saved(folder.path(), "a<b>.csv", text.as_bytes()), 1, None);
    let page = tabular::show::page(&report);
    for bad in ["<script", "<img", "http://", "https://", "a<b>", "src="] {
        let shown = page.replace("&lt;img src=x&gt;", "");
        assert!(!shown.contains(bad), "{bad}");
    }
    assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;") && page.ends_with("</html>\n"));
}
