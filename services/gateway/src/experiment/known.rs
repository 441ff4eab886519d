//! The experiments that this gateway counts for, one for each endpoint.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use contracts::registry::v1 as wire;

use super::Arm;

/// The counts of one experiment within one step of the ladder.
#[derive(Debug)]
pub struct Running {
    /// The endpoint.
    pub endpoint: String,
    /// `deployments/{d}/rollouts/{r}`
    pub rollout: String,
    /// What was declared.
    pub declared: wire::Experiment,
    /// The version of arm `a`, which is stable.
    pub stable_version: String,
    /// The version of arm `b`, the canary.
    pub canary_version: String,
    /// The canary's share of the traffic in this step.
    pub percent: u32,
    /// Since when it counts.
    pub since: SystemTime,
    /// What stable did.
    pub stable: Arm,
    /// What the canary did.
    pub canary: Arm,
}

impl Running {
    /// The arm that a version is.
    pub fn arm(&self, canary: bool) -> &Arm {
        if canary { &self.canary } else { &self.stable }
    }

    fn is_of(&self, route: &wire::Route, declared: &wire::Experiment, arms: &Arms<'_>) -> bool {
        let own = (self.rollout.as_str(), self.stable_version.as_str(), self.canary_version.as_str());
        own == (route.rollout.as_str(), arms.stable, arms.canary)
            && self.percent == arms.percent
            && self.declared == *declared
    }
}

/// The two versions of a route that has both.
struct Arms<'a> {
    stable: &'a str,
    canary: &'a str,
    percent: u32,
}

impl<'a> Arms<'a> {
    fn of(route: &'a wire::Route) -> Option<Self> {
        let canary = route.backends.iter().find(|one| one.canary && one.traffic_percent > 0)?;
        let stable = route.backends.iter().find(|one| !one.canary && one.traffic_percent > 0)?;
        Some(Self { stable: &stable.version, canary: &canary.version, percent: canary.traffic_percent })
    }
}

/// All of them, by endpoint, with the step before of each.
#[derive(Debug, Default)]
pub struct Known(Mutex<BTreeMap<String, Steps>>);

/// The step under way, and those that are over.
#[derive(Debug, Default, Clone)]
struct Steps {
    now: Option<Arc<Running>>,
    all: Vec<Arc<Running>>,
}

/// Steps of one endpoint that are kept at most: more than a ladder has.
const MOST_STEPS: usize = 16;

impl Known {
    /// What a route's experiment counts into now; `None` where it has none, or only one version takes traffic.
    pub fn counts(&self, route: &wire::Route, now: SystemTime) -> Option<Arc<Running>> {
        let mut known = self.lock();
        let wanted = route.experiment.as_ref().zip(Arms::of(route));
        let Some((declared, arms)) = wanted else {
            if let Some(steps) = known.get_mut(&route.endpoint) {
                steps.now = None;
            }
            return None;
        };
        let steps = known.entry(route.endpoint.clone()).or_default();
        if let Some(same) = steps.now.as_ref().filter(|one| one.is_of(route, declared, &arms)) {
            return Some(same.clone());
        }
        let next = Arc::new(Running {
            endpoint: route.endpoint.clone(),
            rollout: route.rollout.clone(),
            declared: declared.clone(),
            stable_version: arms.stable.to_owned(),
            canary_version: arms.canary.to_owned(),
            percent: arms.percent,
            since: now,
            stable: Arm::default(),
            canary: Arm::default(),
        });
        steps.all.retain(|one| one.rollout == next.rollout);
        if steps.all.len() == MOST_STEPS {
            steps.all.remove(0);
        }
        steps.all.push(next.clone());
        steps.now = Some(next.clone());
        Some(next)
    }

    /// The routes in force are those of these endpoints.
    pub fn keep_only<'a>(&self, endpoints: impl Iterator<Item = &'a String>) {
        let endpoints: Vec<&String> = endpoints.collect();
        self.lock().retain(|name, _| endpoints.contains(&name));
    }

    /// Every step that is kept, the oldest of an endpoint first, and whether it is under way.
    pub fn steps(&self) -> Vec<(Arc<Running>, bool)> {
        let known = self.lock();
        let of = |steps: &Steps| {
            let now = steps.now.clone();
            let running = move |one: &Arc<Running>| now.as_ref().is_some_and(|now| Arc::ptr_eq(now, one));
            steps.all.iter().map(|one| (one.clone(), running(one))).collect::<Vec<_>>()
        };
        known.values().flat_map(of).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Steps>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
