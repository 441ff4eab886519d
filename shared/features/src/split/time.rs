//! Split by time with an embargo: earlier parts come before later ones, and nothing near a border is learnt from.

use super::ordered::fits;
use super::{Parts, Shares, Units};
use crate::error::Result;

/// What a split by time left out, by reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LeftOut {
    /// Rows without a time.
    pub without_time: u64,
    /// Rows of a unit whose latest row is in a later part.
    pub torn: u64,
    /// Rows less than the embargo before the next part begins.
    pub embargoed: u64,
}

/// Cuts the rows, in the order of their times, where the asked shares are passed; equal times stay together.
///
/// A unit goes where its latest row goes, and its earlier rows are left out: neither side then knows of the other. Rows of
/// a part less than `embargo` before the first row of any later part are left out as well. `times` and `embargo` have the
/// same unit.
///
/// # Errors
/// [`crate::Error::Parameter`] if the lengths differ.
pub fn assign(
    units: &Units,
    times: &[Option<i64>],
    embargo: u64,
    shares: &Shares,
) -> Result<(Parts, LeftOut)> {
    fits("times", times.len(), units.rows())?;
    let mut order: Vec<(i64, u32)> =
        times.iter().enumerate().filter_map(|(row, time)| time.map(|time| (time, row as u32))).collect();
    order.sort_unstable();
    let mut parts: Parts = vec![None; times.len()];
    let mut left = LeftOut { without_time: (times.len() - order.len()) as u64, ..LeftOut::default() };
    let mut before = 0;
    for moment in order.chunk_by(|a, b| a.0 == b.0) {
        let middle = (before as f64 + moment.len() as f64 / 2.0) / order.len() as f64;
        before += moment.len();
        let part = shares.part_at(middle);
        for (_, row) in moment {
            parts[*row as usize] = Some(part);
        }
    }

    let mut latest: Vec<Option<u8>> = vec![None; units.len()];
    for (part, unit) in parts.iter().zip(units.of_rows()) {
        let latest = &mut latest[*unit as usize];
        *latest = (*latest).max(*part);
    }
    for (part, unit) in parts.iter_mut().zip(units.of_rows()) {
        if part.is_some() && *part != latest[*unit as usize] {
            *part = None;
            left.torn += 1;
        }
    }

    let mut begins = vec![None; shares.as_slice().len()];
    for (part, time) in parts.iter().zip(times) {
        if let (Some(part), Some(time)) = (part, time) {
            let begin: &mut Option<i64> = &mut begins[usize::from(*part)];
            *begin = Some(begin.map_or(*time, |begin| begin.min(*time)));
        }
    }
    for (part, time) in parts.iter_mut().zip(times) {
        if let (Some(own), Some(time)) = (*part, time) {
            let next = begins[usize::from(own) + 1..].iter().flatten().min();
            if next.is_some_and(|next| next.abs_diff(*time) < embargo) {
                *part = None;
                left.embargoed += 1;
            }
        }
    }
    Ok((parts, left))
}
