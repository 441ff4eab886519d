//! A card as a page: one file without scripts and outside resources, on light and dark, on a screen and on paper.

use std::fmt::Write as _;

use tabular::show::frame::{begin, end, escaped, fact, short};
use tabular::show::plot;

use super::section::{Block, Card, Cell, Column, Head, Section, Shape, Table, word};

const STYLE: &str = "code{font:.85em ui-monospace,Menlo,Consolas,monospace;overflow-wrap:anywhere}\
nav{margin:.8rem 0;display:flex;flex-wrap:wrap;gap:.2rem 1rem;font-size:.9rem}a{color:var(--bar)}\
h2{border-top:1px solid var(--line);padding-top:1rem}h3{margin:1rem 0 .4rem}.column h3{margin:0}\
.card table{min-width:0}.card .wide td:last-child{min-width:0}.card td code{font-size:.75em}\
.wide{margin:.6rem 0}dl.list{display:grid;grid-template-columns:max-content 1fr;gap:.15rem 1.2rem;margin:.6rem 0}\
dl.list dd{text-align:left}.shares{max-width:40rem}.parts{max-width:45rem;margin:.6rem 0}\
.missing{color:var(--bad);font-weight:600}pre{white-space:pre-wrap;overflow-wrap:anywhere;background:var(--card);\
border:1px solid var(--line);border-radius:.5rem;padding:.6rem;font:.8rem ui-monospace,Menlo,Consolas,monospace}\
@media print{nav{display:none}details>summary{display:none}pre{display:none}}";

/// Writes the page.
pub fn write(card: &Card) -> String {
    let mut out =
        begin(&format!("Data card: {} {}", card.title, card.tag), &format!("{STYLE}{}", plot::GAUGE_STYLE));
    let _ = write!(
        out,
        "<main class=\"card\"><h1>{} <span class=\"dim\">{}</span></h1><p class=\"dim\">Data card of <code>{}</code></p>\
         <div class=\"facts\">",
        escaped(&card.title),
        escaped(&card.tag),
        escaped(&card.name)
    );
    for (name, value) in &card.figures {
        fact(name, &short(value), &mut out);
    }
    out.push_str("</div>\n<nav>");
    for section in &card.sections {
        let class = if section.blocks.is_empty() { " class=\"missing\"" } else { "" };
        let _ = write!(out, "<a href=\"#{}\"{class}>{}</a>", section.part, section.heading);
    }
    out.push_str("</nav>\n");
    for (at, section) in card.sections.iter().enumerate() {
        part(at + 1, section, &mut out);
    }
    out.push_str("</main>\n");
    end(
        "Made from the records of the dataset, its sources and the build; the same records give the same page.",
        &mut out,
    );
    out
}

fn part(number: usize, section: &Section, out: &mut String) {
    let _ = writeln!(out, "<section id=\"{}\"><h2>{number}. {}</h2>", section.part, section.heading);
    if section.blocks.is_empty() {
        out.push_str("<p class=\"missing\">Missing: nothing is recorded.</p>\n");
    }
    for block in &section.blocks {
        one(block, out);
    }
    out.push_str("</section>\n");
}

fn one(block: &Block, out: &mut String) {
    match block {
        Block::Text(text) => {
            let lines: Vec<String> = text.lines().map(escaped).collect();
            let _ = writeln!(out, "<p>{}</p>", lines.join("<br>"));
        }
        Block::Title(text) => {
            let _ = writeln!(out, "<h3>{}</h3>", escaped(text));
        }
        Block::Facts(facts) => {
            out.push_str("<dl class=\"list\">");
            for (name, value) in facts {
                let _ = write!(out, "<dt>{name}<dd>");
                cell(value, out);
            }
            out.push_str("</dl>\n");
        }
        Block::Table(table) => grid(table, out),
        Block::Parts(parts) => {
            let parts: Vec<(&str, u64)> = parts.iter().map(|(name, count)| (name.as_str(), *count)).collect();
            out.push_str("<div class=\"parts\">");
            plot::parts(&parts, out);
            out.push_str("</div>\n");
        }
        Block::Shares(shares) => {
            out.push_str("<div class=\"shares\">");
            plot::shares(shares.iter().map(|(name, share)| (name.as_str(), *share)), out);
            out.push_str("</div>\n");
        }
        Block::Columns(columns) => {
            out.push_str("<div class=\"columns\">\n");
            columns.iter().for_each(|column| spread(column, out));
            out.push_str("</div>\n");
        }
        Block::Verbatim { title, text } => {
            let (title, text) = (escaped(title), escaped(text));
            let _ = writeln!(out, "<details><summary>{title}</summary><pre>{text}</pre></details>");
        }
    }
}

fn grid(table: &Table, out: &mut String) {
    out.push_str("<div class=\"wide\"><table><tr>");
    for head in &table.head {
        let _ = write!(out, "<th{}>{}", class(*head), head.name());
    }
    out.push('\n');
    for cells in &table.rows {
        out.push_str("<tr>");
        for (head, value) in table.head.iter().zip(cells) {
            if let Cell::Verdict(verdict) = value {
                let word = word(*verdict);
                let _ = write!(out, "<td class=\"v {word}\">{word}");
                continue;
            }
            let _ = write!(out, "<td{}>", class(*head));
            cell(value, out);
        }
        out.push('\n');
    }
    out.push_str("</table></div>\n");
}

fn class(head: Head) -> &'static str {
    if matches!(head, Head::Number(_)) { " class=\"n\"" } else { "" }
}

fn cell(cell: &Cell, out: &mut String) {
    match cell {
        Cell::Empty => {}
        Cell::Text(text) => out.push_str(&escaped(text)),
        Cell::Code(text) => {
            let _ = write!(out, "<code>{}</code>", escaped(text));
        }
        Cell::Verdict(verdict) => out.push_str(word(*verdict)),
        Cell::Gauge(gauge, said) => gauge.draw(said, out),
    }
}

fn spread(column: &Column, out: &mut String) {
    let (name, kind) = (short(&column.name), escaped(&column.kind));
    let _ = write!(out, "<div class=\"column\"><h3>{name}</h3><span class=\"dim\">{kind}</span>");
    if let Shape::Numbers { edges, counts, low, high } = &column.shape {
        plot::density(edges, counts, *low, *high, out);
    }
    out.push_str("<dl>");
    for (name, value) in &column.figures {
        let _ = write!(out, "<dt>{name}<dd>{}", escaped(value));
    }
    out.push_str("</dl>");
    if let Shape::Values(values) = &column.shape {
        let all = values.iter().map(|(_, count)| *count).sum::<u64>().max(1) as f64;
        plot::shares(values.iter().map(|(value, count)| (value.as_str(), *count as f64 / all)), out);
    }
    out.push_str("</div>\n");
}
