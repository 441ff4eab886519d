//! The table for the terminal. What a file says is shown without control characters: it cannot move the cursor.

use std::fmt::Write;

use super::{brief, described, grouped, percent, sized, together, valued};
use crate::profile::report::{Column, Report, Verdict};

/// How the terminal is.
#[derive(Debug, Clone, Copy)]
pub struct Look {
    /// Whether colours are understood.
    pub colour: bool,
    /// Letters in a line.
    pub width: usize,
}

/// Findings that are shown.
const FINDINGS: usize = 30;
/// Columns that are shown.
const COLUMNS: usize = 200;
/// Examples of the quarantine that are shown.
const EXAMPLES: usize = 8;

const BOLD: &str = "1";
const DIM: &str = "2";
const RED: &str = "31";
const GREEN: &str = "32";
const YELLOW: &str = "33";

impl Look {
    fn painted(self, text: &str, paint: &str) -> String {
        if self.colour && !text.is_empty() { format!("\x1b[{paint}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// The whole profile as text.
pub fn table(report: &Report, look: Look) -> String {
    let mut out = String::new();
    head(report, look, &mut out);
    columns(report, look, &mut out);
    quality(report, look, &mut out);
    quarantine(report, look, &mut out);
    findings(report, look, &mut out);
    out
}

/// Text of a file in one line of at most `width` letters.
fn clean(text: &str, width: usize) -> String {
    let mut made: String = text
        .chars()
        .map(|letter| if letter.is_control() || is_turning(letter) { '·' } else { letter })
        .take(width + 1)
        .collect();
    if made.chars().count() > width {
        made = made.chars().take(width.saturating_sub(1)).collect();
        made.push('…');
    }
    made
}

/// Letters that turn the direction of what follows.
pub(super) fn is_turning(letter: char) -> bool {
    matches!(letter, '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

fn head(report: &Report, look: Look, out: &mut String) {
    let file = &report.file;
    let kind = described(file);
    let name = look.painted(&clean(&file.name, look.width), BOLD);
    let _ = writeln!(out, "{name}\n{} · {kind}", sized(file.bytes));
    let duplicates = report.duplicate_rows.duplicates;
    let share = if report.rows == 0 { 0.0 } else { duplicates as f64 / report.rows as f64 };
    let _ = writeln!(
        out,
        "{} rows · {} columns · {} duplicate rows ({})",
        grouped(report.rows),
        report.columns.len(),
        grouped(duplicates),
        percent(share)
    );
    for note in &file.notes {
        let _ = writeln!(out, "{}", look.painted(&format!("note: {}", clean(note, 300)), DIM));
    }
}

const HEADS: [&str; 5] = ["column", "type", "missing", "distinct", "values"];

fn columns(report: &Report, look: Look, out: &mut String) {
    let rows: Vec<[String; 5]> =
        report.columns.iter().take(COLUMNS).map(|column| cells(column, report.rows)).collect();
    let longest = |at: usize, most: usize| {
        let cells = rows.iter().map(|row| row[at].chars().count()).max().unwrap_or(0);
        cells.max(HEADS[at].len()).min(most)
    };
    let widths = [longest(0, 28), longest(1, 10), longest(2, 10), longest(3, 14)];
    let left = look.width.saturating_sub(widths.iter().sum::<usize>() + 8).max(24);
    let line = |cells: [&str; 5]| {
        format!(
            "{:a$}  {:b$}  {:>c$}  {:>d$}  {}",
            clean(cells[0], widths[0]),
            cells[1],
            cells[2],
            cells[3],
            clean(cells[4], left),
            a = widths[0],
            b = widths[1],
            c = widths[2],
            d = widths[3],
        )
    };
    let _ = writeln!(out, "\n{}", look.painted(&line(HEADS), BOLD));
    for (row, column) in rows.iter().zip(&report.columns) {
        let text = line([&row[0], &row[1], &row[2], &row[3], &row[4]]);
        let text = if column.missing.share > 0.2 { look.painted(&text, YELLOW) } else { text };
        let _ = writeln!(out, "{text}");
    }
    if report.columns.len() > COLUMNS {
        let _ = writeln!(out, "… and {} more columns (--json has all)", report.columns.len() - COLUMNS);
    }
}

fn cells(column: &Column, rows: u64) -> [String; 5] {
    let distinct = if column.distinct.exact {
        grouped(column.distinct.count)
    } else {
        format!("≈{}", grouped(column.distinct.count))
    };
    [
        column.name.clone(),
        column.kind.to_owned(),
        percent(column.missing.share),
        distinct,
        values(column, rows),
    ]
}

/// What a column's values are, in one line.
fn values(column: &Column, rows: u64) -> String {
    let few = column.distinct.exact && column.distinct.count <= 10;
    let top = || {
        let present = (rows - column.missing.count).max(1);
        let share = |count: u64| count as f64 / present as f64 * 100.0;
        // What is rare says little of many values.
        let often = column.top.iter().take(5).filter(|top| few || share(top.count) >= 0.5);
        let each = often.map(|top| match share(top.count) {
            share if share < 1.0 => format!("{} <1%", clean(&top.value.text(), 24)),
            share => format!("{} {share:.0}%", clean(&top.value.text(), 24)),
        });
        each.collect::<Vec<_>>().join(", ")
    };
    let unit = column.unit.as_ref().map_or(String::new(), |unit| format!(" {unit}"));
    if let (Some(numbers), false) = (&column.numbers, few) {
        let median =
            numbers.quantiles.iter().find(|it| it.at == 0.5).map_or(String::new(), |it| valued(&it.value));
        let bars = bars(&numbers.histogram.counts);
        let spread = numbers.std.map_or(String::new(), |std| format!(" sd {}", brief(std)));
        let range = format!("{} … {median} … {}{unit}", valued(&numbers.min), valued(&numbers.max));
        if column.kind == "timestamp" {
            return format!("{bars} {range}");
        }
        return format!("{bars} {range}, mean {}{spread}", valued(&numbers.mean));
    }
    if let (Some(texts), false) = (&column.texts, few) {
        let looks = texts.looks_like.as_ref().map_or(String::new(), |looks| match looks.misfits {
            0 => format!("{}; ", looks.class),
            misfits => format!("{}, {} are none; ", looks.class, grouped(misfits)),
        });
        let length = format!("{}–{} letters", texts.shortest, texts.longest);
        let top = match top() {
            none if none.is_empty() => none,
            top => format!("; {top}"),
        };
        return format!("{looks}{length}{top}");
    }
    top()
}

/// A histogram in one line of twelve bars.
fn bars(counts: &[u64]) -> String {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let size = counts.len().div_ceil(12).max(1);
    let sums: Vec<u64> = counts.chunks(size).map(|chunk| chunk.iter().sum()).collect();
    let most = sums.iter().copied().max().unwrap_or(0).max(1);
    sums.iter()
        .map(|sum| match sum {
            0 => ' ',
            sum => BARS[((sum * 8).div_ceil(most) as usize).clamp(1, 8) - 1],
        })
        .collect()
}

fn quality(report: &Report, look: Look, out: &mut String) {
    let _ = writeln!(out, "\n{}", look.painted("quality (§5.2)", BOLD));
    for one in &report.quality {
        let paint = match one.verdict {
            Verdict::Pass => GREEN,
            Verdict::Fail => RED,
            Verdict::Inconclusive => YELLOW,
            Verdict::NotMeasurable | Verdict::NotJudged => DIM,
        };
        let verdict = look.painted(&format!("{:14}", one.verdict.as_str()), paint);
        let figure = match (one.estimate, one.interval) {
            (Some(estimate), Some(interval)) => {
                let target = one.target.as_ref().map_or(String::new(), |target| format!(" target {target};"));
                format!(
                    "{} [{}, {}];{target} ",
                    brief(estimate),
                    brief(interval.lower),
                    brief(interval.upper)
                )
            }
            _ => String::new(),
        };
        let room = look.width.saturating_sub(30).max(40);
        let _ = writeln!(
            out,
            "  {:12}  {verdict}  {}",
            one.dimension,
            clean(&format!("{figure}{}", one.reason), room)
        );
    }
}

fn quarantine(report: &Report, look: Look, out: &mut String) {
    let quarantine = &report.quarantine;
    if quarantine.counts.is_empty() && report.breaches.is_empty() {
        return;
    }
    let title = format!(
        "quarantine: {} rows could not be taken, {} break the schema",
        grouped(quarantine.left),
        grouped(quarantine.broken)
    );
    let _ = writeln!(out, "\n{}", look.painted(&title, BOLD));
    for breach in &report.breaches {
        let _ = writeln!(out, "  {}", look.painted(&clean(breach, 200), RED));
    }
    for count in quarantine.counts.iter().take(FINDINGS) {
        let column =
            count.column.as_ref().map_or(String::new(), |column| format!(" in {}", clean(column, 40)));
        let _ = writeln!(out, "  {:>10}  {}{column}", grouped(count.count), count.reason.as_str());
    }
    for example in quarantine.examples.iter().take(EXAMPLES) {
        let line = example.line.map_or(String::new(), |line| format!(" (line {line})"));
        let column =
            example.column.as_ref().map_or(String::new(), |column| format!(" {}:", clean(column, 40)));
        let text = format!("  row {}{line}:{column} {}", example.row, clean(&example.what, 120));
        let _ = writeln!(out, "{}", look.painted(&text, DIM));
    }
}

fn findings(report: &Report, look: Look, out: &mut String) {
    if report.findings.is_empty() {
        return;
    }
    let _ = writeln!(out, "\n{}", look.painted("worth a look", BOLD));
    let findings = together(&report.findings);
    for (columns, what) in findings.iter().take(FINDINGS) {
        let columns = if columns.is_empty() { String::new() } else { format!("{}: ", clean(columns, 80)) };
        let _ = writeln!(out, "  {columns}{}", clean(what, 160));
    }
    if findings.len() > FINDINGS {
        let _ = writeln!(out, "  … and {} more (--json has all)", findings.len() - FINDINGS);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_cannot_move_the_cursor() {
        assert_eq!(clean("a\x1b[2Jb\u{202E}c\n", 20), "a·[2Jb·c·");
        assert_eq!(clean("abcdef", 4), "abc…");
    }

    #[test]
    fn bars_follow_counts() {
        assert_eq!(bars(&[0, 1, 8]), " ▁█");
        assert_eq!(bars(&[3; 24]).chars().count(), 12);
    }
}
