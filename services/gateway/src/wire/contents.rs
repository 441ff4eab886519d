//! Typed contents: one list for each kind of number.

use contracts::inference::InferTensorContents;
use engine::{DataType, Element, Tensor};

use super::request::placed;

type Wrong = (&'static str, String);

/// Bytes of memory of the lists.
pub(super) fn bytes(of: &InferTensorContents) -> usize {
    of.bool_contents.len()
        + 4 * (of.int_contents.len() + of.uint_contents.len() + of.fp32_contents.len())
        + 8 * (of.int64_contents.len() + of.uint64_contents.len() + of.fp64_contents.len())
        + of.bytes_contents.iter().map(|element| element.len() + 32).sum::<usize>()
}

/// Whether no list has an element.
pub(super) fn is_empty(of: &InferTensorContents) -> bool {
    lists(of).iter().all(|(_, length)| *length == 0)
}

fn lists(of: &InferTensorContents) -> [(&'static str, usize); 8] {
    [
        ("bool_contents", of.bool_contents.len()),
        ("int_contents", of.int_contents.len()),
        ("int64_contents", of.int64_contents.len()),
        ("uint_contents", of.uint_contents.len()),
        ("uint64_contents", of.uint64_contents.len()),
        ("fp32_contents", of.fp32_contents.len()),
        ("fp64_contents", of.fp64_contents.len()),
        ("bytes_contents", of.bytes_contents.len()),
    ]
}

/// The list that a type's elements stand in; `None` for those that the protocol carries raw only.
fn list_of(datatype: DataType) -> Option<&'static str> {
    match datatype {
        DataType::Bool => Some("bool_contents"),
        DataType::Int8 | DataType::Int16 | DataType::Int32 => Some("int_contents"),
        DataType::Int64 => Some("int64_contents"),
        DataType::Uint8 | DataType::Uint16 | DataType::Uint32 => Some("uint_contents"),
        DataType::Uint64 => Some("uint64_contents"),
        DataType::Fp32 => Some("fp32_contents"),
        DataType::Fp64 => Some("fp64_contents"),
        DataType::Bytes => Some("bytes_contents"),
        DataType::Fp16 | DataType::Bf16 => None,
    }
}

/// Makes a tensor of the list that fits the type.
pub(super) fn tensor(
    name: String,
    datatype: DataType,
    shape: Vec<i64>,
    from: InferTensorContents,
) -> Result<Tensor, Wrong> {
    let Some(wanted) = list_of(datatype) else {
        return Err((".contents", format!("{datatype} travels in raw_input_contents only")));
    };
    if let Some((list, _)) = lists(&from).into_iter().find(|(list, length)| *length > 0 && *list != wanted) {
        return Err((".contents", format!("{list} is used, {datatype} stands in {wanted}")));
    }
    let made = match datatype {
        DataType::Bool => Tensor::of(name, shape, &from.bool_contents),
        DataType::Int8 => Tensor::of(name, shape, &narrow::<i32, i8>(&from.int_contents)?),
        DataType::Int16 => Tensor::of(name, shape, &narrow::<i32, i16>(&from.int_contents)?),
        DataType::Int32 => Tensor::of(name, shape, &from.int_contents),
        DataType::Int64 => Tensor::of(name, shape, &from.int64_contents),
        DataType::Uint8 => Tensor::of(name, shape, &narrow::<u32, u8>(&from.uint_contents)?),
        DataType::Uint16 => Tensor::of(name, shape, &narrow::<u32, u16>(&from.uint_contents)?),
        DataType::Uint32 => Tensor::of(name, shape, &from.uint_contents),
        DataType::Uint64 => Tensor::of(name, shape, &from.uint64_contents),
        DataType::Fp32 => Tensor::of(name, shape, &from.fp32_contents),
        DataType::Fp64 => Tensor::of(name, shape, &from.fp64_contents),
        DataType::Bytes | DataType::Fp16 | DataType::Bf16 => {
            Tensor::strings(name, shape, from.bytes_contents)
        }
    };
    made.map_err(|error| placed(&error))
}

/// A wider list as the narrower type; a value that does not fit is named.
fn narrow<W: Copy + std::fmt::Display, N: TryFrom<W> + Element>(wide: &[W]) -> Result<Vec<N>, Wrong> {
    let one = |(at, value): (usize, &W)| {
        N::try_from(*value)
            .map_err(|_| (".contents", format!("element {at} is {value}, out of {}", N::DATATYPE)))
    };
    wide.iter().enumerate().map(one).collect()
}
