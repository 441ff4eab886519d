//! The inputs that an attack on numbers may try: an L-infinity ball of a share of each input's range, within that range.

use crate::rows::{Kind, Layout, Sample, is_whole};
use engine::DataType;

/// A picture inside a sample's numbers: `channels` planes of `height` x `width`, one after another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grid {
    /// Where it starts.
    pub start: usize,
    /// Planes.
    pub channels: usize,
    /// Rows of a plane.
    pub height: usize,
    /// Columns of a plane.
    pub width: usize,
}

/// The box around one sample.
#[derive(Debug, Clone, PartialEq)]
pub struct Ball {
    /// Lowest value of each number.
    pub low: Vec<f64>,
    /// Highest value of each number.
    pub high: Vec<f64>,
    /// Numbers that can change at all.
    pub free: Vec<usize>,
}

impl Ball {
    /// Around `sample`: every number moves by at most `size` times its range and stays within it. A value outside its
    /// range may only move back towards it. Whole-number inputs move in whole steps; missing values stay missing.
    pub fn around(sample: &Sample, layout: &Layout, ranges: &[(f64, f64)], size: f64) -> Self {
        let kinds = layout.number_columns();
        let (mut low, mut high, mut free) = (Vec::new(), Vec::new(), Vec::new());
        for (at, (&value, (lowest, highest))) in sample.numbers.iter().zip(ranges).enumerate() {
            let step = size * (highest - lowest);
            let (from, to) = if value.is_finite() && step.is_finite() {
                let from = (value - step).max(*lowest).min(value);
                let to = (value + step).min(*highest).max(value);
                inward(kinds[at].1, from, to, value)
            } else {
                (value, value)
            };
            if from < to {
                free.push(at);
            }
            low.push(from);
            high.push(to);
        }
        Self { low, high, free }
    }
}

/// The ends as the input's type can hold them, never outside the ball.
fn inward(datatype: DataType, from: f64, to: f64, value: f64) -> (f64, f64) {
    if is_whole(datatype) {
        return (from.ceil().min(value), to.floor().max(value));
    }
    if datatype != DataType::Fp32 {
        return (from, to);
    }
    let (low, high) = (from as f32, to as f32);
    let low = if f64::from(low) < from { low.next_up() } else { low };
    let high = if f64::from(high) > to { high.next_down() } else { high };
    (f64::from(low).min(value), f64::from(high).max(value))
}

/// The pictures among a layout's tensors: the last two dimensions are both above one.
pub fn grids(layout: &Layout) -> Vec<Grid> {
    let grid = |slot: &crate::rows::Slot| {
        let Kind::Numbers(at) = &slot.kind else { return None };
        let [.., height, width] = slot.row_shape[..] else { return None };
        let (height, width) = (usize::try_from(height).ok()?, usize::try_from(width).ok()?);
        let channels = at.len().checked_div(height * width)?;
        (height > 1 && width > 1).then_some(Grid { start: at.start, channels, height, width })
    };
    layout.slots.iter().filter_map(grid).collect()
}
