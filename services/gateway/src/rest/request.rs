//! The body of an inference request as the protobuf message: its JSON, and behind it the bytes of the tensors that say so.
//! Every tensor becomes an entry of `raw_input_contents`, whichever way it came; bytes behind the JSON are not copied.

use std::collections::HashMap;

use bytes::Bytes;
use contracts::inference::ModelInferRequest;
use contracts::inference::model_infer_request::{InferInputTensor, InferRequestedOutputTensor};
use engine::{DataType, element_count};
use runtime::{FieldViolation, bad_request};
use tonic::Status;

use super::elements;
use super::fields::{self, Faults, Parameters, is, once, take_boolean, take_size};
use super::scan::{Kind, NotJson, Scanner};
use crate::wire::shown;

/// Inputs, and outputs, of one request at most.
const MOST_TENSORS: usize = 1024;
/// Parameters of the transport: they say how tensors travel here and mean nothing to the service.
const SIZE: &str = "binary_data_size";
const BINARY: &str = "binary_data";
const ALL_BINARY: &str = "binary_data_output";

/// How the answer should be written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Outputs as bytes behind the JSON, unless one says otherwise.
    pub binary: bool,
    /// What single outputs say.
    pub outputs: HashMap<String, bool>,
}

impl Wanted {
    /// Whether an output goes behind the JSON.
    pub fn is_binary(&self, output: &str) -> bool {
        self.outputs.get(output).copied().unwrap_or(self.binary)
    }
}

/// Reads a body whose first `head` bytes are JSON; all of them if that is not said.
///
/// # Errors
/// INVALID_ARGUMENT for what is not JSON, and one for all fields that cannot be used.
pub fn read(body: &Bytes, head: Option<usize>) -> Result<(ModelInferRequest, Wanted), Status> {
    let length = head.unwrap_or(body.len());
    let Some(json) = body.get(..length) else {
        let why = format!("is {length}, and the body has {} bytes", body.len());
        return Err(bad_request(vec![FieldViolation::new("Inference-Header-Content-Length", why)]));
    };
    let (mut scanner, mut faults) = (Scanner::new(json)?, Faults::default());
    let head = Head::read(&mut scanner, &mut faults)?;
    scanner.end()?;
    let mut parameters = head.parameters.unwrap_or_default();
    let binary = take_boolean(&mut parameters, ALL_BINARY, "parameters", &mut faults);
    let mut wanted = Wanted { binary: binary.unwrap_or_default(), outputs: HashMap::new() };
    let mut request = ModelInferRequest { id: head.id.unwrap_or_default(), ..Default::default() };
    let mut left = body.slice(length..);
    for (place, input) in head.inputs.unwrap_or_default().into_iter().enumerate() {
        let field = named("inputs", place, input.name.as_deref());
        let (tensor, raw, wrong) = input.tensor(&mut left);
        faults.within(&field, wrong);
        request.inputs.push(tensor);
        request.raw_input_contents.extend(raw);
    }
    if !left.is_empty() {
        faults.add("the body", format!("{} bytes are left over after the last input", left.len()));
    }
    for (place, output) in head.outputs.unwrap_or_default().into_iter().enumerate() {
        let field = named("outputs", place, output.name.as_deref());
        let (output, binary, wrong) = output.asked();
        faults.within(&field, wrong);
        wanted.outputs.extend(binary.map(|binary| (output.name.clone(), binary)));
        request.outputs.push(output);
    }
    faults.done()?;
    request.parameters = parameters;
    Ok((request, wanted))
}

/// A tensor by its name, or by its place where it has none.
fn named(list: &str, place: usize, name: Option<&str>) -> String {
    format!("{list}[{}]", name.map_or_else(|| place.to_string(), shown))
}

/// The JSON of a request. Members that the protocol does not have are passed over.
#[derive(Default)]
struct Head<'a> {
    id: Option<String>,
    parameters: Option<Parameters>,
    inputs: Option<Vec<Input<'a>>>,
    outputs: Option<Vec<Output>>,
}

