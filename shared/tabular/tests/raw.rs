//! A file of any format as text columns: the same texts from each, what was recognised, and no row lost.

#![allow(clippy::unwrap_used)]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{
    ArrayRef, AsArray, DictionaryArray, Float64Array, Int32Array, Int64Array, ListArray, RecordBatch,
    StringArray, UInt64Array,
};
use arrow::compute::concat_batches;
use arrow::datatypes::{Int32Type, UInt64Type};
use arrow::ipc::reader::FileReader;
use arrow::ipc::writer::{FileWriter, StreamWriter};
use parquet::arrow::ArrowWriter;
use parquet::file::metadata::{ParquetMetaDataReader, ParquetMetaDataWriter};
use proptest::prelude::*;
use serde_json::Value;
use tabular::raw::{self, Asked, Blame, Fault, Found, Job};

struct Done {
    found: Found,
    batch: RecordBatch,
    rows: Vec<u64>,
    quarantine: Vec<Value>,
}

impl Done {
    fn texts(&self, column: &str) -> Vec<Option<String>> {
        let array = self.batch.column_by_name(column).unwrap().as_string::<i32>();
        array.iter().map(|text| text.map(str::to_owned)).collect()
    }

    fn kind(&self, column: &str) -> Option<&str> {
        let schema = self.batch.schema_ref();
        schema.field_with_name(column).unwrap().metadata().get(raw::KIND).map(String::as_str)
    }
}

fn job(folder: &Path, bytes: &[u8]) -> Job {
    let path = folder.join("input");
    std::fs::write(&path, bytes).unwrap();
    Job {
        path,
        format: None,
        input: 2,
        first_row: 100,
        dropped: Vec::new(),
        missing: vec!["?".into()],
        names: Vec::new(),
        reserved: vec!["__mine".into()],
        rows: 1_000_000,
        columns: 4_096,
        cell_bytes: 1 << 20,
        table_bytes: 256 << 20,
        unfolded_bytes: 1 << 30,
        quarantine_lines: 1_000,
        result: folder.join("rows.arrow"),
        quarantine: folder.join("quarantine.jsonl"),
    }
}

fn done(job: &Job) -> Result<Done, Fault> {
    let found = raw::read(job)?;
    let reader = FileReader::try_new(std::fs::File::open(&job.result).unwrap(), None).unwrap();
    let schema = reader.schema();
    let batch = concat_batches(&schema, &reader.map(Result::unwrap).collect::<Vec<_>>()).unwrap();
    let rows = batch.column(batch.num_columns() - 1).as_primitive::<UInt64Type>().values().to_vec();
    let lines = std::fs::read_to_string(&job.quarantine).unwrap();
    let quarantine = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(found.taken, rows.len() as u64);
    Ok(Done { found, batch, rows, quarantine })
}

fn read(bytes: &[u8]) -> Result<Done, Fault> {
    read_with(bytes, |_| {})
}

fn read_with(bytes: &[u8], change: impl FnOnce(&mut Job)) -> Result<Done, Fault> {
    let folder = tempfile::tempdir().unwrap();
    let mut job = job(folder.path(), bytes);
    change(&mut job);
    done(&job)
}

fn refused(bytes: &[u8], change: impl FnOnce(&mut Job)) -> String {
    let fault = read_with(bytes, change).err().expect("it is refused");
    assert_eq!(fault.blame, Blame::Data, "{fault:?}");
    assert!(!fault.what.contains("/tmp") && fault.what.len() < 600, "{}", fault.what);
    fault.what
}

fn batch() -> RecordBatch {
    let id: ArrayRef = Arc::new(Int64Array::from_iter_values(0..3_000));
    let weight: ArrayRef = Arc::new(
        (0..3_000).map(|at| (at % 10 != 0).then_some(f64::from(at) + 0.5)).collect::<Float64Array>(),
    );
    let text: ArrayRef = Arc::new((0..3_000).map(|at| Some(format!("{at}, \"x\""))).collect::<StringArray>());
    RecordBatch::try_from_iter_with_nullable([
        ("id", id, true),
        ("weight", weight, true),
        ("text", text, true),
    ])
    .unwrap()
}

