//! Whether a service takes traffic: named conditions, all of which must hold, and no shutdown under way.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Shared by the parts of a service; clones are the same. With no condition named it is ready.
#[derive(Clone, Debug)]
pub struct Readiness {
    conditions: Arc<watch::Sender<BTreeMap<&'static str, bool>>>,
    stopping: CancellationToken,
    draining: CancellationToken,
}

impl Default for Readiness {
    fn default() -> Self {
        Self {
            conditions: Arc::new(watch::Sender::new(BTreeMap::new())),
            stopping: CancellationToken::new(),
            draining: CancellationToken::new(),
        }
    }
}

impl Readiness {
    /// Ready from the start.
    pub fn new() -> Self {
        Self::default()
    }

    /// States that a condition ("database", "models") holds or not.
    pub fn set(&self, condition: &'static str, holds: bool) {
        self.conditions.send_if_modified(|all| all.insert(condition, holds) != Some(holds));
    }

    /// True if every condition holds and the service is not stopping.
    pub fn is_ready(&self) -> bool {
        self.unmet().is_empty()
    }

    /// The conditions that do not hold.
    pub fn unmet(&self) -> Vec<&'static str> {
        let mut unmet: Vec<_> =
            self.conditions.borrow().iter().filter(|(_, holds)| !**holds).map(|(name, _)| *name).collect();
        if self.stopping.is_cancelled() {
            unmet.push("stopping");
        }
        unmet
    }

    pub(crate) fn watch(&self) -> watch::Receiver<BTreeMap<&'static str, bool>> {
        self.conditions.subscribe()
    }

    pub(crate) fn stopping(&self) -> &CancellationToken {
        &self.stopping
    }

    /// Cancelled when open streams should end.
    pub(crate) fn draining(&self) -> &CancellationToken {
        &self.draining
    }
}
