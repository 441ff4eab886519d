//! Three digests of a model: what it computes, with which weights, behind which interface (§6.4).
//!
//! A value is named by the hash of how it is made, so other names or another order of nodes change nothing. Weights
//! enter the topology by type and shape; their values have a digest of their own. Learned parameters that `ai.onnx.ml`
//! keeps in attributes (the nodes of a tree ensemble) are weights as well.

use std::collections::HashMap;

use prost::Message;
use sha2::{Digest, Sha256};

use super::proto::{AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto};
use super::structure::{self, Scope};
use crate::ModelSignature;

type Hash = [u8; 32];

pub(super) struct Digests {
    pub topology: String,
    pub weights: String,
    pub io: String,
}

pub(super) fn digest(model: &ModelProto, graph: &GraphProto, signature: &ModelSignature) -> Digests {
    let mut weights = Vec::new();
    let mut parts = vec![graph_hash(graph, None, &mut weights)];
    for function in &model.functions {
        let body = GraphProto { node: function.node.clone(), ..GraphProto::default() };
        let name = format!("{}\0{}", function.domain, function.name);
        parts.push(hash(&[b"function", name.as_bytes(), &graph_hash(&body, None, &mut weights)]));
    }
    let (first, rest) = parts.split_at_mut(1);
    rest.sort_unstable();
    weights.sort_unstable();
    let io: Vec<String> = [&signature.inputs, &signature.optional_inputs, &signature.outputs]
        .iter()
        .map(|specs| specs.iter().map(ToString::to_string).collect::<Vec<_>>().join("\0"))
        .collect();
    Digests {
        topology: text(&hash(&[&first[0], &rest.concat()])),
        weights: text(&hash(&[&weights.concat()])),
        io: text(&hash(&[io[0].as_bytes(), io[1].as_bytes(), io[2].as_bytes()])),
    }
}

/// Hash of a graph given the hashes of outer values; appends the hashes of its weights.
fn graph_hash<'a>(
    graph: &'a GraphProto,
    outer: Option<&Scope<'_, 'a, Hash>>,
    weights: &mut Vec<Hash>,
) -> Hash {
    let mut values = Scope::inside(outer);
    for (at, input) in graph.input.iter().enumerate() {
        let kind = input.r#type.as_ref().and_then(|kind| kind.value.as_ref());
        let element = match kind {
            Some(super::proto::TypeValue::Tensor(tensor)) => tensor.elem_type,
            _ => 0,
        };
        values.own.insert(&input.name, hash(&[b"input", &(at as u64).to_le_bytes(), &element.to_le_bytes()]));
    }
    for tensor in &graph.initializer {
        values.own.insert(&tensor.name, hash(&[b"weight", &shape_bytes(tensor)]));
    }
    let mut nodes = Vec::with_capacity(graph.node.len());
    // Which node reads a weight, and where: this tells two weights of one shape apart.
    let mut readers: HashMap<&str, Vec<Hash>> = HashMap::new();
    for at in order(graph) {
        let node = &graph.node[at];
        let made = node_hash(node, &values, weights);
        for (slot, input) in node.input.iter().enumerate() {
            readers.entry(input).or_default().push(hash(&[&made, &(slot as u64).to_le_bytes()]));
        }
        for (slot, output) in node.output.iter().enumerate().filter(|(_, name)| !name.is_empty()) {
            values.own.insert(output, hash(&[b"output", &made, &(slot as u64).to_le_bytes()]));
        }
        nodes.push(made);
    }
    nodes.sort_unstable();
    let mut places = Vec::with_capacity(graph.initializer.len());
    for tensor in &graph.initializer {
        let mut read = readers.remove(tensor.name.as_str()).unwrap_or_default();
        read.sort_unstable();
        let place = hash(&[&shape_bytes(tensor), &read.concat()]);
        weights.push(hash(&[&place, &value_hash(tensor)]));
        places.push(place);
    }
    places.sort_unstable();
    let outputs: Vec<Hash> =
        graph.output.iter().map(|output| values.get(&output.name).copied().unwrap_or_default()).collect();
    let sparse: Vec<Hash> = graph.sparse_initializer.iter().map(|s| hash(&[&s.encode_to_vec()])).collect();
    hash(&[b"graph", &outputs.concat(), &nodes.concat(), &places.concat(), &sparse.concat()])
}

