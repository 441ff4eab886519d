//! Fairness (§5.2, "balanced demographics?"): shares of the groups against what the plan declares, and how often the
//! favourable label stands in each.

use std::collections::BTreeMap;

use contracts::common::v1::Measurement;
use contracts::pipeline::v1::BuildPlan;
use contracts::registry::v1::{GroupShare, QualityMeasurement};
use statistics::balance::{Imbalance, imbalance};

use super::{CONFIDENCE, gaps, share};
use crate::Error;
use crate::steps::Built;

/// Name of the group of rows whose group is missing.
const MISSING: &str = "(missing)";
/// Rows from which on those of two groups at once are shown.
const FLOOR: usize = 30;
/// Figures of such rows that are shown at most.
const INTERSECTIONS: usize = 200;

/// The groups of a column with their rows: places among the version's rows that came from the inputs.
pub struct Grouped {
    /// The column.
    pub column: String,
    /// Name and rows of each group.
    pub groups: Vec<(String, Vec<usize>)>,
}

impl Grouped {
    /// The groups of a column.
    ///
    /// # Errors
    /// If it is missing.
    pub fn of(built: &Built, column: &str) -> Result<Self, Error> {
        let groups = by_value(built, column)?.into_iter().collect();
        Ok(Self { column: column.to_owned(), groups })
    }

    /// Those of each group column.
    ///
    /// # Errors
    /// If a column is missing.
    pub fn all(built: &Built, plan: &BuildPlan) -> Result<Vec<Self>, Error> {
        plan.group_columns.iter().map(|column| Self::of(built, column)).collect()
    }
}

fn by_value(built: &Built, column: &str) -> Result<BTreeMap<String, Vec<usize>>, Error> {
    let values = built.rows.column(column)?;
    let mut groups = BTreeMap::<String, Vec<usize>>::new();
    for row in 0..built.rows.rows() - built.rows.augmented {
        let group = values.text(row).unwrap_or(MISSING.into());
        match groups.get_mut(group.as_ref()) {
            Some(rows) => rows.push(row),
            None => {
                groups.insert(group.into_owned(), vec![row]);
            }
        }
    }
    Ok(groups)
}

/// Whether each row has a favourable label; nothing where no label is favourable.
///
/// # Errors
/// If the label is missing.
pub fn favourable(built: &Built, plan: &BuildPlan) -> Result<Option<Vec<bool>>, Error> {
    if plan.favourable_labels.is_empty() {
        return Ok(None);
    }
    let labels = built.rows.column(&plan.label_column)?;
    let has = |row: usize| {
        labels.text(row).is_some_and(|text| plan.favourable_labels.iter().any(|one| *one == text))
    };
    Ok(Some((0..built.rows.rows() - built.rows.augmented).map(has).collect()))
}

/// One share for each group of each group column.
///
/// # Errors
/// If a column is missing; a group of the reference that the data does not have counts with a share of 0.
pub fn shares(built: &Built, plan: &BuildPlan) -> Result<Vec<GroupShare>, Error> {
    let all = built.rows.rows() - built.rows.augmented;
    let (mut out, positives) = (Vec::new(), favourable(built, plan)?);
    for column in &plan.group_columns {
        let mut groups = by_value(built, column)?;
        let declared: BTreeMap<&str, f64> = plan
            .group_reference
            .iter()
            .filter(|reference| reference.column == *column)
            .map(|reference| (reference.group.as_str(), reference.share))
            .collect();
        for group in declared.keys() {
            groups.entry((*group).to_owned()).or_default();
        }
        let equal = 1.0 / groups.len().max(1) as f64;
        for (group, rows) in &groups {
            out.push(GroupShare {
                column: column.clone(),
                group: group.clone(),
                rows: rows.len() as u64,
                share: rows.len() as f64 / all.max(1) as f64,
                positive_share: positive(positives.as_deref(), rows)
                    .map_or(f64::NAN, |count| count as f64 / rows.len() as f64),
                reference_share: if declared.is_empty() {
                    equal
                } else {
                    declared.get(group.as_str()).copied().unwrap_or(0.0)
                },
            });
        }
    }
    Ok(out)
}

/// Rows with a favourable label; none where no label is favourable or the group is empty.
fn positive(favourable: Option<&[bool]>, rows: &[usize]) -> Option<u64> {
    let favourable = favourable.filter(|_| !rows.is_empty())?;
    Some(rows.iter().filter(|row| favourable[**row]).count() as u64)
}

