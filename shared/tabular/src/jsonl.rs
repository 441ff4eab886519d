//! JSON lines: one object a line. Nested values are kept as JSON text.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;

use crate::block::{Block, Tag};
use crate::error::{Cause, Error, Result};
use crate::limits::Limits;
use crate::quarantine::{Reason, Reject, shown};

/// Lines of a block at most.
const LINES: usize = 8_192;
/// Bytes of a block at most, but for its last line.
const BYTES: usize = 4 << 20;

/// Lines that are not yet looked into.
#[derive(Debug, Default)]
pub struct Lines {
    bytes: Vec<u8>,
    /// End of each line, its row and its number.
    ends: Vec<(usize, u64, u64)>,
}

/// Reads lines from the beginning.
pub struct Jsonl {
    file: PathBuf,
    input: BufReader<Box<dyn Read + Send>>,
    limits: Limits,
    row: u64,
    line: u64,
}

impl Jsonl {
    /// A reader of decoded bytes.
    pub fn new(file: PathBuf, input: Box<dyn Read + Send>, limits: Limits) -> Self {
        Self { file, input: BufReader::with_capacity(1 << 18, input), limits, row: 0, line: 0 }
    }

    /// The next lines, or `None` at the end.
    ///
    /// # Errors
    /// If the file cannot be read, or a limit is met.
    pub fn lines(&mut self) -> Result<Option<Lines>> {
        let mut lines = Lines::default();
        let longest = self.limits.row_bytes;
        while lines.ends.len() < LINES && lines.bytes.len() < BYTES {
            let before = lines.bytes.len();
            self.line += 1;
            let (row, line) = (self.row + 1, self.line);
            let at = |error: Error| error.at_row(row).at_line(line);
            let read = (&mut self.input).take(longest as u64 + 1).read_until(b'\n', &mut lines.bytes);
            if read.map_err(|error| at(Error::io(&self.file, &error)))? == 0 {
                break;
            }
            let text = &lines.bytes[before..];
            if longest < text.len() {
                let what = format!("is longer than {longest} bytes");
                return Err(at(Error::new(Cause::Limit, &self.file, what)));
            }
            if text.trim_ascii().is_empty() {
                lines.bytes.truncate(before);
                continue;
            }
            self.row += 1;
            if self.limits.rows < self.row {
                let what = format!("has more than {} rows", self.limits.rows);
                return Err(at(Error::new(Cause::Limit, &self.file, what)));
            }
            lines.ends.push((lines.bytes.len(), self.row, self.line));
        }
        Ok((!lines.ends.is_empty()).then_some(lines))
    }
}

impl Lines {
    /// The rows with these columns, and the names that are none of them.
    pub fn cut(&self, names: &[String], cell_bytes: usize) -> (Block, Vec<String>) {
        let places: HashMap<&str, usize> =
            names.iter().enumerate().map(|(place, name)| (name.as_str(), place)).collect();
        let (mut block, mut start) = (Block::default(), 0);
        let mut new = New::default();
        let mut row_cells: Vec<Option<Value>> = Vec::new();
        for (end, row, line) in &self.ends {
            let bytes = &self.bytes[start..*end];
            start = *end;
            row_cells.clear();
            row_cells.resize(names.len(), None);
            match object(bytes, &places, cell_bytes, &mut row_cells, &mut new) {
                Ok(()) => {
                    row_cells.iter_mut().for_each(|value| block.push(value.take()));
                    block.places.push((*row, *line));
                }
                Err((reason, column, what)) => {
                    block.rejects.push(Reject { row: *row, line: Some(*line), column, reason, what });
                }
            }
        }
        (block, new.names)
    }
}

/// Names that are not yet columns, in order of appearance.
#[derive(Default)]
struct New {
    names: Vec<String>,
    known: HashSet<String>,
}

type Wrong = (Reason, Option<String>, String);

