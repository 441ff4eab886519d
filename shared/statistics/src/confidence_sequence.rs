//! Confidence sequences: intervals that hold at all looks together, so that one may look as often as one likes and stop when
//! one has seen enough.

use crate::eprocess::beta_mixture_log_e;
use crate::error::{Error, Result, open_unit};
use crate::interval::Interval;
use crate::moments::Moments;

/// Number of values at which the mixture for means is narrowest. It holds at every number.
const NARROWEST_AT: f64 = 1_000.0;
/// Fewer values than these are not left to the central limit.
const FEWEST: u64 = 50;
/// Halvings of the line of rates: more than a double can tell apart.
const HALVINGS: usize = 60;

/// Difference `b - a` of two rates, from (events, trials) of each: it holds at all looks together with probability
/// `confidence` at least, whatever the rates are and however the trials of both come.
///
/// Each rate's interval is what a uniform mixture of bets has not ruled out at half of the error.
/// Source: Ville 1939; Robbins 1970; Howard, Ramdas, McAuliffe, Sekhon 2021.
/// # Errors
/// [`Error::Empty`] without trials, [`Error::OutOfRange`] for more events than trials or a confidence that is none.
pub fn rate_difference(a: (u64, u64), b: (u64, u64), confidence: f64) -> Result<Interval> {
    let (a, b) = (rate(a, confidence)?, rate(b, confidence)?);
    Ok(Interval { lower: b.lower - a.upper, upper: b.upper - a.lower })
}

/// Difference `b - a` of two means, asymptotically: the error at all looks together comes to `1 - confidence` at most, the
/// later the first look is, for independent values with a variance.
/// Source: Waudby-Smith, Arbour, Sinha, Kennedy, Ramdas, *Time-uniform central limit theory and asymptotic confidence
/// sequences*, 2021.
/// # Errors
/// [`Error::Undefined`] with fewer than fifty values of either; [`Error::OutOfRange`] for a confidence that is none.
pub fn mean_difference(a: &Moments, b: &Moments, confidence: f64) -> Result<Interval> {
    let radius = radius(a, confidence)? + radius(b, confidence)?;
    let difference = b.mean()? - a.mean()?;
    Ok(Interval { lower: difference - radius, upper: difference + radius })
}

/// Half of the error that the confidence leaves: each of two streams gets as much.
fn half_error(confidence: f64) -> Result<f64> {
    open_unit("confidence", confidence)?;
    Ok((1.0 - confidence) / 2.0)
}

/// The rates against which the evidence stays below one over the error.
fn rate((events, trials): (u64, u64), confidence: f64) -> Result<Interval> {
    if trials == 0 {
        return Err(Error::Empty { what: "trials" });
    }
    let limit = -half_error(confidence)?.ln();
    // Checks the counts once; the evidence at the observed rate is at most 0, so that it always lies within.
    beta_mixture_log_e(events, trials, 0.5, 1.0, 1.0)?;
    let observed = events as f64 / trials as f64;
    let within = |rate: f64| {
        let log_e = beta_mixture_log_e(events, trials, rate, 1.0, 1.0);
        log_e.is_ok_and(|log_e| log_e < limit)
    };
    // The evidence falls from either end to the observed rate; `outside` is never within, rounded to the safe side.
    let end = |mut outside: f64| {
        let mut inside = observed;
        for _ in 0..HALVINGS {
            let middle = f64::midpoint(outside, inside);
            if within(middle) { inside = middle } else { outside = middle }
        }
        outside
    };
    let lower = if events == 0 { 0.0 } else { end(0.0) };
    let upper = if events == trials { 1.0 } else { end(1.0) };
    Ok(Interval { lower, upper })
}

/// Half the width of the interval of a mean.
fn radius(of: &Moments, confidence: f64) -> Result<f64> {
    let error = half_error(confidence)?;
    if of.count() < FEWEST {
        return Err(Error::Undefined { what: "interval of a mean", why: "fewer than fifty values" });
    }
    let count = of.count() as f64;
    let spread = (-2.0 * error.ln() + (-2.0 * error.ln() + 1.0).ln()) / NARROWEST_AT;
    let scaled = count * spread + 1.0;
    let width = 2.0 * scaled / (count * count * spread) * (scaled.sqrt() / error).ln();
    Ok((of.variance()? * width).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::SplitMix64;

    #[test]
    fn the_evidence_at_the_ends_is_one_over_the_error() {
        for (events, trials) in [(0, 10), (3, 100), (50, 100), (10, 10), (999, 100_000)] {
            let found = rate((events, trials), 0.95).unwrap();
            let observed = events as f64 / trials as f64;
            assert!(found.lower <= observed && observed <= found.upper, "{found:?}");
            for end in [found.lower, found.upper].into_iter().filter(|end| 0.0 < *end && *end < 1.0) {
                let log_e = beta_mixture_log_e(events, trials, end, 1.0, 1.0).unwrap();
                assert!((log_e - 40.0_f64.ln()).abs() < 1e-6, "{events} of {trials}: {log_e}");
            }
        }
    }

    #[test]
    fn a_difference_is_found_and_none_is_not_made_up() {
        let apart = rate_difference((100, 10_000), (600, 10_000), 0.99).unwrap();
        assert!(0.0 < apart.lower && apart.lower < 0.05 && 0.05 < apart.upper, "{apart:?}");
        let alike = rate_difference((100, 10_000), (101, 10_000), 0.99).unwrap();
        assert!(alike.lower < 0.0 && 0.0 < alike.upper);
    }

    #[test]
    fn nonsense_is_refused() {
        assert!(rate_difference((0, 0), (1, 2), 0.95).is_err());
        assert!(rate_difference((3, 2), (1, 2), 0.95).is_err());
        assert!(rate_difference((1, 2), (1, 2), 1.0).is_err());
        let few: Moments = (0..49).map(f64::from).collect();
        let many: Moments = (0..50).map(f64::from).collect();
        assert!(mean_difference(&few, &many, 0.95).is_err() && mean_difference(&many, &many, 0.95).is_ok());
        assert!(mean_difference(&many, &many, f64::NAN).is_err());
    }

    /// Looked at after every request, both hold in at least 95 of 100 series; by far, as both are safe.
    #[test]
    fn both_hold_at_every_look() {
        let (mut rates, mut means) = (0, 0);
        for seed in 0..200 {
            let mut random = SplitMix64::new(seed);
            let (mut a, mut b) = ((0_u64, 0_u64), (0_u64, 0_u64));
            let (mut low, mut high) = (Moments::default(), Moments::default());
            let (mut missed_rate, mut missed_mean) = (false, false);
            for _ in 0..500 {
                let (one, other) = (random.next_f64().max(1e-12), random.next_f64().max(1e-12));
                a = (a.0 + u64::from(one < 0.02), a.1 + 1);
                b = (b.0 + u64::from(other < 0.08), b.1 + 1);
                low.add(10.0 - one.ln());
                high.add(11.0 - other.ln());
                let rate = rate_difference(a, b, 0.9).unwrap();
                missed_rate |= !(rate.lower <= 0.06 && 0.06 <= rate.upper);
                if let Ok(mean) = mean_difference(&low, &high, 0.9) {
                    missed_mean |= !(mean.lower <= 1.0 && 1.0 <= mean.upper);
                }
            }
            rates += usize::from(missed_rate);
            means += usize::from(missed_mean);
        }
        assert!(rates <= 20 && means <= 20, "{rates} and {means} of 200 missed the truth");
    }
}
