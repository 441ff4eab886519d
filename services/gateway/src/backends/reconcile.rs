//! Brings what is served to what the newest table says: loads and warms up first, moves traffic route by route, drains.
//!
//! A route takes effect only when all its backends with traffic are ready; until then, and if one fails, its old split
//! stays. A slow or broken route holds no other one up, least of all a rollback.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use contracts::name;
use contracts::registry::v1 as wire;
use contracts::time::from_wire;
use engine::Session;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use tokio::sync::Semaphore;

use super::{Backend, LoadError, Shown, State, Stats, gates, load};
use crate::gateway::{Accepted, Gateway};
use crate::observe::Observer;
use crate::routing::{Endpoint, Live, Split, Target};

const FIRST_RETRY: Duration = Duration::from_millis(500);
const LONGEST_RETRY: Duration = Duration::from_secs(30);
/// Engine runs handed over at a time for each copy of a model: one that runs and one that is next.
const LANES: usize = 2;

type Loading = BoxFuture<'static, (String, Result<Arc<dyn Session>, LoadError>)>;

struct Failure {
    error: String,
    again: Instant,
    tries: u32,
}

/// The state of one reconciliation task.
pub struct Reconciler {
    gateway: Gateway,
    sessions: HashMap<String, Arc<dyn Session>>,
    failed: HashMap<String, Failure>,
    busy: HashSet<String>,
    /// Loads under way; poll it with [`Reconciler::loaded`].
    pub loading: FuturesUnordered<Loading>,
}

impl Reconciler {
    /// Nothing loaded yet.
    pub fn new(gateway: Gateway) -> Self {
        Self {
            gateway,
            sessions: HashMap::new(),
            failed: HashMap::new(),
            busy: HashSet::new(),
            loading: FuturesUnordered::new(),
        }
    }

    /// Takes the result of a load.
    pub fn loaded(&mut self, digest: String, result: Result<Arc<dyn Session>, LoadError>) {
        self.busy.remove(&digest);
        match result {
            Ok(session) => {
                self.failed.remove(&digest);
                self.sessions.insert(digest, session);
            }
            Err(error) => {
                tracing::error!(%digest, %error, "a version cannot be made ready, its old split stays");
                let tries = self.failed.get(&digest).map_or(0, |failure| failure.tries) + 1;
                let pause = (FIRST_RETRY * 2_u32.saturating_pow(tries.min(10) - 1)).min(LONGEST_RETRY);
                let failure = Failure { error: error.to_string(), again: Instant::now() + pause, tries };
                self.failed.insert(digest, failure);
            }
        }
    }

    /// When a failed load should be tried again.
    pub fn next_retry(&self) -> Option<Instant> {
        self.failed.values().map(|failure| failure.again).min()
    }

    /// One step: starts the loads that are missing, swaps in every route that is ready, frees what nobody needs.
    pub fn step(&mut self, accepted: &Accepted) {
        let old = self.gateway.live().clone();
        let routes = &accepted.routes;
        let (mut rows, mut endpoints, mut whole) = (Vec::new(), BTreeMap::new(), true);
        for route in &routes.routes {
            let mut ready = Vec::new();
            let mut waits = false;
            for backend in &route.backends {
                let (state, session) = self.stand(accepted, route, backend);
                waits |= backend.traffic_percent > 0 && session.is_none();
                rows.push(Shown {
                    endpoint: route.endpoint.clone(),
                    version: backend.version.clone(),
                    artifact_digest: backend.artifact_digest.clone(),
                    canary: backend.canary,
                    state,
                });
                ready.extend(session.map(|session| (backend, session)));
            }
            let before = old.endpoints.get(&route.endpoint);
            let endpoint = if waits {
                whole = false;
                before.and_then(|before| without_revoked(before, &routes.revoked_digests))
            } else {
                Some(self.endpoint(route, &ready, before))
            };
            let endpoint = endpoint.unwrap_or_else(|| Arc::new(empty(route)));
            endpoints.insert(route.endpoint.clone(), endpoint);
        }
        self.gateway.board().put(rows);
        self.part(&old, &endpoints);
        let sequence = if whole { routes.sequence } else { old.sequence };
        let time = if whole { routes.time.as_ref().and_then(from_wire) } else { old.time };
        self.gateway.breakers().keep_only(&endpoints);
        self.gateway.serve(Live { endpoints, sequence, time, known: true });
        self.free(routes);
    }

    /// Where a backend stands, and its session if it is ready. Starts a load where one is due.
    fn stand(
        &mut self,
        accepted: &Accepted,
        route: &wire::Route,
        backend: &wire::Backend,
    ) -> (State, Option<Arc<dyn Session>>) {
        let digest = &backend.artifact_digest;
        if let Err(refused) = gates::verify(route, backend, &accepted.routes.revoked_digests, &accepted.key) {
            tracing::error!(endpoint = %route.endpoint, version = %backend.version, %refused, "backend refused");
            return (State::Failed(refused.to_string()), None);
        }
        if let Some(session) = self.sessions.get(digest) {
            return (State::Ready, Some(session.clone()));
        }
        let due = self.failed.get(digest).is_none_or(|failure| failure.again <= Instant::now());
        if due && self.busy.insert(digest.clone()) {
            let (gateway, key, size) = (self.gateway.clone(), digest.clone(), backend.size_bytes);
            self.loading.push(Box::pin(async move { (key.clone(), load::load(gateway, key, size).await) }));
        }
        match self.failed.get(digest) {
            Some(failure) => (State::Failed(failure.error.clone()), None),
            None => (State::Loading, None),
        }
    }

