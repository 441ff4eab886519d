//! Fairness by group: selection rates, true and false positive rates, and their gaps with intervals.
//!
//! A gap needs two groups, and every group needs members (and positives, or negatives) to have a rate: else it
//! is undefined and passes nothing; so is the gap in selection where nobody of any group is selected.
//! Source: WLP-MLDEV-001 §7.1, §7.3 (demographic parity > 0.9), §9.1 (disparity > 0.1); ARCHITECTURE, reading 1.
//! Names follow fairlearn 0.15.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result, open_unit, same_length};
use crate::interval::{Interval, Share, newcombe_z, wilson_z};
use crate::special::normal_quantile;

/// Outcomes of one group; mergeable by addition.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupCounts {
    /// Positive, called positive.
    pub true_positives: u64,
    /// Negative, called positive.
    pub false_positives: u64,
    /// Positive, called negative.
    pub false_negatives: u64,
    /// Negative, called negative.
    pub true_negatives: u64,
}

/// Which rate is compared between groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Rate {
    /// Called positive among all: demographic parity.
    Selection,
    /// Called positive among the positives: equal opportunity.
    TruePositive,
    /// Called positive among the negatives: with the former, equalised odds.
    FalsePositive,
    /// Right among all.
    Accuracy,
}

impl GroupCounts {
    /// Counts one row.
    pub fn add(&mut self, truth: bool, predicted: bool) {
        match (truth, predicted) {
            (true, true) => self.true_positives += 1,
            (false, true) => self.false_positives += 1,
            (true, false) => self.false_negatives += 1,
            (false, false) => self.true_negatives += 1,
        }
    }

    /// Adds the counts of another part of the same group.
    pub fn merge(&mut self, other: &Self) {
        self.true_positives += other.true_positives;
        self.false_positives += other.false_positives;
        self.false_negatives += other.false_negatives;
        self.true_negatives += other.true_negatives;
    }

    /// Rows of the group.
    pub fn count(&self) -> u64 {
        self.true_positives + self.false_positives + self.false_negatives + self.true_negatives
    }

    /// The rate as events among trials.
    /// # Errors
    /// [`Error::Undefined`] when the group has nobody to take the rate over.
    pub fn share(&self, rate: Rate) -> Result<Share> {
        let (events, trials, why) = match rate {
            Rate::Selection => (self.true_positives + self.false_positives, self.count(), "a group is empty"),
            Rate::Accuracy => (self.true_positives + self.true_negatives, self.count(), "a group is empty"),
            Rate::TruePositive => {
                (self.true_positives, self.true_positives + self.false_negatives, "a group has no positives")
            }
            Rate::FalsePositive => {
                (self.false_positives, self.false_positives + self.true_negatives, "a group has no negatives")
            }
        };
        Share::new(events, trials).map_err(|_| Error::Undefined { what: "rate", why })
    }
}

/// Counts rows by group.
pub fn by_group<G: Ord + Clone>(
    truth: &[bool],
    predicted: &[bool],
    group: &[G],
) -> Result<BTreeMap<G, GroupCounts>> {
    same_length(truth.len(), predicted.len())?;
    same_length(truth.len(), group.len())?;
    let mut groups: BTreeMap<G, GroupCounts> = BTreeMap::new();
    for ((t, p), g) in truth.iter().zip(predicted).zip(group) {
        groups.entry(g.clone()).or_default().add(*t, *p);
    }
    Ok(groups)
}

/// Largest gap of one rate between groups.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Gap {
    /// Lowest rate of a group.
    pub lowest: f64,
    /// Highest rate of a group.
    pub highest: f64,
    /// Highest minus lowest, 0..=1: the disparity of §9.1.
    pub difference: f64,
    /// 1 minus the difference: gated against §7.3.
    pub parity: f64,
    /// Lowest over highest, shown beside it (four-fifths rule); `None` where both rates are 0 (0/0).
    pub ratio: Option<f64>,
}

/// The largest gap of `rate` between the groups.
/// # Errors
/// [`Error::Undefined`] with fewer than two groups, when a group has no such rate, or when nobody is selected at all.
pub fn gap<'a>(groups: impl IntoIterator<Item = &'a GroupCounts>, rate: Rate) -> Result<Gap> {
    Ok(gap_of(&shares(groups, rate)?))
}

