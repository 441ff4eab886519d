//! The weighted decision between candidate models (§4.2): normalise, weigh, rank, and see how firm the winner stands.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::{
    kinds::kinds,
    policy::{Planning, planning::CriterionRow},
    rejection::{Findings, Rejection},
};

kinds! {
    /// The six criteria of §4.2.
    Criterion {
        /// Benchmark testing.
        TaskPerformance = "task-performance",
        /// Performance testing.
        Latency = "latency",
        /// Profiling.
        ResourceRequirements = "resource-requirements",
        /// Architecture review.
        PrivacyLocality = "privacy-locality",
        /// TCO analysis.
        Cost = "cost",
        /// Code review.
        Maintainability = "maintainability",
    }
}

kinds! {
    /// Which way a raw number is better.
    Direction {
        /// More is better.
        Higher = "higher",
        /// Less is better.
        Lower = "lower",
    }
}

kinds! {
    /// How raw numbers become 0..=1. Recorded with the decision.
    Normalisation {
        /// (value − worst) / (best − worst) over the candidates; all equal gives 1.
        MinMax = "min-max",
        /// value / best, or best / value where less is better; needs numbers above zero.
        RatioToBest = "ratio",
        /// The numbers are scores 0..=1 already.
        AsScored = "none",
    }
}

/// One number of one candidate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// Under which criterion.
    pub criterion: Criterion,
    /// Raw number in the criterion's own unit.
    pub value: f64,
    /// `sha256:` digest or link of the evidence.
    pub evidence: String,
}

/// One candidate with a score under each criterion.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Candidate {
    /// Unique name.
    pub name: String,
    /// One per criterion.
    pub scores: Vec<Score>,
}

/// The decision as it was put: candidates, directions, normalisation, why.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DecisionInput {
    /// At least two.
    pub candidates: Vec<Candidate>,
    /// Which way each criterion is better.
    pub directions: BTreeMap<Criterion, Direction>,
    /// How raw numbers become comparable.
    pub normalisation: Normalisation,
    /// Why the winner is chosen, in words.
    pub justification: String,
}

/// A candidate's place.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ranked {
    /// Candidate.
    pub name: String,
    /// Weighted sum, 0..=the total of the weights.
    pub points: f64,
}

/// What happens when one weight moves and the others share the difference in proportion.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Shift {
    /// The weight that moves.
    pub criterion: Criterion,
    /// By how many points.
    pub points: i64,
    /// Who wins then.
    pub winner: String,
}

/// The outcome of the weighted decision.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ranking {
    /// Best first; equal points are ordered by name, so the order of the input never matters.
    pub order: Vec<Ranked>,
    /// Every weight moved down and up.
    pub shifts: Vec<Shift>,
    /// True when no shift changes the winner.
    pub stable: bool,
}

impl Ranking {
    /// The best candidate.
    pub fn winner(&self) -> &str {
        self.order.first().map_or("", |ranked| ranked.name.as_str())
    }
}

/// Ranks the candidates by the policy's weights (§4.2).
///
/// # Errors
/// `DECISION_INCOMPLETE` with every missing score, evidence, direction, and weights that do not sum up.
pub fn rank(input: &DecisionInput, policy: &Planning) -> Result<Ranking, Rejection> {
    check(input, policy).into_result("DECISION_INCOMPLETE", "model decision")?;
    let rows = &policy.selection_criteria;
    let normal = normalised(input);
    let base: BTreeMap<Criterion, f64> =
        rows.iter().map(|row| (row.criterion, f64::from(row.weight))).collect();
    let order = order(&normal, &base);
    let winner = order.first().map(|ranked| ranked.name.clone()).unwrap_or_default();
    let total = f64::from(policy.weight_total.value);
    let step = i64::from(policy.sensitivity_points.value);
    let mut shifts = Vec::with_capacity(rows.len() * 2);
    for row in rows {
        for points in [-step, step] {
            let moved = shifted(&base, row, points, total);
            let winner = self::order(&normal, &moved).into_iter().next().map(|ranked| ranked.name);
            shifts.push(Shift { criterion: row.criterion, points, winner: winner.unwrap_or_default() });
        }
    }
    let stable = shifts.iter().all(|shift| shift.winner == winner);
    Ok(Ranking { order, shifts, stable })
}

