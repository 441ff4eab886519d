//! The page for the browser: one file without outside resources and without scripts, readable on light and dark.

use std::fmt::Write;

use super::frame::{begin, end, escaped, fact, short};
use super::{brief, described, grouped, percent, plot, sized, together, valued};
use crate::profile::report::{Column, Dimension, Histogram, Report, Top, Verdict};

/// Columns that are shown in full.
const COLUMNS: usize = 1_000;
/// Findings and rejects that are shown.
const LINES: usize = 200;

/// The page of a profile.
pub fn page(report: &Report) -> String {
    let mut out = begin(&report.file.name, "");
    let name = escaped(&report.file.name);
    head(report, &name, &mut out);
    quality(&report.quality, &mut out);
    findings(report, &mut out);
    quarantine(report, &mut out);
    out.push_str("<h2>Columns</h2><div class=\"columns\">\n");
    for column in report.columns.iter().take(COLUMNS) {
        one(column, report.rows, &mut out);
    }
    out.push_str("</div>\n");
    if report.columns.len() > COLUMNS {
        let _ = writeln!(out, "<p class=\"dim\">and {} more columns</p>", report.columns.len() - COLUMNS);
    }
    let note = "Counts are exact but where ≈ stands: numbers of different values beyond those that are counted one by one, \
                within 1.6 % at 95 %. Quantiles and histograms are within the rank error that a column tells.";
    end(note, &mut out);
    out
}

fn head(report: &Report, name: &str, out: &mut String) {
    let file = &report.file;
    let kind = escaped(&described(file));
    let _ = write!(
        out,
        "<h1>{name}</h1><p class=\"dim\">{} · {kind}</p><div class=\"facts\">",
        sized(file.bytes)
    );
    fact("rows", &grouped(report.rows), out);
    fact("columns", &grouped(report.columns.len() as u64), out);
    let missing: u64 = report.columns.iter().map(|column| column.missing.count).sum();
    let cells = (report.rows * report.columns.len() as u64).max(1);
    fact("missing cells", &percent(missing as f64 / cells as f64), out);
    fact("duplicate rows", &grouped(report.duplicate_rows.duplicates), out);
    if let Some(keys) = report.duplicate_keys {
        fact("repeated keys", &grouped(keys.duplicates), out);
    }
    if report.quarantine.left + report.quarantine.broken > 0 {
        fact("rows in quarantine", &grouped(report.quarantine.left + report.quarantine.broken), out);
    }
    out.push_str("</div>\n");
    for note in &file.notes {
        let _ = writeln!(out, "<p class=\"dim\">{}</p>", escaped(note));
    }
}

fn quality(quality: &[Dimension], out: &mut String) {
    out.push_str(
        "<h2>Quality</h2><div class=\"wide\"><table><tr><th>dimension<th>verdict<th class=\"n\">figure\
         <th class=\"n\">interval<th class=\"n\">target<th>how\n",
    );
    for one in quality {
        let class = match one.verdict {
            Verdict::Pass => "pass",
            Verdict::Fail => "fail",
            Verdict::Inconclusive => "inconclusive",
            Verdict::NotMeasurable | Verdict::NotJudged => "dim",
        };
        let figure = one.estimate.map_or(String::new(), brief);
        let interval =
            one.interval.map_or(String::new(), |it| format!("{} to {}", brief(it.lower), brief(it.upper)));
        let _ = writeln!(
            out,
            "<tr><td>{}<td class=\"v {class}\">{}<td class=\"n\">{figure}<td class=\"n\">{interval}<td class=\"n\">{}<td>{}: {}",
            one.dimension,
            one.verdict.as_str(),
            escaped(one.target.as_deref().unwrap_or_default()),
            one.measure,
            escaped(&one.reason),
        );
        parts(one, out);
    }
    out.push_str("</table></div>\n");
}

/// Figures of parts, folded away.
fn parts(dimension: &Dimension, out: &mut String) {
    if dimension.details.is_empty() {
        return;
    }
    out.push_str("<details><summary>parts</summary><table>");
    for part in dimension.details.iter().take(LINES) {
        let bounds = part
            .interval
            .map_or(String::new(), |it| format!("{} to {}", percent(it.lower), percent(it.upper)));
        let name = short(&part.part);
        let _ = write!(out, "<tr><td>{name}<td class=\"n\">{}<td class=\"n\">{bounds}", percent(part.value));
    }
    out.push_str("</table></details>\n");
}

fn findings(report: &Report, out: &mut String) {
    if report.findings.is_empty() {
        return;
    }
    out.push_str("<h2>Worth a look</h2><div class=\"wide\"><table>\n");
    for (columns, what) in together(&report.findings).iter().take(LINES) {
        let _ = writeln!(out, "<tr><td>{}<td>{}", short(columns), short(what));
    }
    out.push_str("</table></div>\n");
}

