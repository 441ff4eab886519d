//! ARCHITECTURE, "Records and the audit log": the log is append-only, its heads are signed, and what Watch shows is exactly
//! what was recorded.

use contracts::registry::v1::*;
use std::time::SystemTime;
use storage::audit::merkle::{leaf_hash, verify_consistency, verify_inclusion};
use storage::audit::{public_key_from_pem, verify};
use storage::{Logged, SignedHead};
use tests::line::Line;
use tests::mesh::Alone;
use tests::refusal::Answered;

fn hash(bytes: &[u8]) -> [u8; 32] {
    bytes.try_into().expect("a hash")
}

async fn exported(line: &Line) -> Vec<AuditExport> {
    let mut stream = line.by("auditor").audit().export_audit(ExportAuditRequest {}).await.told();
    let mut all = Vec::new();
    while let Some(one) = stream.message().await.expect("an entry") {
        all.push(one);
    }
    all
}

fn logged(export: &AuditExport) -> Logged {
    let (entry, head) = (export.entry.clone().expect("an entry"), export.head.clone().expect("a head"));
    let time: SystemTime = contracts::time::from_wire(&head.time.expect("a time")).expect("a time");
    let head = SignedHead {
        size: head.size,
        root: hash(&head.root),
        time,
        signature: head.signature.as_slice().try_into().expect("a signature"),
    };
    Logged { sequence: entry.sequence, bytes: entry.canonical, head: Some(head), note: Vec::new() }
}

#[tokio::test]
async fn an_exported_log_is_verified_offline_and_a_changed_byte_is_found() {
    let mesh = Alone::start().await;
    let line = mesh.line("audited");
    line.to_version().await;
    let all = exported(&line).await;
    let pem = all[0].head.clone().expect("a head").public_key_pem;
    let key = public_key_from_pem(&pem).expect("a key");
    let entries: Vec<_> = all.iter().map(logged).collect();
    assert!(entries.len() > 20);
    assert_eq!(verify(entries.clone(), &key, &[]).expect("it holds").size, entries.len() as u64);
    for at in [0, entries.len() / 2, entries.len() - 1] {
        let mut spoiled = entries.clone();
        *spoiled[at].bytes.last_mut().expect("bytes") ^= 1;
        assert_eq!(verify(spoiled, &key, &[]).expect_err("found").index, at as u64);
        let mut cut = entries.clone();
        cut.remove(at);
        let trusted = [entries.last().and_then(|last| last.head.clone()).expect("a head")];
        assert!(verify(cut, &key, &trusted).is_err(), "an entry is gone");
    }
}

#[tokio::test]
async fn inclusion_and_consistency_are_proved() {
    let mesh = Alone::start().await;
    let line = mesh.line("proved");
    line.plan().await;
    let mut audit = line.by("client").audit();
    let old = audit.get_tree_head(GetTreeHeadRequest { size: 0 }).await.told();
    line.usable_source().await;
    let new = audit.get_tree_head(GetTreeHeadRequest { size: 0 }).await.told();
    assert!(old.size < new.size);
    let request = GetConsistencyProofRequest { first_size: old.size, second_size: new.size };
    let proof = audit.get_consistency_proof(request).await.told();
    let hashes: Vec<_> = proof.hashes.iter().map(|one| hash(one)).collect();
    assert!(verify_consistency(old.size, new.size, &hash(&old.root), &hash(&new.root), &hashes));
    assert!(!verify_consistency(old.size, new.size, &hash(&new.root), &hash(&old.root), &hashes));
    let request = ListAuditEntriesRequest { from_start: true, page_size: 1000, ..Default::default() };
    for entry in audit.list_audit_entries(request).await.told().entries {
        let request = GetInclusionProofRequest { sequence: entry.sequence, size: new.size };
        let proof = audit.get_inclusion_proof(request).await.told();
        let hashes: Vec<_> = proof.hashes.iter().map(|one| hash(one)).collect();
        let leaf = leaf_hash(&entry.canonical);
        assert!(
            verify_inclusion(&leaf, entry.sequence, new.size, &hashes, &hash(&new.root)),
            "{}",
            entry.sequence
        );
    }
}

#[tokio::test]
async fn watch_shows_every_entry_once_in_order_and_resumes() {
    let mesh = Alone::start().await;
    let line = mesh.line("watched");
    line.open().await;
    let mut audit = line.by("client").audit();
    let mut watch = audit.watch(WatchRequest { from_start: true, ..WatchRequest::default() }).await.told();
    line.decide_selection().await;
    line.record_outputs().await;
    let size = audit.get_tree_head(GetTreeHeadRequest { size: 0 }).await.told().size;
    let mut seen = Vec::new();
    while (seen.len() as u64) < size {
        seen.push(watch.message().await.expect("an entry").expect("it goes on").sequence);
    }
    assert_eq!(seen, (0..size).collect::<Vec<_>>());
    let request = WatchRequest { after_sequence: size - 3, ..WatchRequest::default() };
    let mut resumed = audit.watch(request).await.told();
    assert_eq!(resumed.message().await.expect("an entry").expect("it goes on").sequence, size - 2);
}

#[tokio::test]
async fn an_entry_says_who_in_which_role_and_why() {
    let mesh = Alone::start().await;
    let line = mesh.line("who");
    line.register_source(SourceKind::Internal).await;
    line.approve_source("data-owner").await;
    let request = ListAuditEntriesRequest {
        from_start: true,
        subject: line.source(),
        page_size: 10,
        ..ListAuditEntriesRequest::default()
    };
    let entries = line.by("auditor").audit().list_audit_entries(request).await.told().entries;
    let last = entries.last().expect("two entries");
    assert_eq!(
        (last.principal.as_str(), last.method.as_str(), last.reason.as_str()),
        ("data-owner", "/wlp.registry.v1.DataSourceService/ApproveDataSource", "looked at")
    );
    assert_eq!((last.previous_state.as_str(), last.state.as_str()), ("PROPOSED", "APPROVED"));
    assert_eq!(last.roles, ["data-owner"]);
}
