//! Goes through every part of a model, subgraphs, functions and training graphs included, and notes what is wrong.

use std::collections::{BTreeMap, HashMap};

use super::proto::{
    AttributeProto, FunctionProto, GraphProto, ModelProto, NodeProto, SparseTensorProto, TensorProto,
};
use super::structure::Scope;
use super::{Finding, Limits, is_invisible, structure, tensors};
use crate::signature::shown;

/// More findings than this tell nobody more.
const MAX_FINDINGS: usize = 100;

/// Different operators that are noted.
pub(crate) const MOST_OPERATORS: usize = 1024;

/// Operators that read other files or run foreign code, whatever their domain is.
const FORBIDDEN: [&str; 5] = ["EPContext", "PythonOp", "PythonOpGrad", "PyOp", "ATen"];

pub(super) struct Walk<'a> {
    model: &'a ModelProto,
    limits: &'a Limits,
    functions: HashMap<(&'a str, &'a str), &'a FunctionProto>,
    pub findings: Vec<Finding>,
    pub nodes: u64,
    pub operators: BTreeMap<String, u64>,
    pub parameters: u64,
}

impl<'a> Walk<'a> {
    pub fn new(model: &'a ModelProto, limits: &'a Limits) -> Self {
        let functions = model.functions.iter().map(|f| ((f.domain.as_str(), f.name.as_str()), f)).collect();
        let (findings, operators) = (Vec::new(), BTreeMap::new());
        Self { model, limits, functions, findings, nodes: 0, operators, parameters: 0 }
    }

    pub fn refuse(&mut self, reason: &'static str, at: impl Into<String>, why: impl Into<String>) {
        if self.findings.len() < MAX_FINDINGS {
            self.findings.push(Finding { reason: reason.into(), at: at.into(), why: why.into() });
        }
    }

    pub fn model(&mut self) {
        let model = self.model;
        self.metadata();
        for set in &model.opset_import {
            self.name(&set.domain, "opset_import", self.limits.name_bytes);
            if set.version < 1 {
                self.refuse("OPSET", "opset_import", format!("version {}, required > 0", set.version));
            }
        }
        match &model.graph {
            None => self.refuse("NO_GRAPH", "model", "there is no graph"),
            Some(graph) => {
                if graph.output.is_empty() {
                    self.refuse("NO_OUTPUTS", "graph", "the graph has no outputs, required at least one");
                }
                for value in graph.input.iter().chain(&graph.output) {
                    self.io_name(&value.name);
                }
                self.graph(graph, "graph", None);
            }
        }
        for (at, function) in model.functions.iter().enumerate() {
            self.function(function, at);
        }
        for (at, info) in model.training_info.iter().enumerate() {
            for graph in [&info.initialization, &info.algorithm].into_iter().flatten() {
                // Training graphs see names of the main graph; only their parts are judged, not their connections.
                self.parts(graph, &format!("training_info[{at}]"));
            }
        }
        let expanded = structure::expanded_nodes(model);
        match expanded {
            None => self.refuse("RECURSIVE_FUNCTION", "functions", "a function calls itself"),
            Some(nodes) if nodes > self.limits.nodes => {
                let why = format!(
                    "{nodes} nodes once functions are expanded, at most {} are taken",
                    self.limits.nodes
                );
                self.refuse("TOO_MANY_NODES", "graph", why);
            }
            Some(_) => {}
        }
    }

    fn metadata(&mut self) {
        let model = self.model;
        let entries = model.metadata_props.iter().map(|entry| entry.key.len() + entry.value.len());
        let text = [&model.producer_name, &model.producer_version, &model.domain, &model.doc_string];
        let bytes = entries.sum::<usize>() + text.iter().map(|text| text.len()).sum::<usize>();
        if bytes > self.limits.metadata_bytes {
            let why = format!("{bytes} bytes of metadata, at most {} are taken", self.limits.metadata_bytes);
            self.refuse("METADATA_TOO_LARGE", "metadata_props", why);
        }
    }

    fn graph(&mut self, graph: &'a GraphProto, path: &str, outer: Option<&Scope<'_, 'a, ()>>) {
        self.parts(graph, path);
        let (visible, problems) = structure::check(graph, outer);
        for (reason, at, why) in problems {
            self.refuse(reason, format!("{path}.{at}"), why);
        }
        for (at, node) in graph.node.iter().enumerate() {
            for attribute in &node.attribute {
                for inner in attribute.g.as_deref().into_iter().chain(&attribute.graphs) {
                    self.graph(
                        inner,
                        &format!("{path}.node[{at}].{}", shown(&attribute.name)),
                        Some(&visible),
                    );
                }
            }
        }
    }