fn parquet(batch: &RecordBatch) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), None).unwrap();
    writer.write(batch).unwrap();
    writer.close().unwrap();
    bytes
}

fn delimited(between: char) -> Vec<u8> {
    let mut text = format!("id{between}weight{between}text\n");
    for at in 0..3_000 {
        let weight = if at % 10 == 0 { String::new() } else { format!("{at}.5") };
        text += &format!("{at}{between}{weight}{between}\"{at}, \"\"x\"\"\"\n");
    }
    text.into_bytes()
}

fn jsonl() -> Vec<u8> {
    let line = |at: i32| {
        let weight = if at % 10 == 0 { "null".into() } else { format!("{at}.5") };
        format!("{{\"id\":{at},\"weight\":{weight},\"text\":\"{at}, \\\"x\\\"\"}}\n")
    };
    (0..3_000).map(line).collect::<String>().into_bytes()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn every_format_gives_the_same_texts() {
    let batch = batch();
    let mut file = Vec::new();
    let mut writer = FileWriter::try_new(&mut file, &batch.schema()).unwrap();
    writer.write(&batch).unwrap();
    writer.finish().unwrap();
    drop(writer);
    let mut stream = Vec::new();
    let mut writer = StreamWriter::try_new(&mut stream, &batch.schema()).unwrap();
    writer.write(&batch).unwrap();
    writer.finish().unwrap();
    drop(writer);
    let utf16: Vec<u8> = std::iter::once(0xFEFF)
        .chain(String::from_utf8(delimited(',')).unwrap().encode_utf16())
        .flat_map(u16::to_le_bytes)
        .collect();
    let first = read(&delimited(',')).unwrap();
    assert_eq!(first.found.detected["dialect"]["delimiter"], ",");
    assert_eq!(first.found.detected["encoding"], "UTF-8");
    let formats = [
        (delimited(';'), "CSV", Asked::Csv),
        (delimited('\t'), "TSV", Asked::Tsv),
        (utf16, "CSV", Asked::Csv),
        (jsonl(), "JSON lines", Asked::Jsonl),
        (parquet(&batch), "Parquet", Asked::Parquet),
        (file, "Arrow IPC file", Asked::Arrow),
        (stream, "Arrow IPC stream", Asked::Arrow),
    ];
    for (bytes, name, asked) in formats {
        for (bytes, compression) in [
            (bytes.clone(), "none"),
            (gzip(&bytes), "gzip"),
            (zstd::encode_all(&bytes[..], 1).unwrap(), "zstd"),
        ] {
            let done = read_with(&bytes, |job| job.format = Some(asked)).unwrap();
            assert_eq!(done.found.detected["format"], name);
            assert_eq!(done.found.detected["compression"], compression);
            assert_eq!((done.found.left, &done.rows), (0, &first.rows), "{name}");
            for column in ["id", "weight", "text"] {
                assert_eq!(done.texts(column), first.texts(column), "{name} {compression} {column}");
            }
            let other = if asked == Asked::Jsonl { Asked::Parquet } else { Asked::Jsonl };
            let what = refused(&bytes, |job| job.format = Some(other));
            assert_eq!(what, format!("is {name}, and the request says {}", other.as_str()));
        }
    }
}

#[test]
fn types_that_a_file_declares_are_told_and_no_others() {
    let mut columns: Vec<(&str, ArrayRef)> = vec![
        ("code", Arc::new(StringArray::from(vec!["1", "2"]))),
        ("n", Arc::new(Int32Array::from(vec![1, 2]))),
        ("big", Arc::new(UInt64Array::from(vec![1, u64::MAX]))),
        ("x", Arc::new(Float64Array::from(vec![1.0, f64::NAN]))),
        ("__index_level_0__", Arc::new(Int32Array::from(vec![9, 8]))),
    ];
    let batch = RecordBatch::try_from_iter(columns.clone()).unwrap();
    let done = read(&parquet(&batch)).unwrap();
    let names: Vec<_> = done.batch.schema_ref().fields().iter().map(|field| field.name().as_str()).collect();
    assert_eq!(names, ["code", "n", "big", "x", raw::ROW], "the index that pandas writes is no column");
    assert_eq!(
        ["code", "n", "big", "x"].map(|name| done.kind(name)),
        [Some("utf8"), Some("int64"), None, Some("float64")]
    );
    assert_eq!(done.texts("big")[1].as_deref(), Some("18446744073709551615"));
    assert_eq!(done.texts("x")[1].as_deref(), Some("NaN"));

    let lines =
        b"{\"code\":\"7\",\"n\":1,\"deep\":[1,{\"a\":2}]}\n{\"code\":\"8\",\"n\":\"?\",\"late\":true}\n";
    let done = read(lines).unwrap();
    assert_eq!([done.kind("code"), done.kind("n"), done.kind("late")], [Some("utf8"), None, None]);
    assert_eq!(done.texts("deep"), [Some("[1,{\"a\":2}]".to_owned()), None]);
    assert_eq!(done.texts("late"), [None, Some("true".to_owned())]);

    let lists = ListArray::from_iter_primitive::<Int32Type, _, _>(vec![Some(vec![Some(1)]), None]);
    columns.push(("lists", Arc::new(lists)));
    let nested = parquet(&RecordBatch::try_from_iter(columns).unwrap());
    let what = refused(&nested, |_| {});
    assert!(what.contains("\"lists\"") && what.contains("may drop it"), "{what}");
    let done = read_with(&nested, |job| job.dropped = vec!["lists".into()]).unwrap();
    assert_eq!(done.texts("lists"), [None, None]);
}

#[test]
fn wrong_rows_are_kept_with_place_reason_and_value() {
    let text = "a,b\n1,2\n1,2,3\n4,\"x\"y\n5,n\0l\n6,\"z\n".to_owned() + &"\"7\",8\n".repeat(20);
    let done = read(text.as_bytes()).unwrap();
    assert_eq!((done.found.taken, done.found.left, done.found.quarantined), (21, 4, 4));
    assert_eq!((done.rows[..2].to_vec(), done.texts("a")[1].as_deref()), (vec![0, 5], Some("7")));
    let kept: Vec<_> = done
        .quarantine
        .iter()
        .map(|line| {
            (line["row"].as_u64().unwrap(), line["line"].as_u64().unwrap(), line["value"].as_str().unwrap())
        })
        .collect();
    let places: Vec<_> = kept.iter().map(|(row, line, _)| (*row, *line)).collect();
    assert_eq!(places, [(2, 3), (3, 4), (5, 6), (4, 5)]);
    for (at, what) in ["1,2,3", "4,\\\"x\\\"y", "6,\\\"z", "n\\0l"].into_iter().enumerate() {
        assert!(kept[at].2.contains(what), "{what}: {}", kept[at].2);
    }
    let first = &done.quarantine[0];
    assert_eq!((first["input"].as_u64(), first["source_row"].as_u64()), (Some(2), Some(101)));
    assert_eq!(
        (&first["rule"], &first["reason"]),
        (&"readable".into(), &"another number of cells than columns".into())
    );
    assert_eq!(done.quarantine[3]["column"], "b");
}

#[test]
fn what_quarantine_has_no_room_for_is_counted() {
    let text = "a,b\n1,2\n".to_owned() + &"1,2,3\n".repeat(50);
    let done = read_with(text.as_bytes(), |job| job.quarantine_lines = 20).unwrap();
    assert_eq!((done.found.taken, done.found.left, done.quarantine.len()), (1, 50, 21));
    assert_eq!(done.quarantine[20]["rows_without_a_line"], 30);
    let what = refused(b"a,b\n1,2,3\n\"x\n", |_| {});
    assert!(what.starts_with("none of its 2 rows can be read: row 1 (line 2): "), "{what}");
}

#[test]
fn a_header_of_numbers_is_one_where_the_plan_names_a_column() {
    let text = b"id,2019,2020\nx,1,2\ny,3,4\n";
    let done = read(text).unwrap();
    assert_eq!((done.rows.len(), &done.found.detected["dialect"]["header"]), (3, &false.into()));
    let done = read_with(text, |job| job.names = vec!["2020".into()]).unwrap();
    assert_eq!((done.rows.len(), &done.found.detected["dialect"]["header"]), (2, &true.into()));
    assert_eq!(done.texts("2020"), [Some("2".to_owned()), Some("4".to_owned())]);
    let done = read_with(text, |job| job.names = vec!["2021".into()]).unwrap();
    assert_eq!((done.rows.len(), done.batch.schema_ref().field(0).name().as_str()), (3, "column_1"));
}

#[test]
fn cells_keep_their_text() {
    let done = read("a,b\n 007 ,NA\n1e5,\"\"\n?,\u{e9}\u{1F600}\n".as_bytes()).unwrap();
    let wanted = [Some(" 007 "), Some("1e5"), Some("?")].map(|text| text.map(str::to_owned));
    assert_eq!(done.texts("a"), wanted);
    assert_eq!(done.texts("b"), [Some("NA".to_owned()), None, Some("\u{e9}\u{1F600}".to_owned())]);
    assert_eq!(done.kind("a"), None);
    // One byte late in the file shows that it is Latin-1.
    let mut late = b"a,b\n".to_vec();
    for _ in 0..60_000 {
        late.extend_from_slice(b"12345,678\n");
    }
    late.extend_from_slice(b"caf\xE9,1\n");
    let done = read(&late).unwrap();
    assert_eq!(done.texts("a").last().unwrap().as_deref(), Some("caf\u{e9}"));
    assert_eq!((done.found.left, &done.found.detected["encoding"]), (0, &"windows-1252 (Latin-1)".into()));
}

fn petabytes() -> Vec<u8> {
    let bytes = parquet(&batch());
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&bytes).unwrap();
    let metadata = ParquetMetaDataReader::new().parse_and_finish(&file).unwrap();
    let groups = metadata.row_groups().iter().map(|group| {
        let columns = group.columns().iter().cloned();
        let columns =
            columns.map(|column| column.into_builder().set_total_uncompressed_size(1 << 53).build().unwrap());
        group.clone().into_builder().set_column_metadata(columns.collect()).build().unwrap()
    });
    let groups = groups.collect();
    let hostile = metadata.into_builder().set_row_groups(groups).build();
    let footer = u32::from_le_bytes(bytes[bytes.len() - 8..bytes.len() - 4].try_into().unwrap()) as usize;
    let mut made = bytes[..bytes.len() - 8 - footer].to_vec();
    ParquetMetaDataWriter::new(&mut made, &hostile).finish().unwrap();
    made
}

