//! The page for the browser: one file without outside resources and without scripts, readable on light and dark.

use std::fmt::Write;

use super::{brief, described, grouped, percent, sized, valued};
use crate::profile::report::{Column, Dimension, Histogram, Report, Top, Verdict};

/// Columns that are shown in full.
const COLUMNS: usize = 1_000;
/// Findings and rejects that are shown.
const LINES: usize = 200;

const STYLE: &str = "
:root{color-scheme:light dark;--back:#fff;--text:#1c1e21;--dim:#64686f;--line:#d9dce1;--card:#f6f7f9;--bar:#3b6fb6;
--good:#1a7f43;--bad:#b3261e;--warn:#8a5a00}
@media(prefers-color-scheme:dark){:root{--back:#15171a;--text:#e6e8eb;--dim:#9aa0a8;--line:#33373d;--card:#1d2024;--bar:#7aa7e6;
--good:#5cc489;--bad:#f2857d;--warn:#e0b25c}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:72rem;padding:1.5rem;background:var(--back);color:var(--text);
font:15px/1.5 system-ui,-apple-system,Segoe UI,sans-serif}
h1{font-size:1.5rem;margin:0;overflow-wrap:anywhere}h2{font-size:1.15rem;margin:2rem 0 .6rem}h3{font-size:1rem;margin:0;overflow-wrap:anywhere}
p{margin:.3rem 0}.dim{color:var(--dim)}.pass{color:var(--good)}.fail{color:var(--bad)}.inconclusive{color:var(--warn)}
.facts{display:flex;flex-wrap:wrap;gap:.8rem;margin:1rem 0}
.fact{background:var(--card);border:1px solid var(--line);border-radius:.5rem;padding:.5rem .9rem}
.fact b{display:block;font-size:1.25rem;font-variant-numeric:tabular-nums}
.wide{overflow-x:auto}
table{border-collapse:collapse;width:100%;min-width:40rem}th,td{text-align:left;padding:.3rem .6rem;border-bottom:1px solid var(--line);
vertical-align:top;overflow-wrap:break-word}td.v{white-space:nowrap}th{color:var(--dim);font-weight:600;white-space:nowrap}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
.columns{display:grid;grid-template-columns:repeat(auto-fill,minmax(20rem,1fr));gap:.9rem}
.column{background:var(--card);border:1px solid var(--line);border-radius:.5rem;padding:.8rem;min-width:0}
.column dl{display:grid;grid-template-columns:auto 1fr;gap:.1rem .8rem;margin:.4rem 0;font-size:.9rem}
dt{color:var(--dim)}dd{margin:0;text-align:right;font-variant-numeric:tabular-nums;overflow-wrap:anywhere}
svg{display:block;width:100%;height:auto}svg rect{fill:var(--bar)}svg text{fill:var(--dim);font:10px system-ui,sans-serif}
.top{font-size:.9rem;display:grid;grid-template-columns:1fr auto;gap:.1rem .6rem;margin-top:.4rem}
.top span{overflow:hidden;text-overflow:ellipsis;white-space:nowrap}
.top i{grid-column:1/3;height:3px;background:var(--bar);border-radius:2px;margin-bottom:.2rem}
.wide td:last-child{min-width:18rem}details table{min-width:0}.wide details td:last-child{min-width:0}summary{cursor:pointer;color:var(--dim)}
footer{margin-top:2.5rem;color:var(--dim);font-size:.85rem}
";

/// The page of a profile.
pub fn page(report: &Report) -> String {
    let mut out = String::with_capacity(1 << 16);
    let name = escaped(&report.file.name);
    let policy = "default-src 'none'; style-src 'unsafe-inline'";
    let _ = write!(
        out,
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{policy}\">\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
         <title>{name}</title><style>{STYLE}</style></head><body>\n"
    );
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
    let _ = writeln!(
        out,
        "<footer>Counts are exact but where ≈ stands: numbers of different values beyond those that are counted one by one, \
         within 1.6 % at 95 %. Quantiles and histograms are within the rank error that a column tells.</footer></body></html>"
    );
    out
}

/// Text as HTML; control characters and those that turn the direction of text are shown as a point.
fn escaped(text: &str) -> String {
    let mut made = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => made.push_str("&amp;"),
            '<' => made.push_str("&lt;"),
            '>' => made.push_str("&gt;"),
            '"' => made.push_str("&quot;"),
            '\'' => made.push_str("&#39;"),
            letter if letter.is_control() || super::terminal::is_turning(letter) => made.push('·'),
            letter => made.push(letter),
        }
    }
    made
}

/// The beginning of a text as HTML.
fn short(text: &str) -> String {
    let mut made = escaped(&text.chars().take(120).collect::<String>());
    if text.chars().nth(120).is_some() {
        made.push('…');
    }
    made
}

fn fact(label: &str, value: &str, out: &mut String) {
    let _ = write!(out, "<div class=\"fact\"><b>{value}</b><span class=\"dim\">{label}</span></div>");
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
    for finding in report.findings.iter().take(LINES) {
        let column = finding.column.as_deref().map(short).unwrap_or_default();
        let _ = writeln!(out, "<tr><td>{column}<td>{}", short(&finding.what));
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
    out.push_str("<div class=\"top\">");
    for top in top.iter().take(8) {
        let share = top.count as f64 / present.max(1) as f64;
        let _ = write!(
            out,
            "<span title=\"{0}\">{0}</span><span class=\"dim\">{1}</span><i style=\"width:{2:.1}%\"></i>",
            short(&top.value.text()),
            percent(share),
            share * 100.0
        );
    }
    out.push_str("</div>");
}

/// A histogram of 240 by 70 points.
fn drawing(histogram: &Histogram, low: &str, high: &str, out: &mut String) {
    let most = histogram.counts.iter().copied().max().unwrap_or(0).max(1);
    let width = 240.0 / histogram.counts.len().max(1) as f64;
    out.push_str("<svg viewBox=\"0 0 240 72\" role=\"img\" aria-label=\"histogram\">");
    for (at, count) in histogram.counts.iter().enumerate() {
        let height = *count as f64 / most as f64 * 56.0;
        let shown = if *count > 0 { height.max(0.8) } else { 0.0 };
        let _ = write!(
            out,
            "<rect x=\"{:.2}\" y=\"{:.2}\" width=\"{:.2}\" height=\"{shown:.2}\"><title>{}</title></rect>",
            at as f64 * width + 0.4,
            58.0 - shown,
            (width - 0.8).max(0.4),
            grouped(*count)
        );
    }
    let cut = |count: u64, text: &str| match count {
        0 => escaped(text),
        count => escaped(&format!("{text} ({} outside)", grouped(count))),
    };
    let _ = write!(
        out,
        "<text x=\"0\" y=\"70\">{}</text><text x=\"240\" y=\"70\" text-anchor=\"end\">{}</text></svg>",
        cut(histogram.below, low),
        cut(histogram.above, high)
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_file_says_is_no_markup() {
        assert_eq!(escaped("<b a='1'>&\"\n"), "&lt;b a=&#39;1&#39;&gt;&amp;&quot;·");
        assert_eq!(short(&"x".repeat(200)).chars().count(), 121);
    }
}
