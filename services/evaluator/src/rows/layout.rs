//! Where each value of a row stands among the model's input tensors.

use crate::Error;
use bytes::Bytes;
use engine::{DataType, Dim, Element, Tensor, TensorSpec};
use half::{bf16, f16};
use std::ops::Range;

/// One row as the model takes it: all numeric inputs one after another, and all text inputs.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Sample {
    /// Numbers in the order of [`Layout`]; NaN where a value is missing.
    pub numbers: Vec<f64>,
    /// Texts in the order of [`Layout`]; empty where a value is missing.
    pub texts: Vec<String>,
}

/// Which of the two lists of a sample a tensor takes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A part of [`Sample::numbers`].
    Numbers(Range<usize>),
    /// A part of [`Sample::texts`].
    Texts(Range<usize>),
}

/// One input tensor.
#[derive(Debug, Clone, PartialEq)]
pub struct Slot {
    /// Its name.
    pub name: String,
    /// Its element type.
    pub datatype: DataType,
    /// Its dimensions after the first.
    pub row_shape: Vec<i64>,
    /// Whether it has a dimension of rows at all.
    pub scalar: bool,
    /// What it takes of a sample.
    pub kind: Kind,
    /// Columns of the table, one for each element.
    pub columns: Vec<String>,
}

/// All input tensors of a model.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Layout {
    /// In the model's order.
    pub slots: Vec<Slot>,
    /// Rows that every run must bring; `None` where any number is taken.
    pub fixed_rows: Option<usize>,
}

impl Layout {
    /// Adds a tensor that takes these columns.
    ///
    /// # Errors
    /// [`Error::DoesNotFit`] where the tensor's shape and the number of columns do not agree.
    pub fn add(&mut self, spec: &TensorSpec, columns: Vec<String>) -> Result<(), Error> {
        let width = columns.len();
        let row_shape = row_shape(spec, width)?;
        let (first, scalar) = match &spec.dims {
            None => (None, false),
            Some(dims) if dims.is_empty() => (Some(1), true),
            Some(dims) => match dims[0] {
                Dim::Fixed(rows) => (usize::try_from(rows).ok(), false),
                Dim::Symbol(_) | Dim::Any(()) => (None, false),
            },
        };
        match (first, self.fixed_rows) {
            (Some(0), _) => return Err(Error::unfit(spec.to_string(), "it takes no rows")),
            (Some(new), Some(old)) if new != old => {
                return Err(Error::unfit(
                    spec.to_string(),
                    format!("it takes {new} rows at once, another input {old}"),
                ));
            }
            (Some(new), _) => self.fixed_rows = Some(new),
            (None, _) => {}
        }
        let (numbers, texts) = (self.numbers(), self.texts());
        let kind = if spec.datatype == DataType::Bytes {
            Kind::Texts(texts..texts + width)
        } else {
            Kind::Numbers(numbers..numbers + width)
        };
        self.slots.push(Slot {
            name: spec.name.clone(),
            datatype: spec.datatype,
            row_shape,
            scalar,
            kind,
            columns,
        });
        Ok(())
    }

    /// Numbers of a sample.
    pub fn numbers(&self) -> usize {
        self.slots.iter().map(|slot| if let Kind::Numbers(at) = &slot.kind { at.len() } else { 0 }).sum()
    }

    /// Texts of a sample.
    pub fn texts(&self) -> usize {
        self.slots.iter().map(|slot| if let Kind::Texts(at) = &slot.kind { at.len() } else { 0 }).sum()
    }

    /// Column of each number of a sample, with the type of its tensor.
    pub fn number_columns(&self) -> Vec<(&str, DataType)> {
        let numeric = self.slots.iter().filter(|slot| matches!(slot.kind, Kind::Numbers(_)));
        numeric.flat_map(|slot| slot.columns.iter().map(|name| (name.as_str(), slot.datatype))).collect()
    }

    /// Column of each text of a sample.
    pub fn text_columns(&self) -> Vec<&str> {
        let texts = self.slots.iter().filter(|slot| matches!(slot.kind, Kind::Texts(_)));
        texts.flat_map(|slot| slot.columns.iter().map(String::as_str)).collect()
    }

    /// Why no request could carry this row, if so: a whole-number input has no missing value, a text no zero byte.
    pub fn refuses(&self, sample: &Sample) -> Option<String> {
        self.slots.iter().find_map(|slot| match &slot.kind {
            Kind::Numbers(at) if is_whole(slot.datatype) => {
                let empty = sample.numbers.get(at.clone())?.iter().position(|value| !value.is_finite())?;
                let column = slot.columns.get(empty).map_or("", String::as_str);
                Some(format!(
                    "column {column:?} has no value, and input {} takes whole numbers only",
                    slot.name
                ))
            }
            Kind::Numbers(_) => None,
            Kind::Texts(at) => {
                let broken = sample.texts.get(at.clone())?.iter().position(|text| text.contains('\0'))?;
                let column = slot.columns.get(broken).map_or("", String::as_str);
                Some(format!(
                    "column {column:?} has a text with a zero byte, which input {} cannot take",
                    slot.name
                ))
            }
        })
    }

