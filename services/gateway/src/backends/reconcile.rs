//! Brings what is served to what the newest table says: loads and warms up first, moves traffic route by route, drains.
//!
//! A route takes effect only when all its backends with traffic are ready; until then, and if one fails, its old split
//! stays. Where there is no old one, as after a start, what is ready serves at once. A slow or broken route holds no other
//! one up, least of all a rollback.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use contracts::registry::v1 as wire;
use contracts::time::from_wire;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;

use super::assemble::{self, Ready};
use super::{Backend, LoadError, Loaded, Shown, State, gates, load};
use crate::gateway::{Accepted, Gateway};
use crate::routing::{Endpoint, Live};
use crate::shadow::Shadow;

const FIRST_RETRY: Duration = Duration::from_millis(500);
const LONGEST_RETRY: Duration = Duration::from_secs(30);

type Loading = BoxFuture<'static, (String, Result<Loaded, LoadError>)>;

struct Failure {
    error: String,
    again: Instant,
    tries: u32,
}

/// The state of one reconciliation task.
pub struct Reconciler {
    gateway: Gateway,
    /// What is loaded, by [`key`].
    ready: HashMap<String, Loaded>,
    failed: HashMap<String, Failure>,
    busy: HashSet<String>,
    /// Endpoints that serve what is ready of a route that was never in force as a whole.
    makeshift: HashSet<String>,
    /// Loads under way; poll it with [`Reconciler::loaded`].
    pub loading: FuturesUnordered<Loading>,
}

impl Reconciler {
    /// Nothing loaded yet.
    pub fn new(gateway: Gateway) -> Self {
        Self {
            gateway,
            ready: HashMap::new(),
            failed: HashMap::new(),
            busy: HashSet::new(),
            makeshift: HashSet::new(),
            loading: FuturesUnordered::new(),
        }
    }

