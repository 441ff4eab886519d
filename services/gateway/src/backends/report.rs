//! What each backend of the newest table is up to, for the registry, operators and metrics.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::Backend;

/// Where a backend stands. Tripped is not among them: the breaker says that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// Bytes are fetched, loaded or warmed up.
    Loading,
    /// Takes what the split gives it.
    Ready,
    /// Refused or not loadable, with the reason.
    Failed(String),
}

/// One row of the board.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// Endpoint.
    pub endpoint: String,
    /// `models/{m}/versions/{v}`
    pub version: String,
    /// Digest that the table names.
    pub artifact_digest: String,
    /// The table calls it the canary.
    pub canary: bool,
    /// Where it stands.
    pub state: State,
}

/// The rows, replaced at each reconciliation, and the backends that are on their way out.
#[derive(Debug, Default)]
pub struct Board {
    rows: Mutex<Arc<Vec<Shown>>>,
    leaving: Mutex<Vec<Weak<Backend>>>,
}

impl Board {
    /// The rows.
    pub fn rows(&self) -> Arc<Vec<Shown>> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Replaces the rows.
    pub fn put(&self, rows: Vec<Shown>) {
        *self.rows.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(rows);
    }

    /// Notes a backend that takes no new requests; it is freed when its last request has ended.
    pub fn leaves(&self, backend: &Arc<Backend>) {
        self.leaving.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::downgrade(backend));
    }

    /// Backends that still answer their last requests.
    pub fn draining(&self) -> Vec<Arc<Backend>> {
        let mut leaving = self.leaving.lock().unwrap_or_else(PoisonError::into_inner);
        leaving.retain(|backend| backend.strong_count() > 0);
        leaving.iter().filter_map(Weak::upgrade).collect()
    }
}
