//! §7.1 fairness by every group column: parity (gated, §7.3), opportunity, accuracy and calibration within groups.
//!
//! Parity is 1 − the largest difference of a rate between groups (reading 1); the ratio stands beside it. Where a task has
//! several outcomes or group columns, the worst one counts: if the true value of each is above a threshold with the
//! stated confidence, so is that of the worst.

use super::performance::{calibration_error, positive};
use crate::evaluation::{Data, Groups, Report, Truth};
use crate::metric::{Scale, sliced};
use crate::predict::Model;
use contracts::common::v1::Measurement;
use lifecycle::evaluation::Slot;
use statistics::fairness::{BoundedGap, GroupCounts, Rate, bounded_gap, by_group, ratio_lower};
use std::collections::BTreeMap;

/// One yes-or-no outcome whose rate is compared between groups.
struct Outcome {
    name: String,
    /// Whether it is one class of several in turn: what nobody gets then shows in what the others get.
    in_turn: bool,
    truth: Vec<bool>,
    predicted: Vec<bool>,
}

/// Which outcomes are compared: the favourable labels if given, the second class of two, else each class in turn.
fn outcomes(data: &Data, model: &Model) -> Vec<Outcome> {
    let Truth::Classes(truth) = &data.truth else { return numeric_outcome(data) };
    let of = |name: String, favourable: &[usize], in_turn: bool| Outcome {
        name,
        in_turn,
        truth: truth.iter().map(|class| favourable.contains(class)).collect(),
        predicted: data
            .answers
            .iter()
            .map(|answer| answer.class().is_some_and(|class| favourable.contains(&class)))
            .collect(),
    };
    let names = model.classes().names();
    if !data.favourable.is_empty() {
        let labels: Vec<&str> = data.favourable.iter().map(|class| names[*class].as_str()).collect();
        return vec![of(labels.join("|"), &data.favourable, false)];
    }
    match positive(data, model) {
        Some(class) => vec![of(names[class].clone(), &[class], false)],
        None => (0..names.len()).map(|class| of(names[class].clone(), &[class], true)).collect(),
    }
}

/// For a regression: a prediction above the median prediction.
fn numeric_outcome(data: &Data) -> Vec<Outcome> {
    let Truth::Values(truth) = &data.truth else { return Vec::new() };
    let values: Vec<f64> =
        data.answers.iter().filter_map(crate::predict::Answer::value).filter(|v| v.is_finite()).collect();
    let Ok(median) = statistics::percentile::percentile(&values, 0.5) else { return Vec::new() };
    vec![Outcome {
        name: format!("above the median {median}"),
        in_turn: false,
        truth: truth.iter().map(|value| *value > median).collect(),
        predicted: data
            .answers
            .iter()
            .map(|answer| answer.value().is_some_and(|value| value > median))
            .collect(),
    }]
}

/// The worst gap over outcomes within one column.
struct Worst {
    outcome: String,
    gap: BoundedGap,
    ratio_lower: Option<f64>,
}

fn worst(data: &Data, outcomes: &[Outcome], groups: &Groups, rate: Rate) -> Result<Worst, String> {
    let confidence = data.plan.scale().one_sided();
    let mut found: Option<Worst> = None;
    for outcome in outcomes {
        let counts =
            by_group(&outcome.truth, &outcome.predicted, &groups.of_row).map_err(|why| why.to_string())?;
        if rate == Rate::Selection {
            match unselected(&counts) {
                (_, true) if outcome.in_turn => continue,
                (Some(group), _) if !outcome.in_turn => {
                    return Err(format!("no row of group {group} has the outcome {}", outcome.name));
                }
                _ => {}
            }
        }
        let explain = |why: statistics::Error| why_undefined(&why, &counts, rate, &outcome.name);
        let gap = bounded_gap(counts.values(), rate, confidence).map_err(explain)?;
        let ratio_lower = ratio_lower(counts.values(), rate, confidence).map_err(explain)?;
        if found.as_ref().is_none_or(|worst| gap.parity.lower < worst.gap.parity.lower) {
            found = Some(Worst { outcome: outcome.name.clone(), gap, ratio_lower });
        }
    }
    found.ok_or_else(|| "there is no outcome to compare".to_owned())
}

/// A group of which nobody is selected (reading 1: its parity is undefined), and whether that is so of all groups.
fn unselected(counts: &BTreeMap<String, GroupCounts>) -> (Option<&str>, bool) {
    let nobody = |counts: &GroupCounts| counts.true_positives + counts.false_positives == 0;
    let first = counts.iter().find(|(_, counts)| nobody(counts)).map(|(name, _)| name.as_str());
    (first, counts.values().all(nobody))
}

fn why_undefined(
    why: &statistics::Error,
    counts: &BTreeMap<String, GroupCounts>,
    rate: Rate,
    outcome: &str,
) -> String {
    let without: Vec<&str> = counts
        .iter()
        .filter(|(_, counts)| counts.share(rate).is_err())
        .map(|(name, _)| name.as_str())
        .collect();
    match (&without[..], counts.len()) {
        ([], 1) => format!("there is a single group, {}", counts.keys().next().map_or("", String::as_str)),
        ([], _) => why.to_string(),
        (groups, _) => format!("{why} (outcome {outcome}: {})", groups.join(", ")),
    }
}

