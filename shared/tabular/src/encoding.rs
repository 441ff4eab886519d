//! The encoding of a text file: found from its first bytes, and read as UTF-8.

use std::io::{self, Read};

use serde::Serialize;

use crate::error::{Cause, over};

/// An encoding that is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Encoding {
    /// UTF-8, with or without a mark at the beginning.
    #[serde(rename = "UTF-8")]
    Utf8,
    /// UTF-16, the lower byte first.
    #[serde(rename = "UTF-16LE")]
    Utf16Le,
    /// UTF-16, the upper byte first.
    #[serde(rename = "UTF-16BE")]
    Utf16Be,
    /// Windows-1252, which has Latin-1's letters at Latin-1's places.
    #[serde(rename = "windows-1252 (Latin-1)")]
    Latin1,
}

impl Encoding {
    /// Its usual name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Utf8 => "UTF-8",
            Self::Utf16Le => "UTF-16LE",
            Self::Utf16Be => "UTF-16BE",
            Self::Latin1 => "windows-1252 (Latin-1)",
        }
    }

    /// The encoding of a text that begins with `head`; `whole` if that is all of it.
    pub fn detect(head: &[u8], whole: bool) -> Self {
        match head {
            [0xFF, 0xFE, ..] => return Self::Utf16Le,
            [0xFE, 0xFF, ..] => return Self::Utf16Be,
            _ => {}
        }
        // Without a mark: in western text every second byte of UTF-16 is zero.
        let pairs = head.len() / 2;
        let zeros = |from: usize| head.iter().skip(from).step_by(2).filter(|byte| **byte == 0).count();
        let (even, odd) = (zeros(0), zeros(1));
        if pairs >= 4 && odd * 10 > pairs * 4 && even * 10 < pairs {
            return Self::Utf16Le;
        }
        if pairs >= 4 && even * 10 > pairs * 4 && odd * 10 < pairs {
            return Self::Utf16Be;
        }
        match std::str::from_utf8(head) {
            Ok(_) => Self::Utf8,
            // The head may end inside a character.
            Err(error) if error.error_len().is_none() && !whole => Self::Utf8,
            Err(_) if mostly_utf8(head) => Self::Utf8,
            Err(_) => Self::Latin1,
        }
    }
}

/// Whether letters beyond ASCII are nearly all well-formed: then a few bytes are damaged, and the encoding is no other.
fn mostly_utf8(head: &[u8]) -> bool {
    let (mut letters, mut damaged) = (0_usize, 0_usize);
    for chunk in head.utf8_chunks() {
        letters += chunk.valid().chars().filter(|letter| !letter.is_ascii()).count();
        damaged += usize::from(!chunk.invalid().is_empty());
    }
    letters > 10 * damaged
}

/// Letters of windows-1252 between 0x80 and 0x9F; five places have none and keep their number.
const UPPER: [char; 32] = [
    '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8D}', 'Ž', '\u{8F}', '\u{90}',
    '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9D}', 'ž', 'Ÿ',
];

/// The bytes of `inner` as UTF-8 without a mark. UTF-8 itself is passed on unchecked: its cells are checked one by one.
pub fn decoded(inner: Box<dyn Read + Send>, encoding: Encoding) -> Box<dyn Read + Send> {
    Box::new(Decoder {
        inner,
        encoding,
        first: true,
        raw: Vec::new(),
        ready: Vec::new(),
        at: 0,
        seen: 0,
        over: false,
    })
}

struct Decoder {
    inner: Box<dyn Read + Send>,
    encoding: Encoding,
    first: bool,
    /// Bytes that were read and not decoded.
    raw: Vec<u8>,
    ready: Vec<u8>,
    at: usize,
    /// Bytes decoded, for errors.
    seen: u64,
    over: bool,
}

impl Read for Decoder {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at == self.ready.len() {
            if self.over {
                return Ok(0);
            }
            if self.encoding == Encoding::Utf8 && !self.first {
                return self.inner.read(buffer);
            }
            self.fill()?;
        }
        let count = buffer.len().min(self.ready.len() - self.at);
        buffer[..count].copy_from_slice(&self.ready[self.at..self.at + count]);
        self.at += count;
        Ok(count)
    }
}

