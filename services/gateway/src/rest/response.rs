//! The answer to an inference request: JSON, with the bytes of the outputs behind it that were asked for so.

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use contracts::inference::infer_parameter::ParameterChoice;
use contracts::inference::model_infer_response::InferOutputTensor;
use contracts::inference::{InferParameter, ModelInferResponse};
use engine::{DataType, Tensor};
use futures::stream;
use runtime::{FieldViolation, bad_request};
use serde_json::{Map, Value};
use tonic::Status;

use super::data;
use super::fields::Parameters;
use super::request::Wanted;
use crate::wire::shown;

/// Says how many bytes of a body are JSON, where it has more than that.
pub const LENGTH: &str = "inference-header-content-length";

/// An answer as it travels.
#[derive(Debug, Default)]
pub struct Written {
    json: Vec<u8>,
    tensors: Vec<Bytes>,
    binary: bool,
}

/// Writes an answer.
///
/// # Errors
/// INVALID_ARGUMENT if an output cannot be JSON and was not asked for as binary data.
pub fn write(answer: ModelInferResponse, wanted: &Wanted) -> Result<Written, Status> {
    let mut written = Written::default();
    let mut head = Map::new();
    if !answer.id.is_empty() {
        head.insert("id".into(), answer.id.into());
    }
    head.insert("model_name".into(), answer.model_name.into());
    head.insert("model_version".into(), answer.model_version.into());
    if !answer.parameters.is_empty() {
        head.insert("parameters".into(), Value::Object(parameters(answer.parameters)));
    }
    written.json = serde_json::to_vec(&head).map_err(|_| unreadable())?;
    written.json.pop(); // the brace: outputs follow
    written.json.extend_from_slice(b",\"outputs\":[");
    let (mut raw, mut bad) = (answer.raw_output_contents.into_iter(), Vec::new());
    for (place, output) in answer.outputs.into_iter().enumerate() {
        if place > 0 {
            written.json.push(b',');
        }
        let (name, raw) = (shown(&output.name), raw.next());
        if let Err(why) = written.output(output, raw, wanted)? {
            let text = format!("{why}; ask for it with \"binary_data\": true");
            bad.push(FieldViolation::new(format!("outputs[{name}]"), text));
        }
    }
    written.json.extend_from_slice(b"]}");
    if bad.is_empty() { Ok(written) } else { Err(bad_request(bad)) }
}

impl Written {
    /// Appends one output: INTERNAL for one that makes no sense, and the inner error for one that JSON cannot carry.
    fn output(
        &mut self,
        output: InferOutputTensor,
        raw: Option<Bytes>,
        wanted: &Wanted,
    ) -> Result<Result<(), String>, Status> {
        let shared = output.parameters.contains_key("shared_memory_region");
        let binary = !shared && wanted.is_binary(&output.name);
        let mut parameters = parameters(output.parameters);
        let raw = if shared { None } else { Some(raw.ok_or_else(unreadable)?) };
        if binary || shared {
            // Triton's C++ client asks every output with parameters for it: of one in shared memory nothing comes behind.
            let size = raw.as_ref().map_or(0, Bytes::len);
            parameters.insert("binary_data_size".into(), size.into());
        }
        let mut head = Map::new();
        head.insert("name".into(), output.name.into());
        head.insert("datatype".into(), output.datatype.as_str().into());
        head.insert("shape".into(), output.shape.as_slice().into());
        if !parameters.is_empty() {
            head.insert("parameters".into(), Value::Object(parameters));
        }
        serde_json::to_writer(&mut self.json, &head).map_err(|_| unreadable())?;
        let Some(raw) = raw else { return Ok(Ok(())) };
        if binary {
            self.binary = true;
            self.tensors.push(raw);
            return Ok(Ok(()));
        }
        self.json.pop();
        self.json.extend_from_slice(b",\"data\":");
        let datatype = DataType::parse(&output.datatype).ok_or_else(unreadable)?;
        let tensor = Tensor::from_wire("", datatype, output.shape, raw).map_err(|_| unreadable())?;
        let done = data::write(&tensor, &mut self.json);
        self.json.push(b'}');
        Ok(done)
    }
}

fn unreadable() -> Status {
    Status::internal("the answer cannot be written as JSON")
}

fn parameters(all: Parameters) -> Map<String, Value> {
    all.into_iter()
        .map(|(name, InferParameter { parameter_choice })| (name, value(parameter_choice)))
        .collect()
}

fn value(choice: Option<ParameterChoice>) -> Value {
    match choice {
        None => Value::Null,
        Some(ParameterChoice::BoolParam(value)) => value.into(),
        Some(ParameterChoice::Int64Param(value)) => value.into(),
        Some(ParameterChoice::StringParam(value)) => value.into(),
        Some(ParameterChoice::DoubleParam(value)) => value.into(),
        Some(ParameterChoice::Uint64Param(value)) => value.into(),
    }
}

