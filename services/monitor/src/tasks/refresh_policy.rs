//! `refresh-policy`: the policy in force, from the registry; the last one is kept, also over a restart.

use contracts::registry::v1::GetPolicyRequest;
use lifecycle::Policy;

use crate::store::cursors::{keep, kept};
use crate::{Error, Monitor};

const NAME: &str = "policy";

/// Asks for the policy in force and adopts it.
///
/// # Errors
/// If the registry cannot be reached or what it says is not the policy that it names.
pub async fn run_once(monitor: &Monitor) -> Result<(), Error> {
    let said = monitor.registry().policies.get_policy(GetPolicyRequest::default()).await?.into_inner();
    if said.digest == monitor.policy().digest() {
        return Ok(());
    }
    let policy = Policy::parse(&said.yaml)
        .map_err(|error| Error::Damaged(format!("policy {}: {error}", said.name)))?;
    if policy.digest() != said.digest {
        return Err(Error::Damaged(format!(
            "policy {} is {}, not {}",
            said.name,
            policy.digest(),
            said.digest
        )));
    }
    keep(monitor.db().connection(), NAME, said.yaml.into_bytes()).await?;
    tracing::info!(policy = %said.name, digest = %said.digest, "another policy is in force");
    monitor.adopt(policy);
    Ok(())
}

/// Adopts the policy that was in force when this monitor last heard of it; without one, the procedure as written.
///
/// # Errors
/// Of the database, or if what was kept cannot be read.
pub async fn recall(monitor: &Monitor) -> Result<(), Error> {
    if let Some(bytes) = kept(monitor.db().connection(), NAME).await? {
        let text = String::from_utf8_lossy(&bytes);
        monitor.adopt(Policy::parse(&text).map_err(|error| Error::Damaged(error.to_string()))?);
    }
    Ok(())
}