fn quarantine(report: &Report, out: &mut String) {
    let quarantine = &report.quarantine;
    if quarantine.counts.is_empty() && report.breaches.is_empty() {
        return;
    }
    let _ = write!(
        out,
        "<h2>Quarantine</h2><p>{} rows could not be taken; {} rows break the schema.</p>",
        grouped(quarantine.left),
        grouped(quarantine.broken)
    );
    for breach in &report.breaches {
        let _ = writeln!(out, "<p class=\"fail\">{}</p>", escaped(breach));
    }
    out.push_str("<div class=\"wide\"><table><tr><th class=\"n\">rows<th>column<th>reason\n");
    for count in quarantine.counts.iter().take(LINES) {
        let column = count.column.as_deref().map(short).unwrap_or_default();
        let _ = writeln!(
            out,
            "<tr><td class=\"n\">{}<td>{column}<td>{}",
            grouped(count.count),
            count.reason.as_str()
        );
    }
    out.push_str("</table></div><div class=\"wide\"><table><tr><th class=\"n\">row<th class=\"n\">line<th>column<th>what stands there\n");
    for example in quarantine.examples.iter().take(LINES) {
        let line = example.line.map_or(String::new(), |line| line.to_string());
        let column = example.column.as_deref().map(short).unwrap_or_default();
        let what = short(&example.what);
        let _ =
            writeln!(out, "<tr><td class=\"n\">{}<td class=\"n\">{line}<td>{column}<td>{what}", example.row);
    }
    out.push_str("</table></div>\n");
}

fn one(column: &Column, rows: u64, out: &mut String) {
    let unit = column.unit.as_ref().map_or(String::new(), |unit| format!(", {}", short(unit)));
    let _ = write!(
        out,
        "<div class=\"column\"><h3>{}</h3><span class=\"dim\">{}{unit}</span>",
        short(&column.name),
        column.kind
    );
    if let Some(numbers) = &column.numbers
        && (!column.distinct.exact || column.distinct.count > 2)
    {
        drawing(&numbers.histogram, &valued(&numbers.min), &valued(&numbers.max), out);
    }
    out.push_str("<dl>");
    let about = if column.distinct.exact { "" } else { "≈" };
    pair("missing", &format!("{} ({})", grouped(column.missing.count), percent(column.missing.share)), out);
    pair("distinct", &format!("{about}{}", grouped(column.distinct.count)), out);
    if let Some(numbers) = &column.numbers {
        pair("mean", &valued(&numbers.mean), out);
        if let Some(std) = numbers.std {
            pair("standard deviation", &brief(std), out);
        }
        for quantile in numbers.quantiles.iter().filter(|it| [0.05, 0.5, 0.95].contains(&it.at)) {
            pair(&format!("{:.0} % quantile", quantile.at * 100.0), &valued(&quantile.value), out);
        }
        if numbers.rank_error > 0.0 {
            pair("rank error", &format!("± {}", percent(numbers.rank_error)), out);
        }
        let counts = [
            ("zeros", numbers.zeros),
            ("negative", numbers.negatives),
            ("infinite", numbers.infinite),
            ("outliers", numbers.outliers),
        ];
        for (label, count) in counts.into_iter().filter(|(_, count)| *count > 0) {
            pair(label, &grouped(count), out);
        }
    }
    if let Some(texts) = &column.texts {
        pair("letters", &format!("{} to {}, mean {}", texts.shortest, texts.longest, brief(texts.mean)), out);
        if let Some(looks) = &texts.looks_like {
            pair("looks like", &format!("{} ({} do not)", looks.class, grouped(looks.misfits)), out);
        }
    }
    out.push_str("</dl>");
    if column.numbers.is_none() || (column.distinct.exact && column.distinct.count <= 12) {
        most(&column.top, rows - column.missing.count, out);
    }
    out.push_str("</div>\n");
}

fn pair(label: &str, value: &str, out: &mut String) {
    let _ = write!(out, "<dt>{label}<dd>{}", escaped(value));
}

fn most(top: &[Top], present: u64, out: &mut String) {
    let values: Vec<(String, f64)> =
        top.iter().take(8).map(|top| (top.value.text(), top.count as f64 / present.max(1) as f64)).collect();
    plot::shares(values.iter().map(|(value, share)| (value.as_str(), *share)), out);
}

/// A histogram with what lies outside of it.
fn drawing(histogram: &Histogram, low: &str, high: &str, out: &mut String) {
    let cut = |count: u64, text: &str| match count {
        0 => text.to_owned(),
        count => format!("{text} ({} outside)", grouped(count)),
    };
    plot::histogram(&histogram.counts, &cut(histogram.below, low), &cut(histogram.above, high), out);
}
