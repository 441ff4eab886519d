//! Tensors to ONNX Runtime's values and back: one copy each way.

use half::{bf16, f16};
use ort::session::SessionInputValue;
use ort::value::{DynValue, PrimitiveTensorElementType, TensorElementType};

use crate::signature::shown;
use crate::{DataType, Element, EngineError, FieldError, Tensor};

/// The protocol's type of an element type; `None` for those that the protocol cannot carry.
pub(super) fn datatype(kind: TensorElementType) -> Option<DataType> {
    Some(match kind {
        TensorElementType::Bool => DataType::Bool,
        TensorElementType::Uint8 => DataType::Uint8,
        TensorElementType::Uint16 => DataType::Uint16,
        TensorElementType::Uint32 => DataType::Uint32,
        TensorElementType::Uint64 => DataType::Uint64,
        TensorElementType::Int8 => DataType::Int8,
        TensorElementType::Int16 => DataType::Int16,
        TensorElementType::Int32 => DataType::Int32,
        TensorElementType::Int64 => DataType::Int64,
        TensorElementType::Float16 => DataType::Fp16,
        TensorElementType::Bfloat16 => DataType::Bf16,
        TensorElementType::Float32 => DataType::Fp32,
        TensorElementType::Float64 => DataType::Fp64,
        TensorElementType::String => DataType::Bytes,
        _ => return None,
    })
}

/// A value that owns its copy of the tensor's data.
pub(super) fn input(tensor: &Tensor) -> Result<SessionInputValue<'static>, EngineError> {
    match tensor.datatype() {
        DataType::Bool => numbers::<bool>(tensor),
        DataType::Uint8 => numbers::<u8>(tensor),
        DataType::Uint16 => numbers::<u16>(tensor),
        DataType::Uint32 => numbers::<u32>(tensor),
        DataType::Uint64 => numbers::<u64>(tensor),
        DataType::Int8 => numbers::<i8>(tensor),
        DataType::Int16 => numbers::<i16>(tensor),
        DataType::Int32 => numbers::<i32>(tensor),
        DataType::Int64 => numbers::<i64>(tensor),
        DataType::Fp16 => numbers::<f16>(tensor),
        DataType::Bf16 => numbers::<bf16>(tensor),
        DataType::Fp32 => numbers::<f32>(tensor),
        DataType::Fp64 => numbers::<f64>(tensor),
        DataType::Bytes => strings(tensor),
    }
}

fn numbers<T>(tensor: &Tensor) -> Result<SessionInputValue<'static>, EngineError>
where
    T: Element + PrimitiveTensorElementType + std::fmt::Debug,
{
    let values = tensor.values::<T>().map_err(|error| bad(tensor, error.to_string()))?;
    let value = ort::value::Tensor::from_array((tensor.shape().to_vec(), values));
    Ok(value.map_err(|error| bad(tensor, text(error.message())))?.into_dyn().into())
}

fn strings(tensor: &Tensor) -> Result<SessionInputValue<'static>, EngineError> {
    let elements = tensor.elements().map_err(|error| bad(tensor, error.to_string()))?;
    let mut strings = Vec::with_capacity(elements.len());
    for (at, element) in elements.iter().enumerate() {
        let string =
            std::str::from_utf8(element).map_err(|_| bad(tensor, format!("element {at} is not UTF-8")))?;
        if string.contains('\0') {
            return Err(bad(tensor, format!("element {at} has a zero byte")));
        }
        strings.push(string.to_owned());
    }
    let value = ort::value::Tensor::from_string_array((tensor.shape().to_vec(), strings.as_slice()));
    Ok(value.map_err(|error| bad(tensor, text(error.message())))?.into_dyn().into())
}

fn bad(tensor: &Tensor, description: String) -> EngineError {
    EngineError::BadInput(vec![FieldError {
        field: format!("inputs[{}]", shown(tensor.name())),
        description,
    }])
}

/// An output as a tensor of ours.
pub(super) fn output(name: &str, value: &DynValue) -> Result<Tensor, String> {
    let kind =
        value.dtype().tensor_type().and_then(datatype).ok_or("it is no tensor of the protocol's types")?;
    match kind {
        DataType::Bool => taken::<bool>(name, value),
        DataType::Uint8 => taken::<u8>(name, value),
        DataType::Uint16 => taken::<u16>(name, value),
        DataType::Uint32 => taken::<u32>(name, value),
        DataType::Uint64 => taken::<u64>(name, value),
        DataType::Int8 => taken::<i8>(name, value),
        DataType::Int16 => taken::<i16>(name, value),
        DataType::Int32 => taken::<i32>(name, value),
        DataType::Int64 => taken::<i64>(name, value),
        DataType::Fp16 => taken::<f16>(name, value),
        DataType::Bf16 => taken::<bf16>(name, value),
        DataType::Fp32 => taken::<f32>(name, value),
        DataType::Fp64 => taken::<f64>(name, value),
        DataType::Bytes => {
            let (shape, strings) = value.try_extract_strings().map_err(|error| text(error.message()))?;
            let elements = strings.into_iter().map(bytes::Bytes::from).collect();
            Tensor::strings(name, shape.to_vec(), elements).map_err(|error| error.to_string())
        }
    }
}

fn taken<T: Element + PrimitiveTensorElementType>(name: &str, value: &DynValue) -> Result<Tensor, String> {
    let (shape, values) = value.try_extract_tensor::<T>().map_err(|error| text(error.message()))?;
    Tensor::of(name, shape.to_vec(), values).map_err(|error| error.to_string())
}

/// The runtime's message, which quotes names of untrusted models: one line, escaped, at most 400 characters.
pub(super) fn text(message: &str) -> String {
    let line = message.replace(['\n', '\r', '\t'], " ");
    let mut out = String::new();
    for part in line.trim().chars().take(400) {
        if part.is_control() || crate::inspect::is_invisible(part) {
            out.extend(part.escape_unicode());
        } else {
            out.push(part);
        }
    }
    out
}
