//! An answer as bytes in the store: outputs as the protocol writes them.

use bytes::Bytes;
use contracts::inference::ModelInferResponse;
use engine::{DataType, Tensor};
use prost::Message;

use crate::wire::{self, Parameters};

/// The bytes of an answer; `None` of one that the protocol cannot say.
pub fn written(outputs: &[Tensor]) -> Option<Bytes> {
    let message = wire::answer("", "", String::new(), &Parameters::default(), outputs).ok()?;
    Some(message.encode_to_vec().into())
}

/// The answer in bytes from the store, which are no more trusted than a caller's.
///
/// # Errors
/// What is wrong with them.
pub fn read(bytes: Bytes) -> Result<Vec<Tensor>, String> {
    let message = ModelInferResponse::decode(bytes).map_err(|error| error.to_string())?;
    if message.outputs.len() != message.raw_output_contents.len() {
        return Err("as many contents as outputs are required".into());
    }
    let outputs = message.outputs.into_iter().zip(message.raw_output_contents);
    outputs
        .map(|(output, raw)| {
            let datatype = DataType::parse(&output.datatype).ok_or("an unknown data type")?;
            Tensor::from_wire(output.name, datatype, output.shape, raw).map_err(|error| error.to_string())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_comes_back_bit_for_bit_and_damage_is_told() {
        let outputs = [
            Tensor::of("y", vec![1, 3], &[f32::NAN, -0.0, 1e-42]).unwrap(),
            Tensor::of_text("t", vec![2], &["", "ä"]).unwrap(),
            Tensor::of::<i64>("none", vec![0, 4], &[]).unwrap(),
        ];
        let bytes = written(&outputs).unwrap();
        assert_eq!(read(bytes.clone()).unwrap(), outputs);
        assert!(read(bytes.slice(1..)).is_err());
        assert!(read(bytes.slice(..bytes.len() - 1)).is_err());
        let mut message = ModelInferResponse::decode(bytes).unwrap();
        message.raw_output_contents.pop();
        assert!(read(message.encode_to_vec().into()).is_err());
    }
}
