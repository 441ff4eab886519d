//! A named tensor whose shape and data always agree.

use bytes::{Bytes, BytesMut};

use crate::{DataType, Element, oip_bytes};

/// More dimensions than this are refused (`CreateModelVersion` and `ModelInfer` alike).
pub const MAX_RANK: usize = 8;

/// The elements of a tensor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TensorData {
    /// Row-major little-endian elements of a numeric type or `BOOL` (one byte each).
    Raw(Bytes),
    /// Elements of a `BYTES` tensor, row-major.
    Strings(Vec<Bytes>),
}

/// A named tensor; its data is exactly as long as its shape and type say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tensor {
    name: String,
    datatype: DataType,
    shape: Vec<i64>,
    data: TensorData,
}

/// Why a tensor cannot be made or read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TensorError {
    /// More than [`MAX_RANK`] dimensions.
    #[error("{0} dimensions, at most {MAX_RANK} are taken")]
    Rank(usize),
    /// A negative dimension.
    #[error("dimension {at} is {value}, required >= 0")]
    NegativeDim {
        /// Index of the dimension.
        at: usize,
        /// Its value.
        value: i64,
    },
    /// The number of elements or bytes overflows 64 bits.
    #[error("the shape's size overflows")]
    Overflow,
    /// Data is not as long as shape and type need.
    #[error("data has {actual} {unit}, the shape needs {expected}")]
    Length {
        /// What the shape needs.
        expected: usize,
        /// What there is.
        actual: usize,
        /// `bytes` or `elements`.
        unit: &'static str,
    },
    /// The raw form of `BYTES` is malformed.
    #[error("raw BYTES data at byte {at}: {why}")]
    RawBytes {
        /// Offset in the raw data.
        at: usize,
        /// What is wrong there.
        why: &'static str,
    },
    /// An element of `BYTES` is too long for a 4-byte length.
    #[error("an element has {0} bytes, more than a 4-byte length can say")]
    ElementTooLong(usize),
    /// Read as, or made of, another type.
    #[error("the tensor is {actual}, not {expected}")]
    DataType {
        /// Type that was asked for.
        expected: DataType,
        /// Type that it has.
        actual: DataType,
    },
    /// Tensors of different type or row shape cannot be joined, or rows do not add up.
    #[error("rows do not fit together: {0}")]
    Rows(&'static str),
}

/// Elements of a shape, by checked arithmetic.
///
/// # Errors
/// [`TensorError`] for too many dimensions, a negative one, or a product that overflows.
pub fn element_count(shape: &[i64]) -> Result<usize, TensorError> {
    if shape.len() > MAX_RANK {
        return Err(TensorError::Rank(shape.len()));
    }
    let mut dims = Vec::with_capacity(shape.len());
    for (at, &value) in shape.iter().enumerate() {
        dims.push(usize::try_from(value).map_err(|_| TensorError::NegativeDim { at, value })?);
    }
    // A zero anywhere makes the tensor empty, whatever the other dimensions multiply to.
    if dims.contains(&0) {
        return Ok(0);
    }
    dims.into_iter().try_fold(1_usize, usize::checked_mul).ok_or(TensorError::Overflow)
}

impl Tensor {
    /// A numeric tensor of row-major little-endian bytes, which are not copied.
    ///
    /// # Errors
    /// [`TensorError`] if shape, type and length do not agree, or the type is `BYTES`.
    pub fn raw(
        name: impl Into<String>,
        datatype: DataType,
        shape: Vec<i64>,
        data: Bytes,
    ) -> Result<Self, TensorError> {
        let count = element_count(&shape)?;
        let Some(size) = datatype.size() else {
            return Err(TensorError::DataType { expected: DataType::Uint8, actual: datatype });
        };
        let expected = count.checked_mul(size).ok_or(TensorError::Overflow)?;
        if expected != data.len() {
            return Err(TensorError::Length { expected, actual: data.len(), unit: "bytes" });
        }
        Ok(Self { name: name.into(), datatype, shape, data: TensorData::Raw(data) })
    }

    /// A `BYTES` tensor of row-major elements.
    ///
    /// # Errors
    /// [`TensorError`] if the shape does not hold that many elements.
    pub fn strings(
        name: impl Into<String>,
        shape: Vec<i64>,
        elements: Vec<Bytes>,
    ) -> Result<Self, TensorError> {
        let expected = element_count(&shape)?;
        if expected != elements.len() {
            return Err(TensorError::Length { expected, actual: elements.len(), unit: "elements" });
        }
        Ok(Self { name: name.into(), datatype: DataType::Bytes, shape, data: TensorData::Strings(elements) })
    }

    /// A tensor of the protocol's `raw_input_contents` form (see [`oip_bytes`] for `BYTES`).
    ///
    /// # Errors
    /// As [`Tensor::raw`] and [`Tensor::strings`].
    pub fn from_wire(
        name: impl Into<String>,
        datatype: DataType,
        shape: Vec<i64>,
        data: Bytes,
    ) -> Result<Self, TensorError> {
        if datatype == DataType::Bytes {
            let elements = oip_bytes::decode(&data, element_count(&shape)?)?;
            return Self::strings(name, shape, elements);
        }
        Self::raw(name, datatype, shape, data)
    }

