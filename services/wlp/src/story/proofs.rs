//! What remains: the audit log holds offline, every gate decision replays.

use contracts::registry::v1::{
    ListGateDecisionsRequest, ListModelVersionsRequest, ReplayGateDecisionRequest,
};

use super::{Story, names};
use crate::{audit_export, audit_file};

/// Exports the log, checks the copy without the mesh, finds an altered copy out, and replays every decision.
///
/// # Errors
/// If one of them does not hold.
pub async fn proofs(story: &Story) -> anyhow::Result<()> {
    let who = &story.actors;
    story
        .step("audit log exported and verified offline", "DESIGN §5", async {
            let exported = audit_export::export(&mut who.audit("auditor")?).await?;
            let key = exported.public_key.clone();
            let path = story.folder.join("audit.jsonl");
            audit_file::write(&mut std::fs::File::create(&path)?, &key, &exported.entries)?;
            let copy = audit_file::read(std::io::BufReader::new(std::fs::File::open(&path)?))?;
            let verified = copy.verify(Some(&key))?;
            let mut spoiled = exported;
            let middle = spoiled.entries.len() / 2;
            if let Some(byte) = spoiled.entries.get_mut(middle).and_then(|entry| entry.bytes.last_mut()) {
                *byte ^= 1;
            }
            let found = spoiled.verify(None).err().map(|error| error.to_string()).unwrap_or_default();
            anyhow::ensure!(
                found.starts_with(&format!("audit entry {middle}:")),
                "a changed entry was not found: {found:?}"
            );
            Ok(((), format!("{} entries hold; one changed byte is found: {found}", verified.size)))
        })
        .await?;
    story
        .step("every gate decision replayed", "§8.1", async {
            let request = ListModelVersionsRequest {
                parent: names::MODEL.into(),
                page_size: 100,
                ..Default::default()
            };
            let versions =
                who.models("auditor")?.list_model_versions(request).await?.into_inner().model_versions;
            let (mut all, mut passed) = (0, 0);
            for version in versions {
                let request =
                    ListGateDecisionsRequest { parent: version.name, page_size: 100, ..Default::default() };
                for decision in
                    who.gates("auditor")?.list_gate_decisions(request).await?.into_inner().gate_decisions
                {
                    let request = ReplayGateDecisionRequest { name: decision.name.clone() };
                    let again = who.gates("auditor")?.replay_gate_decision(request).await?.into_inner();
                    anyhow::ensure!(again.same, "{} came out otherwise", decision.name);
                    all += 1;
                    passed += u32::from(decision.passed);
                }
            }
            Ok((
                (),
                format!("{all} decisions, {passed} passed, {} refused, each the same again", all - passed),
            ))
        })
        .await
}
