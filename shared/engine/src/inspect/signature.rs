//! The signature that a graph declares.

use std::collections::BTreeSet;

use super::proto::{DimensionValue, GraphProto, TensorType, TypeValue, ValueInfoProto};
use super::{Finding, Limits};
use crate::signature::shown;
use crate::{DataType, Dim, MAX_RANK, ModelSignature, TensorSpec};

/// Reads inputs and outputs; what cannot be served is a finding (inputs) or a note (outputs beside others).
pub(super) fn read(
    graph: &GraphProto,
    limits: &Limits,
    findings: &mut Vec<Finding>,
) -> (ModelSignature, Vec<String>) {
    let initialized: BTreeSet<&str> = graph.initializer.iter().map(|tensor| tensor.name.as_str()).collect();
    let (mut signature, mut notes) = (ModelSignature::default(), Vec::new());
    for input in &graph.input {
        let spec = spec(input);
        if let Some(why) = spec.as_ref().ok().and_then(|spec| too_large(spec, limits)) {
            let at = format!("graph.input[{}]", shown(&input.name));
            findings.push(Finding { reason: "INPUT_SIZE".into(), at, why });
        }
        match spec {
            // Before IR 4 every initializer was listed as an input as well; it is a default, not a demand.
            Ok(spec) if initialized.contains(spec.name.as_str()) => signature.optional_inputs.push(spec),
            Ok(spec) => signature.inputs.push(spec),
            Err(why) => findings.push(Finding {
                reason: "UNSUPPORTED_INPUT".into(),
                at: format!("graph.input[{}]", shown(&input.name)),
                why,
            }),
        }
    }
    for output in &graph.output {
        match spec(output) {
            Ok(spec) => signature.outputs.push(spec),
            Err(why) => notes.push(format!("output {} is not offered: {why}", shown(&output.name))),
        }
    }
    if signature.outputs.is_empty() && !graph.output.is_empty() {
        findings.push(Finding {
            reason: "UNSUPPORTED_OUTPUT".into(),
            at: "graph.output".into(),
            why: notes.join(", "),
        });
    }
    (signature, notes)
}

/// Why no request could bring such an input: a size costs the file nothing, and whoever sends it gigabytes.
fn too_large(spec: &TensorSpec, limits: &Limits) -> Option<String> {
    let most = limits.input_bytes;
    let each = spec.datatype.size().unwrap_or(1) as u64;
    let mut fixed = spec.shape().into_iter().filter_map(|size| u64::try_from(size).ok());
    match fixed.try_fold(each, u64::checked_mul) {
        Some(bytes) if bytes <= most => None,
        Some(bytes) => Some(format!("{spec} is {bytes} bytes, at most {most} are taken")),
        None => Some(format!("the size of {spec} overflows 64 bits, at most {most} bytes are taken")),
    }
}

fn spec(value: &ValueInfoProto) -> Result<TensorSpec, String> {
    let tensor = match value.r#type.as_ref().and_then(|kind| kind.value.as_ref()) {
        Some(TypeValue::Tensor(tensor)) => tensor,
        Some(TypeValue::Sequence(_)) => return Err("a sequence, required a tensor".into()),
        Some(TypeValue::Map(_)) => return Err("a map, required a tensor".into()),
        Some(TypeValue::SparseTensor(_)) => return Err("a sparse tensor, required a dense one".into()),
        Some(TypeValue::Optional(_)) => return Err("an optional value, required a tensor".into()),
        None => return Err("no type, required a tensor".into()),
    };
    let datatype = DataType::from_onnx(tensor.elem_type)
        .ok_or_else(|| format!("element type {} is none of the protocol's", tensor.elem_type))?;
    Ok(TensorSpec { name: value.name.clone(), datatype, dims: dims(tensor)? })
}

fn dims(tensor: &TensorType) -> Result<Option<Vec<Dim>>, String> {
    let Some(shape) = &tensor.shape else { return Ok(None) };
    if shape.dim.len() > MAX_RANK {
        return Err(format!("{} dimensions, at most {MAX_RANK} are taken", shape.dim.len()));
    }
    let dim = |value: &Option<DimensionValue>| match value {
        // Exporters write -1 and 0 for "any" as well; neither is a size that a client could send on purpose.
        Some(DimensionValue::Value(size)) if *size > 0 => Dim::Fixed(*size),
        Some(DimensionValue::Param(name)) if !name.is_empty() => Dim::Symbol(name.clone()),
        _ => Dim::Any(()),
    };
    Ok(Some(shape.dim.iter().map(|d| dim(&d.value)).collect()))
}
