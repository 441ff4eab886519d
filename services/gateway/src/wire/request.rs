//! A `ModelInferRequest` as tensors, with every bad field named.

use contracts::inference::ModelInferRequest;
use contracts::inference::model_infer_request::InferInputTensor;
use engine::{DataType, FieldError, Tensor, TensorError};

use super::contents;
use super::shown;
use crate::Error;

/// Parameters of an output that this server does not honour, so that nobody waits for what never comes.
const OUTPUT_EXTENSIONS: [&str; 2] = ["classification", "shared_memory_region"];
/// Inputs and outputs of one request at most.
const MOST_TENSORS: usize = 1024;

/// The tensors of a request.
#[derive(Debug)]
pub struct Parsed {
    /// In the order of the request.
    pub inputs: Vec<Tensor>,
    /// Names of the outputs asked for; empty is all.
    pub outputs: Vec<String>,
}

/// Bytes that a request keeps in memory, near enough for admission.
pub fn message_bytes(request: &ModelInferRequest) -> usize {
    let raw: usize = request.raw_input_contents.iter().map(bytes::Bytes::len).sum();
    let typed: usize =
        request.inputs.iter().filter_map(|input| input.contents.as_ref()).map(contents::bytes).sum();
    raw + typed + 256
}

/// Takes the tensors out of a request. Nothing of numeric raw contents is copied.
///
/// # Errors
/// [`Error::BadRequest`] with every field that cannot be used.
pub fn parse(request: &mut ModelInferRequest) -> Result<Parsed, Error> {
    let mut bad = Vec::new();
    let mut wrong = |field: String, description: String| bad.push(FieldError { field, description });
    if request.inputs.len().max(request.outputs.len()) > MOST_TENSORS {
        return Err(Error::field("inputs", format!("more than {MOST_TENSORS} tensors")));
    }
    let raw = std::mem::take(&mut request.raw_input_contents);
    let inputs = std::mem::take(&mut request.inputs);
    let uses_raw = !raw.is_empty();
    if uses_raw && raw.len() != inputs.len() {
        let why = format!("{} entries, required one for each of {} inputs", raw.len(), inputs.len());
        wrong("raw_input_contents".into(), why);
    }
    let mut raw = raw.into_iter();
    let mut tensors = Vec::with_capacity(inputs.len());
    for input in inputs {
        let field = format!("inputs[{}]", shown(&input.name));
        match one(input, uses_raw, raw.next()) {
            Ok(tensor) => tensors.push(tensor),
            Err((part, why)) => wrong(format!("{field}{part}"), why),
        }
    }
    for output in &request.outputs {
        for extension in OUTPUT_EXTENSIONS.iter().filter(|name| output.parameters.contains_key(**name)) {
            let field = format!("outputs[{}].parameters[{extension}]", shown(&output.name));
            wrong(field, "this extension is not supported here".into());
        }
    }
    let outputs = std::mem::take(&mut request.outputs).into_iter().map(|output| output.name).collect();
    if bad.is_empty() { Ok(Parsed { inputs: tensors, outputs }) } else { Err(Error::BadRequest(bad)) }
}

type Wrong = (&'static str, String);

fn one(input: InferInputTensor, uses_raw: bool, raw: Option<bytes::Bytes>) -> Result<Tensor, Wrong> {
    let Some(datatype) = DataType::parse(&input.datatype) else {
        return Err((
            ".datatype",
            format!("{:?} is not a data type of the protocol", shown(&input.datatype)),
        ));
    };
    if input.parameters.contains_key("shared_memory_region") {
        return Err((".parameters[shared_memory_region]", "shared memory is not supported here".into()));
    }
    let typed = input.contents.filter(|contents| !contents::is_empty(contents));
    if uses_raw {
        if typed.is_some() {
            return Err((".contents", "must be empty where raw_input_contents are used".into()));
        }
        let Some(raw) = raw else { return Err(("", "has no raw_input_contents".into())) };
        return Tensor::from_wire(input.name, datatype, input.shape, raw).map_err(|error| placed(&error));
    }
    contents::tensor(input.name, datatype, input.shape, typed.unwrap_or_default())
}

/// Which part of the input an error is about.
pub(super) fn placed(error: &TensorError) -> Wrong {
    let part = match error {
        TensorError::Rank(_) | TensorError::NegativeDim { .. } | TensorError::Overflow => ".shape",
        TensorError::DataType { .. } => ".datatype",
        TensorError::Length { .. }
        | TensorError::RawBytes { .. }
        | TensorError::ElementTooLong(_)
        | TensorError::Rows(_) => ".contents",
    };
    (part, error.to_string())
}
