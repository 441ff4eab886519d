//! The endpoint of a route, made of the backends that are ready.

use std::sync::Arc;

use contracts::name;
use contracts::registry::v1 as wire;

use super::{Backend, Loaded, Serving, Stats};
use crate::gateway::Gateway;
use crate::observe::Observer;
use crate::routing::{Endpoint, Split, Target};

/// A backend of the table with what was loaded for it.
pub(super) type Ready<'a> = (&'a wire::Backend, Loaded);

/// The endpoint of a route whose backends are ready. What has not changed is kept: counts, split, breaker.
pub(super) fn endpoint(
    gateway: &Gateway,
    route: &wire::Route,
    ready: &[Ready<'_>],
    before: Option<&Arc<Endpoint>>,
) -> Arc<Endpoint> {
    let one = |(of, loaded): &Ready<'_>| Target {
        backend: backend(gateway, route, of, loaded, before),
        percent: of.traffic_percent,
        canary: of.canary,
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
        let breaker = gateway.breakers().open(&route.rollout, &canary.backend.version, gateway)?;
        breaker.at(canary.percent);
        Some(breaker)
    });
    Arc::new(Endpoint { targets, split, breaker, ..empty(route) })
}

/// Nothing of this route was served as a whole yet, and not all of it is ready: what is ready serves. Stable takes the
/// share of a canary that is missing; a canary never takes stable's. `None` where nothing is ready.
pub(super) fn makeshift(
    gateway: &Gateway,
    route: &wire::Route,
    ready: &[Ready<'_>],
    before: Option<&Arc<Endpoint>>,
) -> Option<Arc<Endpoint>> {
    let mut own: Vec<(wire::Backend, Loaded)> =
        ready.iter().map(|(backend, loaded)| ((*backend).clone(), loaded.clone())).collect();
    let missing = |backend: &&wire::Backend| !own.iter().any(|(ready, _)| ready.version == backend.version);
    let canaries = route.backends.iter().filter(|backend| backend.canary);
    let free: u32 = canaries.filter(missing).map(|backend| backend.traffic_percent).sum();
    let stable = own.iter_mut().filter(|(backend, _)| !backend.canary);
    if let Some((stable, _)) = stable.max_by_key(|(backend, _)| backend.traffic_percent) {
        stable.traffic_percent += free;
    }
    let ready: Vec<Ready<'_>> = own.iter().map(|(backend, loaded)| (backend, loaded.clone())).collect();
    (!ready.is_empty()).then(|| endpoint(gateway, route, &ready, before))
}

/// An endpoint that nothing stands behind.
pub(super) fn empty(route: &wire::Route) -> Endpoint {
    Endpoint {
        name: route.endpoint.clone(),
        deployment: route.deployment.clone(),
        staging: route.staging,
        rollout: route.rollout.clone(),
        targets: Vec::new(),
        split: Arc::new(Split::new(Vec::new())),
        breaker: None,
        experiment: None,
        shadow: None,
        by_number: false,
    }
}

/// The endpoint as it was, less what has been revoked since: never served, whatever else waits. The share of a revoked
/// version goes to the stable one that is left; where none is, the canary keeps its own share and no more.
pub(super) fn without_revoked(before: &Arc<Endpoint>, revoked: &[String]) -> Arc<Endpoint> {
    let holds = |target: &&Target| !revoked.contains(&target.backend.artifact_digest);
    let mut targets: Vec<Target> = before.targets.iter().filter(holds).cloned().collect();
    if targets.len() == before.targets.len() {
        return before.clone();
    }
    let given: u32 = before.targets.iter().map(|target| target.percent).sum();
    let left: u32 = targets.iter().map(|target| target.percent).sum();
    if let Some(heir) = targets.iter_mut().filter(|target| !target.canary).max_by_key(|target| target.percent)
    {
        heir.percent += given.saturating_sub(left);
    }
    let split = Arc::new(Split::new(targets.iter().map(|target| target.percent).collect()));
    let breaker = targets.iter().any(|target| target.canary).then(|| before.breaker.clone()).flatten();
    Arc::new(Endpoint { targets, split, breaker, ..Endpoint::clone(before) })
}

fn backend(
    gateway: &Gateway,
    route: &wire::Route,
    backend: &wire::Backend,
    loaded: &Loaded,
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
    let number = name::last(&backend.version).to_owned();
    Arc::new(Backend {
        endpoint: route.endpoint.clone(),
        deployment: route.deployment.clone(),
        version: backend.version.clone(),
        meters: gateway.meters().backend(&route.endpoint, &number),
        number,
        artifact_digest: backend.artifact_digest.clone(),
        dataset_version: backend.dataset_version.clone(),
        session: loaded.session.clone(),
        stats: Stats::default(),
        observer: Observer::new(gateway.config().observe.sample_share),
        serving: Serving {
            preprocessor: loaded.preprocessor.clone(),
            ..Serving::from(&gateway.config().infer)
        },
    })
}
