//! The shared parts of the service: what every handler holds a clone of.

use crate::{
    Deps, Limits,
    handlers::Uploads,
    input::{Reader, Stores},
};
use runtime::{Clock, Metrics, Tasks};
use std::sync::Arc;
use storage::{Blobs, Operations, Records};
use tokio::sync::Semaphore;

/// The data-pipeline's parts. Clones are cheap.
#[derive(Clone)]
pub struct Pipeline(Arc<Parts>);

pub(crate) struct Parts {
    pub(crate) records: Records,
    pub(crate) operations: Operations,
    pub(crate) blobs: Blobs,
    pub(crate) turns: Semaphore,
    pub(crate) differences: Semaphore,
    pub(crate) limits: Limits,
    pub(crate) reader: Reader,
    pub(crate) stores: Stores,
    pub(crate) tasks: Tasks,
    pub(crate) metrics: Metrics,
    pub(crate) uploads: Uploads,
    pub(crate) deps: Deps,
}

impl Pipeline {
    pub(crate) fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }

    /// Build records, and the units of work that create operations.
    pub fn records(&self) -> &Records {
        &self.0.records
    }

    /// Long-running operations.
    pub fn operations(&self) -> &Operations {
        &self.0.operations
    }

    /// Bytes by digest.
    pub fn blobs(&self) -> &Blobs {
        &self.0.blobs
    }

    /// A build takes one of these.
    pub(crate) fn turns(&self) -> &Semaphore {
        &self.0.turns
    }

    /// A comparison takes one of these.
    pub(crate) fn differences(&self) -> &Semaphore {
        &self.0.differences
    }

    /// What is taken at most.
    pub fn limits(&self) -> &Limits {
        &self.0.limits
    }

    /// Where inputs may lie that are not uploaded.
    pub(crate) fn stores(&self) -> &Stores {
        &self.0.stores
    }

    /// Reads inputs.
    pub(crate) fn reader(&self) -> &Reader {
        &self.0.reader
    }

    /// Background work.
    pub fn tasks(&self) -> &Tasks {
        &self.0.tasks
    }

    /// Metrics of the service.
    pub fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    /// Uploads that are going on.
    pub(crate) fn uploads(&self) -> &Uploads {
        &self.0.uploads
    }

    /// Clients and clock.
    pub fn deps(&self) -> &Deps {
        &self.0.deps
    }

    /// The service's clock.
    pub fn clock(&self) -> &Clock {
        &self.0.deps.clock
    }
}
