//! The sealed bundle of a version: its bytes by digest, all its records, their last audit entries with inclusion proofs, and
//! the signed head. It is accepted only after it was restored on an empty database.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use contracts::registry::v1::*;
use lifecycle::retirement::Step;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use storage::audit::merkle::{Hash, leaf_hash, verify_inclusion};
use storage::{AuditEntry, Cause, Digest, Draft, Query, Record, Records, Signer};

use super::rules;
use crate::store::{Read, Resource, serving};
use crate::{Error, Registry};

#[derive(Serialize, Deserialize)]
struct Bundle {
    format: String,
    version: String,
    artifact_digest: String,
    artifact_bytes: u64,
    records: Vec<Kept>,
    head: Head,
}

/// A record with the audit entry that put it there, and the proof that the entry is in the log.
#[derive(Serialize, Deserialize)]
struct Kept {
    kind: String,
    name: String,
    parent: String,
    state: String,
    revision: i64,
    body: String,
    sequence: u64,
    entry: String,
    proof: Vec<String>,
}

#[derive(Serialize, Deserialize)]
struct Head {
    size: u64,
    root: String,
    time_us: i64,
    signature: String,
    public_key_pem: String,
}

impl Registry {
    /// Makes the bundle of a retirement, restores it on an empty database, and notes its digest for the step.
    ///
    /// # Errors
    /// NOT_FOUND, DATA_LOSS when what was bundled cannot be restored.
    pub(super) async fn archive(&self, retirement: &str) -> Result<(), Error> {
        let version = self.read::<ModelVersion>(retirement.trim_end_matches("/retirement")).await?;
        let seen = self.read::<Retirement>(retirement).await?;
        let policy = self.policies().active().await?;
        if rules(&seen)?.next(&policy.retirement) != Some(Step::Archive) {
            return Ok(()); // out of order or a repeat: the unit of work says which
        }
        let records = self.belonging(&version).await?;
        let bundle = self.bundle(&version, records).await?;
        let bytes = serde_json::to_vec(&bundle).map_err(|error| Error::Damaged(error.to_string()))?;
        let digest = self.blobs().put(bytes.into()).await?;
        self.restore(&digest).await?;
        let turn = self.records().database().begin_write().await?;
        serving::archived(turn.connection(), retirement, &digest.to_string()).await?;
        Ok(turn.commit().await?)
    }

    /// Every record that tells of a version: its own, what it was made from, where it was deployed.
    async fn belonging(&self, version: &ModelVersion) -> Result<Vec<Record>, Error> {
        let mut found = Vec::new();
        for kind in [Evaluation::KIND, TestReport::KIND, Review::KIND, GateDecision::KIND] {
            found.extend(self.records().list_all(&Query::kind(kind).below(&version.name)).await?);
        }
        let data = contracts::name::parent(&version.training_data_version);
        for (kind, name) in [
            (ModelVersion::KIND, version.name.as_str()),
            (Model::KIND, version.parent()),
            (TrainingRun::KIND, &version.training_run),
            (DatasetVersion::KIND, &version.training_data_version),
            (Dataset::KIND, data),
            (Artifact::KIND, &version.artifact_digest),
        ] {
            found.push(self.records().get(kind, name).await?);
        }
        let rollouts = self.children::<Rollout>("").await?;
        let mut subjects: Vec<String> = vec![version.name.clone()];
        for rollout in rollouts.iter().filter(|one| one.version == version.name) {
            subjects.push(rollout.name.clone());
            found.push(self.records().get(Rollout::KIND, &rollout.name).await?);
        }
        for incident in self.children::<Incident>("").await? {
            if subjects.contains(&incident.subject) {
                found.push(self.records().get(Incident::KIND, &incident.name).await?);
            }
        }
        for document in self.children::<Document>("").await? {
            if document.subject.starts_with(&version.name) || subjects.contains(&document.subject) {
                found.push(self.records().get(Document::KIND, &document.name).await?);
            }
        }
        found.sort_by(|one, other| (&one.kind, &one.name).cmp(&(&other.kind, &other.name)));
        Ok(found)
    }

