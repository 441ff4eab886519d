//! Files that want to do harm end in one clear error, or in rows that are counted.

#![allow(clippy::unwrap_used)]

use std::io::Write;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, DictionaryArray, Int32Array, RecordBatch, StringArray};
use parquet::arrow::ArrowWriter;
use proptest::prelude::*;
use tabular::profile::{self, Options, Report};
use tabular::quarantine::Reason;
use tabular::{Cause, Error, Limits, Table};

fn profiled(path: &Path, limits: Limits) -> Result<Report, Error> {
    let mut table = Table::open(path, limits, None)?;
    let threads = NonZeroUsize::new(2).unwrap();
    profile::run(&mut table, Options { declared: None, targets: None, now: 0.0, threads })
}

fn saved(folder: &tempfile::TempDir, bytes: &[u8]) -> PathBuf {
    let path = folder.path().join("hostile.dat");
    std::fs::write(&path, bytes).unwrap();
    path
}

fn refused(bytes: &[u8], limits: Limits) -> Error {
    let folder = tempfile::tempdir().unwrap();
    let error = profiled(&saved(&folder, bytes), limits).unwrap_err();
    assert!(error.to_string().contains("hostile.dat") && error.to_string().len() < 600, "{error}");
    error
}

#[test]
fn what_is_no_table_is_named() {
    for (bytes, says) in [
        (&b""[..], "is empty"),
        (b"   \n \n", "white space"),
        (b"PAR1\x00\x01PAR1", "cannot be read"),
        (b"PAR1\xFF\xFF\xFF\x7FPAR1", "cannot be read"),
        (b"ARROW1\x00\x00rubbish, rubbish, rubbish", "cannot be read"),
        (b"\xFF\xFF\xFF\xFF\x10\x00\x00\x00rubbish rubbish rubbish", "cannot be read"),
        (b"PK\x03\x04rest", "ZIP"),
        (b"\x1F\x8B\x08rubbish", "cannot be read"),
        (b"\x28\xB5\x2F\xFDrubbish", "cannot be read"),
        (b"\x00\x01\x02\x03\x04\x05\x06\x07", "neither text"),
        (b"[{\"a\": 1}]", "JSON array"),
    ] {
        let error = refused(bytes, Limits::default());
        assert!(error.to_string().contains(says), "{error}");
    }
    let folder = Table::open(Path::new("/"), Limits::default(), None).unwrap_err();
    assert!(folder.to_string().contains("folder"));
    let absent = Table::open(Path::new("/nowhere/at.all"), Limits::default(), None).unwrap_err();
    assert_eq!(absent.cause, Cause::Unreadable);
}

#[test]
fn too_many_columns_are_refused() {
    let wide: Vec<String> = (0..100_000).map(|at| format!("c{at}")).collect();
    let error = refused(format!("{}\n1\n", wide.join(",")).as_bytes(), Limits::default());
    assert!(error.cause == Cause::Limit && error.to_string().contains("100000 columns"), "{error}");
    let object: Vec<String> = wide.iter().map(|name| format!("\"{name}\": 1")).collect();
    let error = refused(format!("{{{}}}\n", object.join(",")).as_bytes(), Limits::default());
    assert!(error.cause == Cause::Limit, "{error}");
}

#[test]
fn bombs_are_put_out() {
    let lines = "a,b\n".repeat(1 << 18).into_bytes();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let mut zstd = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
    for _ in 0..160 {
        gzip.write_all(&lines).unwrap();
        zstd.write_all(&lines).unwrap();
    }
    for bomb in [gzip.finish().unwrap(), zstd.finish().unwrap()] {
        assert!(bomb.len() < 3 << 20);
        let limits = Limits { unfolding: 20, ..Limits::default() };
        let error = refused(&bomb, limits);
        assert!(error.cause == Cause::Limit && error.to_string().contains("unfold"), "{error}");
        assert!(error.row.is_some_and(|row| row > 1_000_000), "{error}");
    }
}

