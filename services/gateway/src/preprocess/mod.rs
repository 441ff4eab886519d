//! A version's preprocessing: its callers send the raw columns of the data, and the kernels that made its training rows make
//! the model's inputs of them, before the queue. What lies behind (batches, cache, observations) sees the model's inputs as
//! of any other version.

mod fill;
mod load;
mod take;

use std::sync::Arc;

use contracts::common::v1::ModelInterface;
use engine::{DataType, Dim, EngineError, FieldError, ModelSignature, Tensor, TensorSpec};
use features::preprocessing::{Asked, Need, Replay, assign};
use features::{Preprocessing, Values};

use crate::Error;
use crate::wire::shown;
use fill::Slot;

pub use load::load;

/// Values, raw and made, of a request that is transformed on its own thread.
const MANY: usize = 1 << 13;

/// What stands before a model.
#[derive(Debug)]
pub struct Preprocessor {
    /// Of the artifact.
    digest: String,
    replay: Replay,
    slots: Vec<Slot>,
    signature: ModelSignature,
}

impl Preprocessor {
    /// An artifact before a model of that signature. `interface` says which columns fill its inputs where the artifact does
    /// not.
    ///
    /// # Errors
    /// What does not fit.
    pub fn new(
        artifact: &Preprocessing,
        model: &ModelSignature,
        interface: Option<&ModelInterface>,
    ) -> Result<Self, String> {
        let need = |spec: &TensorSpec| {
            let shape = spec.dims.is_some().then(|| spec.shape());
            Need::of(&spec.name, spec.datatype == DataType::Bytes, shape.as_deref())
        };
        let needs: Vec<Need> = model.inputs.iter().map(need).collect();
        let interface = interface.cloned().unwrap_or_default();
        let (features, main) = (&interface.feature_columns, &interface.input_tensor);
        let assigned = assign(&artifact.outputs, &artifact.layout, features, main, &needs)?;
        let mut columns: Vec<String> = assigned.iter().flat_map(|given| given.columns.clone()).collect();
        columns.sort_unstable();
        columns.dedup();
        let slots = model.inputs.iter().zip(&assigned);
        let slots = slots.map(|(spec, given)| Slot::new(spec, given, &columns, artifact));
        let slots = slots.collect::<Result<Vec<_>, _>>()?;
        let replay = artifact.replay(&columns).map_err(|error| error.to_string())?;
        let inputs = replay.inputs.iter().map(|input| raw(&input.name, input.asked(), rows(model)));
        let signature = ModelSignature {
            inputs: inputs.collect(),
            optional_inputs: Vec::new(),
            outputs: model.outputs.clone(),
        };
        Ok(Self { digest: artifact.digest(), replay, slots, signature })
    }

    /// Digest of the artifact.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// What callers send, and what the model gives.
    pub fn signature(&self) -> &ModelSignature {
        &self.signature
    }

    /// As [`Preprocessor::apply`]; a request of many values does not hold up those that wait for the same thread.
    ///
    /// # Errors
    /// As [`Preprocessor::apply`].
    pub async fn applied(self: &Arc<Self>, inputs: &[Tensor]) -> Result<Vec<Tensor>, Error> {
        let columns =
            self.replay.inputs.len() + self.slots.iter().map(|slot| slot.places.len()).sum::<usize>();
        let rows = inputs.iter().map(Tensor::rows).max().unwrap_or_default();
        if rows.saturating_mul(columns) <= MANY {
            return self.apply(inputs).map_err(Error::BadRequest);
        }
        let (this, inputs) = (self.clone(), inputs.to_vec());
        let made = tokio::task::spawn_blocking(move || this.apply(&inputs)).await;
        let made = made.map_err(|error| Error::Engine(EngineError::Host(error.to_string())))?;
        made.map_err(Error::BadRequest)
    }

    /// The model's inputs of a request's raw columns.
    ///
    /// # Errors
    /// Every column that cannot be taken, with its row.
    pub fn apply(&self, inputs: &[Tensor]) -> Result<Vec<Tensor>, Vec<FieldError>> {
        let wrong = self.signature.faults(inputs.iter().map(Into::into), &[]);
        if !wrong.is_empty() {
            return Err(wrong);
        }
        let (mut given, mut bad, mut rows) = (Vec::new(), Vec::new(), 0);
        let field = |name: &str| format!("inputs[{}].contents", shown(name));
        for input in &self.replay.inputs {
            let tensor = inputs.iter().find(|tensor| tensor.name() == input.name);
            match tensor.and_then(|tensor| take::given(tensor, input.asked())) {
                Some(values) => given.push(values),
                None => {
                    bad.push(FieldError { field: field(&input.name), description: "cannot be read".into() })
                }
            }
            rows = tensor.map_or(0, Tensor::rows);
        }
        if !bad.is_empty() {
            return Err(bad);
        }
        let made = self.replay.requested(given, rows).map_err(|bad| {
            let one = |(at, description): (usize, String)| {
                let name = self.replay.inputs.get(at).map_or("", |input| input.name.as_str());
                FieldError { field: field(name), description }
            };
            bad.into_iter().map(one).collect::<Vec<_>>()
        })?;
        let values = made.schema_ref().fields().iter().zip(made.columns());
        let values =
            values.map(|(field, array)| Values::of(field.name(), array)).collect::<Result<Vec<_>, _>>();
        let wrong = |description| FieldError { field: "inputs".into(), description };
        let values = values.map_err(|error| vec![wrong(error.to_string())])?;
        let mut tensors = Vec::with_capacity(self.slots.len());
        for slot in &self.slots {
            match slot.tensor(&values, rows) {
                Ok(tensor) => tensors.push(tensor),
                Err(description) => bad.push(wrong(description)),
            }
        }
        if bad.is_empty() { Ok(tensors) } else { Err(bad) }
    }
}

/// The dimension of rows: the model's own where it takes a fixed number of them.
fn rows(model: &ModelSignature) -> Dim {
    let first = |spec: &TensorSpec| spec.dims.as_ref().and_then(|dims| dims.first().cloned());
    match model.inputs.iter().find_map(first) {
        Some(Dim::Fixed(rows)) => Dim::Fixed(rows),
        _ => Dim::Symbol("rows".to_owned()),
    }
}

fn raw(name: &str, asked: Asked, rows: Dim) -> TensorSpec {
    let datatype = match asked {
        Asked::Fp64 => DataType::Fp64,
        Asked::Int64 => DataType::Int64,
        Asked::Bytes => DataType::Bytes,
        Asked::Bool => DataType::Bool,
    };
    TensorSpec { name: name.to_owned(), datatype, dims: Some(vec![rows, Dim::Fixed(1)]) }
}

/// Tensors that have rows alone, as columns of one element a row: both forms are taken.
pub fn as_columns(preprocessor: Option<&Arc<Preprocessor>>, inputs: Vec<Tensor>) -> Vec<Tensor> {
    if preprocessor.is_none() {
        return inputs;
    }
    inputs.into_iter().map(take::as_column).collect()
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