    /// Tensors of these rows, in order. Where the model takes a fixed number of rows, the last row is repeated.
    ///
    /// # Errors
    /// [`Error::DoesNotFit`] if there is no row, or more than the model takes.
    pub fn tensors(&self, rows: &[&Sample]) -> Result<Vec<Tensor>, Error> {
        let Some(last) = rows.last() else { return Err(Error::unfit("rows", "there is none")) };
        let wanted = self.fixed_rows.unwrap_or(rows.len());
        if wanted < rows.len() {
            return Err(Error::unfit("rows", format!("{} at once, the model takes {wanted}", rows.len())));
        }
        let padded: Vec<&Sample> =
            rows.iter().copied().chain(std::iter::repeat_n(*last, wanted - rows.len())).collect();
        self.slots.iter().map(|slot| slot.tensor(&padded)).collect()
    }
}

impl Slot {
    fn tensor(&self, rows: &[&Sample]) -> Result<Tensor, Error> {
        let mut shape = Vec::new();
        if !self.scalar {
            shape.push(rows.len() as i64);
            shape.extend(&self.row_shape);
        }
        let made = match &self.kind {
            Kind::Texts(at) => {
                let texts = rows.iter().flat_map(|row| &row.texts[at.clone()]);
                let elements = texts.map(|text| Bytes::copy_from_slice(text.as_bytes())).collect();
                Tensor::strings(&self.name, shape, elements)
            }
            Kind::Numbers(at) => {
                let values = rows.iter().flat_map(|row| row.numbers[at.clone()].iter().copied());
                Tensor::raw(&self.name, self.datatype, shape, raw(self.datatype, values))
            }
        };
        made.map_err(|why| Error::unfit(format!("input {}", self.name), why.to_string()))
    }
}

/// Little-endian bytes; whole numbers are held within their type.
fn raw(datatype: DataType, values: impl Iterator<Item = f64>) -> Bytes {
    let mut out = Vec::new();
    macro_rules! put {
        ($make:expr) => {
            values.for_each(|value| $make(value).put(&mut out))
        };
    }
    match datatype {
        DataType::Bool => put!(|value: f64| value != 0.0 && !value.is_nan()),
        DataType::Uint8 => put!(|value: f64| value.round() as u8),
        DataType::Uint16 => put!(|value: f64| value.round() as u16),
        DataType::Uint32 => put!(|value: f64| value.round() as u32),
        DataType::Uint64 => put!(|value: f64| value.round() as u64),
        DataType::Int8 => put!(|value: f64| value.round() as i8),
        DataType::Int16 => put!(|value: f64| value.round() as i16),
        DataType::Int32 => put!(|value: f64| value.round() as i32),
        DataType::Int64 => put!(|value: f64| value.round() as i64),
        DataType::Fp16 => put!(f16::from_f64),
        DataType::Bf16 => put!(bf16::from_f64),
        DataType::Fp32 => put!(|value: f64| value as f32),
        DataType::Fp64 => put!(|value: f64| value),
        DataType::Bytes => {}
    }
    out.into()
}

/// The dimensions after the first for rows of `width` elements; one of any size is worked out.
fn row_shape(spec: &TensorSpec, width: usize) -> Result<Vec<i64>, Error> {
    let Some(dims) = &spec.dims else { return Ok(vec![width as i64]) };
    let mut shape: Vec<i64> = dims.iter().skip(1).map(Dim::as_i64).collect();
    let known: i64 = shape.iter().filter(|size| **size >= 0).product();
    let open: Vec<usize> = (0..shape.len()).filter(|at| shape[*at] < 0).collect();
    let columns = width as i64;
    let fits = match open[..] {
        [] => known == columns,
        [at] if known > 0 && columns % known == 0 => {
            shape[at] = columns / known;
            true
        }
        _ => false,
    };
    if fits {
        return Ok(shape);
    }
    Err(Error::unfit(format!("input {spec}"), format!("{width} columns do not fill a row of it")))
}

/// The whole numbers that a type holds; those above 2^53 not one by one, since samples are doubles.
pub fn whole_range(datatype: DataType) -> Option<(f64, f64)> {
    Some(match datatype {
        DataType::Bool => (0.0, 1.0),
        DataType::Uint8 => (0.0, f64::from(u8::MAX)),
        DataType::Uint16 => (0.0, f64::from(u16::MAX)),
        DataType::Uint32 => (0.0, f64::from(u32::MAX)),
        DataType::Uint64 => (0.0, u64::MAX as f64),
        DataType::Int8 => (f64::from(i8::MIN), f64::from(i8::MAX)),
        DataType::Int16 => (f64::from(i16::MIN), f64::from(i16::MAX)),
        DataType::Int32 => (f64::from(i32::MIN), f64::from(i32::MAX)),
        DataType::Int64 => (i64::MIN as f64, i64::MAX as f64),
        DataType::Fp16 | DataType::Bf16 | DataType::Fp32 | DataType::Fp64 | DataType::Bytes => return None,
    })
}

/// Whether a type holds whole numbers or truth values only.
pub fn is_whole(datatype: DataType) -> bool {
    whole_range(datatype).is_some()
}
