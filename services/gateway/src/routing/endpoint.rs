//! One endpoint as it is served now.

use std::sync::Arc;

use super::{Split, key};
use crate::Error;
use crate::backends::Backend;
use crate::breaker::Breaker;
use crate::experiment::Running;
use crate::shadow::Shadow;

/// A backend with its share.
#[derive(Debug, Clone)]
pub struct Target {
    /// The loaded version.
    pub backend: Arc<Backend>,
    /// Share that the route table gives it.
    pub percent: u32,
    /// It is the canary of the endpoint's rollout.
    pub canary: bool,
}

/// A name that clients call, and the versions behind it.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// `model_name` of the protocol.
    pub name: String,
    /// The deployment behind it.
    pub deployment: String,
    /// Beside production: no gates, no breaker.
    pub staging: bool,
    /// The rollout under way, or empty.
    pub rollout: String,
    /// Loaded versions.
    pub targets: Vec<Target>,
    /// Hands out requests without a key.
    pub split: Arc<Split>,
    /// Judges the canary.
    pub breaker: Option<Arc<Breaker>>,
    /// Counts the arms of its experiment.
    pub experiment: Option<Arc<Running>>,
    /// Gets copies of a share of the requests.
    pub shadow: Option<Arc<Shadow>>,
    /// Every loaded version answers a request that names it, with or without a share.
    pub by_number: bool,
}

impl Endpoint {
    /// The version that takes a request: the one asked for if it takes traffic, else by key, else by the split.
    ///
    /// # Errors
    /// [`Error::UnknownVersion`], [`Error::NoTraffic`], [`Error::NoStableVersion`], [`Error::NoBackend`].
    pub fn choose(&self, version: &str, key: Option<&str>) -> Result<&Target, Error> {
        if !version.is_empty() {
            return self.asked(version);
        }
        if self.targets.is_empty() {
            return Err(Error::NoBackend(self.name.clone()));
        }
        let place = match key {
            Some(key) => self.by_key(key),
            None => self.split.next(),
        };
        match place.and_then(|place| self.targets.get(place)) {
            Some(target) if target.canary && self.tripped() => self.stable(),
            Some(target) => Ok(target),
            None => Err(Error::NoStableVersion(self.name.clone())),
        }
    }

    /// Whether the same backends serve the same shares under the same breaker.
    pub fn is_as(&self, other: &Self) -> bool {
        let of = |one: &Self| (one.name.clone(), one.deployment.clone(), one.staging, one.rollout.clone());
        let same = |(a, b): (&Target, &Target)| {
            Arc::ptr_eq(&a.backend, &b.backend) && (a.percent, a.canary) == (b.percent, b.canary)
        };
        let breaker = |one: &Self| one.breaker.as_ref().map(Arc::as_ptr);
        let shadow = |one: &Self| one.shadow.as_ref().map(Arc::as_ptr);
        let experiment = |one: &Self| one.experiment.as_ref().map(Arc::as_ptr);
        of(self) == of(other)
            && breaker(self) == breaker(other)
            && shadow(self) == shadow(other)
            && experiment(self) == experiment(other)
            && self.targets.len() == other.targets.len()
            && self.targets.iter().zip(&other.targets).all(same)
    }

    /// The same endpoint with that version in its shadow and that experiment, or without.
    pub fn watched_by(
        self: Arc<Self>,
        shadow: Option<Arc<Shadow>>,
        experiment: Option<Arc<Running>>,
    ) -> Arc<Self> {
        let next = Self { shadow, experiment, ..Self::clone(&self) };
        if next.is_as(&self) { self } else { Arc::new(next) }
    }

    /// Percent that each target takes now: nothing for a canary that has tripped, and then all for stable.
    pub fn effective(&self) -> Vec<u32> {
        let tripped = self.tripped();
        let heir = tripped.then(|| self.heir()).flatten();
        let moved: u32 =
            self.targets.iter().filter(|target| target.canary).map(|target| target.percent).sum();
        let one = |(place, target): (usize, &Target)| match (tripped, target.canary) {
            (true, true) => 0,
            (true, false) if heir == Some(place) => target.percent + moved,
            _ => target.percent,
        };
        self.targets.iter().enumerate().map(one).collect()
    }

    /// Whether the target at that place answers a request that names its version.
    pub fn answers(&self, place: usize) -> bool {
        self.by_number || self.effective().get(place).is_some_and(|percent| *percent > 0)
    }

    /// Whether the breaker took the canary off.
    pub fn tripped(&self) -> bool {
        self.breaker.as_ref().is_some_and(|breaker| breaker.is_tripped())
    }

    /// The target of that version, `1.2.0`, `m-v1.2.0` or `models/m/versions/1.2.0`.
    pub fn find(&self, version: &str) -> Option<(usize, &Target)> {
        let full = contracts::name::model_version("model_version", version).ok();
        self.targets.iter().enumerate().find(|(_, target)| {
            target.backend.number == version || full.as_deref() == Some(target.backend.version.as_str())
        })
    }

    /// The version that metadata without a version speaks of: stable, or the canary of a first rollout.
    pub fn spokesman(&self) -> Option<&Target> {
        self.targets
            .iter()
            .find(|target| !target.canary && target.percent > 0)
            .or_else(|| self.targets.iter().max_by_key(|target| (!target.canary, target.percent)))
    }

    fn asked(&self, version: &str) -> Result<&Target, Error> {
        let named = || (self.name.clone(), crate::wire::shown(version));
        let Some((place, target)) = self.find(version) else {
            let (endpoint, version) = named();
            return Err(Error::UnknownVersion { endpoint, version });
        };
        if !self.answers(place) {
            let (endpoint, version) = named();
            return Err(Error::NoTraffic { endpoint, version });
        }
        Ok(target)
    }

    fn by_key(&self, key: &str) -> Option<usize> {
        let scope = if self.rollout.is_empty() { &self.name } else { &self.rollout };
        key::place(scope, key, self.targets.iter().map(|one| (one.backend.number.as_str(), one.percent)))
    }

    fn stable(&self) -> Result<&Target, Error> {
        let heir = self.heir().and_then(|place| self.targets.get(place));
        heir.ok_or_else(|| Error::NoStableVersion(self.name.clone()))
    }

    fn heir(&self) -> Option<usize> {
        let stable = self.targets.iter().enumerate().filter(|(_, target)| !target.canary);
        stable.max_by_key(|(_, target)| target.percent).map(|(place, _)| place)
    }
}
