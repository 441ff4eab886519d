//! Builds the route table. Its sequence is that of the last change of the audit log that changed what it says.

use contracts::registry::v1::{
    Backend, Deployment, GateDecision, ModelVersion, PolicyVersion, Rollout, Route, RouteTable, Routes,
    Shadow, rollout::State,
};
use contracts::time::to_wire;
use lifecycle::version_state::State as VersionState;
use prost::Message as _;
use std::collections::BTreeMap;
use std::sync::Arc;
use storage::{Cause, Digest, Query, Unit};
use tokio::sync::Mutex;

use super::STAGING;
use crate::convert::model;
use crate::handlers::audit::key_id;
use crate::store::{Read, Resource, Stored, serving};
use crate::{Error, Registry};

/// The table that was signed last, and the length of the audit log that it is known to be right for.
#[derive(Clone, Default)]
pub struct Routing(Arc<Mutex<Option<(u64, Current)>>>);

/// A signed table with its sequence.
#[derive(Clone)]
pub struct Current {
    /// Of the audit entry that it follows.
    pub sequence: u64,
    /// The table as it is told.
    pub table: RouteTable,
}

impl Registry {
    /// The route table as it stands, signed anew only where it says something else than before.
    ///
    /// # Errors
    /// Of the database.
    pub async fn route_table(&self) -> Result<Current, Error> {
        let mut known = self.routing().0.lock().await;
        let size = self.records().audit().head().await?.map_or(0, |head| head.size);
        if let Some((at, current)) = &*known
            && size <= *at
        {
            return Ok(current.clone());
        }
        let content = content(self).await?;
        let stored = serving::route_table(self.records().database().connection()).await?;
        let current = match stored.filter(|stored| stored.digest == digest(&content)) {
            Some(stored) => read(&stored)?,
            None => self.sign_anew().await?,
        };
        *known = Some((size, current.clone()));
        Ok(current)
    }

    /// Builds the table again inside a write transaction, where nothing moves under it.
    async fn sign_anew(&self) -> Result<Current, Error> {
        let now = self.clock().now();
        let cause = Cause {
            principal: "registry".into(),
            roles: vec!["registry".into()],
            method: "route-table".into(),
            request_id: None,
            request_digest: Digest::of(&[]),
            reason: String::new(),
            time: now,
            trace_id: String::new(),
        };
        let unit = self.records().begin(cause).await?;
        let content = content(&unit).await?;
        let digest = digest(&content);
        if let Some(stored) = serving::route_table(unit.connection()).await?
            && stored.digest == digest
        {
            return read(&stored); // another process was first
        }
        let sequence = serving::next_sequence(unit.connection()).await?.saturating_sub(1);
        let body = Routes { sequence, time: Some(to_wire(now)), ..content }.encode_to_vec();
        let signature = self.signer().sign(&body).to_vec();
        let table = RouteTable { body, signature, key_id: key_id(self.signer())? };
        let signed = serving::Signed { digest, sequence, table: table.encode_to_vec() };
        serving::keep_route_table(unit.connection(), &signed).await?;
        unit.commit(&[]).await?;
        Ok(Current { sequence, table })
    }
}

#[async_trait::async_trait]
impl Read for Unit {
    async fn records_of(&self, query: &Query) -> Result<Vec<storage::Record>, Error> {
        Ok(self.list(query).await?)
    }
}

fn read(stored: &serving::Signed) -> Result<Current, Error> {
    Ok(Current { sequence: stored.sequence, table: RouteTable::decode(stored.table.as_slice())? })
}

fn digest(content: &Routes) -> String {
    Digest::of(&content.encode_to_vec()).to_string()
}

/// What the table says, without sequence and time.
async fn content(records: &impl Read) -> Result<Routes, Error> {
    let mut versions = Versions { records, known: BTreeMap::new() };
    let mut routes = Vec::new();
    let deployments: Vec<Stored<Deployment>> =
        records.all(Query::kind(Deployment::KIND).state("ACTIVE")).await?;
    for deployment in &deployments {
        let rollouts: Vec<Stored<Rollout>> = records.children(&deployment.name).await?;
        let active = rollouts.iter().find(|rollout| rollout.name == deployment.active_rollout);
        routes.push(production(&mut versions, deployment, active).await?);
        if let Some(rollout) = active.filter(|rollout| rollout.staged) {
            routes.push(staging(&mut versions, deployment, rollout).await?);
        }
    }
    let revoked: Vec<Stored<ModelVersion>> =
        records.all(Query::kind(ModelVersion::KIND).state("REVOKED")).await?;
    let mut revoked_digests: Vec<String> = revoked.iter().map(|one| one.artifact_digest.clone()).collect();
    revoked_digests.sort();
    revoked_digests.dedup();
    let policies: Vec<Stored<PolicyVersion>> =
        records.all(Query::kind(PolicyVersion::KIND).state("ACTIVE")).await?;
    let policy_digest = policies.first().map(|policy| policy.digest.clone()).unwrap_or_default();
    Ok(Routes { routes, revoked_digests, policy_digest, ..Routes::default() })
}

