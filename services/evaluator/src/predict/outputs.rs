//! Which outputs hold labels and scores, and what they say.

use super::Answer;
use crate::{Error, plan::Plan};
use engine::{DataType, ModelSignature, Tensor, TensorSpec};

/// The classes of a task: the model's names, then labels that only the data has.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Classes {
    names: Vec<String>,
    of_model: usize,
}

impl Classes {
    /// The model's classes if they are named; otherwise the data's labels in ascending order (numbers by their value),
    /// which is how scikit-learn numbers them.
    pub fn new(named: &[String], truth: &[String]) -> Self {
        let mut seen: Vec<String> = truth.to_vec();
        seen.sort_by(|a, b| match (a.parse::<f64>(), b.parse::<f64>()) {
            (Ok(x), Ok(y)) => x.total_cmp(&y),
            _ => a.cmp(b),
        });
        seen.dedup();
        if named.is_empty() {
            return Self { of_model: seen.len(), names: seen };
        }
        let mut classes = Self { names: named.to_vec(), of_model: named.len() };
        let strange: Vec<String> = seen.into_iter().filter(|label| classes.index(label).is_none()).collect();
        classes.names.extend(strange);
        classes
    }

    /// Number of classes.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// How many of them the model knows: its score columns.
    pub fn of_model(&self) -> usize {
        self.of_model
    }

    /// The names in order.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The class that a label means: its name, or the index of one of the model's where no class has that name.
    pub fn index(&self, label: &str) -> Option<usize> {
        let by_name = self.names.iter().position(|name| name == label);
        by_name.or_else(|| label.parse::<usize>().ok().filter(|at| *at < self.of_model))
    }
}

/// How to read the outputs.
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

impl Outputs {
    /// As the interface says; otherwise the first whole-number or text output is the label, the first
    /// two-dimensional float output the scores.
    ///
    /// # Errors
    /// [`Error::DoesNotFit`] where an output is named that is not there, or none can be read.
    pub fn resolve(signature: &ModelSignature, plan: &Plan) -> Result<Self, Error> {
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
                .or_else(|| first(&|spec| is_float(spec.datatype)));
            let value = value.ok_or_else(|| {
                Error::unfit("outputs", format!("none is a number; the model gives {}", given()))
            })?;
            return Ok(Self { label: None, scores: None, value: Some(value) });
        }
        let label = or(&plan.label_output, first(&|spec| !is_float(spec.datatype) && is_single(spec)));
        let wide = |spec: &TensorSpec| {
            is_float(spec.datatype) && spec.dims.as_ref().is_none_or(|dims| dims.len() >= 2)
        };
        let scores = or(&plan.score_output, first(&wide))
            .or_else(|| first(&|spec| label.is_none() && is_float(spec.datatype)));
        if label.is_none() && scores.is_none() {
            let why = format!(
                "none is a label or a tensor of scores (the model gives {}); sequences of maps (ZipMap) are not read: export the model without them",
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

    /// Whether classes come with scores.
    pub fn scored(&self) -> bool {
        self.scores.is_some()
    }

    /// Reads the first `rows` answers of a run that brought `batch` rows.
    ///
    /// # Errors
    /// [`Error::DoesNotFit`] where an output has not one row for each row of the input.
    pub fn read(
        &self,
        tensors: &[Tensor],
        rows: usize,
        batch: usize,
        classes: &Classes,
    ) -> Result<Vec<Answer>, Error> {
        let find = |name: &Option<String>| {
            name.as_ref().and_then(|name| tensors.iter().find(|one| one.name() == name))
        };
        if let Some(tensor) = find(&self.value) {
            let values = numbers(tensor)?;
            let width = width(tensor, batch)?;
            return Ok(values.chunks(width.max(1)).take(rows).map(|row| Answer::Value(row[0])).collect());
        }
        let scores = match find(&self.scores) {
            Some(tensor) => score_rows(tensor, rows, batch)?,
            None => vec![Vec::new(); rows],
        };
        let labels = match find(&self.label) {
            Some(tensor) => label_rows(tensor, rows, batch, classes)?,
            None => scores.iter().map(|row| best(row).unwrap_or(classes.len())).collect(),
        };
        Ok(labels.into_iter().zip(scores).map(|(class, scores)| Answer::Class { class, scores }).collect())
    }
}

fn width(tensor: &Tensor, batch: usize) -> Result<usize, Error> {
    let count = tensor.len();
    if batch > 0 && count % batch == 0 && count > 0 {
        return Ok(count / batch);
    }
    let why = format!("{count} elements of shape {:?} for {batch} rows", tensor.shape());
    Err(Error::unfit(format!("output {}", tensor.name()), why))
}

fn numbers(tensor: &Tensor) -> Result<Vec<f64>, Error> {
    tensor.to_f64().map_err(|why| Error::unfit(format!("output {}", tensor.name()), why.to_string()))
}

/// Scores by row; a single column is the probability of the second of two classes.
fn score_rows(tensor: &Tensor, rows: usize, batch: usize) -> Result<Vec<Vec<f64>>, Error> {
    let width = width(tensor, batch)?;
    let values = numbers(tensor)?;
    let row = |row: &[f64]| if let [one] = row { vec![1.0 - one, *one] } else { row.to_vec() };
    Ok(values.chunks(width).take(rows).map(row).collect())
}

fn label_rows(tensor: &Tensor, rows: usize, batch: usize, classes: &Classes) -> Result<Vec<usize>, Error> {
    let width = width(tensor, batch)?;
    let strange = classes.len();
    if tensor.datatype() == DataType::Bytes {
        let elements = tensor.elements().map_err(|why| Error::unfit("label output", why.to_string()))?;
        let class =
            |row: &[bytes::Bytes]| classes.index(&String::from_utf8_lossy(&row[0])).unwrap_or(strange);
        return Ok(elements.chunks(width).take(rows).map(class).collect());
    }
    let truth_value = tensor.datatype() == DataType::Bool;
    let class = |row: &[f64]| {
        let number = crate::table::number_text(row[0]);
        let named =
            if truth_value { classes.index(if row[0] == 0.0 { "false" } else { "true" }) } else { None };
        named.or_else(|| classes.index(&number)).unwrap_or(strange)
    };
    Ok(numbers(tensor)?.chunks(width).take(rows).map(class).collect())
}

/// Index of the highest score, the first of equals; `None` where one is NaN.
pub(crate) fn best(row: &[f64]) -> Option<usize> {
    if row.is_empty() || row.iter().any(|score| score.is_nan()) {
        return None;
    }
    let pick = |best: usize, at: usize| if row[at] > row[best] { at } else { best };
    Some((0..row.len()).fold(0, pick))
}
