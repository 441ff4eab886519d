//! The audit log as it is served: entries, Watch, heads, proofs, export.

use contracts::registry::v1::{
    AuditEntry, AuditExport, ConsistencyProof, ExportAuditRequest, GetConsistencyProofRequest,
    GetInclusionProofRequest, GetTreeHeadRequest, InclusionProof, ListAuditEntriesRequest,
    ListAuditEntriesResponse, TreeHead, WatchRequest, audit_service_server::AuditService,
};
use contracts::time::to_wire;
use futures::{Stream, StreamExt, stream};
use std::pin::Pin;
use storage::{Logged, SignedHead, Signer, audit::merkle::leaf_hash};
use tonic::{Request, Response, Status};

use crate::{Error, Registry, parse::Fields, store::kind_of};

/// Entries read at a time by an export.
const BATCH: u64 = 500;

type Pinned<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl AuditService for Registry {
    type WatchStream = Pinned<AuditEntry>;
    type ExportAuditStream = Pinned<AuditExport>;

    async fn list_audit_entries(
        &self,
        request: Request<ListAuditEntriesRequest>,
    ) -> Result<Response<ListAuditEntriesResponse>, Status> {
        let request = request.into_inner();
        let mut fields = Fields::default();
        fields.optional_text("subject", &request.subject);
        let page = fields.page(request.page_size, "");
        fields.done()?;
        let first = first(request.after_sequence, request.from_start);
        let log = self.records().audit();
        let logged = match request.subject.as_str() {
            "" => log.read(first, page.size.into()).await,
            subject => match kind_of(subject) {
                Some(kind) => log.history(kind, subject, first, page.size.into()).await,
                None => return Err(Error::field("subject", "is no resource name").into()),
            },
        };
        let entries: Result<_, Error> = logged.map_err(Error::from)?.iter().map(entry).collect();
        Ok(Response::new(ListAuditEntriesResponse { entries: entries? }))
    }

    async fn watch(&self, request: Request<WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let request = request.into_inner();
        let mut fields = Fields::default();
        fields.optional_text("subject_prefix", &request.subject_prefix);
        fields.done()?;
        let prefix = request.subject_prefix;
        let entries = self.records().audit().watch(first(request.after_sequence, request.from_start));
        let told = entries.filter_map(move |logged| {
            let told = logged.map_err(Error::from).and_then(|logged| entry(&logged));
            let wanted = told.as_ref().map_or(true, |entry| entry.subject.starts_with(&prefix));
            futures::future::ready(wanted.then(|| told.map_err(Status::from)))
        });
        Ok(Response::new(self.forward("watch-audit", told).boxed()))
    }

    async fn get_tree_head(
        &self,
        request: Request<GetTreeHeadRequest>,
    ) -> Result<Response<TreeHead>, Status> {
        let log = self.records().audit();
        let head = match request.into_inner().size {
            0 => log.head().await,
            size => log.head_at(size).await,
        };
        let head =
            head.map_err(Error::from)?.ok_or_else(|| Error::Missing("a tree head of that size".into()))?;
        Ok(Response::new(self.told(&head)?))
    }

    async fn get_inclusion_proof(
        &self,
        request: Request<GetInclusionProofRequest>,
    ) -> Result<Response<InclusionProof>, Status> {
        let GetInclusionProofRequest { sequence, size } = request.into_inner();
        let proof = self.records().audit().inclusion_proof(sequence, size).await.map_err(Error::from)?;
        let hashes = proof.ok_or_else(|| Error::Missing(format!("entry {sequence} in a log of {size}")))?;
        Ok(Response::new(InclusionProof { sequence, size, hashes: bytes(&hashes) }))
    }

    async fn get_consistency_proof(
        &self,
        request: Request<GetConsistencyProofRequest>,
    ) -> Result<Response<ConsistencyProof>, Status> {
        let GetConsistencyProofRequest { first_size, second_size } = request.into_inner();
        let log = self.records().audit();
        let proof = log.consistency_proof(first_size, second_size).await.map_err(Error::from)?;
        let hashes =
            proof.ok_or_else(|| Error::Missing(format!("a log of {first_size} in one of {second_size}")))?;
        Ok(Response::new(ConsistencyProof { first_size, second_size, hashes: bytes(&hashes) }))
    }

    async fn export_audit(
        &self,
        _: Request<ExportAuditRequest>,
    ) -> Result<Response<Self::ExportAuditStream>, Status> {
        let registry = self.clone();
        let batches = stream::try_unfold(0_u64, move |next| {
            let registry = registry.clone();
            async move { registry.batch(next).await.map_err(Status::from) }
        });
        let exported = batches.flat_map(|batch| {
            stream::iter(batch.map_or_else(|bad| vec![Err(bad)], |all| all.into_iter().map(Ok).collect()))
        });
        Ok(Response::new(self.forward("export-audit", exported).boxed()))
    }
}

impl Registry {
    async fn batch(&self, next: u64) -> Result<Option<(Vec<AuditExport>, u64)>, Error> {
        let logged = self.records().audit().read(next, BATCH).await?;
        let Some(last) = logged.last() else { return Ok(None) };
        let next = last.sequence + 1;
        let one = |logged: &Logged| {
            let head = logged.head.as_ref().map(|head| self.told(head)).transpose()?;
            Ok(AuditExport { entry: Some(entry(logged)?), head })
        };
        let all: Result<Vec<_>, Error> = logged.iter().map(one).collect();
        Ok(Some((all?, next)))
    }

    fn told(&self, head: &SignedHead) -> Result<TreeHead, Error> {
        Ok(TreeHead {
            size: head.size,
            root: head.root.to_vec(),
            time: Some(to_wire(head.time)),
            signature: head.signature.to_vec(),
            key_id: key_id(self.signer())?,
            public_key_pem: self.signer().public_key_pem()?,
        })
    }
}

/// The SHA-256 of the public key in PEM: names the key that signed.
pub fn key_id(signer: &Signer) -> Result<String, Error> {
    Ok(storage::Digest::of(signer.public_key_pem()?.as_bytes()).to_string())
}

fn first(after_sequence: u64, from_start: bool) -> u64 {
    if from_start { 0 } else { after_sequence.saturating_add(1) }
}

fn bytes(hashes: &[[u8; 32]]) -> Vec<Vec<u8>> {
    hashes.iter().map(|hash| hash.to_vec()).collect()
}

fn entry(logged: &Logged) -> Result<AuditEntry, Error> {
    let entry = logged.entry()?;
    Ok(AuditEntry {
        sequence: entry.sequence,
        time: Some(to_wire(entry.time)),
        principal: entry.principal,
        roles: entry.roles,
        method: entry.method,
        request_id: entry.request_id.unwrap_or_default(),
        subject: entry.name,
        action: entry.action,
        previous_state: entry.previous_state,
        state: entry.state,
        body_digest: entry.body_digest.to_string(),
        reason: entry.reason,
        trace_id: entry.trace_id,
        leaf_hash: leaf_hash(&logged.bytes).to_vec(),
        canonical: logged.bytes.clone(),
    })
}
