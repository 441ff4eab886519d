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
    /// Since the start, no production version with traffic is being made ready for the first time any more.
    pub settled: bool,
}

impl Live {
    /// True once a table is in force and its models are warm or known to have failed: the gateway may take traffic.
    pub fn is_ready(&self) -> bool {
        self.known && self.settled
    }

    /// Whether the same versions serve the same shares.
    pub fn is_as(&self, other: &Self) -> bool {
        let same = |(a, b): (&Arc<Endpoint>, &Arc<Endpoint>)| a.is_as(b);
        (self.sequence, self.known, self.settled) == (other.sequence, other.known, other.settled)
            && self.endpoints.len() == other.endpoints.len()
            && self.endpoints.values().zip(other.endpoints.values()).all(same)
    }
}