async fn production(
    versions: &mut Versions<'_, impl Read>,
    deployment: &Stored<Deployment>,
    active: Option<&Stored<Rollout>>,
) -> Result<Route, Error> {
    let canary = active.filter(|rollout| matches!(rollout.state(), State::Running | State::Paused));
    let mut backends = Vec::new();
    let mut rest = 100;
    if let Some(rollout) = canary
        && let Some(backend) =
            versions.backend(&rollout.version, VersionState::may_serve, rollout.traffic_percent, true).await?
    {
        rest -= rollout.traffic_percent;
        backends.push(backend);
    }
    // without a stable version there is only the canary with its share
    if !deployment.stable_version.is_empty() {
        let stable =
            versions.backend(&deployment.stable_version, VersionState::may_serve, rest, false).await?;
        backends.splice(0..0, stable);
    }
    let name = contracts::name::last(&deployment.name).to_owned();
    let rollout = canary.map(|rollout| rollout.name.clone()).unwrap_or_default();
    let shadow = match active {
        Some(rollout) if !backends.is_empty() => shadow(versions, rollout).await?,
        _ => None,
    };
    let experiment = canary.and_then(|rollout| rollout.experiment.clone());
    let deployment = deployment.name.clone();
    Ok(Route { endpoint: name, deployment, staging: false, backends, rollout, shadow, experiment })
}

/// The staged version of a rollout that was asked to get copies, until it starts.
async fn shadow(
    versions: &mut Versions<'_, impl Read>,
    rollout: &Stored<Rollout>,
) -> Result<Option<Shadow>, Error> {
    if rollout.state() != State::Preparing || !rollout.staged || rollout.shadow_percent == 0 {
        return Ok(None);
    }
    let backend = versions.backend(&rollout.version, VersionState::may_stage, 0, false).await?;
    let (percent, rollout) = (rollout.shadow_percent, rollout.name.clone());
    Ok(backend.map(|backend| Shadow { backend: Some(backend), percent, rollout }))
}

async fn staging(
    versions: &mut Versions<'_, impl Read>,
    deployment: &Stored<Deployment>,
    rollout: &Stored<Rollout>,
) -> Result<Route, Error> {
    // between the two halves of a rehearsal the version before stands here
    let away = rollout.rehearsal.as_ref().is_some_and(|going| going.rolled_back_time.is_none());
    let version = if away { &rollout.previous_version } else { &rollout.version };
    let backend = if version.is_empty() {
        None
    } else {
        versions.backend(version, VersionState::may_stage, 100, false).await?
    };
    Ok(Route {
        endpoint: format!("{}{STAGING}", contracts::name::last(&deployment.name)),
        deployment: deployment.name.clone(),
        staging: true,
        backends: backend.into_iter().collect(),
        rollout: rollout.name.clone(),
        shadow: None,
        experiment: None,
    })
}

/// Versions with the decisions that let them be served.
struct Versions<'a, R> {
    records: &'a R,
    known: BTreeMap<String, (VersionState, Backend)>,
}

impl<R: Read> Versions<'_, R> {
    /// A version as a backend; none where its state is not one that may: it takes no traffic, whatever a record says.
    async fn backend(
        &mut self,
        name: &str,
        may: fn(VersionState) -> bool,
        traffic_percent: u32,
        canary: bool,
    ) -> Result<Option<Backend>, Error> {
        if !self.known.contains_key(name) {
            let made = self.make(name).await?;
            self.known.insert(name.to_owned(), made);
        }
        let made = self.known.get(name).filter(|(state, _)| may(*state)).cloned();
        Ok(made.map(|(_, backend)| Backend { traffic_percent, canary, ..backend }))
    }

    async fn make(&self, name: &str) -> Result<(VersionState, Backend), Error> {
        let siblings: Vec<Stored<ModelVersion>> =
            self.records.children(contracts::name::parent(name)).await?;
        let Some(version) = siblings.into_iter().find(|one| one.name == name) else {
            return Err(Error::Damaged(format!("{name} is routed and not there")));
        };
        let mut decisions: Vec<Stored<GateDecision>> = self.records.children(name).await?;
        decisions.retain(|one| one.artifact_digest == version.artifact_digest);
        decisions.sort_by_key(|one| (one.record().create_time, one.name.len(), one.name.clone()));
        let mut last: BTreeMap<i32, GateDecision> = BTreeMap::new();
        for decision in decisions {
            // the signature covers the digests; the evidence itself is read where it is asked for
            let bare = GateDecision {
                evidence_body: Vec::new(),
                findings: Vec::new(),
                evidence: Vec::new(),
                ..(*decision).clone()
            };
            last.insert(decision.gate, bare);
        }
        let backend = Backend {
            version: version.name.clone(),
            artifact_digest: version.artifact_digest.clone(),
            size_bytes: version.size_bytes,
            gate_decisions: last.into_values().filter(|decision| decision.passed).collect(),
            dataset_version: version.training_data_version.clone(),
            interface: version.interface.clone().filter(|_| !version.preprocessing_digest.is_empty()),
            preprocessing_digest: version.preprocessing_digest.clone(),
            ..Backend::default()
        };
        Ok((model::state(&version), backend))
    }
}
