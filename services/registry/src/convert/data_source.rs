//! Data sources (§5.1).

use lifecycle::approval::Approval;
use lifecycle::source::{Source, SourceKind};

use super::{optional_time, time};
use crate::Error;
use crate::wire::{self, DataSource, data_source::State};

/// The source as the rules look at it.
///
/// # Errors
/// [`Error::Damaged`] for a stored role or kind that does not exist.
pub fn source(wire: &DataSource) -> Result<Source, Error> {
    let approvals: Result<_, Error> = wire.approvals.iter().map(approval).collect();
    Ok(Source {
        name: wire.name.clone(),
        kind: kind(wire.kind()).ok_or_else(|| Error::Damaged(format!("kind of {}", wire.name)))?,
        registered_by: wire.owner.clone(),
        license: wire.license.clone(),
        contract: wire.contract.clone(),
        contract_expires: optional_time(wire.contract_expire_time.as_ref()),
        considerations: wire.considerations.clone(),
        approvals: approvals?,
        revoked: wire.state() == State::Revoked,
    })
}

fn approval(wire: &wire::SourceApproval) -> Result<Approval, Error> {
    let role = wire.role.parse().map_err(|_| Error::Damaged(format!("role {:?}", wire.role)))?;
    Ok(Approval::new(wire.principal.clone(), role, time(wire.time.as_ref())))
}

fn kind(kind: wire::SourceKind) -> Option<SourceKind> {
    Some(match kind {
        wire::SourceKind::Unspecified => return None,
        wire::SourceKind::Internal => SourceKind::Internal,
        wire::SourceKind::Public => SourceKind::Public,
        wire::SourceKind::Synthetic => SourceKind::Synthetic,
        wire::SourceKind::ThirdParty => SourceKind::ThirdParty,
    })
}
