//! What the difference of two keyed tables of a million rows costs: `cargo run --release -p features --example
//! diff_million [FOLDER]`. Both are written as Arrow files and read from there.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::SchemaRef;
use arrow::ipc::reader::FileReader;
use arrow::ipc::writer::FileWriter;
use features::diff::{Batches, Options, Source, compare};
use statistics::random::SplitMix64;

const ROWS: i64 = 1_000_000;
const BATCH: i64 = 8192;
type Failure = Box<dyn std::error::Error>;

/// Twenty columns: a key, twelve numbers, six texts of few and of many levels, a split.
fn batch(begin: i64, end: i64, version: u64) -> Result<RecordBatch, Failure> {
    let keys = || begin..end;
    let random = |key: i64, column: u64| SplitMix64::new(key as u64 * 31 + column);
    // The second version changes one column of one row in a hundred, and moves one row in a thousand.
    let column_of = |key: i64, column: u64| {
        let changed = version == 1 && key % 100 == 7 && column == (key / 100) as u64 % 18;
        random(key, column + if changed { 1000 } else { 0 })
    };
    let mut columns: Vec<(String, ArrayRef)> =
        vec![("id".into(), Arc::new(Int64Array::from_iter_values(keys())))];
    for column in 0..12 {
        let values = keys().map(|key| column_of(key, column).next_f64());
        columns.push((format!("number_{column}"), Arc::new(Float64Array::from_iter_values(values))));
    }
    for column in 12..18 {
        let levels = 10_usize.pow(column as u32 - 11);
        let values = keys().map(|key| format!("level {}", column_of(key, column).below(levels)));
        columns.push((format!("text_{column}"), Arc::new(StringArray::from_iter_values(values))));
    }
    let split = |key: i64| match random(key, 99).below(10) {
        0 => "test",
        1 => "validation",
        _ if version == 1 && key % 1000 == 3 => "validation",
        _ => "train",
    };
    columns.push(("split".into(), Arc::new(StringArray::from_iter_values(keys().map(split)))));
    Ok(RecordBatch::try_from_iter(columns)?)
}

fn write(path: &Path, version: u64) -> Result<(), Failure> {
    // The second version lacks the first thousand rows and has a thousand more at its end.
    let shift = version as i64 * 1000;
    let mut writer = FileWriter::try_new(File::create(path)?, &batch(0, 1, 0)?.schema())?;
    let mut begin = shift;
    while begin < ROWS + shift {
        let end = (begin + BATCH).min(ROWS + shift);
        writer.write(&batch(begin, end, version)?)?;
        begin = end;
    }
    Ok(writer.finish()?)
}

struct ArrowFile {
    path: PathBuf,
    schema: SchemaRef,
}

impl ArrowFile {
    fn open(path: PathBuf) -> Result<Self, Failure> {
        let schema = FileReader::try_new(File::open(&path)?, None)?.schema();
        Ok(Self { path, schema })
    }
}

impl Source for ArrowFile {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn batches(&self) -> features::Result<Batches<'_>> {
        let file = File::open(&self.path).map_err(|error| features::Error::Arrow(error.to_string()))?;
        let reader = FileReader::try_new_buffered(file, None)?;
        Ok(Box::new(reader.map(|batch| Ok(batch?))))
    }
}

/// Processor seconds and peak memory in MiB of this process, where the system tells (Linux).
fn used() -> (f64, f64) {
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    let stat = read("/proc/self/stat");
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<f64>().ok()).unwrap_or(f64::NAN);
    let status = read("/proc/self/status");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    let peak = peak.trim().trim_end_matches(" kB").parse::<f64>().unwrap_or(f64::NAN);
    ((ticks(11) + ticks(12)) / 100.0, peak / 1024.0)
}

fn main() -> Result<(), Failure> {
    let folder = std::env::args().nth(1).map_or_else(std::env::temp_dir, PathBuf::from);
    let paths = [0_u64, 1].map(|version| folder.join(format!("diff-million-{version}.arrow")));
    for (path, version) in paths.iter().zip(0..) {
        if !path.exists() {
            write(path, version)?;
        }
    }
    let [before, after] = paths;
    let (before, after) = (ArrowFile::open(before)?, ArrowFile::open(after)?);
    let options = Options { key: vec!["id".into()], split: Some("split".into()), ..Options::default() };
    let (begin, _) = used();
    let found = compare(&before, &after, &options)?;
    let (end, peak) = used();
    println!("{:?}", found.rows);
    for one in &found.columns {
        println!("{}: {} changed", one.column, one.changed);
    }
    println!("moved: {:?}", found.moved);
    println!("{:.2} CPU seconds, peak {peak:.0} MiB, {} passes", end - begin, found.passes);
    Ok(())
}
