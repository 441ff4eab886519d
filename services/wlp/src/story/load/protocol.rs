//! A picture as a request of the Open Inference Protocol, and the digit of the answer.

use contracts::inference::model_infer_request::InferInputTensor;
use contracts::inference::{ModelInferRequest, ModelInferResponse};

/// One picture as a request of the Open Inference Protocol.
pub(super) fn request(endpoint: &str, number: usize, picture: Vec<f32>) -> ModelInferRequest {
    let shape = vec![1, picture.len() as i64];
    let bytes: Vec<u8> = picture.into_iter().flat_map(f32::to_le_bytes).collect();
    let input =
        InferInputTensor { name: "pixels".into(), datatype: "FP32".into(), shape, ..Default::default() };
    ModelInferRequest {
        model_name: endpoint.to_owned(),
        id: format!("picture-{number}"),
        inputs: vec![input],
        raw_input_contents: vec![bytes.into()],
        ..Default::default()
    }
}

/// The digit of an answer to one picture.
pub(super) fn label(answer: &ModelInferResponse) -> Option<i64> {
    let place = answer.outputs.iter().position(|output| output.name == "label")?;
    if let Some(contents) =
        answer.outputs[place].contents.as_ref().filter(|one| !one.int64_contents.is_empty())
    {
        return contents.int64_contents.first().copied();
    }
    let bytes = answer.raw_output_contents.get(place)?.get(..8)?;
    Some(i64::from_le_bytes(bytes.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use contracts::inference::model_infer_response::InferOutputTensor;

    #[test]
    fn an_answer_is_read_from_its_raw_bytes() {
        let output = |name: &str| InferOutputTensor { name: name.into(), ..Default::default() };
        let answer = ModelInferResponse {
            outputs: vec![output("scores"), output("label")],
            raw_output_contents: vec![vec![0; 40].into(), 7_i64.to_le_bytes().to_vec().into()],
            ..Default::default()
        };
        assert_eq!(label(&answer), Some(7));
        assert_eq!(label(&ModelInferResponse::default()), None);
    }
}
