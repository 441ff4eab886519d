//! Whether an answer is the right one: each request has one, known before the measurement begins.

use std::path::Path;

use anyhow::Context;
use bytes::Bytes;
use contracts::inference::ModelInferResponse;
use contracts::inference::infer_parameter::ParameterChoice;
use prost::Message;
use serde_json::{Map, Value};

use crate::input::values_of;

/// The right answer to one request.
#[derive(Debug, Clone)]
pub struct Right {
    /// The message that came when nobody else asked.
    seen: Bytes,
    /// How far it is from `values`.
    distance: f32,
    /// What the first output must be.
    values: Vec<f32>,
}

impl Right {
    /// Takes the answer that came when nobody else asked; `values` is what it should have been, where that is known.
    ///
    /// # Errors
    /// If the message is no answer with an FP32 output.
    pub fn new(seen: Bytes, values: Option<Vec<f32>>) -> anyhow::Result<Self> {
        let found = output(seen.clone())?;
        let values = values.unwrap_or_else(|| found.clone());
        Ok(Self { seen, distance: distance(&found, &values), values })
    }

    /// Largest absolute difference of an answer's elements; infinite where it has others. An answer with the bytes of the
    /// one that was seen before is not read again.
    pub fn distance(&self, message: &Bytes) -> f32 {
        if *message == self.seen {
            return self.distance;
        }
        output(message.clone()).map_or(f32::INFINITY, |found| distance(&found, &self.values))
    }
}

/// The first output, raw or typed.
///
/// # Errors
/// If the message is no answer, or has no FP32 output.
pub fn output(message: Bytes) -> anyhow::Result<Vec<f32>> {
    let answer = ModelInferResponse::decode(message).context("the answer is no ModelInferResponse")?;
    let first = answer.outputs.first().context("the answer has no output")?;
    anyhow::ensure!(first.datatype == "FP32", "the output is {}, not FP32", first.datatype);
    if let Some(raw) = answer.raw_output_contents.first() {
        return Ok(values_of(raw));
    }
    let typed = first.contents.as_ref().context("the output has no contents")?;
    Ok(typed.fp32_contents.clone())
}

/// The parameters of an answer, among them where it was computed.
pub fn parameters(message: Bytes) -> Map<String, Value> {
    let answer = ModelInferResponse::decode(message).unwrap_or_default();
    let shown = |choice| match choice {
        ParameterChoice::BoolParam(value) => Value::from(value),
        ParameterChoice::Int64Param(value) => value.into(),
        ParameterChoice::StringParam(value) => value.into(),
        ParameterChoice::DoubleParam(value) => value.into(),
        ParameterChoice::Uint64Param(value) => value.into(),
    };
    let pairs = answer.parameters.into_iter();
    pairs.filter_map(|(name, one)| Some((name, shown(one.parameter_choice?)))).collect()
}

/// What `bench-limit --answers` wrote: the outputs of so many requests, one after the other.
///
/// # Errors
/// If the file cannot be read or does not divide.
pub fn read(path: &Path, requests: usize) -> anyhow::Result<Vec<Vec<f32>>> {
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let values = values_of(&bytes);
    let each = values.len() / requests.max(1);
    anyhow::ensure!(
        each > 0 && each * requests * 4 == bytes.len(),
        "{}: {} bytes are not the answers to {requests} requests",
        path.display(),
        bytes.len()
    );
    Ok(values.chunks(each).map(<[f32]>::to_vec).collect())
}

/// A number that is none is as far away as can be.
fn distance(found: &[f32], right: &[f32]) -> f32 {
    if found.len() != right.len() {
        return f32::INFINITY;
    }
    let apart = |(found, right): (&f32, &f32)| if found == right { 0.0 } else { (found - right).abs() };
    let apart = found.iter().zip(right).map(apart);
    apart.fold(0.0, |most, one| if one.is_nan() { f32::INFINITY } else { f32::max(most, one) })
}

#[cfg(test)]
mod tests {
    use contracts::inference::InferTensorContents;
    use contracts::inference::model_infer_response::InferOutputTensor;

    use super::*;
    use crate::input::raw;

    fn message(id: &str, values: &[f32], typed: bool) -> Bytes {
        let contents =
            typed.then(|| InferTensorContents { fp32_contents: values.to_vec(), ..Default::default() });
        let output = InferOutputTensor { datatype: "FP32".into(), contents, ..Default::default() };
        let answer = ModelInferResponse {
            id: id.into(),
            outputs: vec![output],
            raw_output_contents: if typed { Vec::new() } else { vec![raw(values)] },
            ..Default::default()
        };
        answer.encode_to_vec().into()
    }

    #[test]
    fn answers_are_compared_by_value() -> anyhow::Result<()> {
        let right = Right::new(message("a", &[1.0, 2.0], false), None)?;
        for typed in [false, true] {
            assert!(right.distance(&message("a", &[1.0, 2.0], typed)) < f32::EPSILON);
            assert!(right.distance(&message("b", &[1.0, 2.0], typed)) < f32::EPSILON);
            assert!((right.distance(&message("a", &[1.0, 2.5], typed)) - 0.5).abs() < f32::EPSILON);
            assert!(right.distance(&message("a", &[1.0], typed)).is_infinite());
            assert!(right.distance(&message("a", &[1.0, f32::NAN], typed)).is_infinite());
        }
        assert!(right.distance(&Bytes::from_static(b"\xff")).is_infinite());
        let known = Right::new(message("a", &[1.0, 2.0], false), Some(vec![1.0, 2.25]))?;
        assert!((known.distance(&message("a", &[1.0, 2.0], false)) - 0.25).abs() < f32::EPSILON);
        Ok(())
    }

    #[test]
    fn a_file_of_answers_must_divide() -> anyhow::Result<()> {
        let file = tempfile::NamedTempFile::new()?;
        std::fs::write(file.path(), raw(&[1.0, 2.0, 3.0, 4.0]))?;
        assert_eq!(read(file.path(), 2)?, [[1.0, 2.0], [3.0, 4.0]]);
        assert!(read(file.path(), 3).is_err());
        assert!(read(file.path(), 8).is_err());
        Ok(())
    }
}