impl<'a> Head<'a> {
    fn read(scanner: &mut Scanner<'a>, faults: &mut Faults) -> Result<Self, NotJson> {
        let mut head = Self::default();
        if is(scanner, Kind::Object, "the request", faults)? {
            scanner.object(|scanner, name| {
                match name {
                    "id" => once(&mut head.id, fields::text(scanner, name, faults)?, name, faults),
                    "parameters" => {
                        once(&mut head.parameters, fields::parameters(scanner, name, faults)?, name, faults);
                    }
                    "inputs" => {
                        let inputs = tensors(scanner, name, faults, Input::read)?;
                        once(&mut head.inputs, inputs, name, faults);
                    }
                    "outputs" => {
                        let outputs = tensors(scanner, name, faults, Output::read)?;
                        once(&mut head.outputs, outputs, name, faults);
                    }
                    _ => _ = scanner.skip()?,
                }
                Ok(())
            })?;
        }
        Ok(head)
    }
}

/// A list of objects, each read by `one`.
fn tensors<'a, T>(
    scanner: &mut Scanner<'a>,
    list: &str,
    faults: &mut Faults,
    one: impl Fn(&mut Scanner<'a>) -> Result<T, NotJson>,
) -> Result<Option<Vec<T>>, NotJson> {
    if !is(scanner, Kind::List, list, faults)? {
        return Ok(None);
    }
    let (mut all, mut given) = (Vec::new(), 0_usize);
    scanner.list(|scanner| {
        given += 1;
        if given > MOST_TENSORS {
            return scanner.skip().map(|_| ());
        }
        all.push(one(scanner)?);
        Ok(())
    })?;
    if given > MOST_TENSORS {
        faults.add(list, format!("more than {MOST_TENSORS} tensors"));
    }
    Ok(Some(all))
}

#[derive(Default)]
struct Output {
    name: Option<String>,
    parameters: Option<Parameters>,
    wrong: Faults,
}

impl Output {
    fn read(scanner: &mut Scanner<'_>) -> Result<Self, NotJson> {
        let mut output = Self::default();
        if is(scanner, Kind::Object, "", &mut output.wrong)? {
            scanner.object(|scanner, name| {
                let field = format!(".{}", shown(name));
                let faults = &mut output.wrong;
                match name {
                    "name" => once(&mut output.name, fields::text(scanner, &field, faults)?, &field, faults),
                    "parameters" => {
                        let given = fields::parameters(scanner, &field, faults)?;
                        once(&mut output.parameters, given, &field, faults);
                    }
                    _ => _ = scanner.skip()?,
                }
                Ok(())
            })?;
        }
        Ok(output)
    }

    /// The output as it is asked for, and whether as bytes; with what is wrong with it.
    fn asked(self) -> (InferRequestedOutputTensor, Option<bool>, Faults) {
        let (mut parameters, mut faults) = (self.parameters.unwrap_or_default(), self.wrong);
        let binary = take_boolean(&mut parameters, BINARY, ".parameters", &mut faults);
        let name = needed(self.name, ".name", &mut faults).unwrap_or_default();
        (InferRequestedOutputTensor { name, parameters }, binary, faults)
    }
}

#[derive(Default)]
struct Input<'a> {
    name: Option<String>,
    datatype: Option<String>,
    shape: Option<Vec<i64>>,
    parameters: Option<Parameters>,
    /// As it stands: what it means is known when the type is.
    data: Option<&'a str>,
    wrong: Faults,
}

impl<'a> Input<'a> {
    fn read(scanner: &mut Scanner<'a>) -> Result<Self, NotJson> {
        let mut input = Self::default();
        if is(scanner, Kind::Object, "", &mut input.wrong)? {
            scanner.object(|scanner, name| {
                let field = format!(".{}", shown(name));
                let faults = &mut input.wrong;
                match name {
                    "name" => once(&mut input.name, fields::text(scanner, &field, faults)?, &field, faults),
                    "datatype" => {
                        let given = fields::text(scanner, &field, faults)?;
                        once(&mut input.datatype, given, &field, faults);
                    }
                    "shape" => {
                        once(&mut input.shape, fields::shape(scanner, &field, faults)?, &field, faults);
                    }
                    "parameters" => {
                        let given = fields::parameters(scanner, &field, faults)?;
                        once(&mut input.parameters, given, &field, faults);
                    }
                    "data" => {
                        let null = scanner.kind()? == Kind::Null;
                        let text = scanner.skip()?;
                        once(&mut input.data, (!null).then_some(text), &field, faults);
                    }
                    _ => _ = scanner.skip()?,
                }
                Ok(())
            })?;
        }
        Ok(input)
    }

