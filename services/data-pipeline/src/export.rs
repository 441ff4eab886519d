//! Stored Parquet in other formats: CSV, TSV, JSON lines, Arrow, audit samples. In texts numbers have all their digits, and missing values are empty.

use std::io::Write;

use arrow::array::{RecordBatch, RecordBatchReader};
use arrow::datatypes::Schema;
use arrow::ipc::writer::FileWriter;
use bytes::Bytes;
use contracts::pipeline::v1::{AuditRow, AuditSample};
use features::digest::sha256;
use features::{Kind, Values};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use prost::Message as _;
use statistics::random::SplitMix64;

use crate::Error;
use crate::table::{SOURCE_ROW, SPLIT};

/// A text format.
#[derive(Debug, Clone, Copy)]
pub enum Text {
    /// With a header line.
    Csv,
    /// With a header line, and tabs between cells.
    Tsv,
    /// One object a line.
    Jsonl,
}

impl Text {
    /// What stands between the cells of a delimited text.
    fn between(self) -> Option<char> {
        match self {
            Self::Csv => Some(','),
            Self::Tsv => Some('\t'),
            Self::Jsonl => None,
        }
    }
}

/// A stored file as Arrow IPC, the file form.
///
/// # Errors
/// Of Parquet, of Arrow.
pub fn arrow(parquet: Bytes) -> Result<Vec<u8>, Error> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(parquet)?.build()?;
    arrow_of(&reader.schema(), &reader.collect::<Result<Vec<_>, _>>()?)
}

/// Rows as Arrow IPC, the file form.
///
/// # Errors
/// Of Arrow.
pub fn arrow_of(schema: &Schema, batches: &[RecordBatch]) -> Result<Vec<u8>, Error> {
    let mut out = Vec::new();
    let mut writer = FileWriter::try_new(&mut out, schema)?;
    for batch in batches {
        writer.write(batch)?;
    }
    writer.finish()?;
    drop(writer);
    Ok(out)
}

fn batches(parquet: Bytes) -> Result<Vec<RecordBatch>, Error> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(parquet)?.build()?;
    Ok(reader.collect::<Result<_, _>>()?)
}

fn columns(batch: &RecordBatch) -> Result<Vec<(String, Values<'_>)>, Error> {
    let fields = batch.schema_ref().fields().iter().zip(batch.columns());
    fields.map(|(field, array)| Ok((field.name().clone(), Values::of(field.name(), array)?))).collect()
}

/// A stored file as text.
///
/// # Errors
/// Of Parquet.
pub fn text(parquet: Bytes, format: Text) -> Result<Vec<u8>, Error> {
    text_of(&batches(parquet)?, format)
}

/// Rows as text.
///
/// # Errors
/// [`Error::Features`] for columns of other types than the five.
pub fn text_of(batches: &[RecordBatch], format: Text) -> Result<Vec<u8>, Error> {
    let (mut out, mut headed) = (Vec::new(), false);
    for batch in batches {
        let columns = columns(batch)?;
        if let (Some(between), false) = (format.between(), headed) {
            let names: Vec<_> = columns.iter().map(|(name, _)| quoted(name, between)).collect();
            out.extend(names.join(between.encode_utf8(&mut [0; 4])).bytes());
            out.push(b'\n');
            headed = true;
        }
        for row in 0..batch.num_rows() {
            match format.between() {
                // A line of nothing is a blank line, which readers skip.
                Some(_) if columns.len() == 1 && columns[0].1.is_missing(row) => out.extend(b"\"\""),
                Some(between) => {
                    let cells: Vec<_> = columns
                        .iter()
                        .map(|(_, values)| {
                            values.text(row).map_or(String::new(), |text| quoted(&text, between))
                        })
                        .collect();
                    out.extend(cells.join(between.encode_utf8(&mut [0; 4])).bytes());
                }
                None => json(&columns, row, &mut out)?,
            }
            out.push(b'\n');
        }
    }
    Ok(out)
}

fn quoted(text: &str, between: char) -> String {
    if text.contains([between, '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

fn json(columns: &[(String, Values<'_>)], row: usize, out: &mut Vec<u8>) -> Result<(), Error> {
    let failed = |error: &dyn std::fmt::Display| Error::Internal(error.to_string());
    for (at, (name, values)) in columns.iter().enumerate() {
        out.push(if at == 0 { b'{' } else { b',' });
        serde_json::to_writer(&mut *out, name).map_err(|error| failed(&error))?;
        out.push(b':');
        let infinite = values.number(row).is_some_and(f64::is_infinite); // JSON has no such number
        match (values.text(row).filter(|_| !infinite), values.kind()) {
            (None, _) => out.extend(b"null"),
            (Some(text), Kind::Int64 | Kind::Float64 | Kind::Bool) => {
                out.write_all(text.as_bytes()).map_err(|error| failed(&error))?;
            }
            (Some(text), Kind::Utf8 | Kind::Timestamp) => {
                serde_json::to_writer(&mut *out, &text).map_err(|error| failed(&error))?;
            }
        }
    }
    out.push(b'}');
    Ok(())
}

/// Draws rows of the stored clean rows: seeded, without replacement, in the order of their lines.
///
/// # Errors
/// Of Parquet.
pub fn sample(parquet: Bytes, rows: usize, seed: u64) -> Result<AuditSample, Error> {
    let batches = batches(parquet)?;
    let all: Vec<(usize, usize)> = batches
        .iter()
        .enumerate()
        .flat_map(|(at, batch)| (0..batch.num_rows()).map(move |row| (at, row)))
        .collect();
    let (mut order, mut generator): (Vec<usize>, _) = ((0..all.len()).collect(), SplitMix64::new(seed));
    generator.shuffle(&mut order);
    order.truncate(rows);
    order.sort_unstable();
    let mut sample = AuditSample::default();
    let read = batches.iter().map(columns).collect::<Result<Vec<_>, _>>()?;
    let shown = |name: &str| name != SOURCE_ROW && name != SPLIT;
    sample.columns =
        read.first().into_iter().flatten().map(|(name, _)| name.clone()).filter(|name| shown(name)).collect();
    for place in order {
        let (batch, row) = all[place];
        let columns = &read[batch];
        let line =
            columns.iter().find(|(name, _)| name == SOURCE_ROW).and_then(|(_, values)| values.number(row));
        let source_row = line.ok_or_else(|| Error::Damaged("a clean row without its line".into()))? as u64;
        let cells = columns.iter().filter(|(name, _)| shown(name));
        let values = cells.map(|(_, values)| values.text(row).unwrap_or_default().into_owned()).collect();
        sample.rows.push(AuditRow { source_row, values });
    }
    sample.digest = sha256(&sample.encode_to_vec());
    Ok(sample)
}