    /// Everything of a graph but its connections; its subgraphs' parts come with [`Self::graph`] for graphs that are
    /// connected, and from here for training graphs and functions.
    fn parts(&mut self, graph: &'a GraphProto, path: &str) {
        for tensor in &graph.initializer {
            self.name(&tensor.name, &format!("{path}.initializer"), self.limits.inner_name_bytes);
            self.tensor(tensor, &format!("{path}.initializer[{}]", shown(&tensor.name)));
            let elements = tensors::elements(&tensor.dims).unwrap_or(0);
            self.parameters = self.parameters.saturating_add(elements);
        }
        for sparse in &graph.sparse_initializer {
            self.sparse(sparse, &format!("{path}.sparse_initializer"));
        }
        for value in graph.input.iter().chain(&graph.output).chain(&graph.value_info) {
            self.name(&value.name, path, self.limits.inner_name_bytes);
        }
        for (at, node) in graph.node.iter().enumerate() {
            self.node(node, &format!("{path}.node[{at}]"));
        }
    }

    fn function(&mut self, function: &'a FunctionProto, at: usize) {
        let path = format!("functions[{at}]");
        self.name(&function.domain, &path, self.limits.name_bytes);
        self.name(&function.name, &path, self.limits.name_bytes);
        for attribute in &function.attribute_proto {
            self.attribute(attribute, &path);
        }
        for (at, node) in function.node.iter().enumerate() {
            let path = format!("{path}.node[{at}]");
            self.node(node, &path);
            self.inner_graphs(node, &path);
        }
    }

    fn inner_graphs(&mut self, node: &'a NodeProto, path: &str) {
        for attribute in &node.attribute {
            for inner in attribute.g.as_deref().into_iter().chain(&attribute.graphs) {
                self.parts(inner, path);
                for node in &inner.node {
                    self.inner_graphs(node, path);
                }
            }
        }
    }

    fn node(&mut self, node: &'a NodeProto, path: &str) {
        self.nodes += 1;
        for name in node.input.iter().chain(&node.output).chain([&node.name]) {
            self.name(name, path, self.limits.inner_name_bytes);
        }
        self.name(&node.op_type, path, self.limits.name_bytes);
        self.name(&node.domain, path, self.limits.name_bytes);
        let own = self.functions.contains_key(&(node.domain.as_str(), node.op_type.as_str()));
        let known = self.limits.domains.contains(&node.domain);
        let operator = if matches!(node.domain.as_str(), "" | "ai.onnx") {
            shown(&node.op_type)
        } else {
            format!("{}.{}", shown(&node.domain), shown(&node.op_type))
        };
        if !own && !known {
            self.refuse(
                "CUSTOM_DOMAIN",
                path,
                format!("operator {operator} is of a domain that is not served"),
            );
        }
        if !own && FORBIDDEN.contains(&node.op_type.as_str()) {
            let why = format!("operator {operator} reads other files or runs foreign code");
            self.refuse("FORBIDDEN_OPERATOR", path, why);
        }
        if self.operators.len() < MOST_OPERATORS || self.operators.contains_key(&operator) {
            *self.operators.entry(operator).or_default() += 1;
        }
        for attribute in &node.attribute {
            self.attribute(attribute, path);
        }
    }

    fn attribute(&mut self, attribute: &AttributeProto, path: &str) {
        self.name(&attribute.name, path, self.limits.inner_name_bytes);
        let path = format!("{path}.{}", shown(&attribute.name));
        for tensor in attribute.t.as_deref().into_iter().chain(&attribute.tensors) {
            self.tensor(tensor, &path);
        }
        for sparse in attribute.sparse_tensor.as_deref().into_iter().chain(&attribute.sparse_tensors) {
            self.sparse(sparse, &path);
        }
    }

    fn tensor(&mut self, tensor: &TensorProto, path: &str) {
        if tensor.data_location != 0 || !tensor.external_data.is_empty() {
            self.refuse(
                "EXTERNAL_DATA",
                path,
                "the tensor's values lie in another file, required inside the model",
            );
            return;
        }
        if let Err(why) = tensors::check(tensor) {
            self.refuse("TENSOR_SIZE", path, why);
        }
    }

    fn sparse(&mut self, sparse: &SparseTensorProto, path: &str) {
        for tensor in [&sparse.values, &sparse.indices].into_iter().flatten() {
            self.tensor(tensor, path);
        }
        // It becomes dense when it is loaded: eight bytes an element are the most that one takes.
        let dense = tensors::elements(&sparse.dims).and_then(|count| count.checked_mul(8));
        if dense.is_none_or(|bytes| bytes > self.limits.dense_bytes) {
            let why =
                format!("a sparse tensor of more than {} bytes once it is dense", self.limits.dense_bytes);
            self.refuse("TENSOR_SIZE", path, why);
        }
    }

    fn io_name(&mut self, name: &str) {
        if name.is_empty() {
            self.refuse("NAME", "graph", "an input or output has no name");
        }
        self.name(name, "graph", self.limits.name_bytes);
    }

    fn name(&mut self, name: &str, at: &str, limit: usize) {
        if name.len() > limit {
            let why = format!("{} has {} bytes, at most {limit} are taken", shown(name), name.len());
            self.refuse("NAME", at, why);
        } else if name.chars().any(|c| c.is_control() || is_invisible(c)) {
            let why = format!("{} has control, invisible or direction-changing characters", shown(name));
            self.refuse("NAME", at, why);
        }
    }
}
