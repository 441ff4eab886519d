//! ZipMap, the last node of models that scikit-learn's and CatBoost's exporters make: it packs the scores of a row into a
//! map from label to score, which no tensor protocol carries. The node is replaced by one that hands the scores on as they
//! are, under the same name; the map's keys are the names of the classes.

use bytes::Bytes;
use prost::Message;

/// Field numbers of `onnx.proto`.
mod field {
    pub const MODEL_GRAPH: u64 = 7;
    pub const MODEL_OPSET: u64 = 8;
    pub const GRAPH_NODE: u64 = 1;
    pub const GRAPH_OUTPUT: u64 = 12;
}
/// Operators of the default domain, where the model imports none: `Identity` is in every version.
const OPSET: i64 = 13;
/// `TensorProto.DataType.FLOAT`, the only type that ZipMap takes.
const FLOAT: i32 = 1;

#[derive(Clone, PartialEq, Message)]
struct Node {
    #[prost(string, repeated, tag = "1")]
    input: Vec<String>,
    #[prost(string, repeated, tag = "2")]
    output: Vec<String>,
    #[prost(string, tag = "3")]
    name: String,
    #[prost(string, tag = "4")]
    op_type: String,
    #[prost(message, repeated, tag = "5")]
    attribute: Vec<Attribute>,
}

#[derive(Clone, PartialEq, Message)]
struct Opset {
    #[prost(string, tag = "1")]
    domain: String,
    #[prost(int64, tag = "2")]
    version: i64,
}

#[derive(Clone, PartialEq, Message)]
struct Attribute {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(int64, repeated, tag = "8")]
    ints: Vec<i64>,
    #[prost(bytes = "vec", repeated, tag = "9")]
    strings: Vec<Vec<u8>>,
}

#[derive(Clone, PartialEq, Message)]
struct Value {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, optional, tag = "2")]
    r#type: Option<Type>,
}

#[derive(Clone, PartialEq, Message)]
struct Type {
    #[prost(message, optional, tag = "1")]
    tensor: Option<TensorType>,
}

#[derive(Clone, PartialEq, Message)]
struct TensorType {
    #[prost(int32, tag = "1")]
    elem_type: i32,
    #[prost(message, optional, tag = "2")]
    shape: Option<Shape>,
}

#[derive(Clone, PartialEq, Message)]
struct Shape {
    #[prost(message, repeated, tag = "1")]
    dim: Vec<Dimension>,
}

#[derive(Clone, PartialEq, Message)]
struct Dimension {
    #[prost(int64, optional, tag = "1")]
    value: Option<i64>,
}

/// A model whose scores are a tensor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// The model.
    pub model: Bytes,
    /// Names of its score columns.
    pub classes: Vec<String>,
}

/// Replaces the ZipMap whose answer is an output of the graph; `None` for a model without one.
pub fn open(model: &[u8]) -> Option<Opened> {
    let parts = parts(model)?;
    let graph = parts.iter().find(|part| part.number == field::MODEL_GRAPH)?;
    let inner = self::parts(graph.payload)?;
    let mut zip = None;
    for part in inner.iter().filter(|part| part.number == field::GRAPH_NODE) {
        let node = Node::decode(part.payload).ok()?;
        if node.op_type == "ZipMap" && node.input.len() == 1 && node.output.len() == 1 {
            zip = Some((part.whole.as_ptr(), node));
        }
    }
    let (place, node) = zip?;
    let classes = keys(&node)?;
    let name = node.output.first()?.clone();
    let is_output = |part: &&Part| Value::decode(part.payload).is_ok_and(|value| value.name == name);
    inner.iter().filter(|part| part.number == field::GRAPH_OUTPUT).find(is_output)?;
    let mut out = Vec::with_capacity(graph.payload.len());
    for part in &inner {
        if part.whole.as_ptr() == place {
            let plain = Node { op_type: "Identity".into(), attribute: Vec::new(), ..node.clone() };
            put(&mut out, field::GRAPH_NODE, &plain.encode_to_vec());
        } else if part.number == field::GRAPH_OUTPUT && is_output(&part) {
            put(&mut out, field::GRAPH_OUTPUT, &scores(&name, classes.len()).encode_to_vec());
        } else {
            out.extend_from_slice(part.whole);
        }
    }
    let mut model = Vec::with_capacity(model.len());
    for part in &parts {
        if part.number == field::MODEL_GRAPH {
            put(&mut model, field::MODEL_GRAPH, &out);
        } else {
            model.extend_from_slice(part.whole);
        }
    }
    let standard = |part: &Part| {
        part.number == field::MODEL_OPSET
            && Opset::decode(part.payload).is_ok_and(|one| matches!(one.domain.as_str(), "" | "ai.onnx"))
    };
    if !parts.iter().any(standard) {
        put(&mut model, field::MODEL_OPSET, &Opset { domain: String::new(), version: OPSET }.encode_to_vec());
    }
    Some(Opened { model: model.into(), classes })
}

