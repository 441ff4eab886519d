//! The dialect of a text file: what stands between cells, around them, and whether the first row names the columns.

use std::collections::{BTreeMap, HashSet};

use serde::Serialize;

use crate::record::{self, Cells, Parsed};
use crate::typing;

/// How cells are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Dialect {
    /// What stands between cells, an ASCII character.
    pub delimiter: char,
    /// What stands around cells that need it.
    pub quote: Option<char>,
    /// Whether the first row holds the columns' names.
    pub header: bool,
}

/// Rows of a sample that are looked at.
const ROWS: usize = 1_000;

/// Finds the dialect of a text that begins with `head`; `whole` if that is all of it.
pub fn detect(head: &[u8], whole: bool) -> Dialect {
    let mut best: Option<(Score, Dialect)> = None;
    for quote in [Some('"'), Some('\''), None] {
        for delimiter in [',', ';', '\t', '|'] {
            let dialect = Dialect { delimiter, quote, header: true };
            let score = score(head, whole, dialect);
            // The earlier one of equals: quotes that never occur change nothing.
            if best.as_ref().is_none_or(|(most, _)| most.value + 1e-9 < score.value) {
                best = Some((score, dialect));
            }
        }
        // Where quotes are used and every row fits, no other reading is better.
        if best.as_ref().is_some_and(|(score, _)| score.certain) {
            break;
        }
    }
    let dialect = best.map_or(Dialect { delimiter: ',', quote: Some('"'), header: true }, |it| it.1);
    Dialect { header: has_header(head, whole, dialect), ..dialect }
}

struct Score {
    value: f64,
    /// Quotes are used, and nearly all rows have one width.
    certain: bool,
}

/// Share of the sample's rows that have the usual number of cells, less what is broken; a little more for a first row that has
/// it too, and for more columns.
fn score(head: &[u8], whole: bool, dialect: Dialect) -> Score {
    let mut widths: BTreeMap<usize, usize> = BTreeMap::new();
    let (mut broken, mut rows, mut quoted, mut first, mut wrapped) = (0, 0, 0, 0, 0);
    each(head, whole, dialect, |cells, good| {
        rows += 1;
        if good {
            *widths.entry(cells.len()).or_default() += 1;
            quoted += usize::from(cells.quoted > 0);
            first = if rows == 1 { cells.len() } else { first };
            wrapped +=
                usize::from(dialect.quote.is_none() && (0..cells.len()).any(|at| is_wrapped(cells.text(at))));
        } else {
            broken += 1;
        }
        true
    });
    let Some((width, usual)) = widths.into_iter().max_by_key(|(width, rows)| (*rows, *width)) else {
        return Score { value: -1.0, certain: false };
    };
    if width == 1 {
        // One column is what is left when nothing else fits.
        let value = if dialect.quote == Some('\'') { 0.0 } else { 0.01 } - broken as f64 / rows as f64;
        return Score { value, certain: false };
    }
    let consistent = (usual as f64 - broken as f64) / rows as f64;
    // An apostrophe is a quote only where it stands in many rows.
    let rare = dialect.quote == Some('\'') && quoted * 4 < rows;
    let named = if first == width { 0.2 } else { 0.0 };
    // Quotes around cells are no part of them, even where a few rows have others.
    let kept = 0.5 * wrapped as f64 / rows as f64;
    let value = consistent + named + 0.02 * (width.min(50) as f64).ln() - if rare { 0.5 } else { kept };
    let certain = dialect.quote == Some('"') && quoted > 0 && broken == 0 && consistent > 0.95;
    Score { value, certain }
}

/// Whether a cell stands between double quotes.
fn is_wrapped(cell: &[u8]) -> bool {
    cell.len() > 1 && cell.starts_with(b"\"") && cell.ends_with(b"\"")
}