fn node_hash<'a>(node: &'a NodeProto, values: &Scope<'_, 'a, Hash>, weights: &mut Vec<Hash>) -> Hash {
    let domain = if node.domain == "ai.onnx" { "" } else { &node.domain };
    let learned = domain == "ai.onnx.ml";
    let mut attributes: Vec<Hash> = Vec::with_capacity(node.attribute.len());
    let mut parameters: Vec<Hash> = Vec::new();
    for attribute in &node.attribute {
        attributes.push(attribute_hash(attribute, learned, values, &mut parameters, weights));
    }
    attributes.sort_unstable();
    let inputs: Vec<Hash> =
        node.input.iter().map(|name| values.get(name).copied().unwrap_or_default()).collect();
    let outputs = (node.output.len() as u64).to_le_bytes();
    let made = hash(&[
        b"node",
        domain.as_bytes(),
        node.op_type.as_bytes(),
        node.overload.as_bytes(),
        &attributes.concat(),
        &inputs.concat(),
        &outputs,
    ]);
    weights.extend(parameters.iter().map(|parameter| hash(&[&made, parameter])));
    made
}

/// Hash of an attribute without its learned values, which go to `parameters`.
fn attribute_hash<'a>(
    attribute: &'a AttributeProto,
    learned: bool,
    values: &Scope<'_, 'a, Hash>,
    parameters: &mut Vec<Hash>,
    weights: &mut Vec<Hash>,
) -> Hash {
    let name = attribute.name.as_bytes();
    let mut parts = vec![hash(&[name, &attribute.r#type.to_le_bytes(), attribute.ref_attr_name.as_bytes()])];
    for tensor in attribute.t.as_deref().into_iter().chain(&attribute.tensors) {
        parts.push(hash(&[b"tensor", &shape_bytes(tensor)]));
        parameters.push(hash(&[name, &value_hash(tensor)]));
    }
    for graph in attribute.g.as_deref().into_iter().chain(&attribute.graphs) {
        parts.push(graph_hash(graph, Some(values), weights));
    }
    let plain = AttributeProto {
        name: String::new(),
        t: None,
        tensors: Vec::new(),
        g: None,
        graphs: Vec::new(),
        ..attribute.clone()
    };
    let lists = !plain.floats.is_empty() || !plain.ints.is_empty() || !plain.strings.is_empty();
    if learned && lists {
        parameters.push(hash(&[name, &plain.encode_to_vec()]));
    } else {
        parts.push(hash(&[b"plain", &plain.encode_to_vec()]));
    }
    hash(&[&parts.concat()])
}

/// Nodes in an order in which every value is made before it is read (the file's own order may be another).
fn order(graph: &GraphProto) -> Vec<usize> {
    let mut writers = HashMap::new();
    for (at, node) in graph.node.iter().enumerate() {
        writers.extend(node.output.iter().filter(|name| !name.is_empty()).map(|name| (name.as_str(), at)));
    }
    let mut state = vec![0_u8; graph.node.len()];
    let mut sorted = Vec::with_capacity(graph.node.len());
    for start in 0..graph.node.len() {
        let mut stack = vec![start];
        while let Some(&at) = stack.last() {
            match state[at] {
                0 => {
                    state[at] = 1;
                    let needed = structure::reads(&graph.node[at]).filter_map(|name| writers.get(name));
                    stack.extend(needed.filter(|writer| state[**writer] == 0));
                }
                1 => {
                    state[at] = 2;
                    sorted.push(at);
                    stack.pop();
                }
                _ => {
                    stack.pop();
                }
            }
        }
    }
    sorted
}

fn shape_bytes(tensor: &TensorProto) -> Vec<u8> {
    let mut bytes = tensor.data_type.to_le_bytes().to_vec();
    bytes.extend(tensor.dims.iter().flat_map(|dim| dim.to_le_bytes()));
    bytes
}

fn value_hash(tensor: &TensorProto) -> Hash {
    if let Some(raw) = &tensor.raw_data {
        return hash(&[raw]);
    }
    // Typed fields hash as the raw bytes of the same values would, where one field entry is one element.
    let raw: Vec<u8> = match tensor.data_type {
        1 => tensor.float_data.iter().flat_map(|value| value.to_le_bytes()).collect(),
        6 => tensor.int32_data.iter().flat_map(|value| value.to_le_bytes()).collect(),
        7 => tensor.int64_data.iter().flat_map(|value| value.to_le_bytes()).collect(),
        11 => tensor.double_data.iter().flat_map(|value| value.to_le_bytes()).collect(),
        _ => TensorProto { name: String::new(), ..tensor.clone() }.encode_to_vec(),
    };
    hash(&[&raw])
}

/// SHA-256 of parts, each preceded by its length, so that no two lists of parts look alike.
fn hash(parts: &[&[u8]]) -> Hash {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    hasher.finalize().into()
}

fn text(hash: &Hash) -> String {
    format!("sha256:{}", hex::encode(hash))
}
