//! At how many rows a model is fastest. A row costs less the more of them run together, until they no longer fit into the
//! processor's caches: then two runs of half as many take less time, and those in the first half wait less.

use std::sync::{Mutex, PoisonError};

/// A size whose rows cost at most so much more than the cheapest is as good, and preferred if it is smaller.
const AS_GOOD: f64 = 1.01;
/// Measurements that count: the least of the last so many to twice as many. What else a machine does makes runs longer,
/// never shorter.
const LATELY: u32 = 12;
/// A run has the cost of a size if it has that many rows, or at most an eighth fewer.
const NEAR: usize = 8;
/// One of so many runs tries a size next to the best, to see whether it is better by now,
const TRY_AGAIN: u32 = 32;
/// and one of so many while that was never tried.
const TRY_FIRST: u32 = 4;

/// The sizes of runs that are compared, and what a row costs at each of them.
#[derive(Debug, Default)]
pub(super) struct Sizes(Option<Mutex<Costs>>);

#[derive(Debug)]
struct Costs {
    /// Rows, and seconds a row where it was measured: powers of two, and the most that a run may have.
    sizes: Vec<(usize, Option<Cost>)>,
    turns: u32,
}

/// What a row cost lately.
#[derive(Debug, Clone, Copy)]
struct Cost {
    /// The least of the measurements since a new count began, and of those before.
    now: f64,
    before: f64,
    count: u32,
}

impl Cost {
    fn of(seconds: f64) -> Self {
        Self { now: seconds, before: f64::INFINITY, count: 1 }
    }

    fn with(self, seconds: f64) -> Self {
        if self.count == LATELY {
            return Self { now: seconds, before: self.now, count: 1 };
        }
        Self { now: self.now.min(seconds), count: self.count + 1, ..self }
    }

    fn least(self) -> f64 {
        self.now.min(self.before)
    }
}

impl Sizes {
    /// Of runs with `most` rows at most.
    pub fn up_to(most: usize) -> Self {
        let powers = std::iter::successors(Some(1_usize), |size| size.checked_mul(2));
        let sizes = powers.take_while(|size| *size < most).chain([most]).map(|size| (size, None)).collect();
        Self(Some(Mutex::new(Costs { sizes, turns: 0 })))
    }

    /// A run of that many rows took so many seconds.
    pub fn ran(&self, rows: usize, seconds: f64) {
        let Some(costs) = &self.0 else { return };
        let mut costs = costs.lock().unwrap_or_else(PoisonError::into_inner);
        let near = |size: usize| rows <= size && size - rows <= size / NEAR;
        let Some((_, known)) = costs.sizes.iter_mut().find(|(size, _)| near(*size)) else { return };
        let cost = seconds / rows as f64;
        *known = Some(known.map_or_else(|| Cost::of(cost), |known| known.with(cost)));
    }

    /// How many of the rows that wait the next run takes at most; `None` where sizes are not compared.
    pub fn next(&self, waiting: usize) -> Option<usize> {
        let mut costs = self.0.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner);
        Some(costs.next(waiting))
    }
}

impl Costs {
    fn next(&mut self, waiting: usize) -> usize {
        let fitting = self.sizes.iter().take_while(|(size, _)| *size <= waiting).count();
        // With fewer than two that fit there is nothing to choose.
        let Some(last) = fitting.checked_sub(1).filter(|last| *last > 0) else { return waiting };
        self.turns = self.turns.wrapping_add(1);
        let best = self.best(last);
        let (below, above) = (best.checked_sub(1), (best < last).then_some(best + 1));
        let untried = [below, above].into_iter().flatten().find(|at| self.sizes[*at].1.is_none());
        let tried = match untried {
            Some(untried) => self.turns.is_multiple_of(TRY_FIRST).then_some(untried),
            None if !self.turns.is_multiple_of(TRY_AGAIN) => None,
            None if (self.turns / TRY_AGAIN).is_multiple_of(2) => below.or(above),
            None => above.or(below),
        };
        let chosen = tried.unwrap_or(best);
        // The largest that fits takes all there is, up to the next.
        if chosen == last { waiting } else { self.sizes[chosen].0 }
    }

    /// The smallest of those that cost as good as least, or the largest that fits while nothing is known.
    fn best(&self, last: usize) -> usize {
        let known = || self.sizes.iter().take(last + 1).map(|(_, cost)| cost.map(Cost::least));
        let least = known().flatten().fold(f64::INFINITY, f64::min);
        known().position(|cost| cost.is_some_and(|cost| cost <= least * AS_GOOD)).unwrap_or(last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sizes of the last runs of so many, where `waiting` rows always wait and a row costs what it says, and up to a fifth
    /// more from time to time.
    fn runs(sizes: &Sizes, count: usize, waiting: usize, cost: impl Fn(usize) -> f64) -> Vec<usize> {
        let mut noise = 1_u32;
        let run = |_| {
            let rows = sizes.next(waiting).unwrap().min(waiting);
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            sizes.ran(rows, rows as f64 * cost(rows) * (1.0 + f64::from(noise >> 24) / 1280.0));
            rows
        };
        (0..count).map(run).collect()
    }

    fn share(rows: &[usize], of: usize) -> f64 {
        rows.iter().filter(|rows| **rows == of).count() as f64 / rows.len() as f64
    }

    #[test]
    fn a_model_that_outgrows_the_cache_runs_at_its_best_size() {
        let sizes = Sizes::up_to(64);
        runs(&sizes, 100, 64, |rows| if rows > 32 { 1.1 } else { 1.0 + 1.0 / rows as f64 });
        let late = runs(&sizes, 400, 64, |rows| if rows > 32 { 1.1 } else { 1.0 + 1.0 / rows as f64 });
        assert!(share(&late, 32) > 0.9, "{late:?}");
    }

    #[test]
    fn a_model_that_gains_by_every_row_takes_all_there_is() {
        let sizes = Sizes::up_to(64);
        let cost = |rows: usize| 1.0 + 10.0 / rows as f64;
        assert!(share(&runs(&sizes, 400, 64, cost), 64) > 0.9);
        assert!(share(&runs(&sizes, 400, 48, cost), 48) > 0.9);
        assert_eq!(sizes.next(1), Some(1));
    }

    #[test]
    fn what_a_row_costs_may_change() {
        let sizes = Sizes::up_to(64);
        runs(&sizes, 400, 64, |rows| 1.0 + 10.0 / rows as f64);
        runs(&sizes, 2_000, 64, |rows| if rows > 16 { 3.0 } else { 1.0 + 1.0 / rows as f64 });
        let late = runs(&sizes, 400, 64, |rows| if rows > 16 { 3.0 } else { 1.0 + 1.0 / rows as f64 });
        assert!(share(&late, 16) > 0.9, "{late:?}");
    }

    #[test]
    fn no_run_is_larger_than_what_waits_or_may_run() {
        for most in [1, 2, 3, 48, 64] {
            let sizes = Sizes::up_to(most);
            for waiting in 1..200 {
                let next = sizes.next(waiting).unwrap();
                assert!(0 < next && next <= waiting, "{next} of {waiting}, {most} at most");
                sizes.ran(next.min(most), 1.0);
            }
        }
        assert_eq!(Sizes::default().next(5), None);
    }
}
