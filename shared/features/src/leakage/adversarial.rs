//! Adversarial validation: can a model tell the rows of two parts apart?
//!
//! A logistic regression over hashed features learns to tell them on four fifths of the units and is scored on the last
//! fifth, five times, so that no score rests on a row that was learnt from, nor on another row of its unit (else the name of
//! a group would tell its part). The answer is the mean area under the ROC curve of the five, with DeLong's errors.

use statistics::Interval;
use statistics::interval::{Share, wilson};
use statistics::ranking::delong;
use statistics::special::normal_quantile;

use super::design::{Design, WEIGHTS};
use super::{Finding, Limits};
use crate::column::Values;
use crate::error::Result;
use crate::hash::Hash128;
use crate::split::Units;

const FOLDS: u64 = 5;
const EPOCHS: usize = 4;
/// First step of the descent.
const RATE: f64 = 0.1;
/// Pull of each weight towards 0 at each step that touches it.
const DECAY: f64 = 1e-4;

/// What is compared.
#[derive(Debug, Clone, Copy)]
pub struct Compared<'a> {
    /// Number and name of the one part.
    pub first: (u8, &'a str),
    /// Of the other.
    pub second: (u8, &'a str),
    /// Rows of each part that are looked at, drawn by `seed`.
    pub rows: usize,
    /// Of the draw and the folds.
    pub seed: u64,
}

/// Compares two parts over `columns`, which should neither be keys nor the time that the split was cut by. `units` tells
/// which rows belong together.
///
/// # Errors
/// Of the statistics.
pub fn check(
    columns: &[Values<'_>],
    units: &Units,
    parts: &[Option<u8>],
    compared: &Compared<'_>,
    limits: &Limits,
) -> Result<Finding> {
    let (first, second) = (compared.first, compared.second);
    let (mut rows, drawn) = (drawn(parts, first.0, compared), drawn(parts, second.0, compared));
    let positives = rows.len();
    rows.extend(drawn);
    let truth: Vec<bool> = (0..rows.len()).map(|at| at < positives).collect();
    let fold: Vec<u64> =
        rows.iter().map(|row| hash(compared.seed ^ 1, units.of_rows()[*row as usize]) % FOLDS).collect();
    let design = Design::new(columns, &rows)?;
    let mut order: Vec<usize> = (0..rows.len()).collect();
    order.sort_unstable_by_key(|at| (hash(compared.seed ^ 2, rows[*at]), *at));

    let what = format!("area under the ROC curve of a model that tells {} from {}", second.1, first.1);
    let mut areas = Vec::new();
    for own in 0..FOLDS {
        let learnt: Vec<usize> = order.iter().copied().filter(|at| fold[*at] != own).collect();
        let held: Vec<usize> = order.iter().copied().filter(|at| fold[*at] == own).collect();
        let weights = learn(&design, &truth, &learnt);
        let scores: Vec<f64> = held.iter().map(|at| score(&weights, design.row(*at))).collect();
        let held: Vec<bool> = held.iter().map(|at| truth[*at]).collect();
        match delong(&held, &scores, &scores) {
            Ok(area) => areas.push(area),
            Err(statistics::Error::Undefined { .. } | statistics::Error::Empty { .. }) => {
                let what = format!("{what}: a fold has too few rows of a part");
                let count = design.rows() as u64;
                return Ok(Finding::estimated("adversarial_auc", what, f64::NAN, None, limits.auc, count));
            }
            Err(error) => return Err(error.into()),
        }
    }
    let mean = areas.iter().map(|area| area.first).sum::<f64>() / areas.len() as f64;
    let error = areas.iter().map(|area| area.first_error.powi(2)).sum::<f64>().sqrt() / areas.len() as f64;
    let interval = if error <= 0.0 {
        // Without overlap there is no error to see: bounded by the number of rows alone.
        let smaller = areas.iter().map(|area| area.smaller_class).sum();
        wilson(Share::new(if mean < 0.5 { 0 } else { smaller }, smaller)?, limits.confidence)?
    } else {
        let half = normal_quantile(0.5 + 0.5 * limits.confidence) * error;
        Interval { lower: (mean - half).max(0.0), upper: (mean + half).min(1.0) }
    };
    let count = design.rows() as u64;
    Ok(Finding::estimated("adversarial_auc", what, mean, Some(interval), limits.auc, count))
}

/// Rows of a part, at most as many as asked, by the order of a hash.
fn drawn(parts: &[Option<u8>], part: u8, compared: &Compared<'_>) -> Vec<u32> {
    let rows = parts.iter().enumerate().filter(|(_, one)| **one == Some(part)).map(|(row, _)| row as u32);
    let mut rows: Vec<u32> = rows.collect();
    if compared.rows < rows.len() {
        rows.select_nth_unstable_by_key(compared.rows, |row| (hash(compared.seed, *row), *row));
        rows.truncate(compared.rows);
    }
    rows.sort_unstable();
    rows
}

fn hash(seed: u64, number: u32) -> u64 {
    let mut hash = Hash128::new(seed);
    hash.word(u64::from(number));
    hash.finish64()
}

/// Stochastic gradient descent with steps that shrink by what a weight has moved (AdaGrad; Duchi, Hazan, Singer 2011).
fn learn(design: &Design, truth: &[bool], rows: &[usize]) -> Vec<f64> {
    let (mut weights, mut moved) = (vec![0.0; WEIGHTS], vec![1e-8; WEIGHTS]);
    for _ in 0..EPOCHS {
        for at in rows {
            let chance = 1.0 / (1.0 + (-score(&weights, design.row(*at))).exp());
            let pull = chance - f64::from(u8::from(truth[*at]));
            for feature in design.row(*at) {
                let weight = usize::from(*feature);
                let slope = pull + DECAY * weights[weight];
                moved[weight] += slope * slope;
                weights[weight] -= RATE * slope / f64::sqrt(moved[weight]);
            }
        }
    }
    weights
}

fn score(weights: &[f64], features: &[u16]) -> f64 {
    features.iter().map(|feature| weights[usize::from(*feature)]).sum::<f64>()
}
