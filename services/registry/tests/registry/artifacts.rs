//! Uploads that resume, and the audit log over all of it.

use super::desk::*;
use contracts::registry::v1::*;
use futures::StreamExt;
use storage::Digest;
use storage::audit::merkle::leaf_hash;
use tonic::Code;

fn piece(bytes: &[u8], from: usize, to: usize) -> UploadArtifactRequest {
    UploadArtifactRequest {
        digest: Digest::of(bytes).to_string(),
        size_bytes: bytes.len() as u64,
        offset: from as u64,
        chunk: bytes[from..to].to_vec().into(),
        ..Default::default()
    }
}

#[tokio::test]
async fn an_upload_goes_on_where_it_broke_and_is_kept_once() {
    let desk = Desk::start().await;
    let bytes = vec![7_u8; 3 << 20];
    let name = Digest::of(&bytes).to_string();
    let send = async |who: &str, one: UploadArtifactRequest| {
        desk.artifacts(who)
            .upload_artifact(futures::stream::iter([one]))
            .await
            .map(tonic::Response::into_inner)
    };
    let half = send("ml-engineer", piece(&bytes, 0, 1 << 20)).await.expect("a piece");
    assert_eq!((half.received_bytes, half.complete), (1 << 20, false));
    let ask = GetUploadRequest { digest: name.clone() };
    let told = desk.artifacts("ml-engineer").get_upload(ask.clone()).await.expect("told").into_inner();
    assert_eq!(told.received_bytes, 1 << 20);
    let wrong = send("ml-engineer", piece(&bytes, 5, 1 << 20)).await.expect_err("not where it stands");
    assert_eq!((wrong.code(), reason(&wrong).as_str()), (Code::OutOfRange, "WRONG_OFFSET"));
    let none = desk.artifacts("auditor").get_artifact(GetArtifactRequest { digest: name.clone() }).await;
    assert_eq!(none.expect_err("not complete").code(), Code::NotFound);
    let done = send("ml-engineer", piece(&bytes, 1 << 20, bytes.len())).await.expect("the rest");
    assert!(done.complete);
    let again = send("data-engineer", piece(&bytes, 0, 1)).await.expect("known bytes");
    assert!(again.complete, "nothing has to be sent twice");

    for offset in [0, 2 << 20, bytes.len() as u64] {
        let ask = DownloadArtifactRequest { digest: name.clone(), offset };
        let mut stream =
            desk.artifacts("auditor").download_artifact(ask).await.expect("a stream").into_inner();
        let mut got = Vec::new();
        while let Some(part) = stream.next().await {
            got.extend(part.expect("a piece").chunk);
        }
        assert_eq!(got, bytes[offset as usize..]);
    }
}

#[tokio::test]
async fn bytes_that_are_not_the_announced_ones_are_refused() {
    let desk = Desk::start().await;
    let mut lie = piece(b"these bytes", 0, 11);
    lie.digest = digest("others");
    let refused = desk.artifacts("ml-engineer").upload_artifact(futures::stream::iter([lie.clone()])).await;
    let refused = refused.expect_err("a lie");
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::InvalidArgument, "DIGEST_MISMATCH"));
    assert_eq!(bad_fields(&refused), ["digest"]);
    lie.digest = "sha256:zz".into();
    lie.size_bytes = 0;
    let refused =
        desk.artifacts("ml-engineer").upload_artifact(futures::stream::iter([lie])).await.expect_err("bad");
    assert_eq!(bad_fields(&refused), ["digest", "size_bytes"]);
    let renamed = UploadArtifactRequest { digest: digest("others"), ..piece(b" bytes", 0, 0) };
    let first =
        UploadArtifactRequest { digest: digest("those bytes"), size_bytes: 11, ..piece(b"these", 0, 5) };
    let refused =
        desk.artifacts("ml-engineer").upload_artifact(futures::stream::iter([first, renamed])).await;
    let refused = refused.expect_err("a later message names an artifact");
    assert_eq!((refused.code(), bad_fields(&refused)), (Code::InvalidArgument, vec!["digest".to_owned()]));
    let long = UploadArtifactRequest { size_bytes: 3, ..piece(b"these bytes", 0, 11) };
    let refused =
        desk.artifacts("ml-engineer").upload_artifact(futures::stream::iter([long])).await.expect_err("long");
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::ResourceExhausted, "TOO_LARGE"));
}

