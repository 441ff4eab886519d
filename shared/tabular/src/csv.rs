//! Rows of a delimited text, in blocks of bounded size. What is broken goes to quarantine, and reading goes on at the next line.

use std::io::Read;
use std::path::PathBuf;

use crate::block::Block;
use crate::dialect::Dialect;
use crate::error::{Cause, Error, Result};
use crate::limits::Limits;
use crate::quarantine::{Reason, Reject, shown};
use crate::record::{Cells, Parsed, first_line, parse};

/// Rows of a block at most.
pub const BLOCK_ROWS: usize = 16_384;
/// Bytes of a block at most, but for its last row.
const BLOCK_BYTES: usize = 8 << 20;
/// Cells of a block at most, but for its last row.
const BLOCK_CELLS: usize = 1 << 20;
/// Bytes that are read at once.
const READ: usize = 1 << 18;
/// Cells of a row of another number of cells that an example shows.
const SHOWN_CELLS: usize = 40;
/// Quotes without an end that are looked for far ahead: a file with more of them is not worth its time.
const UNCLOSED: u32 = 1_000;

/// Reads a text from its beginning.
pub struct Csv {
    file: PathBuf,
    input: Box<dyn Read + Send>,
    dialect: Dialect,
    limits: Limits,
    buffer: Vec<u8>,
    at: usize,
    end: bool,
    row: u64,
    line: u64,
    unclosed: u32,
}

impl Csv {
    /// A reader of decoded bytes.
    pub fn new(file: PathBuf, input: Box<dyn Read + Send>, dialect: Dialect, limits: Limits) -> Self {
        Self {
            file,
            input,
            dialect,
            limits,
            buffer: Vec::new(),
            at: 0,
            end: false,
            row: 0,
            line: 1,
            unclosed: 0,
        }
    }

    /// The cells of the first row, which is then over.
    ///
    /// # Errors
    /// If it cannot be read as a row.
    pub fn first(&mut self) -> Result<Vec<String>> {
        let mut cells = Cells::default();
        while cells.is_empty() {
            let step = self.step(&mut cells)?;
            let blank = cells.len() == 1 && cells.text(0).is_empty();
            match step {
                Step::Row if blank => cells.clear(),
                Step::Row => {}
                Step::Broken(reason, ..) => {
                    return Err(
                        Error::new(Cause::Damaged, &self.file, reason.as_str()).at_line(self.line - 1)
                    );
                }
                Step::End => return Err(Error::new(Cause::Damaged, &self.file, "holds no row")),
            }
        }
        if self.limits.columns < cells.len() {
            let what = format!("has {} columns, at most {} are taken", cells.len(), self.limits.columns);
            return Err(Error::new(Cause::Limit, &self.file, what).at_line(1));
        }
        Ok((0..cells.len()).map(|at| String::from_utf8_lossy(cells.text(at)).into_owned()).collect())
    }

    /// The next rows of `width` cells, or `None` at the end.
    ///
    /// # Errors
    /// If the file cannot be read, or a limit is met.
    pub fn next(&mut self, width: usize) -> Result<Option<Block>> {
        let mut block = Block::default();
        let mut blank = 0;
        while block.rows() < BLOCK_ROWS
            && block.cells.bytes.len() < BLOCK_BYTES
            && block.cells.len() < BLOCK_CELLS
            && block.rejects.len() < BLOCK_ROWS
            && blank < BLOCK_BYTES
        {
            let (before, line) = (block.cells.len(), self.line);
            let step = self.step(&mut block.cells)?;
            if step == Step::End {
                return Ok((block.rows() + block.rejects.len() > 0).then_some(block));
            }
            let count = block.cells.len() - before;
            if step == Step::Row && count == 1 && block.cells.spans[before].1 == 0 {
                block.cells.spans.truncate(before);
                blank += 1;
                continue; // a blank line
            }
            self.row += 1;
            if self.limits.rows < self.row {
                let what = format!("has more than {} rows", self.limits.rows);
                return Err(Error::new(Cause::Limit, &self.file, what).at_row(self.row).at_line(line));
            }
            let (reason, what) = match step {
                Step::Row if count == width => {
                    block.places.push((self.row, line));
                    continue;
                }
                Step::Row => {
                    let cells: Vec<_> = (before..block.cells.len().min(before + SHOWN_CELLS))
                        .map(|at| String::from_utf8_lossy(block.cells.text(at)))
                        .collect();
                    let text = shown(&cells.join(self.dialect.delimiter.encode_utf8(&mut [0; 4])));
                    (Reason::Ragged, format!("{count} cells, {width} columns: {text}"))
                }
                Step::Broken(reason, cell, text) => (reason, format!("cell {}: {}", cell + 1, shown(&text))),
                Step::End => continue,
            };
            let bytes = block.cells.spans.get(before).map_or(block.cells.bytes.len(), |span| span.0 as usize);
            block.cells.spans.truncate(before);
            block.cells.bytes.truncate(bytes);
            block.rejects.push(Reject { row: self.row, line: Some(line), column: None, reason, what });
        }
        Ok(Some(block))
    }