#[test]
fn hostile_files_are_refused_with_what_and_where() {
    let wide = (0..100_000).map(|at| format!("c{at}")).collect::<Vec<_>>().join(",");
    let object = (0..100_000).map(|at| format!("\"c{at}\":1")).collect::<Vec<_>>().join(",");
    let object = format!("{{{object}}}\n");
    let deep = format!("{{\"a\":{}1{}}}\n", "[".repeat(50_000), "]".repeat(50_000));
    let long: ArrayRef = Arc::new(StringArray::from(vec!["x".repeat(100_000)]));
    let keys = Int32Array::from(vec![0; 20_000]);
    let repeated: ArrayRef = Arc::new(DictionaryArray::try_new(keys, long).unwrap());
    let repeated = parquet(&RecordBatch::try_from_iter([("bomb", repeated)]).unwrap());
    let mut bomb = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    bomb.write_all(&"a,b\n".repeat(40 << 20).into_bytes()).unwrap();
    let bomb = bomb.finish().unwrap();
    assert!(bomb.len() < 1 << 20 && repeated.len() < 1 << 20);
    let files: [(&[u8], &str); 17] = [
        (b"", "is empty"),
        (b"PAR1\x00\x01PAR1", "cannot be read"),
        (&petabytes(), "unfold to"),
        (&repeated, "column \"bomb\": holds more than 1073741824 bytes of values"),
        (&bomb, "unfold"),
        (&wide.clone().into_bytes(), "100000 columns"),
        (object.as_bytes(), "columns"),
        (deep.as_bytes(), "no row of it can be read"),
        (b"__mine\nx\n", "the name is reserved"),
        (b"{\"a\":1,\"\\u0007\":2}\n", "control characters"),
        (b"PK\x03\x04rest", "ZIP"),
        (b"[{\"a\": 1}]", "JSON array"),
        (b"\x1F\x8B\x08rubbish", "cannot be read"),
        (b"\x28\xB5\x2F\xFDrubbish", "cannot be read"),
        (b"ARROW1\x00\x00rubbish, rubbish, rubbish", "cannot be read"),
        (b"\x00\x01\x02\x03\x04\x05\x06\x07", "neither text"),
        (&gzip(&gzip(b"a,b\n1,2\n")), "compressed twice"),
    ];
    for (bytes, what) in files {
        let said = refused(bytes, |job| (job.rows, job.table_bytes) = (1 << 40, 1 << 30));
        assert!(said.contains(what), "required {what:?}, observed {said:?}");
    }
    let rows = "a,b\n".to_owned() + &"1,2\n".repeat(50);
    for (change, what) in [
        ((|job| job.rows = 20) as fn(&mut Job), "row 21 (line 22): has more than 20 rows"),
        (|job| job.columns = 1, "has 2 columns"),
        (|job| job.table_bytes = 200, "holds more than 200 bytes"),
        (|job| job.cell_bytes = 0, "row 1 (line 1): is longer than 0 bytes"),
    ] {
        let said = refused(rows.as_bytes(), change);
        assert!(said.contains(what), "required {what:?}, observed {said:?}");
    }
}