    /// A tensor of Rust values: `Tensor::of("x", vec![2, 2], &[1.0_f32, 2.0, 3.0, 4.0])`.
    ///
    /// # Errors
    /// [`TensorError`] if the shape does not hold that many values.
    pub fn of<T: Element>(
        name: impl Into<String>,
        shape: Vec<i64>,
        values: &[T],
    ) -> Result<Self, TensorError> {
        let mut data = Vec::with_capacity(size_of_val(values));
        for value in values {
            value.put(&mut data);
        }
        Self::raw(name, T::DATATYPE, shape, data.into())
    }

    /// A `BYTES` tensor of text.
    ///
    /// # Errors
    /// [`TensorError`] if the shape does not hold that many elements.
    pub fn of_text<S: AsRef<str>>(
        name: impl Into<String>,
        shape: Vec<i64>,
        text: &[S],
    ) -> Result<Self, TensorError> {
        let elements = text.iter().map(|text| Bytes::copy_from_slice(text.as_ref().as_bytes())).collect();
        Self::strings(name, shape, elements)
    }

    /// The tensor's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The same tensor under another name.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// The element type.
    pub fn datatype(&self) -> DataType {
        self.datatype
    }

    /// The dimensions, none negative, at most [`MAX_RANK`].
    pub fn shape(&self) -> &[i64] {
        &self.shape
    }

    /// The elements.
    pub fn data(&self) -> &TensorData {
        &self.data
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        match &self.data {
            TensorData::Raw(data) => self.datatype.size().map_or(0, |size| data.len() / size),
            TensorData::Strings(elements) => elements.len(),
        }
    }

    /// Whether there is no element.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of memory that the data takes.
    pub fn byte_len(&self) -> usize {
        match &self.data {
            TensorData::Raw(data) => data.len(),
            TensorData::Strings(elements) => {
                elements.iter().map(|element| element.len() + size_of::<Bytes>()).sum()
            }
        }
    }

    /// Size of axis 0; 1 for a scalar.
    pub fn rows(&self) -> usize {
        self.shape.first().map_or(1, |rows| *rows as usize)
    }

    /// The protocol's raw form of the data.
    ///
    /// # Errors
    /// [`TensorError::ElementTooLong`] for an element of 4 GiB or more.
    pub fn to_wire(&self) -> Result<Bytes, TensorError> {
        match &self.data {
            TensorData::Raw(data) => Ok(data.clone()),
            TensorData::Strings(elements) => oip_bytes::encode(elements),
        }
    }

    /// Whether a float among the elements is `bad`; whole numbers and text have none.
    pub fn any_float(&self, bad: impl Fn(f64) -> bool) -> bool {
        let TensorData::Raw(data) = &self.data else { return false };
        match self.datatype {
            DataType::Fp32 => data.chunks_exact(4).any(|one| bad(f64::from(f32::get(one)))),
            DataType::Fp64 => data.chunks_exact(8).any(|one| bad(f64::get(one))),
            DataType::Fp16 => data.chunks_exact(2).any(|one| bad(half::f16::get(one).to_f64())),
            DataType::Bf16 => data.chunks_exact(2).any(|one| bad(half::bf16::get(one).to_f64())),
            _ => false,
        }
    }

    /// The elements as Rust values of exactly the tensor's type.
    ///
    /// # Errors
    /// [`TensorError::DataType`] if the tensor has another type.
    pub fn values<T: Element>(&self) -> Result<Vec<T>, TensorError> {
        let mut values = Vec::new();
        self.append_to(&mut values)?;
        Ok(values)
    }

    /// As [`Tensor::values`], behind what `values` has already.
    pub(crate) fn append_to<T: Element>(&self, values: &mut Vec<T>) -> Result<(), TensorError> {
        match &self.data {
            TensorData::Raw(data) if self.datatype == T::DATATYPE => {
                values.extend(data.chunks_exact(size_of::<T>()).map(T::get));
                Ok(())
            }
            _ => Err(TensorError::DataType { expected: T::DATATYPE, actual: self.datatype }),
        }
    }