/// The dimension: the largest difference between a group's share and what it should be.
///
/// # Errors
/// As [`shares`].
pub fn fairness(built: &Built, plan: &BuildPlan, shares: &[GroupShare]) -> Result<QualityMeasurement, Error> {
    let mut out = QualityMeasurement { dimension: "fairness".into(), ..QualityMeasurement::default() };
    let gap = |one: &GroupShare| (one.share - one.reference_share).abs();
    let Some(worst) = shares.iter().max_by(|a, b| gap(a).total_cmp(&gap(b))) else {
        out.not_applicable_reason =
            "the data describes no groups of people: the plan declares no group columns".into();
        return Ok(out);
    };
    let all = (built.rows.rows() - built.rows.augmented) as u64;
    let mut value = share(
        "group_share",
        worst.rows,
        all,
        "largest difference from the reference; wilson, simultaneous over groups",
        format!("{}={}", worst.column, worst.group),
    );
    value.metric = "imbalance".into();
    value.value = gap(worst);
    let told = balances(plan, shares);
    let ends = |end: fn(&Imbalance) -> f64| told.iter().map(|(_, one)| end(one)).max_by(f64::total_cmp);
    (value.lower, value.upper) = (ends(|one| one.interval.lower), ends(|one| one.interval.upper));
    out.value = Some(value);
    let groups = Grouped::all(built, plan)?;
    let positives = favourable(built, plan)?;
    let each = groups.iter().flat_map(|by| {
        by.groups.iter().map(|(group, rows)| (format!("{}={group}", by.column), rows.as_slice()))
    });
    for (slice, rows) in each {
        out.details.push(share("group_share", rows.len() as u64, all, "wilson", slice.clone()));
        if let Some(count) = positive(positives.as_deref(), rows) {
            out.details.push(share("label_base_rate", count, rows.len() as u64, "wilson", slice));
        }
    }
    let figure = |metric: &str, column: &str, value: f64, convention: &str| Measurement {
        metric: metric.to_owned(),
        value,
        sample_size: all,
        convention: convention.to_owned(),
        slice: format!("column={column}"),
        ..Measurement::default()
    };
    for (column, one) in &told {
        let smallest = "smallest share over its reference, by the largest";
        out.details.push(figure("total_variation", column, one.total_variation, "half the sum of distances"));
        out.details.push(figure("representation", column, one.representation, smallest));
    }
    out.details.extend(intersections(&groups, positives.as_deref(), all));
    out.details.extend(gaps::labels(built, plan, &groups)?);
    out.method = "share of each group against its reference, base rate of the favourable label".into();
    Ok(out)
}

/// How far the groups of each column are from their references; all intervals hold together.
fn balances(plan: &BuildPlan, shares: &[GroupShare]) -> Vec<(String, Imbalance)> {
    let of = |column: &String| {
        let own = shares.iter().filter(|one| one.column == *column);
        let counts: Vec<(u64, f64)> = own.map(|one| (one.rows, one.reference_share)).collect();
        Some((column.clone(), imbalance(&counts, shares.len(), CONFIDENCE).ok()?))
    };
    plan.group_columns.iter().filter_map(of).collect()
}

/// Rows and favourable labels of those who are of one group in two columns, where they are enough to tell.
fn intersections(groups: &[Grouped], positives: Option<&[bool]>, all: u64) -> Vec<Measurement> {
    let mut told = Vec::new();
    for (at, one) in groups.iter().enumerate() {
        for other in &groups[at + 1..] {
            for (first, left) in &one.groups {
                for (second, right) in &other.groups {
                    let both = both(left, right);
                    if both.len() < FLOOR || INTERSECTIONS <= told.len() {
                        continue;
                    }
                    let slice = format!("{}={first},{}={second}", one.column, other.column);
                    told.push(share("intersection_share", both.len() as u64, all, "wilson", slice.clone()));
                    if let Some(count) = positive(positives, &both) {
                        told.push(share("label_base_rate", count, both.len() as u64, "wilson", slice));
                    }
                }
            }
        }
    }
    told
}

/// What two ascending lists have in common.
fn both(left: &[usize], right: &[usize]) -> Vec<usize> {
    let (mut at, mut found) = (0, Vec::new());
    for row in left {
        at += right[at..].partition_point(|other| other < row);
        if right.get(at) == Some(row) {
            found.push(*row);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_two_groups_are_found() {
        assert_eq!(both(&[0, 2, 5, 9], &[1, 2, 3, 9, 10]), [2, 9]);
        assert!(both(&[], &[1]).is_empty() && both(&[1], &[]).is_empty());
    }
}
