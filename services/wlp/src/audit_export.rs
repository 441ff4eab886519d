//! Takes the whole audit log from a registry.

use anyhow::Context;
use contracts::registry::v1::audit_service_client::AuditServiceClient;
use contracts::registry::v1::{AuditExport, ExportAuditRequest, TreeHead};
use runtime::Peer;
use storage::{Logged, SignedHead};

use crate::audit_file::{AuditFile, fixed};

/// Every entry with its head, and the public key that the registry shows.
///
/// # Errors
/// The refusal of the registry, or an answer that is no log.
pub async fn export(registry: &mut AuditServiceClient<Peer>) -> anyhow::Result<AuditFile> {
    let mut stream = registry.export_audit(ExportAuditRequest {}).await?.into_inner();
    let (mut entries, mut public_key) = (Vec::new(), String::new());
    while let Some(one) = stream.message().await? {
        if let Some(head) = &one.head {
            public_key.clone_from(&head.public_key_pem);
        }
        entries.push(logged(one)?);
    }
    Ok(AuditFile { public_key, entries })
}

/// A head as the registry tells it.
///
/// # Errors
/// If it is none.
pub fn head(told: &TreeHead) -> anyhow::Result<SignedHead> {
    Ok(SignedHead {
        size: told.size,
        root: fixed(&told.root).context("a head's root has 32 bytes")?,
        time: told.time.as_ref().and_then(contracts::time::from_wire).context("a head has a time")?,
        signature: fixed(&told.signature).context("a head's signature has 64 bytes")?,
    })
}

fn logged(one: AuditExport) -> anyhow::Result<Logged> {
    let entry = one.entry.context("an export without its entry")?;
    let head = one.head.as_ref().map(head).transpose()?;
    Ok(Logged { sequence: entry.sequence, bytes: entry.canonical, head, note: Vec::new() })
}