impl IntoResponse for Written {
    fn into_response(self) -> Response {
        let json = HeaderValue::from_static("application/json");
        if !self.binary {
            return ([(header::CONTENT_TYPE, json)], self.json).into_response();
        }
        let length = self.json.len();
        let whole = length + self.tensors.iter().map(Bytes::len).sum::<usize>();
        let parts = std::iter::once(Bytes::from(self.json)).chain(self.tensors).map(Ok::<_, Status>);
        let mut response = Response::new(Body::from_stream(stream::iter(parts)));
        let bytes = HeaderValue::from_static("application/octet-stream");
        let headers = [
            (header::CONTENT_TYPE, bytes),
            (header::CONTENT_LENGTH, whole.into()),
            (HeaderName::from_static(LENGTH), length.into()),
        ];
        response.headers_mut().extend(headers);
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn answer() -> ModelInferResponse {
        let output = |name: &str, datatype: &str, shape: &[i64]| InferOutputTensor {
            name: name.into(),
            datatype: datatype.into(),
            shape: shape.to_vec(),
            ..InferOutputTensor::default()
        };
        let last = InferParameter { parameter_choice: Some(ParameterChoice::BoolParam(true)) };
        ModelInferResponse {
            model_name: "scorer".into(),
            model_version: "1.0.0".into(),
            id: "7".into(),
            parameters: [("last".to_owned(), last)].into(),
            outputs: vec![output("label", "INT64", &[1]), output("half", "FP16", &[1, 2])],
            raw_output_contents: vec![5_i64.to_le_bytes().to_vec().into(), vec![0, 60, 0, 124].into()],
        }
    }

    async fn parts(written: Written) -> (Response<()>, Bytes) {
        let (head, body) = written.into_response().into_parts();
        (Response::from_parts(head, ()), axum::body::to_bytes(body, 1 << 20).await.unwrap())
    }

    #[tokio::test]
    async fn outputs_are_json_or_bytes_behind_it_as_each_was_asked_for() {
        let wanted = Wanted { binary: false, outputs: [("half".to_owned(), true)].into() };
        let (head, body) = parts(write(answer(), &wanted).unwrap()).await;
        let length: usize = head.headers()[LENGTH].to_str().unwrap().parse().unwrap();
        assert_eq!(head.headers()[header::CONTENT_LENGTH], body.len().to_string().as_str());
        let json: Value = serde_json::from_slice(&body[..length]).unwrap();
        let wanted = json!({
            "id": "7", "model_name": "scorer", "model_version": "1.0.0", "parameters": {"last": true},
            "outputs": [
                {"name": "label", "datatype": "INT64", "shape": [1], "data": [5]},
                {"name": "half", "datatype": "FP16", "shape": [1, 2], "parameters": {"binary_data_size": 4}},
            ],
        });
        assert_eq!(json, wanted);
        assert_eq!(body[length..], [0, 60, 0, 124]);
    }

    #[tokio::test]
    async fn an_answer_without_bytes_is_plain_json() {
        let mut answer = answer();
        (answer.outputs, answer.raw_output_contents) = (Vec::new(), Vec::new());
        answer.id.clear();
        let (head, body) = parts(write(answer, &Wanted::default()).unwrap()).await;
        assert_eq!(head.headers()[header::CONTENT_TYPE], "application/json");
        assert!(!head.headers().contains_key(LENGTH));
        let json: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!((&json["outputs"], json.get("id")), (&json!([]), None));
    }

    #[tokio::test]
    async fn of_an_output_in_shared_memory_nothing_comes_behind_the_json() {
        let mut answer = answer();
        let region = InferParameter { parameter_choice: Some(ParameterChoice::StringParam("r".into())) };
        answer.outputs[1].parameters = [("shared_memory_region".to_owned(), region)].into();
        answer.raw_output_contents[1] = Bytes::new();
        let (_, body) = parts(write(answer, &Wanted::default()).unwrap()).await;
        let json: Value = serde_json::from_slice(&body).unwrap();
        let wanted = json!({"shared_memory_region": "r", "binary_data_size": 0});
        assert_eq!((&json["outputs"][1]["parameters"], json["outputs"][1].get("data")), (&wanted, None));
    }

    #[test]
    fn what_json_cannot_carry_is_refused_with_the_way_out() {
        let refused = write(answer(), &Wanted::default()).unwrap_err();
        assert_eq!(
            refused.message(),
            "outputs[half]: FP16 is no JSON; ask for it with \"binary_data\": true"
        );
        let mut broken = answer();
        broken.raw_output_contents.pop();
        assert_eq!(write(broken, &Wanted::default()).unwrap_err().code(), tonic::Code::Internal);
    }
}
