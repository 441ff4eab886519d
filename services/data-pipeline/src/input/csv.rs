//! A first pass over a CSV file (RFC 4180, `"` around cells; `;` or a tab between them where the header has no `,`): header, encoding, the shape of every record. It keeps one cell at a
//! time, so a hostile file costs no memory; the values are read by the second pass.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use super::{Bad, check_names, named};
use crate::Limits;

/// Bytes of a header line that are looked at for what stands between its names.
const HEADER_BYTES: u64 = 1 << 20;

/// What the first pass found.
pub struct Header {
    /// Names in order.
    pub names: Vec<String>,
    /// What stands between cells.
    pub delimiter: u8,
}

/// Checks the whole file.
///
/// # Errors
/// The line and what is wrong with it.
pub fn scan(path: &Path, limits: &Limits) -> Result<Header, Bad> {
    let mut file = File::open(path).map_err(|error| format!("cannot be opened: {error}"))?;
    let mut scanner = Scanner::new(*limits, delimiter(path)?);
    let (mut buffer, mut first) = (vec![0; 1 << 18], true);
    loop {
        let count = file.read(&mut buffer).map_err(|error| format!("cannot be read: {error}"))?;
        if count == 0 {
            break;
        }
        let mut bytes = &buffer[..count];
        if first {
            if bytes.starts_with(&[0xFF, 0xFE]) || bytes.starts_with(&[0xFE, 0xFF]) {
                return Err("is UTF-16, required UTF-8".into());
            }
            bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
            first = false;
        }
        for byte in bytes {
            scanner.take(*byte)?;
        }
    }
    scanner.finish()
}

/// The first of `,`, `;` and tab that stands in the header line.
fn delimiter(path: &Path) -> Result<u8, Bad> {
    let file = File::open(path).map_err(|error| format!("cannot be opened: {error}"))?;
    let mut line = Vec::new();
    let mut reader = BufReader::new(file).take(HEADER_BYTES);
    reader.read_until(b'\n', &mut line).map_err(|error| format!("cannot be read: {error}"))?;
    Ok([b',', b';', b'\t'].into_iter().find(|one| line.contains(one)).unwrap_or(b','))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Start,
    Bare,
    Quoted,
    /// After a quote inside a quoted cell: the end of it, or half of a doubled quote.
    Quote,
}

struct Scanner {
    limits: Limits,
    delimiter: u8,
    place: Place,
    cell: Vec<u8>,
    fields: usize,
    names: Vec<String>,
    header: bool,
    line: u64,
    quote_line: u64,
    rows: u64,
    carriage: bool,
}

impl Scanner {
    fn new(limits: Limits, delimiter: u8) -> Self {
        Self {
            limits,
            delimiter,
            place: Place::Start,
            cell: Vec::new(),
            fields: 0,
            names: Vec::new(),
            header: true,
            line: 1,
            quote_line: 0,
            rows: 0,
            carriage: false,
        }
    }

    fn take(&mut self, byte: u8) -> Result<(), Bad> {
        let after_carriage = std::mem::replace(&mut self.carriage, false);
        if byte == b'\n' && after_carriage {
            return Ok(()); // the second half of one line end
        }
        match (self.place, byte) {
            (Place::Quoted, b'"') => self.place = Place::Quote,
            (Place::Quoted, _) => {
                self.line += u64::from(byte == b'\n');
                self.push(byte)?;
            }
            (Place::Quote, b'"') => {
                self.place = Place::Quoted;
                self.push(byte)?;
            }
            (Place::Start, b'"') => {
                self.place = Place::Quoted;
                self.quote_line = self.line;
            }
            (_, byte) if byte == self.delimiter => self.end_cell()?,
            (_, b'\n' | b'\r') => {
                self.carriage = byte == b'\r';
                self.end_record()?;
            }
            (Place::Quote, _) => return Err(format!("line {}: text after a closing quote", self.line)),
            (Place::Start | Place::Bare, _) => {
                self.place = Place::Bare;
                self.push(byte)?;
            }
        }
        Ok(())
    }

    fn push(&mut self, byte: u8) -> Result<(), Bad> {
        if self.cell.len() == self.limits.cell_bytes {
            let begun = if self.place == Place::Quoted {
                format!("; a quote was opened at line {} and never closed?", self.quote_line)
            } else {
                String::new()
            };
            let limit = self.limits.cell_bytes;
            return Err(format!(
                "line {}, field {}: more than {limit} bytes{begun}",
                self.line,
                self.fields + 1
            ));
        }
        self.cell.push(byte);
        Ok(())
    }

    fn end_cell(&mut self) -> Result<(), Bad> {
        let text = std::str::from_utf8(&self.cell)
            .map_err(|_| format!("line {}, field {}: is not UTF-8", self.line, self.fields + 1))?;
        self.fields += 1;
        if self.header {
            if self.limits.columns < self.fields {
                return Err(format!("has more than {} columns", self.limits.columns));
            }
            self.names.push(named(text.trim(), self.names.len()));
        } else if self.names.len() < self.fields {
            return Err(format!("line {}: more fields than the header's {}", self.line, self.names.len()));
        }
        self.cell.clear();
        self.place = Place::Start;
        Ok(())
    }

    fn end_record(&mut self) -> Result<(), Bad> {
        if self.fields == 0 && self.place == Place::Start {
            self.line += 1;
            return Ok(()); // a blank line
        }
        self.end_cell()?;
        if self.header {
            check_names(&self.names, &self.limits)?;
            self.header = false;
        } else {
            if self.fields != self.names.len() {
                return Err(format!(
                    "line {}: {} fields, the header has {}",
                    self.line,
                    self.fields,
                    self.names.len()
                ));
            }
            self.rows += 1;
            if self.limits.rows < self.rows {
                return Err(format!("has more than {} rows", self.limits.rows));
            }
        }
        self.line += 1;
        self.fields = 0;
        Ok(())
    }

    fn finish(mut self) -> Result<Header, Bad> {
        if self.place == Place::Quoted {
            return Err(format!("line {}: a quote is opened and never closed", self.quote_line));
        }
        self.end_record()?;
        if self.header {
            return Err("is empty: no header line".into());
        }
        Ok(Header { names: self.names, delimiter: self.delimiter })
    }
}