/// Fills demographic parity and equal opportunity.
pub fn parity(data: &Data, model: &Model, report: &mut Report) {
    let outcomes = outcomes(data, model);
    let rates = [
        (Slot::DemographicParity, Rate::Selection, "demographic_parity"),
        (Slot::EqualOpportunity, Rate::TruePositive, "equal_opportunity"),
    ];
    for (slot, rate, name) in rates {
        let mut measured = columns(data, &outcomes, rate, name);
        if rate == Rate::Selection {
            measured.extend(group_accuracy(data));
        }
        let ignored = !data.plan.classifies() && !data.plan.favourable_labels.is_empty();
        let note = if ignored {
            "favourable labels are of classes: predictions above their median are compared"
        } else {
            ""
        };
        report.fill(slot, measured, note);
    }
}

/// The gated number over all columns, then each column's own with its ratio.
fn columns(data: &Data, outcomes: &[Outcome], rate: Rate, name: &str) -> Vec<Measurement> {
    let scale = data.plan.scale();
    if data.groups.is_empty() {
        return vec![scale.undefined(name, data.len(), "there is no group column")];
    }
    let mut each = Vec::new();
    for groups in &data.groups {
        match worst(data, outcomes, groups, rate) {
            Ok(worst) => each.extend(of_column(scale, data, groups, &worst, name)),
            Err(why) => each.push(sliced(
                scale.undefined(name, data.len(), format!("{}: {why}", groups.column)),
                &groups.column,
            )),
        }
    }
    let parities = || each.iter().filter(|measured| measured.metric == name);
    // One undefined column makes the whole undefined: it never passes.
    let overall = parities()
        .find(|one| one.value.is_nan())
        .or_else(|| parities().min_by(|a, b| a.lower.unwrap_or(0.0).total_cmp(&b.lower.unwrap_or(0.0))));
    let overall = overall.cloned().map(|worst| sliced(worst, ""));
    overall.into_iter().chain(each).collect()
}

fn of_column(scale: Scale, data: &Data, groups: &Groups, worst: &Worst, name: &str) -> Vec<Measurement> {
    let BoundedGap { gap, parity, smallest_group, .. } = &worst.gap;
    let convention = format!(
        "1 - largest difference/{}/outcome {}/newcombe, all pairs/smallest group {smallest_group}",
        groups.column, worst.outcome
    );
    let parity = scale.with(name, gap.parity, data.len(), *parity, &convention);
    let ratio = match gap.ratio {
        Some(value) => Measurement {
            lower: worst.ratio_lower,
            ..scale.bare(&format!("{name}_ratio"), value, data.len(), "lowest / highest rate")
        },
        None => scale.undefined(&format!("{name}_ratio"), data.len(), "no group has any: 0/0"),
    };
    vec![sliced(parity, &groups.column), sliced(ratio, &groups.column)]
}

/// Rows of each group.
fn members(groups: &Groups) -> BTreeMap<&str, Vec<usize>> {
    let mut members: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (row, group) in groups.of_row.iter().enumerate() {
        members.entry(group).or_default().push(row);
    }
    members
}

fn group_accuracy(data: &Data) -> Vec<Measurement> {
    if matches!(data.truth, Truth::Values(_)) && data.plan.tolerance <= 0.0 {
        return Vec::new();
    }
    let (scale, right) = (data.plan.scale(), data.right());
    let of = |groups: &Groups| -> Vec<Measurement> {
        let each = members(groups).into_iter();
        each.map(|(group, rows)| {
            let hits = rows.iter().filter(|row| right[**row]).count();
            sliced(scale.share("accuracy", hits, rows.len()), format!("{}={group}", groups.column))
        })
        .collect()
    };
    data.groups.iter().flat_map(of).collect()
}

/// Fills calibration: the expected calibration error of each group, and the widest gap between two.
pub fn calibration(data: &Data, model: &Model, report: &mut Report) {
    let scale = data.plan.scale();
    if !model.scored() {
        let none = scale.undefined("calibration_gap", data.len(), "the model gives no scores");
        report.fill(Slot::Calibration, vec![none], "");
        return;
    }
    let scored: BTreeMap<usize, Vec<f64>> = data.scored().into_iter().collect();
    let mut measured = Vec::new();
    for groups in &data.groups {
        let mut errors = Vec::new();
        for (group, rows) in members(groups) {
            let (truth, scores): (Vec<usize>, Vec<Vec<f64>>) =
                rows.iter().filter_map(|row| Some((data.classes()[*row], scored.get(row)?.clone()))).unzip();
            let value = calibration_error(data, &truth, &scores);
            errors.extend(value.as_ref().ok().map(|(value, _)| *value));
            let slice = format!("{}={group}", groups.column);
            measured.push(sliced(
                scale.statistic("ece", truth.len(), value, "ece/10/left-closed/top label/bootstrap"),
                slice,
            ));
        }
        let span = |pick: fn(f64, f64) -> f64, start: f64| errors.iter().copied().fold(start, pick);
        let gap = span(f64::max, f64::NEG_INFINITY) - span(f64::min, f64::INFINITY);
        let gap = if errors.len() < 2 {
            scale.undefined("calibration_gap", data.len(), "fewer than two groups")
        } else {
            scale.bare("calibration_gap", gap, data.len(), "largest difference of ece between groups")
        };
        measured.push(sliced(gap, &groups.column));
    }
    if data.groups.is_empty() {
        measured.push(scale.undefined("calibration_gap", data.len(), "there is no group column"));
    }
    report.fill(Slot::Calibration, measured, "");
}
