//! Whether a stored tensor has as many bytes as its shape says, by checked arithmetic.

use super::proto::TensorProto;

/// Elements of a shape; `None` if a dimension is negative or the product overflows.
pub(super) fn elements(dims: &[i64]) -> Option<u64> {
    let dims: Option<Vec<u64>> = dims.iter().map(|dim| u64::try_from(*dim).ok()).collect();
    let dims = dims?;
    if dims.contains(&0) {
        return Some(0);
    }
    dims.into_iter().try_fold(1_u64, u64::checked_mul)
}

/// How `onnx.proto` stores a type: bits of a raw element, and the typed field with its entries for `n` elements.
struct Layout {
    bits: u64,
    typed: Typed,
}

enum Typed {
    Float(u64),
    Int32 { per_entry: u64 },
    Int64,
    Double(u64),
    Uint64,
    Text,
}

fn layout(data_type: i32) -> Option<Layout> {
    let int32 = |bits| Layout { bits, typed: Typed::Int32 { per_entry: 1 } };
    Some(match data_type {
        1 => Layout { bits: 32, typed: Typed::Float(1) },
        14 => Layout { bits: 64, typed: Typed::Float(2) },
        2 | 3 | 9 | 17..=20 | 24 => int32(8),
        4 | 5 | 10 | 16 => int32(16),
        6 => int32(32),
        7 => Layout { bits: 64, typed: Typed::Int64 },
        8 => Layout { bits: 0, typed: Typed::Text },
        11 => Layout { bits: 64, typed: Typed::Double(1) },
        15 => Layout { bits: 128, typed: Typed::Double(2) },
        12 => Layout { bits: 32, typed: Typed::Uint64 },
        13 => Layout { bits: 64, typed: Typed::Uint64 },
        21..=23 => Layout { bits: 4, typed: Typed::Int32 { per_entry: 2 } },
        25 | 26 => Layout { bits: 2, typed: Typed::Int32 { per_entry: 4 } },
        _ => return None,
    })
}

/// Compares declared with present; says what is wrong.
pub(super) fn check(tensor: &TensorProto) -> Result<(), String> {
    if tensor.segment.is_some() {
        return Err("it is stored in segments, which ONNX Runtime does not read".into());
    }
    if let Some((at, dim)) = tensor.dims.iter().enumerate().find(|(_, dim)| **dim < 0) {
        return Err(format!("dimension {at} is {dim}, required >= 0"));
    }
    let count = elements(&tensor.dims).ok_or("its number of elements overflows 64 bits")?;
    let layout =
        layout(tensor.data_type).ok_or_else(|| format!("element type {} is unknown", tensor.data_type))?;
    let present = present(tensor);
    if let Some(raw) = &tensor.raw_data {
        if layout.bits == 0 {
            return Err("text is stored as raw bytes".into());
        }
        if present != 0 {
            return Err("its values are stored twice, raw and typed".into());
        }
        let bits = count.checked_mul(layout.bits).ok_or("its size overflows 64 bits")?;
        return same("bytes", bits.div_ceil(8), raw.len() as u64);
    }
    let (expected, actual) = match layout.typed {
        Typed::Float(each) => (count.checked_mul(each), tensor.float_data.len()),
        Typed::Int32 { per_entry } => (Some(count.div_ceil(per_entry)), tensor.int32_data.len()),
        Typed::Int64 => (Some(count), tensor.int64_data.len()),
        Typed::Double(each) => (count.checked_mul(each), tensor.double_data.len()),
        Typed::Uint64 => (Some(count), tensor.uint64_data.len()),
        Typed::Text => (Some(count), tensor.string_data.len()),
    };
    same("values", expected.ok_or("its size overflows 64 bits")?, actual as u64)?;
    same("values in fields of other types", 0, present - actual as u64)
}

fn present(tensor: &TensorProto) -> u64 {
    let lengths = [
        tensor.float_data.len(),
        tensor.int32_data.len(),
        tensor.string_data.len(),
        tensor.int64_data.len(),
        tensor.double_data.len(),
        tensor.uint64_data.len(),
    ];
    lengths.iter().map(|length| *length as u64).sum()
}

fn same(unit: &str, expected: u64, actual: u64) -> Result<(), String> {
    if expected == actual {
        Ok(())
    } else {
        Err(format!("it has {actual} {unit}, its shape needs {expected}"))
    }
}