#[test]
fn a_dictionary_that_repeats_a_long_value_is_refused() {
    let long: ArrayRef = Arc::new(StringArray::from(vec!["x".repeat(100_000)]));
    let keys = Int32Array::from(vec![0; 20_000]);
    let repeated: ArrayRef = Arc::new(DictionaryArray::try_new(keys, long).unwrap());
    let batch = RecordBatch::try_from_iter([("bomb", repeated)]).unwrap();
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    assert!(bytes.len() < 1 << 20);
    let error = refused(&bytes, Limits { unfolded_bytes: 1 << 30, ..Limits::default() });
    assert!(error.cause == Cause::Limit && error.column.as_deref() == Some("bomb"), "{error}");
    let error = refused(&bytes, Limits { cell_bytes: 1_000, ..Limits::default() });
    assert!(error.to_string().contains("100000 bytes") && error.row == Some(1), "{error}");
    let error = refused(&bytes, Limits { rows: 100, ..Limits::default() });
    assert!(error.to_string().contains("20000 rows"), "{error}");
}

#[test]
fn wrong_rows_are_counted_by_reason() {
    let folder = tempfile::tempdir().unwrap();
    let mut text = b"a,b\n".to_vec();
    for at in 0..1_000 {
        text.extend_from_slice(format!("{at},name\u{e9}\n").as_bytes());
    }
    text.extend_from_slice(b"1,2,3\n4\n5,\"six\"seven\n8,n\0l\n9,\xFFx\n10,ok\n11,\"never closed\n12,ok\n");
    let report = profiled(&saved(&folder, &text), Limits::default()).unwrap();
    let counts: Vec<_> = report.quarantine.counts.iter().map(|it| (it.reason, it.count)).collect();
    let expected = [
        (Reason::Ragged, 2),
        (Reason::UnclosedQuote, 1),
        (Reason::TextAfterQuote, 1),
        (Reason::NotText, 1),
        (Reason::Nul, 1),
    ];
    assert_eq!(counts, expected);
    assert_eq!((report.rows, report.quarantine.left), (1_002, 6));
    let unclosed = report.quarantine.examples.iter().find(|it| it.reason == Reason::UnclosedQuote).unwrap();
    assert_eq!((unclosed.row, unclosed.line), (1_007, Some(1_008)));
}

#[test]
fn long_rows_and_cells_are_bounded() {
    let limits = Limits { row_bytes: 1 << 20, cell_bytes: 1 << 10, ..Limits::default() };
    let error = refused(format!("a,b\n{},2\n", "x".repeat(2 << 20)).as_bytes(), limits);
    assert!(error.cause == Cause::Limit && error.row == Some(1), "{error}");
    let folder = tempfile::tempdir().unwrap();
    let report =
        profiled(&saved(&folder, format!("a,b\n{},2\n1,2\n", "x".repeat(2_000)).as_bytes()), limits).unwrap();
    assert_eq!((report.rows, report.quarantine.counts[0].reason), (1, Reason::TooLong));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    /// Whatever the bytes are, they end in a report or in an error that names the file; all rows are in one of the two places.
    #[test]
    fn any_bytes_end_well(begin in 0_usize..6, bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let starts: [&[u8]; 6] = [b"", b"PAR1", b"ARROW1\0\0", b"{\"a\": 1}\n", b"a,b\n1,2\n", b"\xFF\xFF\xFF\xFF\x08\0\0\0"];
        let folder = tempfile::tempdir().unwrap();
        let path = saved(&folder, &[starts[begin], &bytes].concat());
        if let Err(error) = profiled(&path, Limits::default()) {
            prop_assert!(error.to_string().contains("hostile.dat"));
        }
    }

    /// Rows of a CSV file are in the table or in quarantine, none is lost.
    #[test]
    fn no_row_is_lost(rows in prop::collection::vec("[a-z,\"0-9]{1,12}", 1..60)) {
        let folder = tempfile::tempdir().unwrap();
        let path = saved(&folder, format!("first,second\nx,y\n{}\n", rows.join("\n")).as_bytes());
        let report = profiled(&path, Limits::default()).unwrap();
        // A quote may join lines, never more than there are.
        let told = report.rows + report.quarantine.left;
        prop_assert!(told <= rows.len() as u64 + 2 && told >= 1);
        if !rows.iter().any(|row| row.contains('"')) {
            prop_assert_eq!(told, rows.len() as u64 + 1);
        }
    }
}
