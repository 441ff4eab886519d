//! Disparity between groups (§9.1): the largest difference of selection rates within one column.

use std::collections::BTreeMap;

use contracts::monitor::v1::VersionObservation;

/// The largest difference of selection rates over the groups that the gateway saw, and the rows that it rests on; see
/// [`largest_gap`].
pub fn disparity(seen: &VersionObservation, least: u64) -> (Option<f64>, u64) {
    let groups = seen.groups.iter().map(|one| (one.group.as_str(), one.rows, one.favourable));
    largest_gap(groups, least)
}

/// As [`disparity`], over `(group, rows, favourable rows)`. Each group column stands by itself (`sex=Female`).
///
/// Groups with fewer than `least` rows say nothing and are left out. The rows are those of the smaller of the two groups
/// that make the difference; without two groups large enough there is no difference, and the rows are those of the second
/// largest group: what is still missing to `least`.
pub fn largest_gap<'a>(groups: impl Iterator<Item = (&'a str, u64, u64)>, least: u64) -> (Option<f64>, u64) {
    let mut columns: BTreeMap<&str, Vec<Group>> = BTreeMap::new();
    for (group, rows, favourable) in groups.filter(|(_, rows, favourable)| *rows > 0 && favourable <= rows) {
        let column = group.split_once('=').map_or("", |(column, _)| column);
        columns.entry(column).or_default().push(Group { rows, favourable });
    }
    let mut worst: (Option<f64>, u64) = (None, 0);
    for column in columns.values() {
        let large: Vec<&Group> = column.iter().filter(|group| group.rows >= least).collect();
        let (Some(high), Some(low)) =
            (large.iter().copied().reduce(Group::higher), large.iter().copied().reduce(Group::lower))
        else {
            continue;
        };
        if large.len() > 1 && worst.0.is_none_or(|before| high.above(low) > before) {
            worst = (Some(high.above(low)), high.rows.min(low.rows));
        }
    }
    if worst.0.is_none() {
        worst.1 = columns.values().filter_map(|column| second_largest(column)).max().unwrap_or(0);
    }
    worst
}

fn second_largest(column: &[Group]) -> Option<u64> {
    let mut rows: Vec<u64> = column.iter().map(|group| group.rows).collect();
    rows.sort_unstable();
    rows.iter().rev().nth(1).copied()
}

#[derive(Debug, Clone, Copy)]
struct Group {
    rows: u64,
    favourable: u64,
}

impl Group {
    /// This group's share less the other's, rounded once: 40 of 100 and 30 of 100 are 0.1 apart, not a little more.
    fn above(&self, other: &Self) -> f64 {
        let cross = |a: &Self, b: &Self| i128::from(a.favourable) * i128::from(b.rows);
        (cross(self, other) - cross(other, self)) as f64
            / (u128::from(self.rows) * u128::from(other.rows)) as f64
    }

    fn higher<'a>(&'a self, other: &'a Self) -> &'a Self {
        if other.above(self) > 0.0 { other } else { self }
    }

    fn lower<'a>(&'a self, other: &'a Self) -> &'a Self {
        if other.above(self) < 0.0 { other } else { self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disparity_is_the_largest_difference_within_one_column() {
        let groups = [("sex=F", 100, 30), ("sex=M", 120, 60), ("age=old", 500, 500), ("region=x", 100, 0)];
        let (gap, rows) = largest_gap(groups.into_iter(), 100);
        assert!(gap.is_some_and(|gap| (gap - 0.2).abs() < 1e-12) && rows == 100, "{gap:?} {rows}");
        assert_eq!(largest_gap([("sex=F", 100, 30)].into_iter(), 100), (None, 0));
    }

    /// One row against ninety-nine is no disparity: the smaller group must be large enough.
    #[test]
    fn small_groups_say_nothing() {
        assert_eq!(largest_gap([("sex=F", 1, 0), ("sex=M", 999, 999)].into_iter(), 100), (None, 1));
        let three = [("sex=F", 99, 0), ("sex=M", 300, 150), ("sex=X", 100, 40)];
        let (gap, rows) = largest_gap(three.into_iter(), 100);
        assert!(gap.is_some_and(|gap| (gap - 0.1).abs() < 1e-12) && rows == 100, "{gap:?} {rows}");
    }

    /// A difference of exactly a tenth is no more than a tenth, whatever the shares (reading 2).
    #[test]
    fn the_boundary_is_exact() {
        for rows in 1..300_u64 {
            for favourable in 0..rows * 9 {
                if favourable % rows == 0 {
                    let pair = [("g=a", rows * 10, favourable + rows), ("g=b", rows * 10, favourable)];
                    assert_eq!(
                        largest_gap(pair.into_iter(), 1).0,
                        Some(0.1),
                        "{favourable} of {}",
                        rows * 10
                    );
                }
            }
        }
    }
}
