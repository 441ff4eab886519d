//! Random, stratified and group splits: units in the order of a seeded hash of what they are, each stratum cut in the
//! asked shares.
//!
//! The order does not depend on where rows stand, so that the same rows in another order give the same parts.

use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};

use super::{Parts, Shares, Units};
use crate::error::{Error, Result};

/// The place of a unit in the order: SHA-256 of the seed and of the bytes that name the unit.
pub fn place(seed: u64, name: &[u8]) -> [u8; 32] {
    Sha256::new().chain_update(seed.to_le_bytes()).chain_update(name).finalize().into()
}

/// The places of joined units: the smallest of the places of the units that each was joined from.
///
/// # Errors
/// [`Error::Parameter`] if the lengths do not fit.
pub fn joined(units: &Units, places: &[[u8; 32]], joined: &Units) -> Result<Vec<[u8; 32]>> {
    fits("places of units", places.len(), units.len())?;
    fits("rows", joined.rows(), units.rows())?;
    let mut smallest = vec![[u8::MAX; 32]; joined.len()];
    for (place, row) in places.iter().zip(units.first_rows()) {
        let smallest = &mut smallest[joined.of_rows()[*row as usize] as usize];
        *smallest = (*smallest).min(*place);
    }
    Ok(smallest)
}

/// Cuts each stratum's units, in the order of their places, where the middle of a unit passes a share.
///
/// `places` has one entry for each unit ([`place`]); `strata` one for each row, and a unit belongs to the stratum of its
/// first row. For units of several strata use [`super::balanced::assign`].
///
/// # Errors
/// [`Error::Parameter`] if the lengths do not fit.
pub fn assign(
    units: &Units,
    places: &[[u8; 32]],
    strata: Option<&[String]>,
    shares: &Shares,
) -> Result<Parts> {
    fits("places of units", places.len(), units.len())?;
    fits("strata", strata.map_or(units.rows(), <[String]>::len), units.rows())?;
    let sizes = units.sizes();
    let mut by_stratum: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (unit, first) in units.first_rows().iter().enumerate() {
        let stratum = strata.map_or("", |strata| strata[*first as usize].as_str());
        by_stratum.entry(stratum).or_default().push(unit);
    }
    let mut of_unit = vec![0_u8; units.len()];
    for mut stratum in by_stratum.into_values() {
        stratum.sort_by_key(|unit| places[*unit]);
        let count: u64 = stratum.iter().map(|unit| sizes[*unit]).sum();
        let mut before = 0;
        for unit in stratum {
            let middle = (before as f64 + sizes[unit] as f64 / 2.0) / count as f64;
            before += sizes[unit];
            of_unit[unit] = shares.part_at(middle);
        }
    }
    Ok(units.of_rows().iter().map(|unit| Some(of_unit[*unit as usize])).collect())
}

pub(super) fn fits(what: &str, actual: usize, required: usize) -> Result<()> {
    if actual == required {
        return Ok(());
    }
    Err(Error::Parameter { column: "splits".into(), why: format!("{actual} {what}, {required} are needed") })
}