    /// The tensor and its bytes, from JSON or from the front of what is `left` of the body; no bytes for one in shared
    /// memory. With what is wrong with it.
    fn tensor(self, left: &mut Bytes) -> (InferInputTensor, Option<Bytes>, Faults) {
        let (mut parameters, mut faults) = (self.parameters.unwrap_or_default(), self.wrong);
        let size = take_size(&mut parameters, SIZE, ".parameters", &mut faults);
        let shared = parameters.contains_key("shared_memory_region");
        let name = needed(self.name, ".name", &mut faults);
        let datatype = needed(self.datatype, ".datatype", &mut faults);
        let known = datatype.as_ref().and_then(|name| {
            let known = DataType::parse(name);
            if known.is_none() {
                faults.add(".datatype", format!("{:?} is not a data type of the protocol", shown(name)));
            }
            known
        });
        let shape = needed(self.shape, ".shape", &mut faults);
        let count = shape.as_ref().and_then(|shape| {
            element_count(shape).map_err(|error| faults.add(".shape", error.to_string())).ok()
        });
        let raw = match (self.data, size, shared) {
            (Some(data), None, false) => known.zip(count).and_then(|(datatype, count)| {
                let raw = elements::raw(data, datatype, count);
                raw.map(Bytes::from).map_err(|why| faults.add(".data", why)).ok()
            }),
            (None, Some(size), false) => {
                let there = left.len();
                let enough = usize::try_from(size).is_ok_and(|size| size <= there);
                if !enough {
                    let why = format!("is {size}, and {there} bytes are left behind the JSON");
                    faults.add(format!(".parameters[{SIZE}]"), why);
                }
                Some(left.split_to(if enough { size as usize } else { there }))
            }
            (None, None, true) => None,
            (None, None, false) => {
                faults.add("", format!("has no data: neither data nor {SIZE} nor shared_memory_region"));
                None
            }
            _ => {
                faults.add("", format!("has more than one of data, {SIZE}, shared_memory_region"));
                None
            }
        };
        let tensor = InferInputTensor {
            name: name.unwrap_or_default(),
            datatype: datatype.unwrap_or_default(),
            shape: shape.unwrap_or_default(),
            parameters,
            contents: None,
        };
        (tensor, raw, faults)
    }
}

