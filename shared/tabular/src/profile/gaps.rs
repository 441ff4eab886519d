//! By how much groups differ: in missing values, in duplicates, in how often they have a label.

use statistics::Interval;
use statistics::balance::largest_gap;

use super::groups::Groups;
use super::quality::Facts;
use super::report::{Detail, Report};

/// Rows of a group from which on it is compared.
const FLOOR: u64 = 30;
/// Labels whose shares are compared at most; with more the label is a quantity.
const LABELS: usize = 10;
/// Gaps in missing values that are told at most.
const GAPS: usize = 20;

/// The largest difference of a share between two groups of a column.
#[derive(Debug, Clone, PartialEq)]
pub struct Gap {
    /// The group column.
    pub by: String,
    /// What the share is of.
    pub of: String,
    /// The groups with the largest and smallest share, and these.
    pub ends: [(String, f64); 2],
    /// Of the difference; the intervals of all pairs of groups hold together.
    pub interval: Interval,
    /// Rows of all groups that were compared.
    pub rows: u64,
}

impl Gap {
    /// The difference.
    pub fn value(&self) -> f64 {
        self.ends[0].1 - self.ends[1].1
    }

    /// As a part of a dimension.
    pub fn detail(&self) -> Detail {
        let [(high, _), (low, _)] = &self.ends;
        let part = format!("gap by {}, {}: {high} above {low}", self.by, self.of);
        Detail { part, value: self.value(), of: self.rows, interval: Some(self.interval) }
    }
}

/// Groups of a column, each with its events and rows.
struct Table {
    by: String,
    of: String,
    groups: Vec<(String, u64, u64)>,
}

fn largest(table: Table, confidence: f64) -> Option<Gap> {
    let counts: Vec<(u64, u64)> = table.groups.iter().map(|(_, events, rows)| (*events, *rows)).collect();
    let found = largest_gap(&counts, FLOOR, confidence).ok()??;
    let end = |at: usize| {
        let (name, events, rows) = &table.groups[at];
        (name.clone(), *events as f64 / *rows as f64)
    };
    Some(Gap {
        ends: [end(found.high), end(found.low)],
        interval: found.interval,
        rows: found.trials,
        by: table.by,
        of: table.of,
    })
}

/// The group columns of few values, their place among them and their place in the table.
fn columns<'a>(facts: &'a Facts<'_>) -> impl Iterator<Item = (usize, usize, &'a Groups)> {
    let groups = facts.setup.groups.iter().zip(&facts.state.groups).enumerate();
    groups.filter(|(_, (_, groups))| !groups.too_many).map(|(at, (column, groups))| (at, *column, groups))
}

/// In rows without a value: the columns for which groups surely differ, most first.
pub fn missing(facts: &Facts<'_>, report: &Report) -> Vec<Gap> {
    let mut found = Vec::new();
    for (_, by, groups) in columns(facts) {
        let gaps = report.columns.iter().enumerate().filter(|(at, it)| *at != by && it.missing.count > 0);
        for (at, column) in gaps {
            let levels = groups.levels.iter().zip(&groups.missing);
            let table = Table {
                by: facts.column(by).to_owned(),
                of: format!("no value in {}", column.name),
                groups: levels
                    .map(|((hash, rows), missing)| (facts.named(by, *hash), missing[at], *rows))
                    .collect(),
            };
            found.extend(largest(table, facts.two_sided()));
        }
    }
    found.retain(|gap| gap.interval.lower > 0.0);
    found.sort_by(|a, b| b.interval.lower.total_cmp(&a.interval.lower));
    found.truncate(GAPS);
    found
}

/// In rows that equal an earlier one: one gap for each group column.
pub fn duplicates(facts: &Facts<'_>) -> Vec<Gap> {
    let gap = |(at, by, groups): (usize, usize, &Groups)| {
        let levels = groups.levels.iter();
        let groups =
            levels.map(|(hash, rows)| (facts.named(by, *hash), facts.duplicates_of(at, *hash), *rows));
        let table =
            Table { by: facts.column(by).to_owned(), of: "duplicate rows".into(), groups: groups.collect() };
        largest(table, facts.two_sided())
    };
    columns(facts).filter_map(gap).collect()
}

/// In how often groups have a label: one gap for each label, or the rarer one of two, and sensitive column.
pub fn labels(facts: &Facts<'_>) -> Vec<Gap> {
    let Some(label) = facts.setup.label else { return Vec::new() };
    let Some((_, _, counted)) = columns(facts).find(|(_, column, _)| *column == label) else {
        return Vec::new();
    };
    let mut levels: Vec<(u64, u64)> = counted.levels.clone();
    levels.sort_by_key(|(hash, rows)| (*rows, *hash));
    match levels.len() {
        2 => levels.truncate(1),
        0 | 1 => return Vec::new(),
        many if LABELS < many => return Vec::new(),
        _ => {}
    }
    let mut found = Vec::new();
    for (_, by, groups) in columns(facts).filter(|(_, by, _)| *by != label) {
        for (hash, _) in &levels {
            let each = groups.levels.iter().zip(&groups.labels);
            let table = Table {
                by: facts.column(by).to_owned(),
                of: format!("{} = {}", facts.column(label), facts.named(label, *hash)),
                groups: each
                    .map(|((group, rows), labels)| {
                        (facts.named(by, *group), labels.get(hash).copied().unwrap_or(0), *rows)
                    })
                    .collect(),
            };
            found.extend(largest(table, facts.two_sided()));
        }
    }
    found
}
