//! A `ModelInferRequest` as tensors, with every bad field named.

use contracts::inference::ModelInferRequest;
use contracts::inference::model_infer_request::InferInputTensor;
use engine::{DataType, Declared, FieldError, Tensor, TensorError, element_count};

use super::contents;
use super::shown;

/// Parameters of an output that this server does not honour, so that nobody waits for what never comes.
const OUTPUT_EXTENSIONS: [&str; 2] = ["classification", "shared_memory_region"];
/// Inputs and outputs of one request at most.
const MOST_TENSORS: usize = 1024;

/// The tensors of a request.
#[derive(Debug, Default)]
pub struct Parsed {
    /// In the order of the request.
    pub inputs: Vec<Tensor>,
    /// Inputs that cannot be read, with what can be told of them.
    pub unreadable: Vec<Unreadable>,
    /// Names of the outputs asked for; empty is all.
    pub outputs: Vec<String>,
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
    raw + typed + 256
}

/// Takes the tensors out of a request, with every field that cannot be used. Nothing of numeric raw contents is copied.
pub fn parse(request: &mut ModelInferRequest) -> (Parsed, Vec<FieldError>) {
    let mut bad = Vec::new();
    let mut wrong = |field: String, description: String| bad.push(FieldError { field, description });
    if request.inputs.len().max(request.outputs.len()) > MOST_TENSORS {
        wrong("inputs".into(), format!("more than {MOST_TENSORS} tensors"));
        return (Parsed::default(), bad);
    }
    let raw = std::mem::take(&mut request.raw_input_contents);
    let inputs = std::mem::take(&mut request.inputs);
    let uses_raw = !raw.is_empty();
    if uses_raw && raw.len() != inputs.len() {
        let why = format!("{} entries, required one for each of {} inputs", raw.len(), inputs.len());
        wrong("raw_input_contents".into(), why);
    }
    let mut raw = raw.into_iter();
    let mut parsed = Parsed::default();
    for input in inputs {
        let field = format!("inputs[{}]", shown(&input.name));
        match one(input, uses_raw, raw.next()) {
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
        for extension in OUTPUT_EXTENSIONS.iter().filter(|name| output.parameters.contains_key(**name)) {
            let field = format!("outputs[{}].parameters[{extension}]", shown(&output.name));
            wrong(field, "this extension is not supported here".into());
        }
    }
    parsed.outputs = std::mem::take(&mut request.outputs).into_iter().map(|output| output.name).collect();
    (parsed, bad)
}

type Wrong = (&'static str, String);

/// The tensor of an input, or everything that is wrong with it. Contents are looked at where type and shape hold.
fn one(
    input: InferInputTensor,
    uses_raw: bool,
    raw: Option<bytes::Bytes>,
) -> Result<Tensor, (Unreadable, Vec<Wrong>)> {
    let mut faults = Vec::new();
    let datatype = DataType::parse(&input.datatype);
    if datatype.is_none() {
        let why = format!("{:?} is not a data type of the protocol", shown(&input.datatype));
        faults.push((".datatype", why));
    }
    let shape = element_count(&input.shape).map(|_| input.shape).map_err(|error| faults.push(placed(&error)));
    if input.parameters.contains_key("shared_memory_region") {
        faults.push((".parameters[shared_memory_region]", "shared memory is not supported here".into()));
    }
    let typed = input.contents.filter(|contents| !contents::is_empty(contents));
    if uses_raw && typed.is_some() {
        faults.push((".contents", "must be empty where raw_input_contents are used".into()));
    }
    if uses_raw && raw.is_none() {
        faults.push(("", "has no raw_input_contents".into()));
    }
    let (name, shape) = (input.name, shape.ok());
    if let (Some(datatype), Some(shape), true) = (datatype, &shape, faults.is_empty()) {
        let made = match raw.filter(|_| uses_raw) {
            Some(raw) => {
                Tensor::from_wire(&name, datatype, shape.clone(), raw).map_err(|error| placed(&error))
            }
            None => contents::tensor(name.clone(), datatype, shape.clone(), typed.unwrap_or_default()),
        };
        match made.and_then(text) {
            Ok(tensor) => return Ok(tensor),
            Err(why) => faults.push(why),
        }
    }
    Err((Unreadable { name, datatype, shape }, faults))
}

/// Text must be UTF-8 without zero bytes: ONNX Runtime takes no other.
fn text(tensor: Tensor) -> Result<Tensor, Wrong> {
    for (at, element) in tensor.elements().into_iter().flatten().enumerate() {
        match std::str::from_utf8(element) {
            Err(_) => return Err((".contents", format!("element {at} is not UTF-8"))),
            Ok(text) if text.contains('\0') => {
                return Err((".contents", format!("element {at} has a zero byte")));
            }
            Ok(_) => {}
        }
    }
    Ok(tensor)
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
