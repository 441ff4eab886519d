//! What a model takes and gives, and whether tensors or another signature fit it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::{DataType, Tensor};

/// Outputs of a model that a refusal names.
const MOST_NAMED: usize = 8;

/// One dimension of a [`TensorSpec`].
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Dim {
    /// Always this size.
    Fixed(i64),
    /// Any size, but the same wherever the name stands in one request.
    Symbol(String),
    /// Any size.
    Any(()),
}

impl Dim {
    /// The size, or -1 for any (the protocol's metadata form).
    pub fn as_i64(&self) -> i64 {
        match self {
            Self::Fixed(size) => *size,
            Self::Symbol(_) | Self::Any(()) => -1,
        }
    }

    fn is_fixed(&self) -> bool {
        matches!(self, Self::Fixed(_))
    }
}

impl std::fmt::Display for Dim {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Fixed(size) => write!(f, "{size}"),
            Self::Symbol(name) => f.write_str(name),
            Self::Any(()) => f.write_str("?"),
        }
    }
}

/// Name, type and shape of one input or output.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TensorSpec {
    /// Name in the graph.
    pub name: String,
    /// Element type.
    pub datatype: DataType,
    /// Dimensions; `None` if the model declares no rank.
    pub dims: Option<Vec<Dim>>,
}

impl TensorSpec {
    /// The dimensions with -1 for any size; empty if the rank is unknown.
    pub fn shape(&self) -> Vec<i64> {
        self.dims.iter().flatten().map(Dim::as_i64).collect()
    }
}

impl std::fmt::Display for TensorSpec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.name, self.datatype)?;
        match &self.dims {
            None => f.write_str("[..]"),
            Some(dims) => {
                let dims: Vec<_> = dims.iter().map(ToString::to_string).collect();
                write!(f, "[{}]", dims.join(","))
            }
        }
    }
}

/// What a model takes and gives, in graph order.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct ModelSignature {
    /// Inputs that every request must bring.
    pub inputs: Vec<TensorSpec>,
    /// Inputs with a default inside the model, which a request may bring.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub optional_inputs: Vec<TensorSpec>,
    /// Tensor outputs.
    pub outputs: Vec<TensorSpec>,
}

/// One wrong field of a request, as `google.rpc.BadRequest` names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldError {
    /// `inputs[name].shape`, `outputs[name]`.
    pub field: String,
    /// What is required and what was observed.
    pub description: String,
}

impl std::fmt::Display for FieldError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.field, self.description)
    }
}

/// What a request says of one input; what could not be read is `None` and not checked.
#[derive(Debug, Clone, Copy)]
pub struct Declared<'a> {
    /// Name of the input.
    pub name: &'a str,
    /// Element type.
    pub datatype: Option<DataType>,
    /// Dimensions.
    pub shape: Option<&'a [i64]>,
}

impl<'a> From<&'a Tensor> for Declared<'a> {
    fn from(tensor: &'a Tensor) -> Self {
        Self { name: tensor.name(), datatype: Some(tensor.datatype()), shape: Some(tensor.shape()) }
    }
}

/// How a newer signature relates to an older one (§6.4: an incompatible signature is a major version).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Compatibility {
    /// Equal.
    Same,
    /// Every request that fitted the older one fits the newer one and finds its outputs.
    Compatible(Vec<String>),
    /// Some request that fitted no longer does; each difference.
    Breaking(Vec<String>),
}

impl ModelSignature {
    /// The spec of an input, required or optional.
    pub fn input(&self, name: &str) -> Option<&TensorSpec> {
        self.inputs.iter().chain(&self.optional_inputs).find(|spec| spec.name == name)
    }

    /// The spec of an output.
    pub fn output(&self, name: &str) -> Option<&TensorSpec> {
        self.outputs.iter().find(|spec| spec.name == name)
    }

    /// Checks a request: names, types, ranks, fixed and symbolic sizes, requested outputs (empty is "all").
    ///
    /// # Errors
    /// Every wrong field, none left out.
    pub fn check(&self, inputs: &[Tensor], outputs: &[String]) -> Result<(), Vec<FieldError>> {
        let wrong = self.faults(inputs.iter().map(Declared::from), outputs);
        if wrong.is_empty() { Ok(()) } else { Err(wrong) }
    }

