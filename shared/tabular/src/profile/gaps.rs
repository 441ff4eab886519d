//! By how much groups differ: in missing values, in duplicates, in how often they have a label.

use statistics::Interval;
use statistics::interval::{Share, newcombe};

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
    /// Of the difference. The intervals of all pairs of groups hold together (Newcombe, Bonferroni).
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
    let mut shares: Vec<(String, Share)> = Vec::new();
    for (name, events, rows) in table.groups {
        if FLOOR <= rows {
            shares.push((name, Share::new(events, rows).ok()?));
        }
    }
    shares.sort_by(|a, b| b.1.value().total_cmp(&a.1.value()).then_with(|| a.0.cmp(&b.0)));
    let [first, .., last] = shares.as_slice() else { return None };
    let pairs = shares.len() * (shares.len() - 1) / 2;
    let interval = newcombe(first.1, last.1, 1.0 - (1.0 - confidence) / pairs as f64).ok()?;
    Some(Gap {
        by: table.by,
        of: table.of,
        ends: [first, last].map(|(name, share)| (name.clone(), share.value())),
        interval,
        rows: shares.iter().map(|(_, share)| share.trials()).sum(),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_difference_is_between_groups_of_some_size() {
        let group = |name: &str, events, rows| (name.to_owned(), events, rows);
        let groups = vec![group("a", 50, 100), group("b", 10, 100), group("c", 5, 5), group("d", 30, 100)];
        let gap = largest(Table { by: "g".into(), of: "x".into(), groups }, 0.9).unwrap();
        assert_eq!(gap.ends, [("a".to_owned(), 0.5), ("b".to_owned(), 0.1)]);
        assert!((gap.value() - 0.4).abs() < 1e-12 && gap.rows == 300);
        let alone = newcombe(Share::new(50, 100).unwrap(), Share::new(10, 100).unwrap(), 0.9).unwrap();
        assert!(gap.interval.lower < alone.lower && alone.upper < gap.interval.upper, "all pairs together");
        let one = vec![group("a", 50, 100), group("c", 5, 5)];
        assert!(largest(Table { by: "g".into(), of: "x".into(), groups: one }, 0.9).is_none());
    }
}
