//! One row of a delimited text, cut into cells.

use crate::dialect::Dialect;
use crate::quarantine::Reason;

/// Cells of rows, one after another, unescaped.
#[derive(Debug, Default)]
pub struct Cells {
    /// What all cells hold.
    pub bytes: Vec<u8>,
    /// Start and length of each cell in `bytes`.
    pub spans: Vec<(u32, u32)>,
    /// How many of them stood in quotes.
    pub quoted: usize,
}

impl Cells {
    /// Number of cells.
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// The bytes of a cell.
    pub fn text(&self, at: usize) -> &[u8] {
        let (start, length) = self.spans[at];
        &self.bytes[start as usize..(start + length) as usize]
    }

    /// Forgets all cells.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.spans.clear();
        self.quoted = 0;
    }

    /// Forgets what came after.
    fn cut(&mut self, spans: usize, bytes: usize) {
        self.spans.truncate(spans);
        self.bytes.truncate(bytes);
    }
}

/// What a row turned out to be.
#[derive(Debug, PartialEq, Eq)]
pub enum Parsed {
    /// Its cells were added.
    Record {
        /// Bytes of the row, with the end of its line.
        used: usize,
        /// Lines that it stands on.
        lines: u64,
    },
    /// Its first line is no row; nothing was added.
    Broken {
        /// Bytes of its first line.
        used: usize,
        /// What is wrong.
        reason: Reason,
        /// Cell at which it shows, from 0.
        cell: usize,
    },
    /// Its end is not there yet.
    More,
    /// Its end is not there yet, and a quote is open.
    Unclosed,
    /// No bytes are left.
    End,
}

/// Bytes up to and with the first end of a line.
pub fn first_line(data: &[u8]) -> usize {
    match memchr::memchr2(b'\n', b'\r', data) {
        Some(at) if data[at] == b'\r' && data.get(at + 1) == Some(&b'\n') => at + 2,
        Some(at) => at + 1,
        None => data.len(),
    }
}

/// Cuts the row that `data` begins with; `whole` if nothing comes after `data`.
pub fn parse(data: &[u8], whole: bool, dialect: Dialect, cells: &mut Cells) -> Parsed {
    if data.is_empty() {
        return if whole { Parsed::End } else { Parsed::More };
    }
    let (spans, bytes) = (cells.spans.len(), cells.bytes.len());
    let (delimiter, quote) = (dialect.delimiter as u8, dialect.quote.map(|quote| quote as u8));
    let (mut at, mut lines) = (0, 1);
    loop {
        let start = cells.bytes.len();
        if quote.is_some() && data.get(at).copied() == quote {
            match quoted(data, at, quote.unwrap_or_default(), &mut cells.bytes, &mut lines) {
                Some(end) => at = end,
                None => {
                    cells.cut(spans, bytes);
                    return Parsed::Unclosed;
                }
            }
            cells.quoted += 1;
        } else {
            let rest = &data[at..];
            let length = memchr::memchr3(delimiter, b'\n', b'\r', rest).unwrap_or(rest.len());
            cells.bytes.extend_from_slice(&rest[..length]);
            at += length;
        }
        let end = match data.get(at) {
            Some(b'\r') if at + 1 == data.len() && !whole => None,
            Some(b'\r') if data.get(at + 1) == Some(&b'\n') => Some(at + 2),
            Some(b'\n' | b'\r') => Some(at + 1),
            None if whole => Some(at),
            None => None,
            Some(byte) if *byte == delimiter => {
                cells.spans.push((start as u32, (cells.bytes.len() - start) as u32));
                at += 1;
                continue;
            }
            Some(_) => {
                let cell = cells.spans.len() - spans;
                cells.cut(spans, bytes);
                return Parsed::Broken { used: first_line(data), reason: Reason::TextAfterQuote, cell };
            }
        };
        return match end {
            Some(used) => {
                cells.spans.push((start as u32, (cells.bytes.len() - start) as u32));
                Parsed::Record { used, lines }
            }
            None => {
                cells.cut(spans, bytes);
                Parsed::More
            }
        };
    }
}

/// Takes a cell in quotes that begins at `at`; the place after its closing quote, or `None` where it has none.
fn quoted(data: &[u8], at: usize, quote: u8, bytes: &mut Vec<u8>, lines: &mut u64) -> Option<usize> {
    let mut from = at + 1;
    loop {
        let close = from + memchr::memchr(quote, &data[from..])?;
        let part = &data[from..close];
        *lines += memchr::memchr_iter(b'\n', part).count() as u64;
        bytes.extend_from_slice(part);
        if data.get(close + 1) != Some(&quote) {
            return Some(close + 1);
        }
        bytes.push(quote);
        from = close + 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIALECT: Dialect = Dialect { delimiter: ',', quote: Some('"'), header: true };

    fn row(text: &str) -> (Parsed, Vec<String>) {
        let mut cells = Cells::default();
        let parsed = parse(text.as_bytes(), true, DIALECT, &mut cells);
        let texts = (0..cells.len()).map(|at| String::from_utf8_lossy(cells.text(at)).into_owned());
        (parsed, texts.collect())
    }

    #[test]
    fn cells_are_unescaped() {
        let (parsed, cells) = row("a,\"b \"\"x\"\", y\r\nz\",,c\r\nnext");
        assert_eq!(cells, ["a", "b \"x\", y\r\nz", "", "c"]);
        assert_eq!(parsed, Parsed::Record { used: 22, lines: 2 });
        assert_eq!(row("a,b"), (Parsed::Record { used: 3, lines: 1 }, vec!["a".into(), "b".into()]));
        assert_eq!(row("").0, Parsed::End);
    }

    #[test]
    fn what_is_broken_is_not_taken() {
        let (parsed, cells) = row("a,\"b\"c\nd");
        assert_eq!(parsed, Parsed::Broken { used: 7, reason: Reason::TextAfterQuote, cell: 1 });
        assert!(cells.is_empty());
        assert_eq!(row("a,\"b\nc").0, Parsed::Unclosed);
        let mut cells = Cells::default();
        assert_eq!(parse(b"a,b\r", false, DIALECT, &mut cells), Parsed::More);
        assert_eq!(parse(b"a,b", false, DIALECT, &mut cells), Parsed::More);
        assert!(cells.is_empty());
    }
}
