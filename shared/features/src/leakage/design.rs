//! Rows as short lists of hashed features, each there or not: a band of a number, a category, a word.

use statistics::histogram::quantile_edges;

use crate::column::Values;
use crate::error::Result;
use crate::hash::{self, Hash128};

/// Weights of the model; features are hashed to their numbers.
pub(super) const WEIGHTS: usize = 1 << 16;
/// Bands of a number, cut at its quantiles.
const BANDS: usize = 16;
/// Words of a text that are features of their own.
const WORDS: usize = 200;

/// The features of each row that was asked for.
pub(super) struct Design {
    features: Vec<u16>,
    ends: Vec<usize>,
}

impl Design {
    /// Of the rows at these places, in this order.
    pub(super) fn new(columns: &[Values<'_>], rows: &[u32]) -> Result<Self> {
        let edges = columns.iter().map(|values| edges(values, rows)).collect::<Result<Vec<_>>>()?;
        let mut design = Self { features: Vec::new(), ends: Vec::new() };
        for row in rows {
            for (at, (values, edges)) in columns.iter().zip(&edges).enumerate() {
                design.add(at as u64, values, edges.as_deref(), *row as usize);
            }
            design.ends.push(design.features.len());
        }
        Ok(design)
    }

    fn add(&mut self, column: u64, values: &Values<'_>, edges: Option<&[f64]>, row: usize) {
        let mut feature = |kind: u64, hash: u64| {
            let mut state = Hash128::new(column);
            state.word(kind);
            state.word(hash);
            self.features.push((state.finish64() % WEIGHTS as u64) as u16);
        };
        match (edges, values.number(row), values.text(row)) {
            (Some(edges), Some(number), _) => {
                feature(1, edges.partition_point(|edge| *edge <= number) as u64)
            }
            (None, _, Some(text)) => {
                feature(2, hash::text(0, &text));
                let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
                words.take(WORDS).for_each(|word| feature(3, hash::text(0, &word.to_lowercase())));
            }
            _ => feature(0, 0), // missing is a feature too
        }
    }

    /// The features of a row, by its place among the rows asked for.
    pub(super) fn row(&self, at: usize) -> &[u16] {
        let begin = at.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.features[begin..self.ends[at]]
    }

    pub(super) fn rows(&self) -> usize {
        self.ends.len()
    }
}

/// The cuts of a column of numbers, from the rows that are compared; `None` for texts and truth values.
fn edges(values: &Values<'_>, rows: &[u32]) -> Result<Option<Vec<f64>>> {
    if matches!(values, Values::Utf8(_) | Values::Bool(_)) {
        return Ok(None);
    }
    let numbers = rows.iter().filter_map(|row| values.number(*row as usize));
    let finite: Vec<f64> = numbers.filter(|number| number.is_finite()).collect();
    Ok(Some(if finite.is_empty() { Vec::new() } else { quantile_edges(&finite, BANDS)? }))
}