impl Decoder {
    fn fill(&mut self) -> io::Result<()> {
        self.ready.clear();
        self.at = 0;
        let wanted = if self.first { 4 } else { 1 << 16 };
        let before = self.raw.len();
        (&mut self.inner).take(wanted).read_to_end(&mut self.raw)?;
        self.over = self.raw.len() == before;
        if std::mem::take(&mut self.first) {
            let mark: &[u8] = match self.encoding {
                Encoding::Utf8 => b"\xEF\xBB\xBF",
                Encoding::Utf16Le => b"\xFF\xFE",
                Encoding::Utf16Be => b"\xFE\xFF",
                Encoding::Latin1 => b"",
            };
            if self.raw.starts_with(mark) {
                self.raw.drain(..mark.len());
                self.seen += mark.len() as u64;
            }
        }
        let taken = match self.encoding {
            Encoding::Utf8 => {
                self.ready.append(&mut self.raw);
                0
            }
            Encoding::Latin1 => {
                self.latin1();
                self.raw.len()
            }
            Encoding::Utf16Le => self.utf16(u16::from_le_bytes)?,
            Encoding::Utf16Be => self.utf16(u16::from_be_bytes)?,
        };
        self.raw.drain(..taken);
        self.seen += taken as u64;
        Ok(())
    }

    fn latin1(&mut self) {
        let mut text = String::with_capacity(self.raw.len() + self.raw.len() / 8);
        for byte in &self.raw {
            text.push(match byte {
                0x80..=0x9F => UPPER[usize::from(byte - 0x80)],
                _ => char::from(*byte),
            });
        }
        self.ready = text.into_bytes();
    }

    fn utf16(&mut self, unit: fn([u8; 2]) -> u16) -> io::Result<usize> {
        let bad = |at: usize| over(Cause::Damaged, format!("byte {}: is not UTF-16", self.seen + at as u64));
        let (pairs, rest) = self.raw.as_chunks::<2>();
        let mut pairs = pairs;
        if let [before @ .., last] = pairs
            && (0xD800..0xDC00).contains(&unit(*last))
            && !self.over
        {
            pairs = before; // the other half comes with the next bytes
        }
        if self.over && !rest.is_empty() {
            return Err(bad(self.raw.len() - 1));
        }
        let mut text = String::with_capacity(pairs.len() + pairs.len() / 4);
        for (at, letter) in char::decode_utf16(pairs.iter().map(|pair| unit(*pair))).enumerate() {
            text.push(letter.map_err(|_| bad(at * 2))?);
        }
        let taken = pairs.len() * 2;
        self.ready = text.into_bytes();
        Ok(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: Vec<u8>) -> (Encoding, io::Result<String>) {
        let encoding = Encoding::detect(&bytes, true);
        let mut text = String::new();
        let result = decoded(Box::new(io::Cursor::new(bytes)), encoding).read_to_string(&mut text);
        (encoding, result.map(|_| text))
    }

    #[test]
    fn each_encoding_gives_the_same_text() {
        let text = "name,straße\n€ 5,𝄞x\n";
        let le: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let be: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
        let marked = |mark: &[u8], bytes: &[u8]| [mark, bytes].concat();
        for (bytes, encoding) in [
            (text.as_bytes().to_vec(), Encoding::Utf8),
            (marked(b"\xEF\xBB\xBF", text.as_bytes()), Encoding::Utf8),
            (marked(b"\xFF\xFE", &le), Encoding::Utf16Le),
            (marked(b"\xFE\xFF", &be), Encoding::Utf16Be),
            (le, Encoding::Utf16Le),
            (be, Encoding::Utf16Be),
        ] {
            let (found, read) = read(bytes);
            assert_eq!((found, read.unwrap().as_str()), (encoding, text));
        }
        let (found, text) = read(b"stra\xDFe,\x80 5\n".to_vec());
        assert_eq!((found, text.unwrap().as_str()), (Encoding::Latin1, "straße,€ 5\n"));
    }

    #[test]
    fn half_a_letter_of_utf16_is_an_error() {
        let (_, odd) = read(b"\xFF\xFEa\0b".to_vec());
        assert!(odd.unwrap_err().to_string().contains("byte 4"));
        let (_, lone) = read(b"\xFF\xFEa\0\x00\xD8".to_vec());
        assert!(lone.is_err());
    }
}
