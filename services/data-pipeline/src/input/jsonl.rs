//! JSON lines: one flat object a line. Columns stand in the order of their first appearance.

use std::collections::HashMap;
use std::fmt;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayBuilder, ArrayRef, RecordBatch, StringBuilder};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;

use super::{Bad, check_names, named};
use crate::Limits;

/// Bytes of a line at most, as a multiple of those of a cell.
const CELLS_A_LINE: u64 = 16;

/// Reads the file.
///
/// # Errors
/// The line and what is wrong with it.
pub fn read(path: &Path, limits: &Limits) -> Result<RecordBatch, Bad> {
    let file = File::open(path).map_err(|error| format!("cannot be opened: {error}"))?;
    let mut reader = BufReader::with_capacity(1 << 18, file);
    let mut columns = Columns::default();
    let longest = limits.cell_bytes as u64 * CELLS_A_LINE;
    let (mut line, mut bytes) = (0_u64, Vec::new());
    loop {
        bytes.clear();
        let count = (&mut reader)
            .take(longest + 1)
            .read_until(b'\n', &mut bytes)
            .map_err(|error| format!("cannot be read: {error}"))?;
        if count == 0 {
            break;
        }
        line += 1;
        if longest < count as u64 {
            return Err(format!("line {line}: more than {longest} bytes"));
        }
        let text = bytes.strip_prefix(b"\xEF\xBB\xBF".as_slice()).filter(|_| line == 1).unwrap_or(&bytes);
        let text = std::str::from_utf8(text).map_err(|_| format!("line {line}: is not UTF-8"))?;
        if text.trim().is_empty() {
            continue;
        }
        let pairs: Pairs = serde_json::from_str(text).map_err(|error| format!("line {line}: {error}"))?;
        columns.add(pairs.0, line, limits)?;
    }
    columns.finish(limits)
}

/// An object's members in order.
struct Pairs(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Pairs;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_map(Members)
    }
}

#[derive(Default)]
struct Columns {
    names: Vec<String>,
    places: HashMap<String, usize>,
    values: Vec<StringBuilder>,
    rows: usize,
    bytes: usize,
}

impl Columns {
    fn add(&mut self, pairs: Vec<(String, Value)>, line: u64, limits: &Limits) -> Result<(), Bad> {
        for (name, value) in pairs {
            let at = match self.places.get(&name) {
                Some(at) => *at,
                None => self.open(name.clone(), limits)?,
            };
            if self.values[at].len() > self.rows {
                return Err(format!("line {line}: {name:?} stands twice"));
            }
            let text = match value {
                Value::Null => None,
                Value::Bool(truth) => Some(truth.to_string()),
                Value::Number(number) => Some(number.to_string()),
                Value::String(text) if limits.cell_bytes < text.len() => {
                    return Err(format!("line {line}, {name:?}: more than {} bytes", limits.cell_bytes));
                }
                Value::String(text) => Some(text),
                Value::Array(_) | Value::Object(_) => {
                    return Err(format!(
                        "line {line}, {name:?}: is nested, required a number, text, truth value or null"
                    ));
                }
            };
            self.bytes += text.as_ref().map_or(0, String::len) + size_of::<i32>();
            self.values[at].append_option(text);
        }
        self.rows += 1;
        if limits.rows < self.rows as u64 {
            return Err(format!("has more than {} rows", limits.rows));
        }
        if limits.table_bytes < self.bytes {
            return Err(format!("holds more than {} bytes of values", limits.table_bytes));
        }
        for column in &mut self.values {
            if column.len() < self.rows {
                column.append_null();
                self.bytes += size_of::<i32>();
            }
        }
        Ok(())
    }

    fn open(&mut self, name: String, limits: &Limits) -> Result<usize, Bad> {
        if limits.columns == self.names.len() {
            return Err(format!("has more than {} columns", limits.columns));
        }
        // A name that comes late stands for a missing value in every row before it: counted before room is taken.
        self.bytes += name.len() + self.rows * size_of::<i32>();
        if limits.table_bytes < self.bytes {
            return Err(format!("holds more than {} bytes of values", limits.table_bytes));
        }
        let mut values = StringBuilder::new();
        values.append_nulls(self.rows);
        self.values.push(values);
        self.places.insert(name.clone(), self.names.len());
        self.names.push(name);
        Ok(self.names.len() - 1)
    }

    fn finish(mut self, limits: &Limits) -> Result<RecordBatch, Bad> {
        for (at, name) in self.names.iter_mut().enumerate() {
            *name = named(name, at);
        }
        check_names(&self.names, limits)?;
        let arrays = self.values.iter_mut().map(|column| Arc::new(column.finish()) as ArrayRef);
        let columns = self.names.iter().zip(arrays).map(|(name, array)| (name, array, true));
        RecordBatch::try_from_iter_with_nullable(columns).map_err(|error| error.to_string())
    }
}
