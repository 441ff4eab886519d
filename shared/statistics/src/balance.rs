//! Shares of groups beside each other: the largest difference between two of them, and how far they are from what they should be.

use crate::error::{Error, Result, closed_unit, open_unit};
use crate::interval::{Interval, Share, newcombe, wilson};

/// The largest difference between the shares of two groups.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Gap {
    /// Place of the group with the largest share.
    pub high: usize,
    /// Place of the group with the smallest share.
    pub low: usize,
    /// Their difference, 0..=1.
    pub difference: f64,
    /// Of the difference; the intervals of all pairs of groups hold together.
    pub interval: Interval,
    /// Trials of all groups that were compared.
    pub trials: u64,
}

/// The largest gap between groups of (events, trials); groups of fewer than `floor` trials are left out. Nothing if fewer than
/// two are left. Of equal shares the first group counts.
///
/// Source: Newcombe 1998, method 10; Bonferroni over the pairs, because which pair it is was looked for.
///
/// # Errors
/// More events than trials, or a confidence that is none.
pub fn largest_gap(groups: &[(u64, u64)], floor: u64, confidence: f64) -> Result<Option<Gap>> {
    open_unit("confidence", confidence)?;
    let mut shares: Vec<(usize, Share)> = Vec::new();
    for (at, (events, trials)) in groups.iter().enumerate() {
        if floor.max(1) <= *trials {
            shares.push((at, Share::new(*events, *trials)?));
        }
    }
    shares.sort_by(|a, b| b.1.value().total_cmp(&a.1.value()).then(a.0.cmp(&b.0)));
    let [(high, most), .., (low, least)] = shares.as_slice() else { return Ok(None) };
    let pairs = shares.len() * (shares.len() - 1) / 2;
    Ok(Some(Gap {
        high: *high,
        low: *low,
        difference: most.value() - least.value(),
        interval: newcombe(*most, *least, together(confidence, pairs))?,
        trials: shares.iter().map(|(_, share)| share.trials()).sum(),
    }))
}

/// How far groups are from the shares that they should have.
#[derive(Debug, Clone, PartialEq)]
pub struct Imbalance {
    /// Place of the group that is farthest off.
    pub worst: usize,
    /// Its distance, 0..=1.
    pub distance: f64,
    /// Of the largest distance.
    pub interval: Interval,
    /// Half the sum of all distances, 0..=1: the share of rows that would have to be of another group.
    pub total_variation: f64,
    /// Smallest of the groups' shares over what they should be, by the largest one; 1 is balanced. Groups that should have
    /// nothing are left out.
    pub representation: f64,
    /// Interval of each group's share.
    pub shares: Vec<Interval>,
}

/// Compares groups of (rows, wanted share). So many intervals hold `simultaneous`ly, these groups' among them.
///
/// Source: Wilson 1927 for each share; Bonferroni over the groups.
///
/// # Errors
/// No rows, a wanted share that is none, or a confidence that is none.
pub fn imbalance(groups: &[(u64, f64)], simultaneous: usize, confidence: f64) -> Result<Imbalance> {
    open_unit("confidence", confidence)?;
    let all = groups.iter().map(|(rows, _)| rows).sum();
    groups.iter().try_for_each(|(_, wanted)| closed_unit("wanted share", *wanted))?;
    let confidence = together(confidence, simultaneous.max(groups.len()));
    let (mut worst, mut distance, mut sum) = (0, -1.0, 0.0);
    let mut interval = Interval { lower: 0.0, upper: 0.0 };
    let (mut least, mut most) = (f64::INFINITY, 0.0_f64);
    let mut shares = Vec::with_capacity(groups.len());
    for (at, (rows, wanted)) in groups.iter().enumerate() {
        let share = Share::new(*rows, all)?;
        let own = wilson(share, confidence)?;
        let far = (share.value() - wanted).abs();
        sum += far;
        if distance < far {
            (worst, distance) = (at, far);
        }
        // All intervals hold together, so the largest distance lies between the largest ends.
        interval.lower = interval.lower.max(own.lower - wanted).max(wanted - own.upper);
        interval.upper = interval.upper.max(own.upper - wanted).max(wanted - own.lower);
        if *wanted > 0.0 {
            (least, most) = (least.min(share.value() / wanted), most.max(share.value() / wanted));
        }
        shares.push(own);
    }
    if shares.is_empty() {
        return Err(Error::Empty { what: "groups" });
    }
    let representation = if most > 0.0 { least / most } else { 0.0 };
    Ok(Imbalance { worst, distance, interval, total_variation: 0.5 * sum, representation, shares })
}

/// The confidence of each of so many intervals that hold together.
fn together(confidence: f64, intervals: usize) -> f64 {
    1.0 - (1.0 - confidence) / intervals.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::SplitMix64;

    #[test]
    fn the_largest_gap_is_between_groups_of_some_size() {
        let groups = [(50, 100), (10, 100), (5, 5), (30, 100)];
        let gap = largest_gap(&groups, 30, 0.9).unwrap().unwrap();
        assert_eq!((gap.high, gap.low, gap.trials), (0, 1, 300));
        assert!((gap.difference - 0.4).abs() < 1e-12);
        let alone = newcombe(Share::new(50, 100).unwrap(), Share::new(10, 100).unwrap(), 0.9).unwrap();
        assert!(gap.interval.lower < alone.lower && alone.upper < gap.interval.upper, "all pairs together");
        assert_eq!(largest_gap(&[(50, 100), (5, 5)], 30, 0.9).unwrap(), None);
        assert!(largest_gap(&[(5, 4), (1, 4)], 1, 0.9).is_err() && largest_gap(&groups, 30, 1.0).is_err());
    }

    #[test]
    fn distances_from_what_should_be_are_measured() {
        let told = imbalance(&[(300, 0.5), (600, 0.5), (100, 0.0)], 0, 0.95).unwrap();
        assert_eq!(told.worst, 0);
        assert!((told.distance - 0.2).abs() < 1e-12 && (told.total_variation - 0.2).abs() < 1e-12);
        assert!((told.representation - 0.5).abs() < 1e-12, "{}", told.representation);
        assert!(told.interval.lower < 0.2 && 0.2 < told.interval.upper);
        let more = imbalance(&[(300, 0.5), (600, 0.5), (100, 0.0)], 30, 0.95).unwrap();
        assert!(more.interval.upper > told.interval.upper, "more intervals are wider");
        assert_eq!(imbalance(&[(0, 0.5), (10, 0.5)], 0, 0.95).unwrap().representation, 0.0);
        assert!(imbalance(&[], 0, 0.95).is_err() && imbalance(&[(0, 1.0)], 0, 0.95).is_err());
        assert!(imbalance(&[(1, 1.5)], 0, 0.95).is_err());
    }

    /// The intervals hold as often as they say, with the largest distance sought among many groups.
    #[test]
    fn intervals_hold() {
        let mut rng = SplitMix64::new(11);
        let wanted = [0.2; 5];
        let truth = [0.1, 0.15, 0.2, 0.25, 0.3];
        let mut held = 0;
        for _ in 0..400 {
            let mut groups = wanted.map(|wanted| (0_u64, wanted));
            for _ in 0..500 {
                let mut at = rng.next_f64();
                let group = truth.iter().position(|share| {
                    at -= share;
                    at < 0.0
                });
                groups[group.unwrap_or(4)].0 += 1;
            }
            let told = imbalance(&groups, 0, 0.9).unwrap();
            held += u64::from(told.interval.lower <= 0.1 && 0.1 <= told.interval.upper);
        }
        assert!(held >= 360, "{held} of 400");
    }
}
