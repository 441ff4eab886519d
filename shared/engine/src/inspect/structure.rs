//! Whether the values of a graph are written once, known where they are read, and free of cycles.

use std::collections::{HashMap, HashSet, VecDeque};

use super::proto::{GraphProto, ModelProto, NodeProto};
use crate::signature::shown;

type Problem = (&'static str, String, String);

/// What is known of the values of a graph and of the graphs around it. A chain, never a copy: a graph with many
/// subgraphs must not cost the product of the two.
pub(super) struct Scope<'s, 'a, T> {
    pub own: HashMap<&'a str, T>,
    outer: Option<&'s Scope<'s, 'a, T>>,
}

impl<'s, 'a, T> Scope<'s, 'a, T> {
    pub fn inside(outer: Option<&'s Scope<'s, 'a, T>>) -> Self {
        Self { own: HashMap::new(), outer }
    }

    pub fn get(&self, name: &str) -> Option<&T> {
        let mut scope = self;
        loop {
            if let Some(found) = scope.own.get(name) {
                return Some(found);
            }
            scope = scope.outer?;
        }
    }
}

/// Checks one graph; `outer` holds the names of the graphs around it. Returns what its subgraphs may read.
pub(super) fn check<'s, 'a>(
    graph: &'a GraphProto,
    outer: Option<&'s Scope<'s, 'a, ()>>,
) -> (Scope<'s, 'a, ()>, Vec<Problem>) {
    let mut problems = Vec::new();
    let mut known: HashSet<&str> = HashSet::new();
    for input in &graph.input {
        if !known.insert(&input.name) {
            problems.push(duplicate("input", &input.name));
        }
    }
    let mut stored = HashSet::new();
    let sparse = graph.sparse_initializer.iter().filter_map(|sparse| sparse.values.as_ref());
    for tensor in graph.initializer.iter().chain(sparse) {
        if !stored.insert(tensor.name.as_str()) {
            problems.push(duplicate("initializer", &tensor.name));
        }
    }
    known.extend(stored);
    let mut writers: HashMap<&str, usize> = HashMap::new();
    for (at, node) in graph.node.iter().enumerate() {
        for output in node.output.iter().filter(|name| !name.is_empty()) {
            if known.contains(output.as_str()) || writers.insert(output, at).is_some() {
                problems.push(duplicate(&format!("node[{at}]"), output));
            }
        }
    }
    let mut all = Scope::inside(outer);
    all.own.extend(known.iter().chain(writers.keys()).map(|name| (*name, ())));
    for (at, node) in graph.node.iter().enumerate() {
        for input in node.input.iter().filter(|name| !name.is_empty() && all.get(name).is_none()) {
            let why = format!("it reads {}, which nothing produces", shown(input));
            problems.push(("UNDEFINED_VALUE", format!("node[{at}]"), why));
        }
    }
    for output in graph.output.iter().filter(|output| all.get(&output.name).is_none()) {
        let at = format!("output[{}]", shown(&output.name));
        problems.push(("UNDEFINED_VALUE", at, "nothing produces it".into()));
    }
    if problems.is_empty()
        && let Some(at) = cycle(graph, &writers)
    {
        problems.push(("CYCLE", format!("node[{at}]"), "it depends on its own output".into()));
    }
    (all, problems)
}

fn duplicate(at: &str, name: &str) -> Problem {
    ("DUPLICATE_VALUE", at.to_owned(), format!("{} is written more than once", shown(name)))
}

/// A node that never becomes ready when nodes run as soon as their inputs are there.
fn cycle(graph: &GraphProto, writers: &HashMap<&str, usize>) -> Option<usize> {
    let mut waiting = vec![0_usize; graph.node.len()];
    let mut readers: Vec<Vec<usize>> = vec![Vec::new(); graph.node.len()];
    for (at, node) in graph.node.iter().enumerate() {
        for writer in reads(node).filter_map(|name| writers.get(name)) {
            waiting[at] += 1;
            readers[*writer].push(at);
        }
    }
    let mut ready: VecDeque<usize> = (0..waiting.len()).filter(|at| waiting[*at] == 0).collect();
    while let Some(at) = ready.pop_front() {
        for &reader in &readers[at] {
            waiting[reader] -= 1;
            if waiting[reader] == 0 {
                ready.push_back(reader);
            }
        }
    }
    waiting.iter().position(|count| *count > 0)
}

/// Names that a node reads, those that its subgraphs take from outside included.
pub(super) fn reads(node: &NodeProto) -> impl Iterator<Item = &str> {
    let mut names: Vec<&str> =
        node.input.iter().filter(|name| !name.is_empty()).map(String::as_str).collect();
    for attribute in &node.attribute {
        for graph in attribute.g.as_deref().into_iter().chain(&attribute.graphs) {
            names.extend(free_names(graph));
        }
    }
    names.into_iter()
}

fn free_names(graph: &GraphProto) -> Vec<&str> {
    let mut own: HashSet<&str> = graph.input.iter().map(|value| value.name.as_str()).collect();
    own.extend(graph.initializer.iter().map(|tensor| tensor.name.as_str()));
    own.extend(graph.node.iter().flat_map(|node| node.output.iter().map(String::as_str)));
    let read = graph.node.iter().flat_map(reads);
    let given = graph.output.iter().map(|output| output.name.as_str());
    read.chain(given).filter(|name| !own.contains(name)).collect()
}

/// Nodes once every call of the model's own functions is expanded; `None` if a function calls itself.
pub(super) fn expanded_nodes(model: &ModelProto) -> Option<u64> {
    let functions: HashMap<_, _> =
        model.functions.iter().map(|f| ((f.domain.as_str(), f.name.as_str()), &f.node[..])).collect();
    let mut sizes = HashMap::new();
    model.graph.as_ref().map_or(Some(0), |graph| size(&graph.node, &functions, &mut sizes, 0))
}

type Key<'a> = (&'a str, &'a str);

fn size<'a>(
    nodes: &'a [NodeProto],
    functions: &HashMap<Key<'a>, &'a [NodeProto]>,
    sizes: &mut HashMap<Key<'a>, Option<u64>>,
    depth: usize,
) -> Option<u64> {
    // Deeper than any honest exporter goes, and far from the end of the stack.
    if depth > 128 {
        return None;
    }
    let mut total = 0_u64;
    for node in nodes {
        total = total.saturating_add(1);
        let key = (node.domain.as_str(), node.op_type.as_str());
        if let Some(body) = functions.get(&key) {
            let known = sizes.get(&key).copied();
            let inner = match known {
                Some(known) => known?,
                None => {
                    sizes.insert(key, None); // seen again before it is known: it calls itself
                    let inner = size(body, functions, sizes, depth + 1)?;
                    sizes.insert(key, Some(inner));
                    inner
                }
            };
            total = total.saturating_add(inner);
        }
        for attribute in &node.attribute {
            for graph in attribute.g.as_deref().into_iter().chain(&attribute.graphs) {
                total = total.saturating_add(size(&graph.node, functions, sizes, depth + 1)?);
            }
        }
    }
    Some(total)
}