fn each(head: &[u8], whole: bool, dialect: Dialect, mut take: impl FnMut(&Cells, bool) -> bool) {
    let (mut at, mut cells) = (0, Cells::default());
    for _ in 0..ROWS {
        cells.clear();
        let (used, good) = match record::parse(&head[at..], whole, dialect, &mut cells) {
            Parsed::Record { used, .. } => (used, true),
            Parsed::Broken { used, .. } => (used, false),
            Parsed::Unclosed if whole => (record::first_line(&head[at..]), false),
            Parsed::More | Parsed::Unclosed | Parsed::End => return,
        };
        at += used;
        let blank = good && cells.len() == 1 && cells.text(0).is_empty();
        if !blank && !take(&cells, good) {
            return;
        }
    }
}

/// The first row names the columns unless one of its cells is a number or a time, or all are empty.
fn has_header(head: &[u8], whole: bool, dialect: Dialect) -> bool {
    let mut header = true;
    each(head, whole, dialect, |cells, _| {
        let texts: Vec<String> =
            (0..cells.len()).map(|at| String::from_utf8_lossy(cells.text(at)).trim().to_owned()).collect();
        let value = |text: &String| !text.is_empty() && typing::possible(text) != typing::TEXT;
        header = !texts.iter().any(value) && texts.iter().any(|text| !text.is_empty());
        false
    });
    header
}

/// Names for columns that the first row gave: empty ones are called by their place, later ones of equals get a number.
pub fn names(given: &[String], notes: &mut Vec<String>) -> Vec<String> {
    let mut taken: HashSet<String> = HashSet::new();
    let mut made = Vec::with_capacity(given.len());
    for (at, name) in given.iter().enumerate() {
        let mut name = name.trim().to_owned();
        if name.is_empty() {
            name = format!("column_{}", at + 1);
            notes.push(format!("column {} has no name and is called {name}", at + 1));
        }
        let plain = name.clone();
        let mut number = 2;
        while !taken.insert(name.clone()) {
            name = format!("{plain}_{number}");
            number += 1;
        }
        if name != plain {
            notes.push(format!("the name {plain:?} stands twice: column {} is called {name:?}", at + 1));
        }
        made.push(name);
    }
    made
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> (char, Option<char>, bool) {
        let dialect = detect(text.as_bytes(), true);
        (dialect.delimiter, dialect.quote, dialect.header)
    }

    #[test]
    fn delimiters_quotes_and_headers_are_found() {
        assert_eq!(of("a,b\n1,2\n3,4\n"), (',', Some('"'), true));
        assert_eq!(of("a;b\n1,5;2,5\n3,5;4,0\n"), (';', Some('"'), true));
        assert_eq!(of("a\tb\n\"x, y\tz\nu\"v\tw\n"), ('\t', None, true));
        assert_eq!(of("1|x\n2|y\n"), ('|', Some('"'), false));
        assert_eq!(of("n,t\n'a, b','c'\n'd, e','f'\n"), (',', Some('\''), true));
        assert_eq!(of("n,t\n\"a, b\",\"it's\"\n\"d; e\",'f\n"), (',', Some('"'), true));
        assert_eq!(of(&("a,b\n1,\"x\"y\n".to_owned() + &"\"7\",8\n".repeat(9))), (',', Some('"'), true));
        assert_eq!(of("name\nAnna\nBert\n"), (',', Some('"'), true));
        // Commas in quotes make no columns, and neither do those in sentences.
        assert_eq!(of("n,t\n1,\"a, b\"\n2,\"c, d\"\n"), (',', Some('"'), true));
        assert_eq!(of("id;t\n1;a, b, c\n2;d, e, f\n"), (';', Some('"'), true));
    }

    #[test]
    fn names_differ() {
        let mut notes = Vec::new();
        let given = ["", "a", "a", "a_2"].map(str::to_owned);
        assert_eq!(names(&given, &mut notes), ["column_1", "a", "a_2", "a_2_2"]);
        assert_eq!(notes.len(), 3);
    }
}
