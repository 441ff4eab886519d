//! Reads the rows of a table into samples.

use super::{Kind, Layout, Sample, Slot, is_whole};
use crate::{Error, table::Table};

/// Every row as a sample. A missing number is NaN, a missing text is empty.
///
/// # Errors
/// [`Error::DoesNotFit`] that names column, row and value: a text where a number is needed, nothing where a whole
/// number is needed. [`Error::TooLarge`] where rows times inputs is above `most`.
pub fn fill(layout: &Layout, table: &Table, most: usize) -> Result<Vec<Sample>, Error> {
    let values = (layout.numbers() + layout.texts()).saturating_mul(table.rows());
    if most < values {
        return Err(Error::TooLarge {
            what: "rows times inputs".into(),
            observed: values.to_string(),
            allowed: most,
        });
    }
    let mut samples = vec![Sample::default(); table.rows()];
    for slot in &layout.slots {
        for column in &slot.columns {
            let cells = &table.required(column, "feature column")?.cells;
            for (row, sample) in samples.iter_mut().enumerate() {
                match slot.kind {
                    Kind::Texts(_) => sample.texts.push(cells.text(row).unwrap_or_default()),
                    Kind::Numbers(_) => {
                        let found = cells.number(row);
                        sample.numbers.push(number(found, slot, column, row)?);
                    }
                }
            }
        }
    }
    Ok(samples)
}

fn number(found: Result<Option<f64>, String>, slot: &Slot, column: &str, row: usize) -> Result<f64, Error> {
    let refuse = |why: String| Error::unfit(format!("input {} {}", slot.name, slot.datatype), why);
    match found {
        Ok(Some(value)) => Ok(value),
        Ok(None) if is_whole(slot.datatype) => Err(refuse(format!(
            "column {column:?} has no value in row {row}, and the input takes whole numbers only"
        ))),
        Ok(None) => Ok(f64::NAN),
        Err(text) => {
            let shown: String = text.chars().take(40).collect();
            Err(refuse(format!("column {column:?} has {shown:?} in row {row}, required a number")))
        }
    }
}