fn needed<T>(value: Option<T>, field: &str, faults: &mut Faults) -> Option<T> {
    if value.is_none() && !faults.has(field) {
        faults.add(field, "is missing");
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;
    use contracts::inference::infer_parameter::ParameterChoice;
    use runtime::status::field_violations;

    fn text(json: &str) -> Bytes {
        Bytes::copy_from_slice(json.as_bytes())
    }

    fn faults(body: &Bytes, head: Option<usize>) -> Vec<String> {
        let status = read(body, head).unwrap_err();
        field_violations(&status)
            .into_iter()
            .map(|bad| format!("{}: {}", bad.field, bad.description))
            .collect()
    }

    #[test]
    fn json_tensors_become_raw_contents() {
        let body = text(
            r#"{"id": "7", "unknown": [1], "parameters": {"key": "k", "binary_data_output": true},
                "inputs": [{"data": [[1, 2]], "name": "x", "shape": [1, 2], "datatype": "INT32", "more": {}}],
                "outputs": [{"name": "y", "parameters": {"classification": 2, "binary_data": false}}, {"name": "z"}]}"#,
        );
        let (request, wanted) = read(&body, None).unwrap();
        assert_eq!((request.id.as_str(), request.inputs[0].shape.as_slice()), ("7", &[1, 2][..]));
        assert_eq!(request.raw_input_contents, [Bytes::from_static(&[1, 0, 0, 0, 2, 0, 0, 0])]);
        assert_eq!(request.parameters.keys().collect::<Vec<_>>(), ["key"]);
        let class = request.outputs[0].parameters["classification"].parameter_choice.clone();
        assert_eq!((class, request.outputs[0].parameters.len()), (Some(ParameterChoice::Int64Param(2)), 1));
        assert!(wanted.is_binary("z") && !wanted.is_binary("y"));
    }

    #[test]
    fn bytes_behind_the_json_are_slices_of_the_body() {
        let json = r#"{"inputs": [
            {"name": "a", "shape": [2], "datatype": "FP16", "parameters": {"binary_data_size": 4}},
            {"name": "b", "shape": [1], "datatype": "UINT8", "data": [9]},
            {"name": "c", "shape": [0], "datatype": "FP32", "data": null, "parameters": {"binary_data_size": 0}},
            {"name": "s", "shape": [1], "datatype": "FP32", "parameters": {"shared_memory_region": "r"}},
            {"name": "d", "shape": [1], "datatype": "BYTES", "parameters": {"binary_data_size": 5}}]}"#;
        let body = Bytes::from([json.as_bytes(), &[1, 2, 3, 4, 1, 0, 0, 0, b'x']].concat());
        let (request, _) = read(&body, Some(json.len())).unwrap();
        let raw = &request.raw_input_contents;
        assert_eq!(
            raw.iter().map(Bytes::len).collect::<Vec<_>>(),
            [4, 1, 0, 5],
            "shared memory has no entry"
        );
        assert_eq!(raw[0].as_ptr(), body[json.len()..].as_ptr());
        assert_eq!(raw[3].as_ptr(), body[json.len() + 4..].as_ptr());
        assert!(request.inputs[0].parameters.is_empty(), "{:?}", request.inputs[0].parameters);
    }

    #[test]
    fn everything_that_is_wrong_is_named_at_once() {
        let body = text(
            r#"{"id": 5, "parameters": {"p": [], "binary_data_output": 1}, "outputs": [{}, 7, {"name": "o", "name": "o"}],
                "inputs": [{"name": "x", "shape": [2, -1], "datatype": "FLOAT", "data": [1]},
                           {"shape": [9223372036854775807, 3], "datatype": "INT8", "data": [1]},
                           {"name": "y", "shape": [2], "datatype": "UINT8", "data": [256]},
                           {"name": "z", "shape": [2], "datatype": "UINT8"},
                           {"name": "b", "shape": [2], "datatype": "UINT8", "data": [1, 2], "parameters": {"binary_data_size": 2}},
                           {"name": "n", "shape": [2], "datatype": "UINT8", "parameters": {"binary_data_size": -2}},
                           {"name": "m", "shape": "2", "datatype": "UINT8", "parameters": {"binary_data_size": 2}}]}"#,
        );
        let named = faults(&body, None);
        for wanted in [
            "id: is a number, required a string",
            "parameters[p]: is a list",
            "parameters[binary_data_output]: required true or false",
            "outputs[0].name: is missing",
            "outputs[1]: is a number, required an object",
            "outputs[o].name: is given twice",
            "inputs[x].datatype: \"FLOAT\" is not a data type",
            "inputs[x].shape: dimension 1 is -1",
            "inputs[1].name: is missing",
            "inputs[1].shape: the shape's size overflows",
            "inputs[y].data: element 0 is 256, which is no UINT8; 1 elements, the shape needs 2",
            "inputs[z]: has no data",
            "inputs[b]: has more than one of data",
            "inputs[n].parameters[binary_data_size]: required a number of bytes",
            "inputs[m].shape: is a string, required a list",
            "inputs[m].parameters[binary_data_size]: is 2, and 0 bytes are left behind the JSON",
        ] {
            assert!(named.iter().any(|fault| fault.starts_with(wanted)), "{wanted} is not in {named:#?}");
        }
    }

    #[test]
    fn lengths_that_do_not_agree_are_named() {
        assert_eq!(
            faults(&text("{}"), Some(3)),
            ["Inference-Header-Content-Length: is 3, and the body has 2 bytes"]
        );
        assert_eq!(
            faults(&text("{}12345"), Some(2)),
            ["the body: 5 bytes are left over after the last input"]
        );
        assert_eq!(faults(&text("[]"), None), ["the request: is a list, required an object"]);
        let many = vec!["{}"; 1500].join(",");
        let many = faults(&text(&format!(r#"{{"outputs": [{many}]}}"#)), None);
        assert!(many.iter().any(|fault| fault.starts_with("outputs: more than 1024 tensors")), "{many:?}");
        assert!(
            read(&text(r#"{"inputs": ["#), None)
                .unwrap_err()
                .message()
                .starts_with("the request is not JSON")
        );
        assert!(read(&Bytes::new(), None).is_err());
    }
}
