//! What stands in more than one part: keys and entities, equal rows, near-duplicates.

use super::Finding;
use crate::column::Values;
use crate::error::Result;
use crate::hash;
use crate::near::Found;
use crate::split::Units;

/// Rows whose unit has a row in an earlier part.
fn torn(units: &Units, parts: &[Option<u8>]) -> Vec<u64> {
    let mut earliest = vec![u8::MAX; units.len()];
    for (unit, part) in units.of_rows().iter().zip(parts) {
        if let Some(part) = part {
            let earliest = &mut earliest[*unit as usize];
            *earliest = (*earliest).min(*part);
        }
    }
    let rows = units.of_rows().iter().zip(parts).enumerate();
    let later = rows.filter(|(_, (unit, part))| part.is_some_and(|part| earliest[**unit as usize] < part));
    later.map(|(row, _)| row as u64).collect()
}

/// Units of rows that are equal in these columns; a row in which all of them are missing is equal to none.
///
/// # Errors
/// For too many rows.
pub fn equal(columns: &[Values<'_>], rows: usize) -> Result<Units> {
    let hashes = hash::rows(columns, rows, 0);
    let nothing = |row: usize| columns.iter().all(|values| values.is_missing(row));
    Units::of_labels(hashes.into_iter().enumerate().map(|(row, hash)| {
        let alone = nothing(row);
        (alone, if alone { row as u128 } else { hash })
    }))
}

/// Keys or entities of which an earlier part has a row too. `parts` has one entry for each row.
///
/// # Errors
/// For too many rows.
pub fn keys(names: &[String], columns: &[Values<'_>], parts: &[Option<u8>], most: usize) -> Result<Finding> {
    let what = format!("rows whose {} also stands in an earlier part", names.join(", "));
    Ok(Finding::counted("shared_keys", what, torn(&equal(columns, parts.len())?, parts), most, true))
}

/// Rows that equal one of an earlier part in these columns.
///
/// # Errors
/// For too many rows.
pub fn rows(columns: &[Values<'_>], parts: &[Option<u8>], most: usize) -> Result<Finding> {
    let what = format!("rows that equal a row of an earlier part in all of {} columns", columns.len());
    Ok(Finding::counted("equal_rows", what, torn(&equal(columns, parts.len())?, parts), most, true))
}

/// Rows whose cluster of near-duplicates has a row in an earlier part.
pub fn near(found: &Found, jaccard: f64, parts: &[Option<u8>], most: usize) -> Finding {
    let complete = found.not_compared == 0;
    let hint =
        if complete { String::new() } else { format!("; {} pairs were not compared", found.not_compared) };
    let what = format!(
        "rows of a cluster of near-duplicates (Jaccard {jaccard} or more) that an earlier part has too{hint}"
    );
    Finding::counted("near_duplicates", what, torn(&found.units, parts), most, complete)
}
