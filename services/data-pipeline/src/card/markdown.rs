//! A card as Markdown: what people wrote stands in it as text and makes no structure.

use std::fmt::Write as _;

use tabular::show::brief;

use super::section::{Block, Card, Cell, Column, Head, Shape, Table, word};

/// Characters of the longest bar.
const BAR: u64 = 40;
/// Characters of a bar's name.
const NAME: usize = 32;

/// Writes the card.
pub fn write(card: &Card) -> String {
    let mut out =
        format!("# Data card: {} {}\n\n`{}`\n", line(&card.title), line(&card.tag), plain(&card.name));
    for (at, section) in card.sections.iter().enumerate() {
        let _ = writeln!(out, "\n## {}. {}", at + 1, section.heading);
        if section.blocks.is_empty() {
            out.push_str("\n*Missing: nothing is recorded.*\n");
        }
        for block in &section.blocks {
            one(block, &mut out);
        }
    }
    out
}

fn one(block: &Block, out: &mut String) {
    match block {
        Block::Text(text) => {
            let _ = writeln!(out, "\n{}", paragraph(text));
        }
        Block::Title(text) => {
            let _ = writeln!(out, "\n### {}", line(text));
        }
        Block::Facts(facts) => {
            out.push('\n');
            for (name, value) in facts {
                let _ = writeln!(out, "- {name}: {}", cell(value));
            }
        }
        Block::Table(table) => grid(table, out),
        Block::Parts(_) => {} // the table below has the numbers
        Block::Shares(shares) => {
            let values: Vec<(String, u64)> =
                shares.iter().map(|(name, share)| (name.clone(), (share * 1e6).round() as u64)).collect();
            bars(&values, |at| tabular::show::percent(shares[at].1), out);
        }
        Block::Columns(columns) => columns.iter().for_each(|column| spread(column, out)),
        Block::Verbatim { title, text } => {
            let text = plain(text);
            let fence = "`".repeat(longest_run(&text).max(2) + 1);
            let _ = writeln!(out, "\n{}\n\n{fence}\n{text}\n{fence}", line(title));
        }
    }
}

fn grid(table: &Table, out: &mut String) {
    let shown = |at: &usize| !matches!(table.head[*at], Head::Picture(_));
    let places: Vec<usize> = (0..table.head.len()).filter(shown).collect();
    let row = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
    out.push('\n');
    out.push_str(&row(places.iter().map(|at| table.head[*at].name().to_owned()).collect()));
    let rule = |at: &usize| if matches!(table.head[*at], Head::Number(_)) { "---:" } else { "---" };
    out.push_str(&row(places.iter().map(|at| rule(at).to_owned()).collect()));
    for cells in &table.rows {
        out.push_str(&row(places.iter().map(|at| cells.get(*at).map(cell).unwrap_or_default()).collect()));
    }
}

fn cell(cell: &Cell) -> String {
    match cell {
        Cell::Empty => String::new(),
        Cell::Text(text) => line(text),
        Cell::Code(text) => format!("`{}`", plain(text).replace('`', "'").replace('|', "\\|")),
        Cell::Verdict(verdict) => word(*verdict).to_owned(),
        Cell::Gauge(_, said) => line(said),
    }
}

fn spread(column: &Column, out: &mut String) {
    let _ = writeln!(out, "\n### {}\n", line(&column.name));
    let figures = column.figures.iter().map(|(name, value)| format!("{name} {value}"));
    let kind = Some(column.kind.clone()).filter(|kind| !kind.is_empty());
    let _ = writeln!(out, "{}", line(&kind.into_iter().chain(figures).collect::<Vec<_>>().join(", ")));
    let values: Vec<(String, u64)> = match &column.shape {
        Shape::Unknown => return,
        Shape::Values(values) => values.clone(),
        Shape::Numbers { edges, counts, .. } => {
            counts.iter().enumerate().map(|(at, count)| (range(edges, at), *count)).collect()
        }
    };
    bars(&values, |at| values[at].1.to_string(), out);
}

/// The bin `at` in words.
fn range(edges: &[f64], at: usize) -> String {
    let before = at.checked_sub(1).and_then(|at| edges.get(at));
    match (before, edges.get(at)) {
        (None, Some(high)) => format!("below {}", brief(*high)),
        (Some(low), Some(high)) => format!("{} to {}", brief(*low), brief(*high)),
        (Some(low), None) => format!("from {}", brief(*low)),
        (None, None) => "all".to_owned(),
    }
}

/// A block of bars with their names and what stands behind them.
fn bars(values: &[(String, u64)], behind: impl Fn(usize) -> String, out: &mut String) {
    let most = values.iter().map(|(_, count)| *count).max().unwrap_or(0).max(1);
    out.push_str("\n```\n");
    for (at, (name, count)) in values.iter().enumerate() {
        let bar = "#".repeat((count * BAR).div_ceil(most) as usize);
        let name: String = plain(name).replace('`', "'").chars().take(NAME).collect();
        let _ = writeln!(out, "{name:<32} {bar:<40} {}", behind(at));
    }
    out.push_str("```\n");
}

/// Text on one line, without control characters and those that turn the direction of text.
fn plain(text: &str) -> String {
    let shown = |letter: char| if tabular::show::frame::is_hidden(letter) { '·' } else { letter };
    text.split_whitespace().collect::<Vec<_>>().join(" ").chars().map(shown).collect()
}

/// Text within a line: nothing in it is markup.
fn line(text: &str) -> String {
    let mut made = String::with_capacity(text.len());
    for letter in plain(text).chars() {
        match letter {
            '&' => made.push_str("&amp;"),
            '<' => made.push_str("&lt;"),
            '\\' | '`' | '*' | '[' | ']' | '|' | '~' => {
                made.push('\\');
                made.push(letter);
            }
            letter => made.push(letter),
        }
    }
    made
}

/// Text that begins a line: it is no heading, list or quote.
fn paragraph(text: &str) -> String {
    let made = line(text);
    let digits = made.chars().take_while(char::is_ascii_digit).count();
    match made[digits..].chars().next() {
        Some('#' | '-' | '+' | '>' | '=' | '_') if digits == 0 => format!("\\{made}"),
        Some('.' | ')') if digits > 0 => format!("{}\\{}", &made[..digits], &made[digits..]),
        _ => made,
    }
}

/// The longest run of backticks.
fn longest_run(text: &str) -> usize {
    text.split(|letter| letter != '`').map(str::len).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_write_makes_no_structure() {
        let cases = [
            ("# a heading", "\\# a heading"),
            ("1. a list", "1\\. a list"),
            ("- a list\n# no heading", "\\- a list # no heading"),
            ("2026 rows", "2026 rows"),
            ("a | b <i> *c* [d](e)", "a \\| b &lt;i> \\*c\\* \\[d\\](e)"),
            ("", ""),
            ("-", "\\-"),
        ];
        for (text, expected) in cases {
            assert_eq!(paragraph(text), expected);
        }
        assert_eq!(plain("a\u{202e}b\u{7}c"), "a·b·c");
        let mut out = String::new();
        one(&Block::Verbatim { title: "t".into(), text: "```\n# x".into() }, &mut out);
        assert_eq!(out, "\nt\n\n````\n``` # x\n````\n");
    }

    #[test]
    fn bars_are_as_long_as_their_counts() {
        let mut out = String::new();
        bars(&[("a".into(), 10), ("b".into(), 5), ("c".into(), 0)], |_| String::new(), &mut out);
        let lengths: Vec<usize> = out.lines().map(|line| line.matches('#').count()).collect();
        assert_eq!(lengths, [0, 0, 40, 20, 0, 0]);
    }
}
