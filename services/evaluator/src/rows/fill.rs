//! Reads the rows of a table into samples.

use super::{Kind, Layout, Sample, Slot, whole_range};
use crate::{Error, table::Table};
use std::collections::BTreeMap;

/// Every row as a sample. A missing number is NaN; a missing text is what stood for it in the input (`missing_texts`, by
/// column), as a request would bring it, else empty.
///
/// # Errors
/// [`Error::DoesNotFit`] that names column, row and value: a text where a number is needed, a fraction or a number out of
/// range where a whole number is needed. [`Error::TooLarge`] where rows times inputs is above `most`.
pub fn fill(
    layout: &Layout,
    table: &Table,
    missing_texts: &BTreeMap<String, String>,
    most: usize,
) -> Result<Vec<Sample>, Error> {
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
            let missing = missing_texts.get(column).map_or("", String::as_str);
            for (row, sample) in samples.iter_mut().enumerate() {
                match slot.kind {
                    Kind::Texts(_) => {
                        sample.texts.push(cells.text(row).unwrap_or_else(|| missing.to_owned()))
                    }
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

/// Missing texts that are sent as empty ones, since nobody knows what stood for them.
///
/// # Errors
/// [`Error::DoesNotFit`] where a column is not there.
pub fn empty_texts(
    layout: &Layout,
    table: &Table,
    missing_texts: &BTreeMap<String, String>,
) -> Result<usize, Error> {
    let mut empty = 0;
    for column in layout.text_columns() {
        if !missing_texts.contains_key(column) {
            let cells = &table.required(column, "feature column")?.cells;
            empty += (0..table.rows()).filter(|row| cells.is_missing(*row)).count();
        }
    }
    Ok(empty)
}

fn number(found: Result<Option<f64>, String>, slot: &Slot, column: &str, row: usize) -> Result<f64, Error> {
    let refuse = |text: &str, required: &str| {
        let shown: String = text.chars().take(40).collect();
        let why = format!("column {column:?} has {shown:?} in row {row}, required {required}");
        Err(Error::unfit(format!("input {} {}", slot.name, slot.datatype), why))
    };
    match found {
        Ok(Some(value)) => match whole_range(slot.datatype) {
            Some(_) if !value.is_finite() => Ok(f64::NAN),
            Some(_) if value.fract() != 0.0 => refuse(&value.to_string(), "a whole number"),
            Some((low, high)) if value < low || high < value => {
                refuse(&value.to_string(), &format!("{low} to {high}"))
            }
            _ => Ok(value),
        },
        Ok(None) => Ok(f64::NAN),
        Err(text) => refuse(&text, "a number"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::table::{Cells, Column};
    use engine::{DataType, Dim, TensorSpec};

    fn layout(datatype: DataType) -> Layout {
        let dims = Some(vec![Dim::Any(()), Dim::Fixed(1)]);
        let mut layout = Layout::default();
        layout.add(&TensorSpec { name: "x".into(), datatype, dims }, vec!["c".into()]).unwrap();
        layout
    }

    fn table(cells: Cells) -> Table {
        Table::new(vec![Column { name: "c".into(), cells }]).unwrap()
    }

    #[test]
    fn a_missing_text_is_sent_as_it_came() {
        let table = table(Cells::Texts(vec![None, Some("Private".into())]));
        let layout = layout(DataType::Bytes);
        let marks: BTreeMap<String, String> = [("c".to_owned(), "?".to_owned())].into();
        assert_eq!(fill(&layout, &table, &marks, 100).unwrap()[0].texts, ["?"]);
        assert_eq!(empty_texts(&layout, &table, &marks).unwrap(), 0);
        let none = BTreeMap::new();
        assert_eq!(fill(&layout, &table, &none, 100).unwrap()[0].texts, [""]);
        assert_eq!(empty_texts(&layout, &table, &none).unwrap(), 1);
    }

    #[test]
    fn a_fraction_is_no_whole_number_and_a_missing_one_fails_its_row_alone() {
        let whole = layout(DataType::Int8);
        let none = BTreeMap::new();
        let refused =
            fill(&whole, &table(Cells::Floats(vec![Some(1.0), Some(2.7)])), &none, 100).unwrap_err();
        assert!(refused.to_string().contains("\"2.7\" in row 1"), "{refused}");
        assert!(fill(&whole, &table(Cells::Floats(vec![Some(200.0)])), &none, 100).is_err());
        let samples = fill(&whole, &table(Cells::Floats(vec![Some(1.0), None])), &none, 100).unwrap();
        assert!(whole.refuses(&samples[0]).is_none() && whole.refuses(&samples[1]).is_some());
        assert!(layout(DataType::Fp32).refuses(&samples[1]).is_none(), "a float input takes NaN");
        let text = Sample { texts: vec!["a\0b".into()], ..Sample::default() };
        assert!(layout(DataType::Bytes).refuses(&text).is_some());
    }
}