    /// The endpoint of a route whose backends are ready. What has not changed is kept: counts, split, breaker.
    fn endpoint(
        &self,
        route: &wire::Route,
        ready: &[(&wire::Backend, Arc<dyn Session>)],
        before: Option<&Arc<Endpoint>>,
    ) -> Arc<Endpoint> {
        let one = |(backend, session): &(&wire::Backend, Arc<dyn Session>)| Target {
            backend: self.backend(route, backend, session, before),
            percent: backend.traffic_percent,
            canary: backend.canary,
        };
        let targets: Vec<Target> = ready.iter().map(one).collect();
        let shares: Vec<u32> = targets.iter().map(|target| target.percent).collect();
        let same = |before: &&Arc<Endpoint>| {
            let versions = |targets: &[Target]| -> Vec<String> {
                targets.iter().map(|target| target.backend.version.clone()).collect()
            };
            before.split.shares() == shares && versions(&before.targets) == versions(&targets)
        };
        let split =
            before.filter(same).map_or_else(|| Arc::new(Split::new(shares)), |before| before.split.clone());
        let canary = targets.iter().find(|target| target.canary);
        let breaker = canary.filter(|_| !route.staging && !route.rollout.is_empty()).and_then(|canary| {
            self.gateway.breakers().open(&route.rollout, &canary.backend.version, &self.gateway)
        });
        Arc::new(Endpoint {
            name: route.endpoint.clone(),
            deployment: route.deployment.clone(),
            staging: route.staging,
            rollout: route.rollout.clone(),
            targets,
            split,
            breaker,
        })
    }

    fn backend(
        &self,
        route: &wire::Route,
        backend: &wire::Backend,
        session: &Arc<dyn Session>,
        before: Option<&Arc<Endpoint>>,
    ) -> Arc<Backend> {
        let known = before.and_then(|before| {
            before.targets.iter().map(|target| &target.backend).find(|known| {
                known.version == backend.version && known.artifact_digest == backend.artifact_digest
            })
        });
        if let Some(known) = known {
            return known.clone();
        }
        let infer = &self.gateway.config().infer;
        let number = name::last(&backend.version).to_owned();
        Arc::new(Backend {
            endpoint: route.endpoint.clone(),
            deployment: route.deployment.clone(),
            version: backend.version.clone(),
            meters: self.gateway.meters().backend(&route.endpoint, &number),
            number,
            artifact_digest: backend.artifact_digest.clone(),
            dataset_version: backend.dataset_version.clone(),
            session: session.clone(),
            lanes: Arc::new(Semaphore::new(infer.instances.max(1) * LANES)),
            queue: infer.queue.max(1),
            stats: Stats::default(),
            observer: Observer::new(self.gateway.config().observe.sample_share),
        })
    }

    /// Puts those that are served no longer on the list of the draining; their last seconds are still reported.
    fn part(&self, old: &Live, new: &BTreeMap<String, Arc<Endpoint>>) {
        let kept: HashSet<*const Backend> = new
            .values()
            .flat_map(|endpoint| &endpoint.targets)
            .map(|target| Arc::as_ptr(&target.backend))
            .collect();
        for endpoint in old.endpoints.values() {
            for target in
                endpoint.targets.iter().filter(|target| !kept.contains(&Arc::as_ptr(&target.backend)))
            {
                self.gateway.board().leaves(&target.backend);
                if !endpoint.staging {
                    self.gateway.observing().leaves(&target.backend, target.canary);
                }
            }
        }
    }

    /// Forgets sessions and failures of digests that neither the table nor anything served names.
    fn free(&mut self, routes: &wire::Routes) {
        let live = self.gateway.live();
        let named = routes
            .routes
            .iter()
            .flat_map(|route| &route.backends)
            .map(|backend| backend.artifact_digest.as_str());
        let served = live
            .endpoints
            .values()
            .flat_map(|endpoint| &endpoint.targets)
            .map(|target| target.backend.artifact_digest.as_str());
        let needed: HashSet<&str> = named.chain(served).collect();
        self.sessions.retain(|digest, _| needed.contains(digest.as_str()));
        self.failed.retain(|digest, _| needed.contains(digest.as_str()));
    }
}

fn empty(route: &wire::Route) -> Endpoint {
    Endpoint {
        name: route.endpoint.clone(),
        deployment: route.deployment.clone(),
        staging: route.staging,
        rollout: route.rollout.clone(),
        targets: Vec::new(),
        split: Arc::new(Split::new(Vec::new())),
        breaker: None,
    }
}

/// The endpoint as it was, less what has been revoked since: never served, whatever else waits. The share of a revoked
/// version goes to the stable one that is left.
fn without_revoked(before: &Arc<Endpoint>, revoked: &[String]) -> Option<Arc<Endpoint>> {
    let holds = |target: &&Target| !revoked.contains(&target.backend.artifact_digest);
    let mut targets: Vec<Target> = before.targets.iter().filter(holds).cloned().collect();
    if targets.len() == before.targets.len() {
        return Some(before.clone());
    }
    let given: u32 = before.targets.iter().map(|target| target.percent).sum();
    let left: u32 = targets.iter().map(|target| target.percent).sum();
    let heir = targets.iter_mut().filter(|target| !target.canary).max_by_key(|target| target.percent)?;
    heir.percent += given.saturating_sub(left);
    let split = Arc::new(Split::new(targets.iter().map(|target| target.percent).collect()));
    let breaker = targets.iter().any(|target| target.canary).then(|| before.breaker.clone()).flatten();
    Some(Arc::new(Endpoint { targets, split, breaker, ..Endpoint::clone(before) }))
}
