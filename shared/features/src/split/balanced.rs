//! Stratified-group split: whole units, dealt out so that every part comes close to its share of every class.
//!
//! Exact shares are in general impossible (it is a partition problem), so this is the usual greedy rule: largest units
//! first, each to the part where it lowers the chi-square distance to the asked counts most.

use super::ordered::fits;
use super::{Parts, Shares, Units};
use crate::error::{Error, Result};

/// Classes at most; each needs a count in every part.
pub const CLASSES: usize = 10_000;

/// `places` has one entry for each unit ([`super::ordered::place`]) and breaks ties; `classes` one for each row, numbered
/// from 0.
///
/// # Errors
/// [`Error::Parameter`] if the lengths do not fit or there are more than [`CLASSES`].
pub fn assign(units: &Units, places: &[[u8; 32]], classes: &[u32], shares: &Shares) -> Result<Parts> {
    fits("places of units", places.len(), units.len())?;
    fits("classes", classes.len(), units.rows())?;
    let many = classes.iter().max().map_or(1, |most| *most as usize + 1);
    if CLASSES < many {
        let why = format!("{many} classes to balance, at most {CLASSES} are taken");
        return Err(Error::Parameter { column: "splits".into(), why });
    }
    let of_unit = class_counts(units, classes);
    let mut totals = vec![0.0; many + 1]; // the last one counts rows, so that sizes are balanced too
    for (class, count) in of_unit.iter().flatten() {
        totals[*class as usize] += *count as f64;
        totals[many] += *count as f64;
    }
    let sizes = units.sizes();
    let mut order: Vec<usize> = (0..units.len()).collect();
    order.sort_by(|a, b| sizes[*b].cmp(&sizes[*a]).then_with(|| places[*a].cmp(&places[*b])));

    let shares = shares.as_slice();
    let mut filled = vec![vec![0.0; many + 1]; shares.len()];
    let mut assigned = vec![0_u8; units.len()];
    for unit in order {
        let rows = [(many as u32, sizes[unit])];
        let added =
            || of_unit[unit].iter().chain(&rows).map(|(class, count)| (*class as usize, *count as f64));
        let cost = |part: usize| -> f64 {
            let one = |(class, count): (usize, f64)| {
                let wanted = shares[part] * totals[class];
                count * (2.0 * (filled[part][class] - wanted) + count) / wanted
            };
            added().map(one).sum()
        };
        let open = (0..shares.len()).filter(|part| 0.0 < shares[*part]);
        let best = open.min_by(|a, b| cost(*a).total_cmp(&cost(*b))).unwrap_or(0);
        assigned[unit] = best as u8;
        for (class, count) in added() {
            filled[best][class] += count;
        }
    }
    Ok(units.of_rows().iter().map(|unit| Some(assigned[*unit as usize])).collect())
}

/// Of each unit its classes with their rows, ascending.
fn class_counts(units: &Units, classes: &[u32]) -> Vec<Vec<(u32, u64)>> {
    let mut pairs: Vec<(u32, u32)> = units.of_rows().iter().copied().zip(classes.iter().copied()).collect();
    pairs.sort_unstable();
    let mut counts: Vec<Vec<(u32, u64)>> = vec![Vec::new(); units.len()];
    for (unit, class) in pairs {
        match counts[unit as usize].last_mut() {
            Some((last, count)) if *last == class => *count += 1,
            _ => counts[unit as usize].push((class, 1)),
        }
    }
    counts
}
