//! What remains: the audit log holds offline, every gate decision replays.

use contracts::registry::v1::{
    GateDecision, ListGateDecisionsRequest, ListModelVersionsRequest, ReplayGateDecisionRequest,
};

use super::{Story, names};
use crate::reach::To;
use crate::replay::Saved;
use crate::verified_log::VerifiedLog;
use crate::{audit_export, audit_file};

/// Exports the log, checks the copy without the mesh, finds an altered copy out, and replays every decision.
///
/// # Errors
/// If one of them does not hold.
pub async fn proofs(story: &Story) -> anyhow::Result<()> {
    let who = &story.actors;
    let log = story
        .step("audit log exported and verified offline", "§8.1, audit log", async {
            let exported = audit_export::export(&mut who.audit("auditor")?).await?;
            let key = exported.public_key.clone();
            let path = story.folder.join("audit.jsonl");
            audit_file::write(&mut std::fs::File::create(&path)?, &key, &exported.entries)?;
            let copy = audit_file::read(std::io::BufReader::new(std::fs::File::open(&path)?))?;
            let log = VerifiedLog::of(copy, Some(&key))?;
            let mut spoiled = exported;
            let middle = spoiled.entries.len() / 2;
            if let Some(byte) = spoiled.entries.get_mut(middle).and_then(|entry| entry.bytes.last_mut()) {
                *byte ^= 1;
            }
            let found = spoiled.verify(None, &[]).err().map(|error| error.to_string()).unwrap_or_default();
            anyhow::ensure!(
                found.starts_with(&format!("audit entry {middle}:")),
                "a changed entry was not found: {found:?}"
            );
            let said = format!("{} entries hold; one changed byte is found: {found}", log.size());
            Ok((log, said))
        })
        .await?;
    story
        .step("every gate decision checked and made again offline", "§8.1", async {
            let (all, passed) = replayed(story, &log).await?;
            Ok((
                (),
                format!("{all} decisions, {passed} passed, {} refused, each the same again", all - passed),
            ))
        })
        .await
}

/// Saves every decision of the model and decides again from the file, with the audit log at hand; the registry says the
/// same. Gives how many there are and how many passed.
async fn replayed(story: &Story, log: &VerifiedLog) -> anyhow::Result<(usize, usize)> {
    let who = &story.actors;
    let folder = story.folder.join("decisions");
    std::fs::create_dir_all(&folder)?;
    let registry = who.reach().peer(To::Registry, "auditor")?;
    let request =
        ListModelVersionsRequest { parent: names::MODEL.into(), page_size: 100, ..Default::default() };
    let versions = who.models("auditor")?.list_model_versions(request).await?.into_inner().model_versions;
    let (mut all, mut passed) = (0, 0);
    for version in versions {
        let request = ListGateDecisionsRequest { parent: version.name, page_size: 100, ..Default::default() };
        let decisions = who.gates("auditor")?.list_gate_decisions(request).await?.into_inner().gate_decisions;
        for GateDecision { name, .. } in decisions {
            let path = folder.join(format!("{}.json", name.replace('/', "-")));
            Saved::fetch(&registry, &name).await?.write(&path)?;
            let saved = Saved::read(&path)?;
            let again = saved.replay(None)?;
            anyhow::ensure!(again.differences.is_empty(), "{name}: {}", again.differences.join("; "));
            saved.logged_in(log)?;
            let request = ReplayGateDecisionRequest { name: name.clone() };
            let theirs = who.gates("auditor")?.replay_gate_decision(request).await?.into_inner();
            anyhow::ensure!(theirs.same && theirs.findings == again.findings, "{name} came out otherwise");
            all += 1;
            passed += usize::from(again.passed);
        }
    }
    Ok((all, passed))
}
