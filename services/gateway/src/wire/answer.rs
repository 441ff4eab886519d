//! Tensors as a `ModelInferResponse`: always raw, as Triton answers.

use contracts::inference::ModelInferResponse;
use contracts::inference::model_infer_response::InferOutputTensor;
use engine::{EngineError, Tensor};

use super::Parameters;
use crate::Error;

/// The answer to a request: the endpoint and the version that answered, the id echoed.
///
/// # Errors
/// [`Error::Engine`] if an element is too long for the protocol: the model made it.
pub fn answer(
    endpoint: &str,
    version: &str,
    id: String,
    parameters: &Parameters,
    tensors: &[Tensor],
) -> Result<ModelInferResponse, Error> {
    let mut outputs = Vec::with_capacity(tensors.len());
    let mut raw_output_contents = Vec::with_capacity(tensors.len());
    for tensor in tensors {
        let raw = tensor.to_wire().map_err(|error| EngineError::ModelFault(error.to_string()))?;
        raw_output_contents.push(raw);
        outputs.push(InferOutputTensor {
            name: tensor.name().to_owned(),
            datatype: tensor.datatype().name().to_owned(),
            shape: tensor.shape().to_vec(),
            ..InferOutputTensor::default()
        });
    }
    Ok(ModelInferResponse {
        model_name: endpoint.to_owned(),
        model_version: version.to_owned(),
        id,
        parameters: parameters.echoed(),
        outputs,
        raw_output_contents,
    })
}
