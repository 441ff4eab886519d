//! Fairness (§5.2, "balanced demographics?"): shares of the groups against what the plan declares, and how often the
//! favourable label stands in each.

use std::collections::BTreeMap;

use contracts::pipeline::v1::BuildPlan;
use contracts::registry::v1::{GroupShare, QualityMeasurement};

use super::share;
use crate::Error;
use crate::steps::Built;

/// Name of the group of rows whose group is missing.
const MISSING: &str = "(missing)";

/// Rows of each group, `cohort=first`; places among the version's rows that came from the inputs.
///
/// # Errors
/// If a column is missing.
pub fn members(built: &Built, plan: &BuildPlan) -> Result<BTreeMap<String, Vec<usize>>, Error> {
    let mut out = BTreeMap::<String, Vec<usize>>::new();
    for column in &plan.group_columns {
        for (group, rows) in by_value(built, column)? {
            out.insert(format!("{column}={group}"), rows);
        }
    }
    Ok(out)
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

/// One share for each group of each group column.
///
/// # Errors
/// If a column is missing; a group of the reference that the data does not have counts with a share of 0.
pub fn shares(built: &Built, plan: &BuildPlan) -> Result<Vec<GroupShare>, Error> {
    let all = built.rows.rows() - built.rows.augmented;
    let mut out = Vec::new();
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
                positive_share: positives(built, plan, rows)?
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
fn positives(built: &Built, plan: &BuildPlan, rows: &[usize]) -> Result<Option<u64>, Error> {
    if plan.favourable_labels.is_empty() || rows.is_empty() {
        return Ok(None);
    }
    let labels = built.rows.column(&plan.label_column)?;
    let favourable = |row: &&usize| {
        labels.text(**row).is_some_and(|text| plan.favourable_labels.iter().any(|one| *one == text))
    };
    Ok(Some(rows.iter().filter(favourable).count() as u64))
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
        "largest difference from the reference",
        format!("{}={}", worst.column, worst.group),
    );
    value.metric = "imbalance".into();
    value.value = gap(worst);
    (value.lower, value.upper) = (None, None);
    out.value = Some(value);
    for (slice, rows) in members(built, plan)? {
        out.details.push(share("group_share", rows.len() as u64, all, "wilson", slice.clone()));
        if let Some(count) = positives(built, plan, &rows)? {
            out.details.push(share("label_base_rate", count, rows.len() as u64, "wilson", slice));
        }
    }
    out.method = "share of each group against its reference, base rate of the favourable label".into();
    Ok(out)
}
