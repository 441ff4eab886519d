//! A profile for people: a table for the terminal, and a page for the browser.

pub mod frame;
mod html;
pub mod plot;
mod terminal;

pub use html::page;
pub use terminal::{Look, table};

use crate::declared::Scalar;
use crate::profile::report::{File, Finding};
use crate::source::Compression;

/// Format, compression, encoding and dialect of a file in words.
fn described(file: &File) -> String {
    let mut kind = file.format.as_str().to_owned();
    match file.compression {
        Compression::None => {}
        Compression::Gzip => kind.push_str(", gzip"),
        Compression::Zstd => kind.push_str(", zstd"),
    }
    if let Some(encoding) = file.encoding {
        kind = format!("{kind}, {}", encoding.as_str());
    }
    if let Some(dialect) = file.dialect {
        let between =
            if dialect.delimiter == '\t' { "tabs".to_owned() } else { format!("\"{}\"", dialect.delimiter) };
        let quote = dialect.quote.map_or("no quotes".to_owned(), |quote| format!("quotes {quote}"));
        let header = if dialect.header { "a header" } else { "no header" };
        kind = format!("{kind}, {between} between cells, {quote}, {header}");
    }
    kind
}

/// Findings with their columns, those that say the same of several columns as one; in order of the first.
fn together(findings: &[Finding]) -> Vec<(String, &str)> {
    let mut made: Vec<(String, &str, &str)> = Vec::new();
    for finding in findings {
        let column = finding.column.as_deref().unwrap_or_default();
        match made.iter_mut().find(|(_, kind, what)| *kind == finding.kind && *what == finding.what) {
            Some((columns, ..)) => {
                columns.push_str(", ");
                columns.push_str(column);
            }
            None => made.push((column.to_owned(), finding.kind, &finding.what)),
        }
    }
    made.into_iter().map(|(columns, _, what)| (columns, what)).collect()
}

/// A count with a separator between thousands.
pub fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut made = String::with_capacity(digits.len() * 4 / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            made.push(',');
        }
        made.push(digit);
    }
    made
}

/// A number with as many digits as help.
pub fn brief(number: f64) -> String {
    let size = number.abs();
    if number == 0.0 || !number.is_finite() {
        return number.to_string();
    }
    if number.fract() == 0.0 && size < 1e6 {
        return format!("{number:.0}");
    }
    if !(1e-3..1e7).contains(&size) {
        return format!("{number:.2e}");
    }
    let decimals = (3 - size.log10().floor() as i32).clamp(0, 6) as usize;
    let text = format!("{number:.decimals$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// A share in percent.
pub fn percent(share: f64) -> String {
    match share * 100.0 {
        0.0 => "0 %".into(),
        it if it < 0.01 => "<0.01 %".into(),
        it if it < 10.0 => format!("{it:.2} %"),
        it => format!("{it:.1} %"),
    }
}

/// Bytes with a unit.
pub fn sized(bytes: u64) -> String {
    let mut size = bytes as f64;
    for unit in ["B", "KiB", "MiB", "GiB"] {
        if size < 1024.0 {
            return if unit == "B" { format!("{bytes} B") } else { format!("{size:.1} {unit}") };
        }
        size /= 1024.0;
    }
    format!("{size:.1} TiB")
}

/// A value in few letters.
fn valued(value: &Scalar) -> String {
    match value {
        Scalar::Number(number) => brief(*number),
        Scalar::Whole(whole) if whole.unsigned_abs() >= 100_000_000 => brief(*whole as f64),
        other => other.text(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_of_several_columns_is_said_once() {
        let finding = |column: &str, what: &str| Finding {
            kind: "constant",
            column: Some(column.to_owned()),
            what: what.to_owned(),
        };
        let told = [finding("a", "always 1"), finding("b", "always 2"), finding("c", "always 1")];
        let expected = [("a, c".to_owned(), "always 1"), ("b".to_owned(), "always 2")];
        assert_eq!(together(&told), expected);
    }

    #[test]
    fn figures_are_short() {
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!(
            [0.0, 12.0, 0.123_456, 1234.5678, 1e9, 1e-9].map(brief),
            ["0", "12", "0.1235", "1235", "1.00e9", "1.00e-9"]
        );
        assert_eq!([0.0, 0.000_01, 0.05, 0.5].map(percent), ["0 %", "<0.01 %", "5.00 %", "50.0 %"]);
        assert_eq!(sized(3 << 20), "3.0 MiB");
    }
}
