//! A `ModelInferRequest` as tensors, with every bad field named.

use std::collections::HashMap;

use contracts::inference::model_infer_request::InferInputTensor;
use contracts::inference::{InferParameter, ModelInferRequest};
use engine::{DataType, Declared, FieldError, Tensor, TensorError, element_count};
use prost::Message;

use super::classification::{self, CLASSIFICATION, Classes};
use super::contents;
use super::shown;
use crate::shared_memory::{self, REGION, Regions};

/// Inputs and outputs of one request at most.
const MOST_TENSORS: usize = 1024;
/// Bytes in memory around a tensor or a parameter.
const AROUND: usize = 64;

/// The tensors of a request.
#[derive(Debug, Default)]
pub struct Parsed {
    /// In the order of the request.
    pub inputs: Vec<Tensor>,
    /// Inputs that cannot be read, with what can be told of them.
    pub unreadable: Vec<Unreadable>,
    /// Names of the outputs asked for; empty is all.
    pub outputs: Vec<String>,
    /// Outputs asked for as classes.
    pub classes: Vec<Classes>,
}

/// An input that is no tensor.
#[derive(Debug)]
pub struct Unreadable {
    name: String,
    datatype: Option<DataType>,
    shape: Option<Vec<i64>>,
}

impl Parsed {
    /// What the request says of each input.
    pub fn declared(&self) -> impl Iterator<Item = Declared<'_>> {
        let unreadable = self.unreadable.iter().map(|input| Declared {
            name: &input.name,
            datatype: input.datatype,
            shape: input.shape.as_deref(),
        });
        self.inputs.iter().map(Declared::from).chain(unreadable)
    }
}

/// Bytes that a request keeps in memory, near enough for admission.
pub fn message_bytes(request: &ModelInferRequest) -> usize {
    let raw: usize = request.raw_input_contents.iter().map(bytes::Bytes::len).sum();
    let typed: usize =
        request.inputs.iter().filter_map(|input| input.contents.as_ref()).map(contents::bytes).sum();
    let named = |parameters: &HashMap<String, InferParameter>| -> usize {
        parameters.iter().map(|(name, value)| name.len() + value.encoded_len() + AROUND).sum()
    };
    let input = |input: &InferInputTensor| {
        input.name.len() + input.datatype.len() + 8 * input.shape.len() + AROUND + named(&input.parameters)
    };
    let inputs: usize = request.inputs.iter().map(input).sum();
    let outputs: usize =
        request.outputs.iter().map(|output| output.name.len() + AROUND + named(&output.parameters)).sum();
    raw + typed + inputs + outputs + named(&request.parameters) + 256
}

/// Takes the tensors out of a request, with every field that cannot be used. Nothing of numeric raw contents is copied.
/// What lies in shared memory is taken from there.
pub fn parse(request: &mut ModelInferRequest, regions: Option<&Regions>) -> (Parsed, Vec<FieldError>) {
    let mut bad = Vec::new();
    let mut wrong = |field: String, description: String| bad.push(FieldError { field, description });
    if request.inputs.len().max(request.outputs.len()) > MOST_TENSORS {
        wrong("inputs".into(), format!("more than {MOST_TENSORS} tensors"));
        return (Parsed::default(), bad);
    }
    let raw = std::mem::take(&mut request.raw_input_contents);
    let inputs = std::mem::take(&mut request.inputs);
    let uses_raw = !raw.is_empty();
    let own = inputs.iter().filter(|input| !input.parameters.contains_key(REGION)).count();
    if uses_raw && raw.len() != own {
        let why = format!("{} entries, required one for each of {own} inputs", raw.len());
        wrong("raw_input_contents".into(), why);
    }
    let mut raw = raw.into_iter();
    let mut parsed = Parsed::default();
    for input in inputs {
        let field = format!("inputs[{}]", shown(&input.name));
        let contents = match shared_memory::brought(regions, &input.parameters) {
            Some(brought) => Contents::Shared(brought),
            None if uses_raw => Contents::Raw(raw.next()),
            None => Contents::Typed,
        };
        match one(input, contents) {
            Ok(tensor) => parsed.inputs.push(tensor),
            Err((unreadable, faults)) => {
                for (part, why) in faults {
                    wrong(format!("{field}{part}"), why);
                }
                parsed.unreadable.push(unreadable);
            }
        }
    }
    for output in &request.outputs {
        let field = |parameter| format!("outputs[{}].parameters[{parameter}]", shown(&output.name));
        match output.parameters.get(CLASSIFICATION).map(classification::asked) {
            Some(Ok(Some(most))) => parsed.classes.push(Classes { output: output.name.clone(), most }),
            Some(Err(why)) => wrong(field(CLASSIFICATION), why),
            Some(Ok(None)) | None => {}
        }
    }
    parsed.outputs = std::mem::take(&mut request.outputs).into_iter().map(|output| output.name).collect();
    (parsed, bad)
}

type Wrong = (&'static str, String);

/// Where the elements of an input come from.
enum Contents {
    /// Its own lists.
    Typed,
    /// The request's raw contents, if it has as many.
    Raw(Option<bytes::Bytes>),
    /// A region, or which of its parameters is wrong.
    Shared(Result<bytes::Bytes, Wrong>),
}

/// The tensor of an input, or everything that is wrong with it. Contents are looked at where type and shape hold.
fn one(input: InferInputTensor, contents: Contents) -> Result<Tensor, (Unreadable, Vec<Wrong>)> {
    let mut faults = Vec::new();
    let datatype = DataType::parse(&input.datatype);
    if datatype.is_none() {
        let why = format!("{:?} is not a data type of the protocol", shown(&input.datatype));
        faults.push((".datatype", why));
    }
    let shape = element_count(&input.shape).map(|_| input.shape).map_err(|error| faults.push(placed(&error)));
    let typed = input.contents.filter(|contents| !contents::is_empty(contents));
    let raw = match contents {
        Contents::Typed => None,
        Contents::Raw(raw) => {
            if typed.is_some() {
                faults.push((".contents", "must be empty where raw_input_contents are used".into()));
            }
            if raw.is_none() {
                faults.push(("", "has no raw_input_contents".into()));
            }
            raw
        }
        Contents::Shared(brought) => {
            if typed.is_some() {
                faults.push((".contents", "must be empty where shared memory is used".into()));
            }
            brought.map_err(|(parameter, why)| faults.push((shared_memory::part(parameter), why))).ok()
        }
    };
    let (name, shape) = (input.name, shape.ok());
    if let (Some(datatype), Some(shape), true) = (datatype, &shape, faults.is_empty()) {
        let made = match raw {
            Some(raw) => {
                Tensor::from_wire(&name, datatype, shape.clone(), raw).map_err(|error| placed(&error))
            }
            None => contents::tensor(name.clone(), datatype, shape.clone(), typed.unwrap_or_default()),
        };
        match made {
            Ok(tensor) => return Ok(tensor),
            Err(why) => faults.push(why),
        }
    }
    Err((Unreadable { name, datatype, shape }, faults))
}

/// The first element of a text that is not UTF-8, or has a zero byte. Many models take such elements, and need not.
pub fn odd_text(tensor: &Tensor) -> Option<FieldError> {
    let odd = |(at, element): (usize, &bytes::Bytes)| match std::str::from_utf8(element) {
        Err(_) => Some(format!("element {at} is not UTF-8")),
        Ok(text) => text.contains('\0').then(|| format!("element {at} has a zero byte")),
    };
    let description = tensor.elements().ok()?.iter().enumerate().find_map(odd)?;
    Some(FieldError { field: format!("inputs[{}].contents", shown(tensor.name())), description })
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
