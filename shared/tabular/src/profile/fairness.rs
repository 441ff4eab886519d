//! Fairness (§5.2, "balanced demographics?"): shares of the groups against a declared population, and gaps in labels.

use std::collections::BTreeMap;

use statistics::Interval;
use statistics::balance::imbalance;

use super::gaps::{self, Gap};
use super::groups::Groups;
use super::quality::{Facts, not_measurable};
use super::report::{Detail, Dimension};

/// Measures it: the largest distance of a group's share from what the population says.
pub fn measure(facts: &Facts<'_>) -> Dimension {
    let (dimension, measure) = ("fairness", "largest distance of a group's share from the population's");
    let sensitive: Vec<(usize, _)> = (facts.setup.groups.iter().copied().zip(&facts.state.groups))
        .filter(|(at, groups)| Some(*at) != facts.setup.label && !groups.too_many)
        .collect();
    let tables: Vec<(&str, Shares)> =
        sensitive.iter().map(|(at, groups)| (facts.column(*at), shares(facts, *at, groups))).collect();
    // The intervals of all groups of all columns hold together.
    let together = tables.iter().map(|(_, table)| table.groups.len()).sum();
    let (mut details, mut worst) = (Vec::new(), None::<(f64, Interval, String)>);
    for (name, table) in &tables {
        let Ok(found) = imbalance(&table.counts, together, facts.two_sided()) else { continue };
        let part = |at: usize| format!("{name} = {}", table.groups[at]);
        for (at, interval) in found.shares.iter().enumerate() {
            let value = table.counts[at].0 as f64 / facts.state.rows as f64;
            let interval = Some(*interval);
            details.push(Detail { part: part(at), value, of: facts.state.rows, interval });
        }
        if !table.declared {
            continue;
        }
        let plain = |what: &str, value: f64| Detail {
            part: format!("{name}: {what}"),
            value,
            of: facts.state.rows,
            interval: None,
        };
        details.push(plain("total variation from the population", found.total_variation));
        details.push(plain("smallest representation by the largest", found.representation));
        worst = Some(match worst.take() {
            Some((far, held, at)) => {
                let lower = held.lower.max(found.interval.lower);
                let both = Interval { lower, upper: held.upper.max(found.interval.upper) };
                if far < found.distance { (found.distance, both, part(found.worst)) } else { (far, both, at) }
            }
            None => (found.distance, found.interval, part(found.worst)),
        });
    }
    let mut told = match worst {
        Some((estimate, interval, part)) => {
            let figure = Some((estimate, interval));
            facts.below(dimension, measure, figure, |targets| targets.imbalance, format!("largest at {part}"))
        }
        None if sensitive.is_empty() => {
            not_measurable(dimension, measure, "no column is declared as sensitive")
        }
        None => {
            not_measurable(dimension, measure, "no population is declared to compare the groups' shares with")
        }
    };
    details.extend(gaps::labels(facts).iter().map(Gap::detail));
    told.details = details;
    told
}

/// The groups of a column: their names, rows and shares of the population.
struct Shares {
    groups: Vec<String>,
    counts: Vec<(u64, f64)>,
    declared: bool,
}

/// Groups of the population that nobody belongs to count too.
fn shares(facts: &Facts<'_>, at: usize, groups: &Groups) -> Shares {
    let population = facts.declared.and_then(|declared| declared.population.get(facts.column(at)));
    let mut counts: BTreeMap<String, u64> =
        groups.levels.iter().map(|(hash, rows)| (facts.named(at, *hash), *rows)).collect();
    for group in population.into_iter().flat_map(|it| it.keys()) {
        counts.entry(group.clone()).or_default();
    }
    let wanted = |group: &String| population.and_then(|it| it.get(group)).copied().unwrap_or(0.0);
    let (groups, counts) =
        counts.into_iter().map(|(group, rows)| (group.clone(), (rows, wanted(&group)))).unzip();
    Shares { groups, counts, declared: population.is_some() }
}
