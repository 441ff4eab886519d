//! What the version consists of: columns, splits with their audit, and how the training rows are spread.

use contracts::common::v1::column_profile::Distribution;
use contracts::common::v1::{ColumnProfile, NumericHistogram};
use contracts::registry::v1::{DatasetColumn, DatasetVersion};
use features::leakage::Finding;
use tabular::show::plot::Gauge;
use tabular::show::{brief, grouped, percent, sized};

use super::Facts;
use super::section::{Block, Cell, Column, Head, Shape, Table, word};

/// Columns whose distribution is drawn.
const DRAWN: usize = 100;
/// Values of a column that are drawn.
const VALUES: usize = 10;

/// Data types, features, labels; the splits and what one knows of another.
pub fn composition(facts: &Facts<'_>) -> Vec<Block> {
    let version = facts.version;
    if version.columns.is_empty() || version.splits.is_empty() {
        return Vec::new();
    }
    let mut made = vec![Block::Table(columns(&version.columns)), Block::Title("Splits".into())];
    made.push(Block::Parts(version.splits.iter().map(|split| (split.split.clone(), split.rows)).collect()));
    let rows = version.splits.iter().map(|split| {
        vec![
            Cell::text(&split.split),
            Cell::count(split.rows),
            Cell::text(sized(split.size_bytes)),
            Cell::code(&split.digest),
        ]
    });
    let head = vec![Head::Text("split"), Head::Number("rows"), Head::Number("size"), Head::Text("digest")];
    made.push(Block::Table(Table { head, rows: rows.collect() }));
    let leaked = version.leaked_rows.map_or(Cell::text("nobody looked"), Cell::count);
    made.push(Block::Facts(vec![("rows in more than one split", leaked)]));
    if !facts.audit.is_empty() {
        made.push(Block::Title("Audit of the splits".into()));
        made.push(Block::Table(audit(facts.audit)));
    }
    made
}

fn columns(columns: &[DatasetColumn]) -> Table {
    let row = |column: &DatasetColumn| {
        let role = match column {
            column if column.label => "label",
            column if column.key => "key",
            column if column.sensitive => "group",
            _ => "feature",
        };
        let origin = if column.derived { "made by the plan" } else { "input" };
        vec![
            Cell::text(&column.name),
            Cell::text(&column.r#type),
            Cell::text(role),
            Cell::text(if column.nullable { "yes" } else { "no" }),
            Cell::code(&column.missing_text),
            Cell::text(origin),
        ]
    };
    let head = ["column", "type", "role", "may be missing", "missing stands as", "from"].map(Head::Text);
    Table { head: head.into(), rows: columns.iter().map(row).collect() }
}

fn audit(findings: &[Finding]) -> Table {
    let row = |one: &Finding| {
        let value = if one.value.is_nan() { Cell::Empty } else { Cell::text(brief(one.value)) };
        let interval = one
            .interval
            .map_or(Cell::Empty, |it| Cell::text(format!("{} to {}", brief(it.lower), brief(it.upper))));
        vec![
            Cell::text(one.check.replace('_', " ")),
            Cell::Verdict(one.verdict),
            value,
            interval,
            gauge(one),
            Cell::text(brief(one.limit)),
            Cell::count(one.rows),
            Cell::text(&one.what),
        ]
    };
    let head = vec![
        Head::Text("check"),
        Head::Text("verdict"),
        Head::Number("value"),
        Head::Number("interval"),
        Head::Picture("against the limit"),
        Head::Number("limit"),
        Head::Number("rows"),
        Head::Text("what"),
    ];
    Table { head, rows: findings.iter().map(row).collect() }
}

/// A check whose value has an interval is an estimate between 0 and 1 and can be drawn; the others are counts.
fn gauge(one: &Finding) -> Cell {
    let Some(interval) = one.interval.filter(|_| one.value.is_finite()) else { return Cell::Empty };
    let said = format!("{}, limit {}: {}", brief(one.value), brief(one.limit), word(one.verdict));
    Cell::Gauge(Gauge::fitted(one.value, Some((interval.lower, interval.upper)), Some(one.limit)), said)
}

/// Statistics, and drawings where they can be.
pub fn distribution(version: &DatasetVersion) -> Vec<Block> {
    if version.profiles.is_empty() {
        return Vec::new();
    }
    let kind = |name: &str| version.columns.iter().find(|column| column.name == name);
    let drawn = version.profiles.iter().take(DRAWN).map(|profile| {
        let kind = kind(&profile.column).map(|column| column.r#type.clone()).unwrap_or_default();
        column(profile, kind)
    });
    let mut made = vec![
        Block::Text("The training split as it came from the plan.".into()),
        Block::Columns(drawn.collect()),
    ];
    if DRAWN < version.profiles.len() {
        made.push(Block::Text(format!("and {} more columns", version.profiles.len() - DRAWN)));
    }
    made
}

fn column(profile: &ColumnProfile, kind: String) -> Column {
    let share = profile.missing as f64 / profile.rows.max(1) as f64;
    let mut figures = vec![
        ("rows", grouped(profile.rows)),
        ("missing", format!("{} ({})", grouped(profile.missing), percent(share))),
    ];
    let shape = match &profile.distribution {
        None => Shape::Unknown,
        Some(Distribution::Numeric(numeric)) => {
            figures.extend(numbers(numeric));
            Shape::Numbers {
                edges: numeric.edges.clone(),
                counts: numeric.counts.clone(),
                low: numeric.min,
                high: numeric.max,
            }
        }
        Some(Distribution::Categorical(counts)) => {
            let mut values: Vec<(String, u64)> =
                counts.values.iter().cloned().zip(counts.counts.iter().copied()).collect();
            values.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
            let left: u64 = values.iter().skip(VALUES).map(|(_, count)| count).sum();
            values.truncate(VALUES);
            if left + counts.other > 0 {
                values.push(("(others)".to_owned(), left + counts.other));
            }
            Shape::Values(values)
        }
    };
    Column { name: profile.column.clone(), kind, figures, shape }
}

fn numbers(numeric: &NumericHistogram) -> impl Iterator<Item = (&'static str, String)> {
    let deviation = numeric.variance.sqrt();
    [
        ("mean", numeric.mean),
        ("standard deviation", deviation),
        ("smallest", numeric.min),
        ("largest", numeric.max),
    ]
    .into_iter()
    .filter(|(_, value)| value.is_finite())
    .map(|(name, value)| (name, brief(value)))
}