#[tokio::test]
async fn the_audit_log_holds_every_change_and_proves_it() {
    let mut desks = vec![Desk::start().await];
    desks.extend(Desk::on_postgres().await);
    for desk in desks {
        let from_start = WatchRequest { from_start: true, ..Default::default() };
        let mut watch = desk.audit("auditor").watch(from_start).await.expect("a watch").into_inner();
        desk.lay_data().await;
        let list = ListAuditEntriesRequest { from_start: true, page_size: 1000, ..Default::default() };
        let entries =
            desk.audit("auditor").list_audit_entries(list).await.expect("a list").into_inner().entries;
        for (at, entry) in entries.iter().enumerate() {
            assert_eq!(entry.sequence, at as u64, "no gaps");
            assert_eq!(entry.leaf_hash, leaf_hash(&entry.canonical));
            assert_eq!(&watch.next().await.expect("told").expect("an entry"), entry);
        }
        let told: Vec<_> =
            entries.iter().map(|it| (it.action.as_str(), it.principal.as_str(), it.state.as_str())).collect();
        assert_eq!(told[0], ("adopt", "registry", "ACTIVE"));
        assert_eq!(told[1], ("create", "ml-engineer", "PLAN"));
        assert_eq!(told.last(), Some(&("release", "data-engineer", "READY")));
        let history = ListAuditEntriesRequest {
            from_start: true,
            subject: "datasets/rows/versions/1.0.0".into(),
            ..Default::default()
        };
        let history =
            desk.audit("auditor").list_audit_entries(history).await.expect("a history").into_inner().entries;
        let actions: Vec<_> = history.iter().map(|entry| entry.action.as_str()).collect();
        assert_eq!(actions, ["create", "record-audit", "sign-relevance", "release"]);

        let head = desk
            .audit("auditor")
            .get_tree_head(GetTreeHeadRequest::default())
            .await
            .expect("a head")
            .into_inner();
        assert_eq!(head.size, entries.len() as u64);
        let proof = GetInclusionProofRequest { sequence: 1, size: head.size };
        assert!(
            !desk
                .audit("auditor")
                .get_inclusion_proof(proof)
                .await
                .expect("a proof")
                .into_inner()
                .hashes
                .is_empty()
        );
        let beyond = GetInclusionProofRequest { sequence: 1, size: head.size + 1 };
        assert_eq!(
            desk.audit("auditor").get_inclusion_proof(beyond).await.expect_err("beyond").code(),
            Code::NotFound
        );
        let ask = GetConsistencyProofRequest { first_size: 2, second_size: head.size };
        desk.audit("auditor").get_consistency_proof(ask).await.expect("a proof");

        let key = storage::audit::public_key_from_pem(&head.public_key_pem).expect("a key");
        let mut export =
            desk.audit("auditor").export_audit(ExportAuditRequest {}).await.expect("an export").into_inner();
        let mut logged = Vec::new();
        while let Some(one) = export.next().await {
            let one = one.expect("an entry");
            let (entry, head) = (one.entry.expect("an entry"), one.head.expect("a head"));
            logged.push(storage::Logged {
                sequence: entry.sequence,
                bytes: entry.canonical,
                head: Some(storage::SignedHead {
                    size: head.size,
                    root: head.root.as_slice().try_into().expect("32 bytes"),
                    time: contracts::time::from_wire(&head.time.expect("a time")).expect("a time"),
                    signature: head.signature.as_slice().try_into().expect("64 bytes"),
                }),
                note: Vec::new(),
            });
        }
        storage::audit::verify(logged.clone(), &key, &[]).expect("the export verifies offline");
        logged[2].bytes[40] ^= 1;
        assert!(storage::audit::verify(logged, &key, &[]).is_err(), "a changed byte is found");
    }
}