/// Demographic parity: the gap in selection rates.
pub fn demographic_parity<'a>(groups: impl IntoIterator<Item = &'a GroupCounts>) -> Result<Gap> {
    gap(groups, Rate::Selection)
}

/// Equal opportunity: the gap in true positive rates.
pub fn equal_opportunity<'a>(groups: impl IntoIterator<Item = &'a GroupCounts>) -> Result<Gap> {
    gap(groups, Rate::TruePositive)
}

/// Equalised odds: the larger of the gaps in true and false positive rates.
pub fn equalized_odds_difference<'a, I>(groups: I) -> Result<f64>
where
    I: IntoIterator<Item = &'a GroupCounts> + Clone,
{
    let positives = gap(groups.clone(), Rate::TruePositive)?;
    Ok(positives.difference.max(gap(groups, Rate::FalsePositive)?.difference))
}

/// A gap with one-sided bounds, each at the stated confidence.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct BoundedGap {
    /// The observed gap.
    pub gap: Gap,
    /// Bounds of the largest difference.
    pub difference: Interval,
    /// Bounds of 1 minus the largest difference; the lower one must be above the threshold to pass.
    pub parity: Interval,
    /// Rows behind the smallest rate: what more data is needed of.
    pub smallest_group: u64,
}

/// The gap with bounds for the largest difference over all pairs of groups, each one-sided at `confidence`.
///
/// Newcombe's hybrid score bounds of every ordered pair. Upper end: the largest bound of a pair, without
/// correction, since the true largest difference belongs to one pair whose bound holds (intersection-union,
/// Berger 1982). Lower end: it would be wrong if any pair's bound were, so each of the k(k-1) ordered pairs
/// gets its share of the error (Bonferroni).
pub fn bounded_gap<'a>(
    groups: impl IntoIterator<Item = &'a GroupCounts>,
    rate: Rate,
    confidence: f64,
) -> Result<BoundedGap> {
    open_unit("confidence", confidence)?;
    let shares = shares(groups, rate)?;
    let gap = gap_of(&shares);
    let pairs = (shares.len() * (shares.len() - 1)) as f64;
    let upper_z = normal_quantile(confidence);
    let lower_z = -normal_quantile((1.0 - confidence) / pairs);
    let (mut lower, mut upper) = (0.0_f64, gap.difference);
    for (i, a) in shares.iter().enumerate() {
        for b in shares.iter().enumerate().filter(|(j, _)| *j != i).map(|(_, b)| b) {
            upper = upper.max(newcombe_z(*a, *b, upper_z).upper);
            lower = lower.max(newcombe_z(*a, *b, lower_z).lower);
        }
    }
    let lower = lower.min(gap.difference);
    Ok(BoundedGap {
        gap,
        difference: Interval { lower, upper },
        parity: Interval { lower: 1.0 - upper, upper: 1.0 - lower },
        smallest_group: shares.iter().map(|s| s.trials()).min().unwrap_or(0),
    })
}

/// One-sided lower bound of the ratio lowest/highest at `confidence`, conservative: the smallest quotient of
/// Wilson bounds, each rate taking half of the error. `None` where all rates are 0.
pub fn ratio_lower<'a>(
    groups: impl IntoIterator<Item = &'a GroupCounts>,
    rate: Rate,
    confidence: f64,
) -> Result<Option<f64>> {
    open_unit("confidence", confidence)?;
    let shares = shares(groups, rate)?;
    if gap_of(&shares).ratio.is_none() {
        return Ok(None);
    }
    let z = normal_quantile(0.5 + 0.5 * confidence);
    let bounds: Vec<Interval> = shares.iter().map(|s| wilson_z(s.value(), s.trials() as f64, z)).collect();
    let quotients =
        (0..bounds.len()).flat_map(|i| (0..bounds.len()).filter(move |j| *j != i).map(move |j| (i, j)));
    Ok(Some(quotients.map(|(i, j)| bounds[i].lower / bounds[j].upper).fold(1.0, f64::min)))
}