    async fn bundle(&self, version: &ModelVersion, records: Vec<Record>) -> Result<Bundle, Error> {
        let log = self.records().audit();
        let head = log.head().await?.ok_or_else(|| Error::Damaged("the audit log is empty".into()))?;
        let mut kept = Vec::new();
        for record in records {
            let history = log.history(&record.kind, &record.name, 0, u64::MAX >> 1).await?;
            let digest = Digest::of(&record.body);
            let mut own = None;
            for logged in history {
                let entry = logged.entry()?;
                if entry.body_digest == digest && entry.revision == record.revision.unsigned_abs() {
                    own = Some(logged);
                }
            }
            let missing = || Error::Damaged(format!("audit entry of {}", record.name));
            let logged = own.ok_or_else(missing)?;
            let proof = log.inclusion_proof(logged.sequence, head.size).await?.ok_or_else(missing)?;
            kept.push(Kept {
                body: STANDARD.encode(&record.body),
                sequence: logged.sequence,
                entry: STANDARD.encode(&logged.bytes),
                proof: proof.iter().map(hex::encode).collect(),
                kind: record.kind,
                name: record.name,
                parent: record.parent,
                state: record.state,
                revision: record.revision,
            });
        }
        Ok(Bundle {
            format: "wlp-archive-v1".into(),
            version: version.name.clone(),
            artifact_digest: version.artifact_digest.clone(),
            artifact_bytes: version.size_bytes,
            records: kept,
            head: Head {
                size: head.size,
                root: hex::encode(head.root),
                time_us: storage::time::to_micros(head.time),
                signature: hex::encode(head.signature),
                public_key_pem: self.signer().public_key_pem()?,
            },
        })
    }

    /// The rehearsal: the bundle as it was stored is checked against its signed head and put into an empty database.
    async fn restore(&self, digest: &Digest) -> Result<(), Error> {
        let damaged = |what: String| Error::Damaged(format!("the archive does not restore: {what}"));
        let bytes = self.blobs().read(digest).await?;
        let bundle: Bundle = serde_json::from_slice(&bytes).map_err(|error| damaged(error.to_string()))?;
        let artifact: Digest =
            bundle.artifact_digest.parse().map_err(|_| damaged("artifact digest".into()))?;
        self.blobs().check(&artifact).await?;
        let root = head_holds(&bundle.head).map_err(damaged)?;
        let empty = storage::connect("sqlite::memory:").await?;
        storage::migrate(&empty, &[]).await?;
        let records = Records::open(empty, Arc::new(Signer::generate()?)).await?;
        let mut unit = records.begin(self.restoring(digest)).await?;
        for kept in &bundle.records {
            let body = proven(kept, bundle.head.size, &root).map_err(damaged)?;
            let Kept { kind, name, parent, state, .. } = kept;
            let draft = Draft {
                kind: kind.clone(),
                name: name.clone(),
                parent: parent.clone(),
                state: state.clone(),
                body,
            };
            unit.insert(draft, "restore").await?;
        }
        unit.commit(&[]).await?;
        for kept in &bundle.records {
            let back = records.get(&kept.kind, &kept.name).await?;
            if STANDARD.encode(&back.body) != kept.body || back.state != kept.state {
                return Err(damaged(kept.name.clone()));
            }
        }
        Ok(())
    }

    fn restoring(&self, digest: &Digest) -> Cause {
        Cause {
            principal: "registry".into(),
            roles: vec!["registry".into()],
            method: "restore-rehearsal".into(),
            request_id: None,
            request_digest: *digest,
            reason: String::new(),
            time: self.clock().now(),
            trace_id: String::new(),
        }
    }
}

/// The signature of the head holds; gives its root.
fn head_holds(head: &Head) -> Result<Hash, String> {
    let fixed = |text: &str| hex::decode(text).map_err(|error| error.to_string());
    let root: Hash = fixed(&head.root)?.try_into().map_err(|_| "root".to_owned())?;
    let signed = storage::SignedHead {
        size: head.size,
        root,
        time: storage::time::from_micros(head.time_us),
        signature: fixed(&head.signature)?.try_into().map_err(|_| "signature".to_owned())?,
    };
    let key = storage::audit::public_key_from_pem(&head.public_key_pem).map_err(|error| error.to_string())?;
    if signed.holds(&key) { Ok(root) } else { Err("the head's signature".into()) }
}

/// The body of a record that its audit entry names, the entry being in the log.
fn proven(kept: &Kept, size: u64, root: &Hash) -> Result<Vec<u8>, String> {
    let wrong = |what: &str| format!("{what} of {}", kept.name);
    let body = STANDARD.decode(&kept.body).map_err(|_| wrong("body"))?;
    let bytes = STANDARD.decode(&kept.entry).map_err(|_| wrong("entry"))?;
    let entry = AuditEntry::decode(&bytes).map_err(|_| wrong("entry"))?;
    if entry.body_digest != Digest::of(&body) || entry.name != kept.name || entry.sequence != kept.sequence {
        return Err(wrong("digest"));
    }
    let proof: Option<Vec<Hash>> =
        kept.proof.iter().map(|hash| hex::decode(hash).ok().and_then(|hash| hash.try_into().ok())).collect();
    let proof = proof.ok_or_else(|| wrong("proof"))?;
    if verify_inclusion(&leaf_hash(&bytes), kept.sequence, size, &proof, root) {
        Ok(body)
    } else {
        Err(wrong("proof"))
    }
}
