//! Tensors to ONNX Runtime's values and back: one copy each way.

use half::{bf16, f16};
use ort::session::{SessionInputValue, SessionOutputs};
use ort::value::{DynValue, PrimitiveTensorElementType, TensorElementType};

use super::texts;
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

/// One input of a run.
pub(super) type Value = SessionInputValue<'static>;
/// The inputs of a run.
pub(super) type Values = Vec<(String, Value)>;

/// Where numbers are laid out.
pub(super) trait Memory {
    /// A tensor with a copy of the parts' elements, one part after the other.
    fn numbers<T>(&self, parts: &[&Tensor]) -> Result<ort::value::Tensor<T>, EngineError>
    where
        T: Element + PrimitiveTensorElementType + std::fmt::Debug;
}

/// The heap of this process.
pub(super) struct Heap;

impl Memory for Heap {
    fn numbers<T>(&self, parts: &[&Tensor]) -> Result<ort::value::Tensor<T>, EngineError>
    where
        T: Element + PrimitiveTensorElementType + std::fmt::Debug,
    {
        let mut values: Vec<T> = Vec::with_capacity(parts.iter().map(|part| part.len()).sum());
        for part in parts {
            part.append_to(&mut values).map_err(|error| bad(part, error.to_string()))?;
        }
        let tensor = ort::value::Tensor::from_array((shape(parts), values));
        tensor.map_err(|error| bad(parts[0], text(error.message())))
    }
}

/// The inputs of requests as those of one run: rows one after the other, copied once by `value`. All requests have the same
/// inputs in the same order, of the same types and row shapes; a single one may have any.
pub(super) fn inputs(
    requests: &[&[Tensor]],
    value: impl Fn(&[&Tensor]) -> Result<Value, EngineError>,
) -> Result<Values, EngineError> {
    let first = requests.first().copied().unwrap_or_default();
    let value = |at: usize| {
        let parts: Vec<&Tensor> = requests.iter().filter_map(|inputs| inputs.get(at)).collect();
        Ok((first[at].name().to_owned(), value(&parts)?))
    };
    (0..first.len()).map(value).collect()
}

/// A value that owns its copy of the tensors' data.
pub(super) fn input(parts: &[&Tensor], memory: &impl Memory) -> Result<Value, EngineError> {
    match parts.first().map(|first| first.datatype()) {
        None => Err(EngineError::Host("an input of no request".into())),
        Some(DataType::Bool) => numbers::<bool>(parts, memory),
        Some(DataType::Uint8) => numbers::<u8>(parts, memory),
        Some(DataType::Uint16) => numbers::<u16>(parts, memory),
        Some(DataType::Uint32) => numbers::<u32>(parts, memory),
        Some(DataType::Uint64) => numbers::<u64>(parts, memory),
        Some(DataType::Int8) => numbers::<i8>(parts, memory),
        Some(DataType::Int16) => numbers::<i16>(parts, memory),
        Some(DataType::Int32) => numbers::<i32>(parts, memory),
        Some(DataType::Int64) => numbers::<i64>(parts, memory),
        Some(DataType::Fp16) => numbers::<f16>(parts, memory),
        Some(DataType::Bf16) => numbers::<bf16>(parts, memory),
        Some(DataType::Fp32) => numbers::<f32>(parts, memory),
        Some(DataType::Fp64) => numbers::<f64>(parts, memory),
        Some(DataType::Bytes) => strings(parts),
    }
}

/// The shape of tensors laid one after the other; that of the tensor itself where there is one, which may be a scalar.
pub(super) fn shape(parts: &[&Tensor]) -> Vec<i64> {
    let mut shape = parts.first().map(|first| first.shape().to_vec()).unwrap_or_default();
    if let (Some(rows), true) = (shape.first_mut(), parts.len() > 1) {
        *rows = parts.iter().map(|part| part.rows() as i64).sum();
    }
    shape
}

fn numbers<T>(parts: &[&Tensor], memory: &impl Memory) -> Result<Value, EngineError>
where
    T: Element + PrimitiveTensorElementType + std::fmt::Debug,
{
    Ok(memory.numbers::<T>(parts)?.into_dyn().into())
}

fn strings(parts: &[&Tensor]) -> Result<Value, EngineError> {
    let elements = parts.iter().flat_map(|part| part.elements().unwrap_or_default());
    let elements: Vec<&[u8]> = elements.map(|element| &element[..]).collect();
    let value = texts::value(shape(parts), &elements);
    Ok(value.map_err(|error| bad(parts[0], text(error.message())))?.into())
}

pub(super) fn bad(tensor: &Tensor, description: String) -> EngineError {
    EngineError::BadInput(vec![FieldError {
        field: format!("inputs[{}]", shown(tensor.name())),
        description,
    }])
}

/// The outputs of a run that are wanted, in that order.
pub(super) fn outputs(made: &SessionOutputs<'_>, wanted: &[String]) -> Result<Vec<Tensor>, EngineError> {
    let one = |name: &String| {
        let value = made.get(name).ok_or_else(|| EngineError::ModelFault(format!("no output {name}")))?;
        output(name, value).map_err(|why| EngineError::ModelFault(format!("output {name}: {why}")))
    };
    wanted.iter().map(one).collect()
}

/// An output as a tensor of ours.
fn output(name: &str, value: &DynValue) -> Result<Tensor, String> {
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
            let shape = value.dtype().tensor_shape().ok_or("it has no shape")?.to_vec();
            let count = crate::element_count(&shape).map_err(|error| error.to_string())?;
            let elements = texts::elements(value, count).map_err(|error| text(error.message()))?;
            Tensor::strings(name, shape, elements).map_err(|error| error.to_string())
        }
    }
}

fn taken<T: Element + PrimitiveTensorElementType>(name: &str, value: &DynValue) -> Result<Tensor, String> {
    let (shape, values) = value.try_extract_tensor::<T>().map_err(|error| text(error.message()))?;
    Tensor::of(name, shape.to_vec(), values).map_err(|error| error.to_string())
}

/// The runtime's message, which quotes names of untrusted models: one line, escaped, at most 400 characters. Of a longer one
/// the beginning and the end, where the runtime says why: no long name hides it.
pub(super) fn text(message: &str) -> String {
    const HALF: usize = 197;
    let line = message.replace(['\n', '\r', '\t'], " ");
    let mut parts: Vec<char> = line.trim().chars().collect();
    if parts.len() > 400 {
        parts.splice(HALF..parts.len() - HALF, " ... ".chars());
    }
    let mut out = String::new();
    for part in parts {
        if part.is_control() || crate::inspect::is_invisible(part) {
            out.extend(part.escape_unicode());
        } else {
            out.push(part);
        }
    }
    out
}