    /// Copies the elements to the beginning of `room`, and gives what is left of it.
    pub(crate) fn copy_to<'a, T: Element>(&self, room: &'a mut [T]) -> Result<&'a mut [T], TensorError> {
        match &self.data {
            TensorData::Raw(data) if self.datatype == T::DATATYPE => {
                let actual = room.len();
                let Some((own, rest)) = room.split_at_mut_checked(self.len()) else {
                    return Err(TensorError::Length { expected: self.len(), actual, unit: "elements" });
                };
                for (place, bytes) in own.iter_mut().zip(data.chunks_exact(size_of::<T>())) {
                    *place = T::get(bytes);
                }
                Ok(rest)
            }
            _ => Err(TensorError::DataType { expected: T::DATATYPE, actual: self.datatype }),
        }
    }

    /// The elements as 64-bit floats, from any numeric type or `BOOL` (64-bit integers lose precision past 2^53).
    ///
    /// # Errors
    /// [`TensorError::DataType`] for `BYTES`.
    pub fn to_f64(&self) -> Result<Vec<f64>, TensorError> {
        match self.datatype {
            DataType::Bool => {
                Ok(self.values::<bool>()?.into_iter().map(|v| f64::from(u8::from(v))).collect())
            }
            DataType::Uint8 => Ok(self.values::<u8>()?.into_iter().map(f64::from).collect()),
            DataType::Uint16 => Ok(self.values::<u16>()?.into_iter().map(f64::from).collect()),
            DataType::Uint32 => Ok(self.values::<u32>()?.into_iter().map(f64::from).collect()),
            DataType::Uint64 => Ok(self.values::<u64>()?.into_iter().map(|v| v as f64).collect()),
            DataType::Int8 => Ok(self.values::<i8>()?.into_iter().map(f64::from).collect()),
            DataType::Int16 => Ok(self.values::<i16>()?.into_iter().map(f64::from).collect()),
            DataType::Int32 => Ok(self.values::<i32>()?.into_iter().map(f64::from).collect()),
            DataType::Int64 => Ok(self.values::<i64>()?.into_iter().map(|v| v as f64).collect()),
            DataType::Fp16 => Ok(self.values::<half::f16>()?.into_iter().map(f64::from).collect()),
            DataType::Bf16 => Ok(self.values::<half::bf16>()?.into_iter().map(f64::from).collect()),
            DataType::Fp32 => Ok(self.values::<f32>()?.into_iter().map(f64::from).collect()),
            DataType::Fp64 => self.values::<f64>(),
            DataType::Bytes => {
                Err(TensorError::DataType { expected: DataType::Fp64, actual: DataType::Bytes })
            }
        }
    }

    /// The elements of a `BYTES` tensor.
    ///
    /// # Errors
    /// [`TensorError::DataType`] if the tensor is numeric.
    pub fn elements(&self) -> Result<&[Bytes], TensorError> {
        match &self.data {
            TensorData::Strings(elements) => Ok(elements),
            TensorData::Raw(_) => {
                Err(TensorError::DataType { expected: DataType::Bytes, actual: self.datatype })
            }
        }
    }

    /// Joins tensors along axis 0 under the first one's name.
    ///
    /// # Errors
    /// [`TensorError::Rows`] if there is none, one is a scalar, or types or row shapes differ.
    pub fn concat(parts: &[Self]) -> Result<Self, TensorError> {
        let first = parts.first().ok_or(TensorError::Rows("nothing to join"))?;
        let row = first.shape.get(1..).ok_or(TensorError::Rows("a scalar has no rows"))?;
        if parts.iter().any(|part| part.datatype != first.datatype || part.shape.get(1..) != Some(row)) {
            return Err(TensorError::Rows("types or row shapes differ"));
        }
        let rows = parts.iter().try_fold(0_i64, |sum, part| sum.checked_add(part.shape[0]));
        let mut shape = first.shape.clone();
        shape[0] = rows.ok_or(TensorError::Overflow)?;
        if first.datatype == DataType::Bytes {
            let elements = parts.iter().flat_map(|part| part.elements().unwrap_or_default().iter().cloned());
            return Self::strings(first.name.clone(), shape, elements.collect());
        }
        let mut data = BytesMut::with_capacity(parts.iter().map(Self::byte_len).sum());
        for part in parts {
            if let TensorData::Raw(raw) = &part.data {
                data.extend_from_slice(raw);
            }
        }
        Self::raw(first.name.clone(), first.datatype, shape, data.freeze())
    }

    /// Cuts along axis 0 into parts of the given rows, without copying numeric data.
    ///
    /// # Errors
    /// [`TensorError::Rows`] if the tensor is a scalar or the rows do not add up to axis 0.
    pub fn split(&self, rows: &[usize]) -> Result<Vec<Self>, TensorError> {
        let row = self.shape.get(1..).ok_or(TensorError::Rows("a scalar has no rows"))?;
        let total =
            rows.iter().try_fold(0_usize, |sum, rows| sum.checked_add(*rows)).ok_or(TensorError::Overflow)?;
        if total != self.rows() {
            return Err(TensorError::Rows("the parts do not add up to axis 0"));
        }
        let per_row = element_count(row)?;
        let mut at = 0;
        let mut parts = Vec::with_capacity(rows.len());
        for &rows in rows {
            let mut shape = self.shape.clone();
            shape[0] = rows as i64;
            let (start, end) = (at * per_row, (at + rows) * per_row);
            let data = match &self.data {
                TensorData::Raw(raw) => {
                    let size = self.datatype.size().unwrap_or(1);
                    TensorData::Raw(raw.slice(start * size..end * size))
                }
                TensorData::Strings(elements) => TensorData::Strings(elements[start..end].to_vec()),
            };
            parts.push(Self { name: self.name.clone(), datatype: self.datatype, shape, data });
            at += rows;
        }
        Ok(parts)
    }
}