    /// Takes one row, or one line that is none.
    fn step(&mut self, cells: &mut Cells) -> Result<Step> {
        loop {
            let data = &self.buffer[self.at..];
            let long = self.limits.row_bytes <= data.len();
            match parse(data, self.end, self.dialect, cells) {
                Parsed::Record { used, lines } => {
                    self.at += used;
                    self.line += lines;
                    return Ok(Step::Row);
                }
                Parsed::Broken { used, reason, cell } => return Ok(self.broken(used, reason, cell)),
                Parsed::End => return Ok(Step::End),
                Parsed::Unclosed if self.end || long => {
                    self.unclosed += u32::from(data.len() > READ);
                    if UNCLOSED < self.unclosed {
                        let what = format!("has more than {UNCLOSED} quotes that are never closed");
                        return Err(Error::new(Cause::Damaged, &self.file, what).at_line(self.line));
                    }
                    return Ok(self.broken(first_line(data), Reason::UnclosedQuote, 0));
                }
                Parsed::More if long => {
                    let what = format!("is longer than {} bytes", self.limits.row_bytes);
                    let error = Error::new(Cause::Limit, &self.file, what);
                    return Err(error.at_row(self.row + 1).at_line(self.line));
                }
                Parsed::More | Parsed::Unclosed => self.fill()?,
            }
        }
    }

    fn broken(&mut self, used: usize, reason: Reason, cell: usize) -> Step {
        let line = &self.buffer[self.at..self.at + used];
        let text = String::from_utf8_lossy(&line[..line.len().min(400)]).trim_end().to_owned();
        self.at += used;
        self.line += 1;
        Step::Broken(reason, cell, text)
    }

    fn fill(&mut self) -> Result<()> {
        self.buffer.drain(..self.at);
        self.at = 0;
        // Twice as much each time, so that a long row is not cut again and again.
        let wanted = READ.max(self.buffer.len()) as u64;
        let read = (&mut self.input).take(wanted).read_to_end(&mut self.buffer);
        let count =
            read.map_err(|error| Error::io(&self.file, &error).at_row(self.row + 1).at_line(self.line))?;
        self.end = count == 0;
        Ok(())
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Step {
    Row,
    Broken(Reason, usize, String),
    End,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Row, line and reason.
    type Rejects = Vec<(u64, u64, Reason)>;

    fn read(text: &str, width: usize) -> (Vec<Vec<String>>, Rejects) {
        let dialect = Dialect { delimiter: ',', quote: Some('"'), header: false };
        let input = Box::new(std::io::Cursor::new(text.as_bytes().to_vec()));
        let mut csv = Csv::new("x.csv".into(), input, dialect, Limits::default());
        let (mut rows, mut rejects) = (Vec::new(), Vec::new());
        while let Some(block) = csv.next(width).unwrap() {
            for row in 0..block.rows() {
                let text = |at| String::from_utf8_lossy(block.cells.text(at)).into_owned();
                rows.push((row * width..(row + 1) * width).map(text).collect());
            }
            rejects.extend(block.rejects.iter().map(|it| (it.row, it.line.unwrap(), it.reason)));
        }
        (rows, rejects)
    }

    #[test]
    fn wrong_rows_are_counted_and_the_rest_is_read() {
        let (rows, rejects) = read("1,2\n3\n\n4,\"x\ny\"\n5,\"a\"b\n6,7,8\n9,\"z\n10,11\n", 2);
        assert_eq!(rows, [["1", "2"], ["4", "x\ny"], ["10", "11"]]);
        let reasons = [
            (2, 2, Reason::Ragged),
            (4, 6, Reason::TextAfterQuote),
            (5, 7, Reason::Ragged),
            (6, 8, Reason::UnclosedQuote),
        ];
        assert_eq!(rejects, reasons);
    }

    #[test]
    fn ends_of_lines_are_all_read() {
        let (rows, rejects) = read("1,2\r\n3,4\r5,6", 2);
        assert_eq!((rows.len(), rejects.len()), (3, 0));
    }
}