    /// [`ModelSignature::check`] of a request of which not everything could be read: every wrong field of what could.
    pub fn faults<'a>(
        &self,
        inputs: impl IntoIterator<Item = Declared<'a>>,
        outputs: &[String],
    ) -> Vec<FieldError> {
        let mut wrong = Vec::new();
        let mut seen = BTreeSet::new();
        let mut symbols = BTreeMap::new();
        for input in inputs {
            let field = format!("inputs[{}]", shown(input.name));
            if !seen.insert(input.name) {
                wrong.push(FieldError { field, description: "given more than once".into() });
                continue;
            }
            match self.input(input.name) {
                // What it has is named by those that are missing.
                None => {
                    wrong.push(FieldError { field, description: "the model has no such input".into() });
                }
                Some(spec) => spec.check(input, &field, &mut symbols, &mut wrong),
            }
        }
        for spec in &self.inputs {
            if !seen.contains(spec.name.as_str()) {
                wrong.push(FieldError {
                    field: format!("inputs[{}]", shown(&spec.name)),
                    description: format!("missing, required {spec}"),
                });
            }
        }
        let unknown = outputs.iter().filter(|name| self.output(name).is_none());
        for (at, name) in unknown.enumerate() {
            let mut description = "the model has no such output".to_owned();
            if at == 0 {
                let known: Vec<_> =
                    self.outputs.iter().take(MOST_NAMED).map(|spec| shown(&spec.name)).collect();
                let more = if self.outputs.len() > MOST_NAMED { ", ..." } else { "" };
                description = format!("{description}, it has {}{more}", known.join(", "));
            }
            wrong.push(FieldError { field: format!("outputs[{}]", shown(name)), description });
        }
        wrong
    }

    /// Compares with an older signature, from the view of a client of the older one.
    pub fn compare(&self, older: &Self) -> Compatibility {
        if self == older {
            return Compatibility::Same;
        }
        let (mut breaking, mut harmless) = (Vec::new(), Vec::new());
        for spec in older.inputs.iter().chain(&older.optional_inputs) {
            match self.input(&spec.name) {
                None => breaking.push(format!("input {spec} is gone")),
                Some(now) if !now.accepts(spec) => breaking.push(format!("input {spec} is now {now}")),
                Some(now) if now != spec => harmless.push(format!("input {spec} is now {now}")),
                Some(_) => {}
            }
        }
        for spec in &self.inputs {
            if !older.inputs.iter().any(|known| known.name == spec.name) {
                breaking.push(format!("input {spec} is now required"));
            }
        }
        for spec in &older.outputs {
            match self.output(&spec.name) {
                None => breaking.push(format!("output {spec} is gone")),
                Some(now) if !spec.accepts(now) => breaking.push(format!("output {spec} is now {now}")),
                Some(now) if now != spec => harmless.push(format!("output {spec} is now {now}")),
                Some(_) => {}
            }
        }
        for spec in self.outputs.iter().filter(|spec| older.output(&spec.name).is_none()) {
            harmless.push(format!("output {spec} is new"));
        }
        for spec in self.optional_inputs.iter().filter(|spec| older.input(&spec.name).is_none()) {
            harmless.push(format!("optional input {spec} is new"));
        }
        if breaking.is_empty() {
            Compatibility::Compatible(harmless)
        } else {
            Compatibility::Breaking(breaking)
        }
    }
}

impl TensorSpec {
    /// Whether every tensor of `other` is one of `self` (symbols count as any size).
    fn accepts(&self, other: &Self) -> bool {
        if self.datatype != other.datatype {
            return false;
        }
        match (&self.dims, &other.dims) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(wide), Some(narrow)) => {
                wide.len() == narrow.len() && wide.iter().zip(narrow).all(|(w, n)| !w.is_fixed() || w == n)
            }
        }
    }

    fn check<'a>(
        &'a self,
        given: Declared<'_>,
        field: &str,
        symbols: &mut BTreeMap<&'a str, i64>,
        wrong: &mut Vec<FieldError>,
    ) {
        if let Some(datatype) = given.datatype.filter(|datatype| *datatype != self.datatype) {
            wrong.push(FieldError {
                field: format!("{field}.datatype"),
                description: format!("{datatype}, required {}", self.datatype),
            });
        }
        let (Some(dims), Some(shape)) = (&self.dims, given.shape) else { return };
        let refuse = |why: String| FieldError { field: format!("{field}.shape"), description: why };
        if shape.len() != dims.len() {
            let rank = shape.len();
            wrong.push(refuse(format!("{shape:?} has {rank} dimensions, required {self}")));
            return;
        }
        for (at, (dim, &size)) in dims.iter().zip(shape).enumerate() {
            let required = match dim {
                Dim::Fixed(required) => *required,
                Dim::Symbol(name) => *symbols.entry(name).or_insert(size),
                Dim::Any(()) => size,
            };
            if required != size {
                wrong.push(refuse(format!("dimension {at} is {size}, required {required} ({self})")));
            }
        }
    }
}

/// A name as it may be echoed: short, and without characters that change what a terminal or page shows.
pub(crate) fn shown(name: &str) -> String {
    let mut out: String = name.chars().take(64).flat_map(escaped).collect();
    if name.chars().count() > 64 {
        out.push_str("...");
    }
    out
}

fn escaped(c: char) -> Vec<char> {
    let plain = !c.is_control() && !crate::inspect::is_invisible(c) && !matches!(c, '<' | '>');
    if plain { vec![c] } else { c.escape_unicode().collect() }
}
