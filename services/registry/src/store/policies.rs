//! Policies: the one in force, and any by its digest.

use contracts::registry::v1::{PolicySignature, PolicyVersion, policy_version::State};
use lifecycle::Policy;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;
use storage::{Cause, Digest, Query, Records, Unit};

use super::{Resource as _, Stored, draft};
use crate::Error;

/// Parsed policies by digest, over their records. Clones share the memory.
#[derive(Clone)]
pub struct PolicyStore {
    records: Records,
    parsed: Arc<Mutex<HashMap<String, Arc<Policy>>>>,
}

impl PolicyStore {
    /// Over `records`.
    pub fn new(records: Records) -> Self {
        Self { records, parsed: Arc::default() }
    }

    /// The policy in force, by which every decision is made.
    ///
    /// # Errors
    /// Of the database.
    pub async fn active(&self) -> Result<Arc<Policy>, Error> {
        self.policy_of(self.records.list(&in_force()).await?.pop())
    }

    /// As [`PolicyStore::active`], as a unit of work sees it.
    ///
    /// # Errors
    /// Of the database.
    pub async fn active_in(&self, unit: &Unit) -> Result<Arc<Policy>, Error> {
        self.policy_of(unit.list(&in_force()).await?.pop())
    }

    /// The policy with a digest, in force or not, to replay what was decided under it.
    ///
    /// # Errors
    /// [`Error::Missing`].
    pub async fn by_digest(&self, digest: &str) -> Result<Arc<Policy>, Error> {
        self.parse(&self.version_by_digest(digest).await?)
    }

    /// The record of the policy with a digest.
    ///
    /// # Errors
    /// [`Error::Missing`].
    pub async fn version_by_digest(&self, digest: &str) -> Result<PolicyVersion, Error> {
        for record in self.records.list_all(&Query::kind(PolicyVersion::KIND)).await? {
            let version = Stored::<PolicyVersion>::read(record)?;
            if version.digest == digest {
                return Ok(version.into_inner());
            }
        }
        Err(Error::Missing(format!("policy {digest}")))
    }

    /// The record of the policy in force.
    ///
    /// # Errors
    /// Of the database.
    pub async fn active_version(&self) -> Result<PolicyVersion, Error> {
        let record = self.records.list(&in_force()).await?.pop().ok_or_else(none_in_force)?;
        Ok(Stored::<PolicyVersion>::read(record)?.into_inner())
    }

    /// Records the procedure as written as the first policy, signed by its own approval block, if there is none yet.
    ///
    /// # Errors
    /// Of the database.
    pub async fn ensure_builtin(&self, now: SystemTime) -> Result<(), Error> {
        let cause = Cause {
            principal: "registry".into(),
            roles: vec!["registry".into()],
            method: "start".into(),
            request_id: None,
            request_digest: Digest::of(lifecycle::policy::BUILTIN.as_bytes()),
            reason: "the procedure as written".into(),
            time: now,
            trace_id: String::new(),
        };
        let mut unit = self.records.begin(cause).await?;
        if !unit.list(&Query::kind(PolicyVersion::KIND).limit(1)).await?.is_empty() {
            return Ok(());
        }
        unit.insert(draft(&builtin()), "adopt").await?;
        unit.commit(&[]).await?;
        Ok(())
    }

    fn policy_of(&self, record: Option<storage::Record>) -> Result<Arc<Policy>, Error> {
        let version = Stored::<PolicyVersion>::read(record.ok_or_else(none_in_force)?)?;
        self.parse(&version)
    }

    fn parse(&self, version: &PolicyVersion) -> Result<Arc<Policy>, Error> {
        let known = self.lock().get(&version.digest).cloned();
        if let Some(policy) = known {
            return Ok(policy);
        }
        let policy = Policy::parse(&version.yaml).map_err(|error| Error::Damaged(error.to_string()))?;
        if policy.digest() != version.digest {
            return Err(Error::Damaged(format!("policy {} is {}", version.digest, policy.digest())));
        }
        let policy = Arc::new(policy);
        self.lock().insert(version.digest.clone(), policy.clone());
        Ok(policy)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Arc<Policy>>> {
        self.parsed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn in_force() -> Query {
    Query::kind(PolicyVersion::KIND).state("ACTIVE").limit(1)
}

fn none_in_force() -> Error {
    Error::Damaged("no policy is in force".into())
}

/// `policies/1-0` for version `1.0`.
pub fn policy_name(version: &str) -> String {
    format!("policies/{}", version.replace('.', "-").to_lowercase())
}

fn builtin() -> PolicyVersion {
    let policy = Policy::builtin();
    let version = policy.document.version.clone();
    let time = policy.document.effective_date.parse().ok();
    let signatures = policy.people.signatures.iter().map(|row| PolicySignature {
        role: row.role.to_string(),
        principal: row.role.to_string(), // the document names roles, not persons
        time,
    });
    PolicyVersion {
        name: policy_name(&version),
        version,
        state: State::Active.into(),
        digest: policy.digest().to_owned(),
        yaml: lifecycle::policy::BUILTIN.to_owned(),
        signatures: signatures.collect(),
        change_note: "the procedure as written".into(),
        proposed_by: "registry".into(),
        ..PolicyVersion::default()
    }
}