fn object(
    bytes: &[u8],
    places: &HashMap<&str, usize>,
    cell_bytes: usize,
    cells: &mut [Option<Value>],
    new: &mut New,
) -> std::result::Result<(), Wrong> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        (Reason::NotText, None, format!("byte {} of the line is not UTF-8", error.valid_up_to() + 1))
    })?;
    let members: Members = serde_json::from_str(text)
        .map_err(|error| (Reason::NotJson, None, format!("{error}: {}", shown(text.trim_end()))))?;
    let mut seen = HashSet::new();
    let mut order = Vec::new();
    for (name, value) in members.0 {
        let wrong = |reason, what: &str| Err((reason, Some(name.clone()), what.to_owned()));
        if let Value::String(text) = &value {
            if cell_bytes < text.len() {
                return wrong(Reason::TooLong, &shown(text));
            }
            if text.contains('\0') {
                return wrong(Reason::Nul, &shown(text));
            }
        }
        match places.get(name.as_str()) {
            Some(place) if cells[*place].is_none() => cells[*place] = Some(value),
            Some(_) => return wrong(Reason::NotJson, "the name stands twice"),
            None if !seen.insert(name.clone()) => return wrong(Reason::NotJson, "the name stands twice"),
            None => order.push(name),
        }
    }
    for name in order {
        if new.known.insert(name.clone()) {
            new.names.push(name);
        }
    }
    Ok(())
}

impl Block {
    fn push(&mut self, value: Option<Value>) {
        let start = self.cells.bytes.len();
        let tag = match value {
            None | Some(Value::Null) => Tag::Null,
            Some(Value::Bool(truth)) => {
                self.cells.bytes.extend_from_slice(if truth { b"true" } else { b"false" });
                Tag::Truth
            }
            Some(Value::Number(number)) => {
                self.cells.bytes.extend_from_slice(number.to_string().as_bytes());
                Tag::Number
            }
            Some(Value::String(text)) => {
                self.cells.bytes.extend_from_slice(text.as_bytes());
                Tag::Text
            }
            Some(nested) => {
                self.cells.bytes.extend_from_slice(nested.to_string().as_bytes());
                Tag::Nested
            }
        };
        self.cells.spans.push((start as u32, (self.cells.bytes.len() - start) as u32));
        self.tags.push(tag);
    }
}

/// An object's members in order.
struct Members(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Each;
        impl<'de> Visitor<'de> for Each {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Each)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(text: &str, names: &[&str]) -> (Block, Vec<String>) {
        let input = Box::new(std::io::Cursor::new(text.as_bytes().to_vec()));
        let mut reader = Jsonl::new("x.jsonl".into(), input, Limits::default());
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        reader.lines().unwrap().unwrap().cut(&names, 1_000)
    }

    #[test]
    fn objects_become_rows() {
        let (block, new) = cut("{\"a\": 1, \"b\": [1, 2]}\n\n{\"b\": \"x\", \"c\": null}\n", &["a", "b"]);
        assert_eq!(block.tags, [Tag::Number, Tag::Nested, Tag::Null, Tag::Text]);
        assert_eq!((block.cells.text(1), block.places.as_slice()), (&b"[1,2]"[..], &[(1, 1), (2, 3)][..]));
        assert_eq!(new, ["c"]);
    }

    #[test]
    fn lines_that_are_none_are_rejects() {
        let (block, _) =
            cut("{\"a\": 1}\n{\"a\": }\n[1]\n{\"a\": 1, \"a\": 2}\n{\"a\": \"\\u0000\"}\n", &["a"]);
        let reasons: Vec<_> = block.rejects.iter().map(|it| (it.row, it.reason)).collect();
        let expected = [(2, Reason::NotJson), (3, Reason::NotJson), (4, Reason::NotJson), (5, Reason::Nul)];
        assert_eq!((block.rows(), reasons.as_slice()), (1, &expected[..]));
    }
}
