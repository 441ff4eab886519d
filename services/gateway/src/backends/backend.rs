//! One loaded version behind one endpoint.

use std::sync::Arc;

use engine::{Dim, ModelSignature, Session, Tensor, TensorSpec};
use tokio::sync::Semaphore;

use super::Stats;
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
    /// Runs handed to the engine at a time; the others wait here, where a deadline and a cancellation reach them.
    pub lanes: Arc<Semaphore>,
    /// Requests that may wait.
    pub queue: usize,
    /// Counts since it was loaded.
    pub stats: Stats,
    /// Prometheus handles.
    pub meters: BackendMeters,
    /// What is noted for the monitor.
    pub observer: Observer,
}

impl Backend {
    /// Rows of a request with these shapes: the largest first dimension among inputs whose first dimension is free.
    pub fn rows(&self, inputs: &[Tensor]) -> usize {
        self.batched(inputs).map(Tensor::rows).max().unwrap_or(1)
    }

    /// The inputs whose first dimension is free.
    pub fn batched<'a>(&'a self, inputs: &'a [Tensor]) -> impl Iterator<Item = &'a Tensor> {
        let signature = self.session.signature();
        inputs.iter().filter(|tensor| signature.input(tensor.name()).is_some_and(batches))
    }

    /// The signature, for validation and metadata.
    pub fn signature(&self) -> &ModelSignature {
        self.session.signature()
    }
}

/// Whether the first dimension may have any size.
fn batches(spec: &TensorSpec) -> bool {
    match &spec.dims {
        None => true,
        Some(dims) => dims.first().is_some_and(|dim| !matches!(dim, Dim::Fixed(_))),
    }
}
