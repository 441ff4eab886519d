//! A route table from the registry: its signature, and whether it makes sense.

use std::collections::HashSet;

use contracts::name;
use contracts::registry::v1::{Route, RouteTable, Routes, Shadow};
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
        if let Some(shadow) = &route.shadow {
            check_shadow(route, shadow, &versions).map_err(BadTable::Nonsense)?;
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

/// A shadow stands beside a production route, with a version that takes none of its requests.
fn check_shadow(route: &Route, shadow: &Shadow, versions: &HashSet<&String>) -> Result<(), String> {
    let endpoint = &route.endpoint;
    let backend =
        shadow.backend.as_ref().ok_or_else(|| format!("a shadow of {endpoint} without a version"))?;
    if route.staging || !(1..=100).contains(&shadow.percent) {
        return Err(format!("a shadow of {endpoint} with {} %", shadow.percent));
    }
    if name::parse("version", &backend.version, "models/{model}/versions/{version}").is_err()
        || versions.contains(&backend.version)
    {
        return Err(format!("version {:?} in the shadow of {endpoint}", backend.version));
    }
    if !name::is_digest(&backend.artifact_digest) {
        return Err(format!("digest {:?} of {}", backend.artifact_digest, backend.version));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use contracts::registry::v1::Backend;

    fn backend(version: &str) -> Backend {
        let artifact_digest = format!("sha256:{}", "0".repeat(64));
        Backend { version: version.into(), artifact_digest, ..Backend::default() }
    }

    fn shadowed(version: &str, percent: u32) -> Route {
        let shadow = Shadow { backend: Some(backend(version)), percent, rollout: String::new() };
        Route {
            endpoint: "scorer".into(),
            backends: vec![Backend { traffic_percent: 100, ..backend("models/scorer/versions/1.0.0") }],
            shadow: Some(shadow),
            ..Route::default()
        }
    }

    #[test]
    fn a_shadow_is_another_version_beside_production_with_a_share() {
        let other = "models/scorer/versions/1.1.0";
        let look = |route: Route| check(&Routes { routes: vec![route], ..Routes::default() });
        assert_eq!(look(shadowed(other, 100)), Ok(()));
        let nobody = Shadow { backend: None, percent: 1, rollout: String::new() };
        for bad in [
            shadowed("models/scorer/versions/1.0.0", 10),
            shadowed("scorer", 10),
            shadowed(other, 0),
            shadowed(other, 101),
            Route { staging: true, ..shadowed(other, 10) },
            Route { shadow: Some(nobody), ..shadowed(other, 10) },
        ] {
            assert!(matches!(look(bad.clone()), Err(BadTable::Nonsense(_))), "{bad:?}");
        }
    }
}