/// Rows per group, with the same rates and equal groups, from which the upper end of the largest difference
/// is below `limit`; `None` when the observed difference is not below it.
///
/// Source: ARCHITECTURE, reading 3 (inconclusive states the sample that would decide).
pub fn rows_per_group<'a>(
    groups: impl IntoIterator<Item = &'a GroupCounts>,
    rate: Rate,
    limit: f64,
    confidence: f64,
) -> Result<Option<u64>> {
    open_unit("limit", limit)?;
    open_unit("confidence", confidence)?;
    let observed = gap(groups, rate)?;
    if observed.difference >= limit {
        return Ok(None);
    }
    let z = normal_quantile(confidence);
    let decided = |n: u64| {
        let n = n as f64;
        let (high, low) = (wilson_z(observed.highest, n, z), wilson_z(observed.lowest, n, z));
        let spread = (high.upper - observed.highest).hypot(observed.lowest - low.lower);
        let reverse = (low.upper - observed.lowest).hypot(observed.highest - high.lower);
        let spread = spread.max(reverse - 2.0 * observed.difference);
        observed.difference + spread < limit
    };
    Ok(crate::sample_size::smallest(decided))
}

fn shares<'a>(groups: impl IntoIterator<Item = &'a GroupCounts>, rate: Rate) -> Result<Vec<Share>> {
    let shares = groups.into_iter().map(|g| g.share(rate)).collect::<Result<Vec<_>>>()?;
    if shares.len() < 2 {
        return Err(Error::Undefined { what: "gap between groups", why: "fewer than two groups" });
    }
    if rate == Rate::Selection && shares.iter().all(|share| share.events() == 0) {
        return Err(Error::Undefined { what: "gap between groups", why: "nobody of any group is selected" });
    }
    Ok(shares)
}

fn gap_of(shares: &[Share]) -> Gap {
    let lowest = shares.iter().map(|s| s.value()).fold(1.0, f64::min);
    let highest = shares.iter().map(|s| s.value()).fold(0.0, f64::max);
    let difference = highest - lowest;
    let ratio = (highest > 0.0).then(|| lowest / highest);
    Gap { lowest, highest, difference, parity: 1.0 - difference, ratio }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(tp: u64, fp: u64, fneg: u64, tn: u64) -> GroupCounts {
        GroupCounts { true_positives: tp, false_positives: fp, false_negatives: fneg, true_negatives: tn }
    }

    #[test]
    fn parity_by_hand() {
        let gap = demographic_parity(&[group(30, 20, 0, 50), group(30, 10, 0, 60)]).unwrap();
        assert!((gap.difference - 0.1).abs() < 1e-15 && (gap.parity - 0.9).abs() < 1e-15);
        assert!((gap.ratio.unwrap() - 0.8).abs() < 1e-15);
    }

    #[test]
    fn undefined_is_never_a_number() {
        assert!(demographic_parity(&[group(1, 1, 1, 1)]).is_err());
        assert!(equal_opportunity(&[group(5, 0, 5, 0), group(0, 3, 0, 7)]).is_err());
        let nobody = [group(0, 0, 1, 1), group(0, 0, 2, 2)];
        assert!(demographic_parity(&nobody).is_err(), "a model that selects nobody is not fair");
        assert!(bounded_gap(&nobody, Rate::Selection, 0.95).is_err());
        assert_eq!(equal_opportunity(&nobody).unwrap().ratio, None);
    }

    #[test]
    fn small_groups_do_not_pass_on_luck() {
        let groups = [group(5, 0, 0, 5), group(5, 0, 0, 5)];
        let bounded = bounded_gap(&groups, Rate::Selection, 0.95).unwrap();
        assert!(bounded.gap.parity >= 1.0 && bounded.parity.lower < 0.9);
        let needed = rows_per_group(&groups, Rate::Selection, 0.1, 0.95).unwrap().unwrap();
        let half = needed / 2 + 1;
        let enough = [group(half, 0, 0, half), group(half, 0, 0, half)];
        assert!(bounded_gap(&enough, Rate::Selection, 0.95).unwrap().parity.lower > 0.9);
    }
}
