//! The Square attack: random patches at the border of the ball, kept where the margin falls.
//!
//! Source: Andriushchenko et al., *Square Attack: a query-efficient black-box adversarial attack via random search*, 2020.
//! Pictures get square windows over all channels; other inputs, which have no neighbourhood, a random part of their
//! numbers. Without scores every proposal is kept, which is a random search with the same steps.

use super::{Ball, Grid, Reaction, Search};
use crate::rows::Sample;
use statistics::random::SplitMix64;

/// Share of the numbers that the first patches cover.
const FIRST_SHARE: f64 = 0.8;
/// Queries, of 10,000, after which patches halve (the paper's schedule).
const HALVINGS: [f64; 9] = [10.0, 50.0, 200.0, 500.0, 1000.0, 2000.0, 4000.0, 6000.0, 8000.0];

/// One row's search.
#[derive(Debug)]
pub struct Square {
    origin: Sample,
    ball: Ball,
    grids: Vec<Grid>,
    guided: bool,
    queries: u64,
    asked: u64,
    best: Vec<f64>,
    tried: Vec<f64>,
    margin: f64,
    rng: SplitMix64,
}

impl Square {
    /// A search around `origin` with a budget of `queries`; `guided` where the model gives scores.
    pub fn new(origin: Sample, ball: Ball, grids: Vec<Grid>, guided: bool, queries: u64, seed: u64) -> Self {
        let best = origin.numbers.clone();
        let tried = best.clone();
        Self {
            origin,
            ball,
            grids,
            guided,
            queries,
            asked: 0,
            best,
            tried,
            margin: f64::INFINITY,
            rng: SplitMix64::new(seed),
        }
    }

    fn share(&self) -> f64 {
        let at = self.asked as f64 * 10_000.0 / self.queries.max(1) as f64;
        let halvings = HALVINGS.iter().filter(|limit| **limit < at).count() as i32;
        FIRST_SHARE * 0.5_f64.powi(halvings)
    }

    fn end(&mut self, at: usize) -> f64 {
        if self.rng.next_u64() & 1 == 0 { self.ball.low[at] } else { self.ball.high[at] }
    }

    fn random_part(&mut self, share: f64) {
        let free = self.ball.free.len();
        let wanted = ((share * free as f64).round() as usize).clamp(1, free);
        let mut picked = self.ball.free.clone();
        self.rng.shuffle(&mut picked);
        for at in picked.into_iter().take(wanted) {
            self.tried[at] = self.end(at);
        }
    }

    fn window(&mut self, grid: Grid, share: f64) {
        let area = share * (grid.height * grid.width) as f64;
        let side = (area.sqrt().round() as usize).clamp(1, grid.height.min(grid.width));
        let top = self.rng.below(grid.height - side + 1);
        let left = self.rng.below(grid.width - side + 1);
        for channel in 0..grid.channels {
            let up = self.rng.next_u64() & 1 == 0;
            for (y, x) in (top..top + side).flat_map(|y| (left..left + side).map(move |x| (y, x))) {
                let at = grid.start + (channel * grid.height + y) * grid.width + x;
                self.tried[at] = if up { self.ball.high[at] } else { self.ball.low[at] };
            }
        }
    }

    /// The first input: vertical stripes on pictures, random ends elsewhere.
    fn start(&mut self) {
        for at in self.ball.free.clone() {
            self.tried[at] = self.end(at);
        }
        for grid in self.grids.clone() {
            for (channel, x) in
                (0..grid.channels).flat_map(|channel| (0..grid.width).map(move |x| (channel, x)))
            {
                let up = self.rng.next_u64() & 1 == 0;
                for y in 0..grid.height {
                    let at = grid.start + (channel * grid.height + y) * grid.width + x;
                    self.tried[at] = if up { self.ball.high[at] } else { self.ball.low[at] };
                }
            }
        }
    }
}

impl Search for Square {
    fn propose(&mut self) -> Option<Sample> {
        if self.ball.free.is_empty() {
            return None;
        }
        if self.asked == 0 {
            self.start();
        } else {
            self.tried.clone_from(&self.best);
            let share = self.share();
            match self.grids.len() {
                0 => self.random_part(share),
                grids => {
                    let grid = self.grids[self.rng.below(grids)];
                    self.window(grid, share);
                }
            }
        }
        self.asked += 1;
        Some(Sample { numbers: self.tried.clone(), texts: self.origin.texts.clone() })
    }

    fn note(&mut self, reaction: Reaction) {
        if !self.guided || reaction.margin <= self.margin {
            self.margin = reaction.margin;
            self.best.clone_from(&self.tried);
        }
    }
}
