//! The model's inputs out of columns: each value becomes an element of the input's type, or the request is refused. Nothing is
//! rounded but a double to a shorter float, to the nearest one.

use bytes::Bytes;
use engine::{DataType, Tensor, TensorSpec};
use features::preprocessing::TensorColumns;
use features::{Preprocessing, Values};

use crate::wire::shown;

/// One input of the model.
#[derive(Debug)]
pub struct Slot {
    name: String,
    datatype: DataType,
    /// The shape of a row.
    row: Vec<i64>,
    /// For each element of a row, which of the columns that are made.
    pub places: Vec<usize>,
    /// Their names.
    columns: Vec<String>,
    /// For each column, the text that stands for a missing one.
    missing: Vec<String>,
}

impl Slot {
    /// Of an input and the columns that fill a row of it, which are among those that are `made`, in order of their names.
    ///
    /// # Errors
    /// A type or shape that columns cannot fill.
    pub fn new(
        spec: &TensorSpec,
        given: &TensorColumns,
        made: &[String],
        artifact: &Preprocessing,
    ) -> Result<Self, String> {
        if matches!(spec.datatype, DataType::Fp16 | DataType::Bf16) {
            return Err(format!("input {spec}: columns do not fill inputs of type {}", spec.datatype));
        }
        let width = given.columns.len() as i64;
        let tail: Vec<i64> = spec.shape().into_iter().skip(1).collect();
        let row = match tail.iter().filter(|size| **size < 0).count() {
            _ if spec.dims.is_none() => vec![width],
            0 => tail,
            1 if tail.len() == 1 => vec![width],
            _ => {
                return Err(format!(
                    "input {spec}: its sizes after the first are open, and columns do not fix them"
                ));
            }
        };
        if spec.dims.as_ref().is_some_and(Vec::is_empty) || row.iter().product::<i64>() != width {
            return Err(format!("input {spec}: {width} columns do not fill a row of it"));
        }
        let missing = |name: &String| {
            let output = artifact.outputs.iter().find(|output| output.name == *name);
            output.map(|output| output.missing_text.clone()).unwrap_or_default()
        };
        Ok(Self {
            name: spec.name.clone(),
            datatype: spec.datatype,
            row,
            places: given.columns.iter().map(|name| made.partition_point(|one| one < name)).collect(),
            columns: given.columns.clone(),
            missing: given.columns.iter().map(missing).collect(),
        })
    }

    /// The tensor of `rows` rows of the columns that were made.
    ///
    /// # Errors
    /// A value that the input's type cannot hold, with its column and row.
    pub fn tensor(&self, made: &[Values<'_>], rows: usize) -> Result<Tensor, String> {
        let columns: Vec<Values<'_>> = self.places.iter().map(|at| made[*at]).collect();
        let shape = std::iter::once(rows as i64).chain(self.row.iter().copied()).collect();
        let made = if self.datatype == DataType::Bytes {
            let text = |row: usize, at: usize| {
                let text = columns[at].text(row);
                let text = text.as_deref().unwrap_or(&self.missing[at]);
                Bytes::copy_from_slice(text.as_bytes())
            };
            let cells = (0..rows).flat_map(|row| (0..columns.len()).map(move |at| (row, at)));
            Tensor::strings(&self.name, shape, cells.map(|(row, at)| text(row, at)).collect())
        } else {
            let size = self.datatype.size().unwrap_or_default();
            let mut bytes = Vec::with_capacity(rows * columns.len() * size);
            for row in 0..rows {
                for (values, column) in columns.iter().zip(&self.columns) {
                    self.put(*values, row, &mut bytes).map_err(|why| {
                        format!(
                            "row {row} has {why} in column {:?}, input {:?} is {}",
                            shown(column),
                            shown(&self.name),
                            self.datatype
                        )
                    })?;
                }
            }
            Tensor::raw(&self.name, self.datatype, shape, Bytes::from(bytes))
        };
        made.map_err(|error| format!("input {}: {error}", shown(&self.name)))
    }

    /// Appends one element.
    fn put(&self, values: Values<'_>, row: usize, out: &mut Vec<u8>) -> Result<(), String> {
        let float = || values.number(row).unwrap_or(f64::NAN);
        match self.datatype {
            DataType::Fp32 => out.extend((float() as f32).to_le_bytes()),
            DataType::Fp64 => out.extend(float().to_le_bytes()),
            _ => {
                let whole = whole(values, row)?;
                let held = match self.datatype {
                    DataType::Bool if (0..=1).contains(&whole) => {
                        out.push(whole as u8);
                        true
                    }
                    DataType::Uint8 => u8::try_from(whole).map(|it| out.push(it)).is_ok(),
                    DataType::Int8 => i8::try_from(whole).map(|it| out.extend(it.to_le_bytes())).is_ok(),
                    DataType::Uint16 => u16::try_from(whole).map(|it| out.extend(it.to_le_bytes())).is_ok(),
                    DataType::Int16 => i16::try_from(whole).map(|it| out.extend(it.to_le_bytes())).is_ok(),
                    DataType::Uint32 => u32::try_from(whole).map(|it| out.extend(it.to_le_bytes())).is_ok(),
                    DataType::Int32 => i32::try_from(whole).map(|it| out.extend(it.to_le_bytes())).is_ok(),
                    DataType::Uint64 => u64::try_from(whole).map(|it| out.extend(it.to_le_bytes())).is_ok(),
                    DataType::Int64 => {
                        out.extend(whole.to_le_bytes());
                        true
                    }
                    _ => false,
                };
                if !held {
                    return Err(whole.to_string());
                }
            }
        }
        Ok(())
    }
}

/// A value as a whole number.
fn whole(values: Values<'_>, row: usize) -> Result<i64, String> {
    let number = values.number(row).ok_or_else(|| "no value".to_owned())?;
    match values {
        Values::Int64(array) => Ok(array.value(row)),
        _ if number.fract() == 0.0 && number.abs() <= 9_007_199_254_740_992.0 => Ok(number as i64),
        _ => Err(number.to_string()),
    }
}