/// The labels that the map's keys are.
fn keys(node: &Node) -> Option<Vec<String>> {
    let of = |name: &str| node.attribute.iter().find(|one| one.name == name);
    if let Some(strings) = of("classlabels_strings").filter(|one| !one.strings.is_empty()) {
        return strings.strings.iter().map(|text| String::from_utf8(text.clone()).ok()).collect();
    }
    let ints = of("classlabels_int64s").filter(|one| !one.ints.is_empty())?;
    Some(ints.ints.iter().map(ToString::to_string).collect())
}

fn scores(name: &str, classes: usize) -> Value {
    let dim = vec![Dimension { value: None }, Dimension { value: i64::try_from(classes).ok() }];
    let tensor = TensorType { elem_type: FLOAT, shape: Some(Shape { dim }) };
    Value { name: name.to_owned(), r#type: Some(Type { tensor: Some(tensor) }) }
}

/// A field of a message: its number, its payload, and all of its bytes.
struct Part<'a> {
    number: u64,
    payload: &'a [u8],
    whole: &'a [u8],
}

/// The fields of a message in order; `None` where the bytes are no message.
fn parts(message: &[u8]) -> Option<Vec<Part<'_>>> {
    let (mut found, mut rest) = (Vec::new(), message);
    while !rest.is_empty() {
        let (key, after) = varint(rest)?;
        let (payload, next): (&[u8], &[u8]) = match key & 7 {
            0 => (&[], varint(after)?.1),
            1 => (&[], after.get(8..)?),
            2 => {
                let (length, body) = varint(after)?;
                let length = usize::try_from(length).ok()?;
                (body.get(..length)?, &body[length..])
            }
            5 => (&[], after.get(4..)?),
            _ => return None,
        };
        found.push(Part { number: key >> 3, payload, whole: &rest[..rest.len() - next.len()] });
        rest = next;
    }
    Some(found)
}

fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0_u64;
    for (at, byte) in bytes.iter().take(10).enumerate() {
        value |= u64::from(byte & 0x7F) << (7 * at);
        if byte & 0x80 == 0 {
            return Some((value, &bytes[at + 1..]));
        }
    }
    None
}

/// Appends a field of bytes.
fn put(out: &mut Vec<u8>, number: u64, payload: &[u8]) {
    for mut value in [(number << 3) | 2, payload.len() as u64] {
        while value >= 0x80 {
            out.push((value & 0x7F) as u8 | 0x80);
            value >>= 7;
        }
        out.push(value as u8);
    }
    out.extend_from_slice(payload);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn zipped(attribute: Attribute) -> Vec<u8> {
        let node = Node {
            input: vec!["probabilities".into()],
            output: vec!["output_probability".into()],
            op_type: "ZipMap".into(),
            attribute: vec![attribute],
            ..Node::default()
        };
        let value = Value { name: "output_probability".into(), r#type: None };
        let mut graph = Vec::new();
        put(&mut graph, field::GRAPH_NODE, &node.encode_to_vec());
        put(&mut graph, field::GRAPH_OUTPUT, &value.encode_to_vec());
        let mut model = vec![0x08, 0x08]; // ir_version 8
        put(&mut model, field::MODEL_GRAPH, &graph);
        model
    }

    #[test]
    fn the_map_becomes_a_tensor_of_the_same_name_with_its_keys_as_classes() {
        let ints = Attribute { name: "classlabels_int64s".into(), ints: vec![3, 5], ..Attribute::default() };
        let opened = open(&zipped(ints)).unwrap();
        assert_eq!(opened.classes, ["3", "5"]);
        let all = parts(&opened.model).unwrap();
        assert_eq!(all[0].whole, [0x08, 0x08]);
        let graph = parts(all[1].payload).unwrap();
        let node = Node::decode(graph[0].payload).unwrap();
        assert_eq!((node.op_type.as_str(), node.attribute.len()), ("Identity", 0));
        let value = Value::decode(graph[1].payload).unwrap();
        assert_eq!(value, scores("output_probability", 2));
    }

    #[test]
    fn what_is_no_such_model_stays_as_it_is() {
        assert_eq!(open(b"not a model"), None);
        assert_eq!(open(&zipped(Attribute::default())), None, "keys that nobody knows");
        assert_eq!(open(&[]), None);
    }
}
