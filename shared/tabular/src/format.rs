//! Which format a file has: by what is in it, and by its name only where the content leaves it open.

use std::path::Path;

use serde::Serialize;

/// A format that is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// Text with something between its cells (RFC 4180 and its relatives).
    Csv,
    /// The same with tabs.
    Tsv,
    /// A JSON object a line.
    Jsonl,
    /// Apache Parquet.
    Parquet,
    /// Arrow IPC, the file form.
    ArrowFile,
    /// Arrow IPC, the stream form.
    ArrowStream,
}

impl Format {
    /// Its usual name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Csv => "CSV",
            Self::Tsv => "TSV",
            Self::Jsonl => "JSON lines",
            Self::Parquet => "Parquet",
            Self::ArrowFile => "Arrow IPC file",
            Self::ArrowStream => "Arrow IPC stream",
        }
    }
}

/// What other formats begin with, and what to say of them.
const FOREIGN: [(&[u8], &str); 11] = [
    (b"PARE", "is an encrypted Parquet file"),
    (b"PK\x03\x04", "is a ZIP archive or an Excel workbook: unpack it, or save the sheet as CSV"),
    (b"\xD0\xCF\x11\xE0", "is an old Excel workbook: save the sheet as CSV"),
    (b"%PDF", "is a PDF document"),
    (b"ORC", "is an ORC file"),
    (b"Obj\x01", "is an Avro file"),
    (b"SQLite format 3\0", "is an SQLite database"),
    (b"BZh", "is compressed with bzip2: gzip and zstd are read"),
    (b"\xFD7zXZ\0", "is compressed with xz: gzip and zstd are read"),
    (b"\x89HDF", "is an HDF5 file"),
    (b"\x1F\x8B", "is compressed twice"),
];

/// The binary format of a file that begins with `head`, or `None` for a text.
///
/// # Errors
/// What the file is, where it is none that is read.
pub fn binary(head: &[u8]) -> Result<Option<Format>, String> {
    if head.is_empty() {
        return Err("is empty".into());
    }
    if head.starts_with(b"PAR1") {
        return Ok(Some(Format::Parquet));
    }
    if head.starts_with(b"ARROW1") {
        return Ok(Some(Format::ArrowFile));
    }
    // A message of the stream form: a mark, then the length of its header.
    if let [0xFF, 0xFF, 0xFF, 0xFF, length @ ..] = head
        && let Some(length) = length.first_chunk::<4>()
        && (1..1 << 24).contains(&i32::from_le_bytes(*length))
    {
        return Ok(Some(Format::ArrowStream));
    }
    if let Some((_, what)) = FOREIGN.iter().find(|(mark, _)| head.starts_with(mark)) {
        return Err((*what).into());
    }
    Ok(None)
}

/// The format of a text that begins with `head`, decoded. `name` decides nothing but what a text of one column is.
///
/// # Errors
/// What the text is, where it is none that is read.
pub fn text(head: &str, name: &Path) -> Result<Format, String> {
    let controls =
        head.chars().filter(|letter| letter.is_control() && !"\t\n\r\u{c}\0".contains(*letter)).count();
    let zeros = head.chars().filter(|letter| *letter == '\0').count();
    if controls * 20 > head.chars().count() || zeros * 4 > head.chars().count() {
        return Err("is neither text nor a format that is read (CSV, TSV, JSON lines, Parquet, Arrow)".into());
    }
    let begun = head.trim_start();
    if begun.is_empty() {
        return Err("holds nothing but white space".into());
    }
    let line = begun.lines().next().unwrap_or_default();
    if let Some(rest) = begun.strip_prefix('{') {
        let whole = line.len() < begun.len();
        let object = serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(line).is_ok();
        let opened = rest.trim_start().starts_with(['"', '}']);
        return match (object, whole, opened) {
            (true, ..) | (false, false, true) => Ok(Format::Jsonl),
            (false, true, true) if line.trim() == "{" => {
                Err("is one JSON document over many lines, required an object a line".into())
            }
            // The first line may be the one that is broken.
            (false, true, true) => Ok(Format::Jsonl),
            _ => Ok(Format::Csv),
        };
    }
    if begun.starts_with('[') && begun[1..].trim_start().starts_with(['{', '[']) {
        return Err("is a JSON array, required an object a line (JSON lines)".into());
    }
    if begun.starts_with("<?xml") || begun.starts_with("<!DOCTYPE") || begun.starts_with("<html") {
        return Err("is an XML or HTML document".into());
    }
    let tabs = name.to_string_lossy().to_ascii_lowercase().contains(".tsv");
    Ok(if tabs { Format::Tsv } else { Format::Csv })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_decides() {
        let of = |head: &str| text(head, Path::new("x.parquet"));
        assert_eq!(of("a,b\n1,2\n"), Ok(Format::Csv));
        assert_eq!(of("{\"a\": 1}\n{\"a\": 2}\n"), Ok(Format::Jsonl));
        assert_eq!(of("{\"a\": tru\n{\"a\": 2}\n"), Ok(Format::Jsonl));
        assert!(of("{\n\"a\": 1}\n").unwrap_err().contains("many lines"));
        assert!(of("[{\"a\": 1}]").unwrap_err().contains("array"));
        assert!(of("\u{1}\u{2}\u{3}abc").is_err() && of(" \n ").is_err());
        assert_eq!(binary(b"PAR1\x15"), Ok(Some(Format::Parquet)));
        assert_eq!(binary(b"a,b"), Ok(None));
        assert!(binary(b"PK\x03\x04..").unwrap_err().contains("Excel"));
        assert!(binary(b"").is_err());
    }
}
