//! Everything that is served now; replaced whole, never changed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use super::Endpoint;

/// The endpoints in force.
#[derive(Debug, Default, Clone)]
pub struct Live {
    /// By name.
    pub endpoints: BTreeMap<String, Arc<Endpoint>>,
    /// Sequence of the newest route table that is in force as a whole; 0 before the first.
    pub sequence: u64,
    /// When the registry made it.
    pub time: Option<SystemTime>,
    /// Some table has come, from the registry or from disk.
    pub known: bool,
}

impl Live {
    /// True once a table is in force: the gateway may take traffic.
    pub fn is_ready(&self) -> bool {
        self.known
    }
}