#[test]
fn a_folder_that_cannot_be_written_is_no_fault_of_the_file() {
    let nowhere = |job: &mut Job| job.result = PathBuf::from("/nowhere/rows.arrow");
    let fault = read_with(b"a,b\n1,2\n", nowhere).err().unwrap();
    assert_eq!(fault.blame, Blame::Host, "{fault:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    /// Whatever the bytes are, they end in rows and rejects or in a fault of the file.
    #[test]
    fn any_bytes_end_well(begin in 0_usize..6, bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let starts: [&[u8]; 6] = [b"", b"PAR1", b"ARROW1\0\0", b"{\"a\": 1}\n", b"a,b\n1,2\n", b"\xFF\xFF\xFF\xFF\x08\0\0\0"];
        match read(&[starts[begin], &bytes].concat()) {
            Ok(done) => prop_assert_eq!(done.found.left, done.quarantine.len() as u64),
            Err(fault) => prop_assert_eq!(fault.blame, Blame::Data),
        }
    }

    /// Every row is in one of the two files, at its own place, and as it stood.
    #[test]
    fn no_row_is_lost(rows in prop::collection::vec("[a-z]{1,8}(,[a-z0-9]{1,8}){0,2}", 1..80)) {
        let text = format!("first,second\nx,y\n{}\n", rows.join("\n"));
        let done = read(text.as_bytes()).unwrap();
        let all: Vec<&str> = std::iter::once("x,y").chain(rows.iter().map(String::as_str)).collect();
        let (first, second) = (done.texts("first"), done.texts("second"));
        for (at, row) in done.rows.iter().enumerate() {
            let cells = format!("{},{}", first[at].clone().unwrap(), second[at].clone().unwrap());
            prop_assert_eq!(&cells, all[*row as usize]);
        }
        for line in &done.quarantine {
            let at = line["row"].as_u64().unwrap() as usize - 1;
            prop_assert!(line["value"].as_str().unwrap().contains(all[at]), "{}", line);
        }
        prop_assert_eq!(done.found.taken + done.found.left, all.len() as u64);
    }
}
