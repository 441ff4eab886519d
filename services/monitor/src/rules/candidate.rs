//! A canary's version as G4 looks at it, asked of the registry.

use contracts::registry::v1::{GetModelRequest, GetModelVersionRequest, ListGateDecisionsRequest};
use lifecycle::gate::Candidate;

use crate::convert::candidate::candidate;
use crate::{Error, Monitor};

/// Its task, its artifact and every gate decision about it.
///
/// # Errors
/// If the registry cannot be asked, or does not know the version.
pub async fn fetch(monitor: &Monitor, version: &str) -> Result<Candidate, Error> {
    let mut registry = monitor.registry();
    let asked = GetModelRequest { name: contracts::name::parent(version).to_owned() };
    let model = registry.models.get_model(asked).await?.into_inner();
    let asked = GetModelVersionRequest { name: version.to_owned() };
    let record = registry.models.get_model_version(asked).await?.into_inner();
    let parent = version.to_owned();
    let mut request = ListGateDecisionsRequest { parent, page_size: 1000, ..Default::default() };
    let mut decisions = Vec::new();
    loop {
        let page = registry.gates.list_gate_decisions(request.clone()).await?.into_inner();
        decisions.extend(page.gate_decisions);
        if page.next_page_token.is_empty() {
            return candidate(&model, record, decisions);
        }
        request.page_token = page.next_page_token;
    }
}
