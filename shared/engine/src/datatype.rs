//! Element types of tensors, by their Open Inference Protocol names.

use half::{bf16, f16};
use serde::{Deserialize, Serialize};

/// The element type of a tensor (Open Inference Protocol v2, "Tensor Data Types", with Triton's BF16).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
#[allow(missing_docs)]
pub enum DataType {
    Bool,
    Uint8,
    Uint16,
    Uint32,
    Uint64,
    Int8,
    Int16,
    Int32,
    Int64,
    Fp16,
    Bf16,
    Fp32,
    Fp64,
    Bytes,
}

impl DataType {
    /// Every type, in protocol order.
    pub const ALL: [Self; 14] = [
        Self::Bool,
        Self::Uint8,
        Self::Uint16,
        Self::Uint32,
        Self::Uint64,
        Self::Int8,
        Self::Int16,
        Self::Int32,
        Self::Int64,
        Self::Fp16,
        Self::Bf16,
        Self::Fp32,
        Self::Fp64,
        Self::Bytes,
    ];

    /// The protocol's name: `FP32`, `BYTES`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bool => "BOOL",
            Self::Uint8 => "UINT8",
            Self::Uint16 => "UINT16",
            Self::Uint32 => "UINT32",
            Self::Uint64 => "UINT64",
            Self::Int8 => "INT8",
            Self::Int16 => "INT16",
            Self::Int32 => "INT32",
            Self::Int64 => "INT64",
            Self::Fp16 => "FP16",
            Self::Bf16 => "BF16",
            Self::Fp32 => "FP32",
            Self::Fp64 => "FP64",
            Self::Bytes => "BYTES",
        }
    }

    /// The type of that name; names are case-sensitive, as in the protocol.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|datatype| datatype.name() == name)
    }

    /// Whether elements can be fractions, infinite or NaN.
    pub fn is_float(self) -> bool {
        matches!(self, Self::Fp16 | Self::Bf16 | Self::Fp32 | Self::Fp64)
    }

    /// Bytes of one element; `None` for `BYTES`, whose elements differ.
    pub fn size(self) -> Option<usize> {
        match self {
            Self::Bool | Self::Uint8 | Self::Int8 => Some(1),
            Self::Uint16 | Self::Int16 | Self::Fp16 | Self::Bf16 => Some(2),
            Self::Uint32 | Self::Int32 | Self::Fp32 => Some(4),
            Self::Uint64 | Self::Int64 | Self::Fp64 => Some(8),
            Self::Bytes => None,
        }
    }

    /// The type of ONNX's `TensorProto.DataType` number; `None` for types that the protocol cannot carry.
    pub fn from_onnx(number: i32) -> Option<Self> {
        Self::ALL.into_iter().find(|datatype| datatype.to_onnx() == number)
    }

    /// ONNX's `TensorProto.DataType` number.
    pub fn to_onnx(self) -> i32 {
        match self {
            Self::Fp32 => 1,
            Self::Uint8 => 2,
            Self::Int8 => 3,
            Self::Uint16 => 4,
            Self::Int16 => 5,
            Self::Int32 => 6,
            Self::Int64 => 7,
            Self::Bytes => 8,
            Self::Bool => 9,
            Self::Fp16 => 10,
            Self::Fp64 => 11,
            Self::Uint32 => 12,
            Self::Uint64 => 13,
            Self::Bf16 => 16,
        }
    }
}

impl std::fmt::Display for DataType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// A Rust type that is the element of a numeric tensor.
pub trait Element: Copy + Send + Sync + 'static {
    /// The protocol type.
    const DATATYPE: DataType;
    /// Appends the little-endian bytes.
    fn put(self, out: &mut Vec<u8>);
    /// Reads little-endian bytes of exactly the element's size.
    fn get(bytes: &[u8]) -> Self;
}

macro_rules! number {
    ($type:ty, $datatype:ident) => {
        impl Element for $type {
            const DATATYPE: DataType = DataType::$datatype;
            fn put(self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_le_bytes());
            }
            fn get(bytes: &[u8]) -> Self {
                let mut array = [0_u8; size_of::<$type>()];
                array.copy_from_slice(bytes);
                Self::from_le_bytes(array)
            }
        }
    };
}
number!(u8, Uint8);
number!(u16, Uint16);
number!(u32, Uint32);
number!(u64, Uint64);
number!(i8, Int8);
number!(i16, Int16);
number!(i32, Int32);
number!(i64, Int64);
number!(f16, Fp16);
number!(bf16, Bf16);
number!(f32, Fp32);
number!(f64, Fp64);

impl Element for bool {
    const DATATYPE: DataType = DataType::Bool;
    fn put(self, out: &mut Vec<u8>) {
        out.push(u8::from(self));
    }
    fn get(bytes: &[u8]) -> Self {
        bytes.first().is_some_and(|byte| *byte != 0)
    }
}
