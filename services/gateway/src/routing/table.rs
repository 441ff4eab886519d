//! A route table from the registry: its signature, and whether it makes sense.

use std::collections::HashSet;

use contracts::name;
use contracts::registry::v1::{RouteTable, Routes};
use prost::Message;
use storage::audit::VerifyingKey;

/// Endpoints and backends of one table at most.
const MOST: usize = 10_000;

/// Why a table is refused as a whole.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadTable {
    /// The signature is not the registry's.
    #[error("the route table's signature does not hold under the registry's key")]
    Signature,
    /// The bytes are no `Routes`.
    #[error("the route table cannot be read: {0}")]
    Unreadable(String),
    /// What it says contradicts itself.
    #[error("the route table makes no sense: {0}")]
    Nonsense(String),
    /// A newer one is known.
    #[error("the route table has sequence {given}, {known} is known")]
    Older {
        /// Its sequence.
        given: u64,
        /// The newest known.
        known: u64,
    },
}

/// Checks the signature and reads the table.
///
/// # Errors
/// [`BadTable`].
pub fn open(table: &RouteTable, key: &VerifyingKey) -> Result<Routes, BadTable> {
    if !holds(key, &table.body, &table.signature) {
        return Err(BadTable::Signature);
    }
    let routes =
        Routes::decode(table.body.as_slice()).map_err(|error| BadTable::Unreadable(error.to_string()))?;
    check(&routes)?;
    Ok(routes)
}

/// Whether an Ed25519 signature holds.
pub(crate) fn holds(key: &VerifyingKey, message: &[u8], signature: &[u8]) -> bool {
    let Ok(signature) = <&[u8; 64]>::try_from(signature) else { return false };
    key.verify_strict(message, &signature.into()).is_ok()
}

/// Checks names, digests, shares and that there is one canary at most.
///
/// # Errors
/// [`BadTable::Nonsense`] with the first contradiction.
pub fn check(routes: &Routes) -> Result<(), BadTable> {
    let nonsense = |why: String| Err(BadTable::Nonsense(why));
    let mut seen = HashSet::new();
    let backends: usize = routes.routes.iter().map(|route| route.backends.len()).sum();
    if routes.routes.len() > MOST || backends > MOST {
        return nonsense(format!("more than {MOST} routes or backends"));
    }
    for route in &routes.routes {
        let endpoint = &route.endpoint;
        if !name::is_id(endpoint.strip_suffix("-staging").unwrap_or(endpoint)) || !seen.insert(endpoint) {
            return nonsense(format!("endpoint {endpoint:?}"));
        }
        let mut versions = HashSet::new();
        let mut given = 0_u32;
        for backend in &route.backends {
            if name::parse("version", &backend.version, "models/{model}/versions/{version}").is_err()
                || !versions.insert(&backend.version)
            {
                return nonsense(format!("version {:?} of {endpoint}", backend.version));
            }
            if !name::is_digest(&backend.artifact_digest) {
                return nonsense(format!("digest {:?} of {}", backend.artifact_digest, backend.version));
            }
            given = given.saturating_add(backend.traffic_percent);
        }
        if given > 100 {
            return nonsense(format!("shares of {endpoint} add up to {given}"));
        }
        if route.backends.iter().filter(|backend| backend.canary).count() > 1 {
            return nonsense(format!("two canaries of {endpoint}"));
        }
    }
    Ok(())
}
