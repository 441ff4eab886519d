//! Raw columns out of a request's tensors.

use engine::{DataType, Tensor, TensorData};
use features::preprocessing::{Asked, Given};

/// The values of a tensor whose type was checked; `None` where it is another one.
pub fn given(tensor: &Tensor, asked: Asked) -> Option<Given<'_>> {
    Some(match (asked, tensor.datatype(), tensor.data()) {
        (Asked::Fp64, DataType::Fp64, _) => Given::Floats(tensor.values().ok()?),
        (Asked::Int64, DataType::Int64, _) => Given::Ints(tensor.values().ok()?),
        (Asked::Bool, DataType::Bool, TensorData::Raw(bytes)) => {
            Given::Bools(bytes.iter().map(|byte| *byte != 0).collect())
        }
        (Asked::Bytes, DataType::Bytes, TensorData::Strings(texts)) => {
            Given::Texts(texts.iter().map(AsRef::as_ref).collect())
        }
        _ => return None,
    })
}

/// A tensor of shape `[rows]` as one of `[rows, 1]`; another one as it is.
pub fn as_column(tensor: Tensor) -> Tensor {
    let [rows] = *tensor.shape() else { return tensor };
    let made = match tensor.data() {
        TensorData::Raw(data) => Tensor::raw(tensor.name(), tensor.datatype(), vec![rows, 1], data.clone()),
        TensorData::Strings(texts) => Tensor::strings(tensor.name(), vec![rows, 1], texts.clone()),
    };
    made.unwrap_or(tensor)
}