    /// Takes the result of a load.
    pub fn loaded(&mut self, digest: String, result: Result<Loaded, LoadError>) {
        self.busy.remove(&digest);
        match result {
            Ok(loaded) => {
                self.failed.remove(&digest);
                self.ready.insert(digest, loaded);
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

    /// When a failed load should be tried again; one that is being tried is not waited for.
    pub fn next_retry(&self) -> Option<Instant> {
        let waiting = self.failed.iter().filter(|(digest, _)| !self.busy.contains(*digest));
        waiting.map(|(_, failure)| failure.again).min()
    }

    /// One step: starts the loads that are missing, swaps in every route that is ready, frees what nobody needs.
    pub fn step(&mut self, accepted: &Accepted) {
        let old = self.gateway.live().clone();
        let routes = &accepted.routes;
        let (mut rows, mut endpoints) = (Vec::new(), BTreeMap::new());
        let (mut whole, mut loading) = (true, false);
        for route in &routes.routes {
            let mut ready = Vec::new();
            let mut waits = false;
            for backend in &route.backends {
                let (state, session) = self.stand(accepted, route, backend);
                let takes = backend.traffic_percent > 0;
                waits |= takes && session.is_none();
                loading |= takes && !route.staging && state == State::Loading;
                rows.push(Shown {
                    endpoint: route.endpoint.clone(),
                    version: backend.version.clone(),
                    artifact_digest: backend.artifact_digest.clone(),
                    canary: backend.canary,
                    state,
                });
                ready.extend(session.map(|session| (backend, session)));
            }
            whole &= !waits;
            let before = old.endpoints.get(&route.endpoint);
            let endpoint = self.serving(route, &ready, waits, before, &routes.revoked_digests);
            let shadow = self.shadow(accepted, route);
            // Arms are counted for what the table says, once it is what is served.
            let counted = if waits {
                before.and_then(|before| before.experiment.clone())
            } else {
                self.gateway.experiments().counts(route, self.gateway.clock().now())
            };
            endpoints.insert(route.endpoint.clone(), endpoint.watched_by(shadow, counted));
        }
        let shadowed: Vec<&str> = routes
            .routes
            .iter()
            .filter(|one| one.shadow.is_some())
            .map(|one| one.endpoint.as_str())
            .collect();
        self.gateway.shadows().known().keep_only(&shadowed, endpoints.keys());
        self.gateway.experiments().keep_only(endpoints.keys());
        let news = *self.gateway.board().rows() != rows;
        self.gateway.board().put(rows);
        self.part(&old, &endpoints);
        let sequence = if whole { routes.sequence } else { old.sequence };
        let time = if whole { routes.time.as_ref().and_then(from_wire) } else { old.time };
        self.gateway.breakers().keep_only(&endpoints);
        let live = Live { endpoints, sequence, time, known: true, settled: old.settled || !loading };
        if news || !live.is_as(&old) {
            self.gateway.serve(live);
        }
        self.free(routes);
    }

    /// What serves a route now.
    fn serving(
        &mut self,
        route: &wire::Route,
        ready: &[Ready<'_>],
        waits: bool,
        before: Option<&Arc<Endpoint>>,
        revoked: &[String],
    ) -> Arc<Endpoint> {
        let before = before.filter(|before| !before.targets.is_empty());
        if !waits {
            self.makeshift.remove(&route.endpoint);
            return assemble::endpoint(&self.gateway, route, ready, before);
        }
        // What serves already goes on serving: a makeshift may only grow.
        let kept = |before: &Endpoint| {
            before.targets.iter().all(|target| {
                ready.iter().any(|(backend, _)| {
                    backend.version == target.backend.version
                        && backend.artifact_digest == target.backend.artifact_digest
                })
            })
        };
        match before {
            Some(before) if !self.makeshift.contains(&route.endpoint) || !kept(before) => {
                assemble::without_revoked(before, revoked)
            }
            before => {
                self.makeshift.insert(route.endpoint.clone());
                let made = assemble::makeshift(&self.gateway, route, ready, before);
                made.unwrap_or_else(|| Arc::new(assemble::empty(route)))
            }
        }
    }

    /// Where a backend stands, and its session if it is ready. Starts a load where one is due.
    fn stand(
        &mut self,
        accepted: &Accepted,
        route: &wire::Route,
        backend: &wire::Backend,
    ) -> (State, Option<Loaded>) {
        let policy = self.gateway.policy();
        let routes = &accepted.routes;
        let passed = gates::verify(route, backend, &routes.revoked_digests, &accepted.key, &policy);
        if let Err(refused) = passed {
            self.failed.remove(&key(backend));
            let state = State::Failed(refused.to_string());
            let known = |row: &Shown| {
                row.endpoint == route.endpoint && row.version == backend.version && row.state == state
            };
            if !self.gateway.board().rows().iter().any(known) {
                tracing::error!(endpoint = %route.endpoint, version = %backend.version, %refused, "backend refused");
            }
            return (state, None);
        }
        self.session(backend)
    }

    /// Where the model of a backend stands that may be loaded.
    fn session(&mut self, backend: &wire::Backend) -> (State, Option<Loaded>) {
        let key = key(backend);
        if let Some(loaded) = self.ready.get(&key) {
            return (State::Ready, Some(loaded.clone()));
        }
        let due = self.failed.get(&key).is_none_or(|failure| failure.again <= Instant::now());
        if due && self.busy.insert(key.clone()) {
            let (gateway, key, backend) = (self.gateway.clone(), key.clone(), backend.clone());
            self.loading.push(Box::pin(async move { (key, load::load(gateway, backend).await) }));
        }
        match self.failed.get(&key) {
            Some(failure) => (State::Failed(failure.error.clone()), None),
            None => (State::Loading, None),
        }
    }

    /// What gets copies of a route's requests, once it is ready. A route never waits for it, and it needs no more than what
    /// stands in staging: it answers nobody.
    fn shadow(&mut self, accepted: &Accepted, route: &wire::Route) -> Option<Arc<Shadow>> {
        let asked = route.shadow.as_ref()?;
        let backend = asked.backend.as_ref()?;
        let beside = wire::Route { staging: true, ..wire::Route::default() };
        let (revoked, policy) = (&accepted.routes.revoked_digests, self.gateway.policy());
        let stand = match gates::verify(&beside, backend, revoked, &accepted.key, &policy) {
            Err(refused) => Err(refused.to_string()),
            Ok(()) => match self.session(backend) {
                (State::Failed(why), _) => Err(why),
                (State::Ready | State::Loading, session) => Ok(session),
            },
        };
        let now = self.gateway.clock().now();
        self.gateway.shadows().stands(&route.endpoint, (asked, backend), stand, now)
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
            .flat_map(|route| {
                let shadow = route.shadow.as_ref().and_then(|shadow| shadow.backend.as_ref());
                route.backends.iter().chain(shadow)
            })
            .map(key);
        let served = live
            .endpoints
            .values()
            .flat_map(|endpoint| &endpoint.targets)
            .map(|target| key_of_served(&target.backend));
        let needed: HashSet<String> = named.chain(served).collect();
        self.ready.retain(|key, _| needed.contains(key));
        self.failed.retain(|key, _| needed.contains(key));
        self.makeshift.retain(|endpoint| live.endpoints.contains_key(endpoint));
    }
}

/// What a backend has loaded goes by its digest. Before a model that takes raw columns stands what its version says, so that
/// it goes by the version too.
fn key(backend: &wire::Backend) -> String {
    match backend.preprocessing_digest.as_str() {
        "" => backend.artifact_digest.clone(),
        preprocessing => format!("{} {preprocessing} {}", backend.artifact_digest, backend.version),
    }
}

fn key_of_served(backend: &Backend) -> String {
    match &backend.serving.preprocessor {
        None => backend.artifact_digest.clone(),
        Some(before) => format!("{} {} {}", backend.artifact_digest, before.digest(), backend.version),
    }
}
