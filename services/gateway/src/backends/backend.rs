//! One loaded version behind one endpoint.

use std::sync::Arc;

use engine::{Dim, ModelSignature, Session, Tensor, TensorSpec};

use super::{Serving, Stats};
use crate::metrics::BackendMeters;
use crate::observe::Observer;

/// A version that is loaded and warm.
#[derive(Debug)]
pub struct Backend {
    /// Endpoint that it stands behind.
    pub endpoint: String,
    /// Deployment of the endpoint.
    pub deployment: String,
    /// `models/{m}/versions/{v}`
    pub version: String,
    /// `1.2.0`
    pub number: String,
    /// Digest of the bytes that were loaded.
    pub artifact_digest: String,
    /// Training data: the reference of drift; may be empty.
    pub dataset_version: String,
    /// The model.
    pub session: Arc<dyn Session>,
    /// Counts since it was loaded.
    pub stats: Stats,
    /// Prometheus handles.
    pub meters: BackendMeters,
    /// What is noted for the monitor.
    pub observer: Observer,
    /// What it asks of requests.
    pub serving: Serving,
}

impl Backend {
    /// Rows of a request with these shapes: the largest first dimension among inputs whose first dimension is free.
    pub fn rows(&self, inputs: &[Tensor]) -> usize {
        self.batched(inputs).map(Tensor::rows).max().unwrap_or(1)
    }

    /// The inputs whose first dimension is free; none of a model whose configuration says that it has no rows.
    pub fn batched<'a>(&'a self, inputs: &'a [Tensor]) -> impl Iterator<Item = &'a Tensor> {
        let (signature, stated) = (self.signature(), self.serving.stated.as_ref());
        let raw = self.serving.preprocessor.is_some();
        let rows = raw || stated.is_none_or(|stated| stated.is_batched());
        inputs.iter().filter(move |tensor| rows && signature.input(tensor.name()).is_some_and(batches))
    }

    /// Whether the first dimension of an output is the number of rows.
    pub fn has_rows(&self, output: &str) -> bool {
        match &self.serving.stated {
            Some(stated) => stated.is_batched(),
            None => self.signature().output(output).is_some_and(batches),
        }
    }

    /// The outputs to ask the model for: those asked for, or all that its configuration has. Empty is all of the file.
    pub fn wanted(&self, asked: Vec<String>) -> Vec<String> {
        match &self.serving.stated {
            Some(stated) if asked.is_empty() => {
                stated.signature.outputs.iter().map(|spec| spec.name.clone()).collect()
            }
            _ => asked,
        }
    }

    /// What callers send and get, for validation and metadata.
    pub fn signature(&self) -> &ModelSignature {
        let raw = self.serving.preprocessor.as_ref();
        raw.map_or_else(|| self.model_signature(), |raw| raw.signature())
    }

    /// What the model takes and gives: what is observed, batched and cached.
    pub fn model_signature(&self) -> &ModelSignature {
        self.serving.stated.as_ref().map_or_else(|| self.session.signature(), |stated| &stated.signature)
    }
}

/// Whether the first dimension may have any size.
fn batches(spec: &TensorSpec) -> bool {
    match &spec.dims {
        None => true,
        Some(dims) => dims.first().is_some_and(|dim| !matches!(dim, Dim::Fixed(_))),
    }
}