fn check(input: &DecisionInput, policy: &Planning) -> Findings {
    let mut found = Findings::new();
    let clause = policy.weight_total.clause.as_str();
    let sum: u32 = policy.selection_criteria.iter().map(|row| row.weight).sum();
    found.require(
        sum == policy.weight_total.value,
        clause,
        "sum of weights",
        policy.weight_total.value.to_string(),
        sum.to_string(),
    );
    found.need_text(clause, "justification", &input.justification);
    let names: BTreeSet<&str> = input.candidates.iter().map(|candidate| candidate.name.as_str()).collect();
    found.require(names.len() == input.candidates.len(), clause, "candidate names", "unique", "repeated");
    found.require(names.len() >= 2, clause, "candidates", "at least two", names.len().to_string());
    for row in &policy.selection_criteria {
        if !input.directions.contains_key(&row.criterion) {
            found.missing(row.clause.clone(), format!("direction of {}", row.criterion));
        }
        for candidate in &input.candidates {
            let scores: Vec<&Score> =
                candidate.scores.iter().filter(|score| score.criterion == row.criterion).collect();
            let subject = format!("{} of {:?}", row.criterion, candidate.name);
            let [score] = scores[..] else {
                found.add(row.clause.clone(), subject, "one score", scores.len().to_string());
                continue;
            };
            found.need_text(&row.clause, &format!("{subject}: evidence of {}", row.method), &score.evidence);
            let (fits, required) = match input.normalisation {
                Normalisation::MinMax => (score.value.is_finite(), "a finite number"),
                Normalisation::RatioToBest => {
                    (score.value.is_finite() && score.value > 0.0, "a number above 0")
                }
                Normalisation::AsScored => ((0.0..=1.0).contains(&score.value), "a score 0..=1"),
            };
            found.require(fits, &row.clause, &subject, required, score.value.to_string());
        }
    }
    found
}

type Normal<'a> = BTreeMap<&'a str, BTreeMap<Criterion, f64>>;

fn normalised(input: &DecisionInput) -> Normal<'_> {
    let mut range: BTreeMap<Criterion, (f64, f64)> = BTreeMap::new();
    for score in input.candidates.iter().flat_map(|candidate| &candidate.scores) {
        let (low, high) = range.entry(score.criterion).or_insert((score.value, score.value));
        *low = low.min(score.value);
        *high = high.max(score.value);
    }
    let one = |score: &Score| {
        let (low, high) = range.get(&score.criterion).copied().unwrap_or((0.0, 0.0));
        let lower = input.directions.get(&score.criterion) == Some(&Direction::Lower);
        match (input.normalisation, lower) {
            (Normalisation::AsScored, false) => score.value,
            (Normalisation::AsScored, true) => 1.0 - score.value,
            (Normalisation::RatioToBest, false) => score.value / high,
            (Normalisation::RatioToBest, true) => low / score.value,
            (Normalisation::MinMax, _) if high <= low => 1.0,
            (Normalisation::MinMax, false) => (score.value - low) / (high - low),
            (Normalisation::MinMax, true) => (high - score.value) / (high - low),
        }
    };
    input
        .candidates
        .iter()
        .map(|candidate| {
            (
                candidate.name.as_str(),
                candidate.scores.iter().map(|score| (score.criterion, one(score))).collect(),
            )
        })
        .collect()
}

fn order(normal: &Normal<'_>, weights: &BTreeMap<Criterion, f64>) -> Vec<Ranked> {
    let mut order: Vec<Ranked> = normal
        .iter()
        .map(|(name, scores)| Ranked {
            name: (*name).to_owned(),
            points: weights
                .iter()
                .map(|(criterion, weight)| weight * scores.get(criterion).unwrap_or(&0.0))
                .sum(),
        })
        .collect();
    order
        .sort_by(|left, right| right.points.total_cmp(&left.points).then_with(|| left.name.cmp(&right.name)));
    order
}

fn shifted(
    base: &BTreeMap<Criterion, f64>,
    row: &CriterionRow,
    points: i64,
    total: f64,
) -> BTreeMap<Criterion, f64> {
    let old = f64::from(row.weight);
    let new = (old + points as f64).clamp(0.0, total);
    let scale = if old < total { (total - new) / (total - old) } else { 0.0 };
    base.iter()
        .map(|(criterion, weight)| {
            (*criterion, if *criterion == row.criterion { new } else { weight * scale })
        })
        .collect()
}
