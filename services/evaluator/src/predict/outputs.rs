//! Which outputs hold labels, scores and numbers, and their elements by row.

use super::Raw;
use super::classes::plain;
use crate::{Error, plan::Plan, table::number_text};
use engine::{DataType, Dim, ModelSignature, Tensor, TensorSpec};

/// Names of the outputs that are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outputs {
    label: Option<String>,
    scores: Option<String>,
    value: Option<String>,
}

fn is_float(datatype: DataType) -> bool {
    matches!(datatype, DataType::Fp16 | DataType::Bf16 | DataType::Fp32 | DataType::Fp64)
}

/// Whether an output has one element for each row, as far as its shape tells.
fn is_single(spec: &TensorSpec) -> bool {
    spec.shape().iter().skip(1).all(|size| *size == 1)
}

/// Elements of a row where the shape says so.
fn row_width(spec: &TensorSpec) -> Option<i64> {
    match spec.dims.as_deref()? {
        [_, rest @ ..] if !rest.is_empty() => {
            let sizes = rest.iter().map(|dim| if let Dim::Fixed(size) = dim { Some(*size) } else { None });
            sizes.product()
        }
        _ => None,
    }
}

impl Outputs {
    /// As the interface says; otherwise the first whole-number or text output is the label, and of the float outputs with
    /// columns the first that has one for each of `classes` holds the scores, else the first.
    ///
    /// # Errors
    /// [`Error::DoesNotFit`] where an output is named that is not there, or none can be read.
    pub fn resolve(signature: &ModelSignature, plan: &Plan, classes: usize) -> Result<Self, Error> {
        let given = || signature.outputs.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        for (field, name) in [("label_output", &plan.label_output), ("score_output", &plan.score_output)] {
            if !name.is_empty() && signature.output(name).is_none() {
                return Err(Error::unfit(
                    format!("{field} {name:?}"),
                    format!("the model gives {}", given()),
                ));
            }
        }
        let first = |wanted: &dyn Fn(&TensorSpec) -> bool| {
            signature.outputs.iter().find(|spec| wanted(spec)).map(|spec| spec.name.clone())
        };
        let or =
            |name: &str, found: Option<String>| if name.is_empty() { found } else { Some(name.to_owned()) };
        if !plan.classifies() {
            let value = or(&plan.label_output, None)
                .or_else(|| or(&plan.score_output, first(&|spec| is_float(spec.datatype) && is_single(spec))))
                .or_else(|| first(&|spec| is_float(spec.datatype)))
                .or_else(|| first(&|spec| spec.datatype != DataType::Bytes && is_single(spec)));
            let value = value.ok_or_else(|| {
                Error::unfit("outputs", format!("none is a number; the model gives {}", given()))
            })?;
            return Ok(Self { label: None, scores: None, value: Some(value) });
        }
        let label = or(&plan.label_output, first(&|spec| !is_float(spec.datatype) && is_single(spec)));
        let other = |spec: &TensorSpec| is_float(spec.datatype) && label.as_ref() != Some(&spec.name);
        let wide = |spec: &TensorSpec| other(spec) && spec.dims.as_ref().is_none_or(|dims| dims.len() >= 2);
        let fits = |spec: &TensorSpec| wide(spec) && row_width(spec) == i64::try_from(classes).ok();
        let scores = or(&plan.score_output, first(&fits).or_else(|| first(&wide)))
            .or_else(|| first(&|spec| label.is_none() && other(spec)));
        if label.is_none() && scores.is_none() {
            let why = format!(
                "none is a label or a tensor of scores; the model gives {}",
                if signature.outputs.is_empty() { "no tensor".to_owned() } else { given() }
            );
            return Err(Error::unfit("outputs", why));
        }
        Ok(Self { label, scores, value: None })
    }

    /// Names to ask the model for.
    pub fn names(&self) -> Vec<String> {
        [&self.label, &self.scores, &self.value].into_iter().flatten().cloned().collect()
    }

    /// Whether an output holds labels.
    pub fn labelled(&self) -> bool {
        self.label.is_some()
    }

    /// The output of the scores.
    pub fn score_name(&self) -> &str {
        self.scores.as_deref().unwrap_or_default()
    }

    /// Reads the first `rows` answers of a run that brought `batch` rows.
    ///
    /// # Errors
    /// [`Error::DoesNotFit`] where an output has not one row for each row of the input.
    pub fn read(&self, tensors: &[Tensor], rows: usize, batch: usize) -> Result<Vec<Raw>, Error> {
        let find = |name: &Option<String>| {
            name.as_ref().and_then(|name| tensors.iter().find(|one| one.name() == name))
        };
        if let Some(tensor) = find(&self.value) {
            let values = numbers(tensor)?;
            let width = width(tensor, batch)?;
            return Ok(values.chunks(width.max(1)).take(rows).map(|row| Raw::Value(row[0])).collect());
        }
        let scores = match find(&self.scores) {
            Some(tensor) => {
                let width = width(tensor, batch)?;
                numbers(tensor)?.chunks(width).take(rows).map(<[f64]>::to_vec).collect()
            }
            None => vec![Vec::new(); rows],
        };
        let labels = match find(&self.label) {
            Some(tensor) => label_rows(tensor, rows, batch)?.into_iter().map(Some).collect(),
            None => vec![None; rows],
        };
        Ok(labels.into_iter().zip(scores).map(|(label, scores)| Raw::Class { label, scores }).collect())
    }
}

fn width(tensor: &Tensor, batch: usize) -> Result<usize, Error> {
    let count = tensor.len();
    if batch > 0 && count.is_multiple_of(batch) && count > 0 {
        return Ok(count / batch);
    }
    let why = format!("{count} elements of shape {:?} for {batch} rows", tensor.shape());
    Err(Error::unfit(format!("output {}", tensor.name()), why))
}

fn numbers(tensor: &Tensor) -> Result<Vec<f64>, Error> {
    tensor.to_f64().map_err(|why| Error::unfit(format!("output {}", tensor.name()), why.to_string()))
}

/// Labels in the form of [`plain`].
fn label_rows(tensor: &Tensor, rows: usize, batch: usize) -> Result<Vec<String>, Error> {
    let width = width(tensor, batch)?;
    if tensor.datatype() == DataType::Bytes {
        let elements = tensor.elements().map_err(|why| Error::unfit("label output", why.to_string()))?;
        let label = |row: &[bytes::Bytes]| plain(&String::from_utf8_lossy(&row[0]));
        return Ok(elements.chunks(width).take(rows).map(label).collect());
    }
    let truth_value = tensor.datatype() == DataType::Bool;
    let label = |row: &[f64]| match (truth_value, row[0] == 0.0) {
        (true, true) => "false".to_owned(),
        (true, false) => "true".to_owned(),
        (false, _) => number_text(row[0]),
    };
    Ok(numbers(tensor)?.chunks(width).take(rows).map(label).collect())
}
