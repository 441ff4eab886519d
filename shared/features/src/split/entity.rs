//! Split by a hash of the entity: a unit's part depends on its name and on the seed alone, so that no row moves when rows
//! are added. Shares hold on average, not exactly.

use super::ordered::fits;
use super::{Parts, Shares, Units};
use crate::error::Result;

/// Gives each unit the part of its place, which is the hash of its name ([`super::ordered::place`]). Where several names
/// are one unit its place is the smallest of theirs ([`super::ordered::joined`]): another name moves the unit only if its
/// place comes before all that are there.
///
/// # Errors
/// [`crate::Error::Parameter`] if the lengths differ.
pub fn assign(units: &Units, places: &[[u8; 32]], shares: &Shares) -> Result<Parts> {
    fits("places of units", places.len(), units.len())?;
    let of_unit: Vec<u8> = places.iter().map(|place| shares.part_at(fraction(place))).collect();
    Ok(units.of_rows().iter().map(|unit| Some(of_unit[*unit as usize])).collect())
}

/// A hash as a point of the unit interval, by its first 53 bits.
fn fraction(place: &[u8; 32]) -> f64 {
    let mut first = [0; 8];
    first.copy_from_slice(&place[..8]);
    (u64::from_be_bytes(first) >> 11) as f64 / (1_u64 << 53) as f64
}
