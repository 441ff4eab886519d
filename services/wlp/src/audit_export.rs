//! Takes the whole audit log from a registry.

use anyhow::Context;
use contracts::registry::v1::audit_service_client::AuditServiceClient;
use contracts::registry::v1::{AuditExport, ExportAuditRequest};
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

fn logged(one: AuditExport) -> anyhow::Result<Logged> {
    let entry = one.entry.context("an export without its entry")?;
    let head = match one.head {
        None => None,
        Some(head) => Some(SignedHead {
            size: head.size,
            root: fixed(&head.root).context("a head's root has 32 bytes")?,
            time: head.time.as_ref().and_then(contracts::time::from_wire).context("a head has a time")?,
            signature: fixed(&head.signature).context("a head's signature has 64 bytes")?,
        }),
    };
    Ok(Logged { sequence: entry.sequence, bytes: entry.canonical, head, note: Vec::new() })
}
