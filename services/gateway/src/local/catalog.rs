//! The models of a folder, and where each of their versions stands.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use contracts::inference::repository_index_response::ModelIndex;

use super::folder::Stamp;
use super::full_name;
use crate::backends::{Backend, Shown, State};
use crate::gateway::Gateway;
use crate::routing::{Endpoint, Live, Split, Target};

/// Where a version stands.
#[derive(Debug, Clone)]
pub enum Standing {
    /// Being loaded for the first time.
    Loading,
    /// Answers requests.
    Ready(Arc<Backend>),
    /// Answers its last requests.
    Unloading,
    /// Was unloaded.
    Unloaded,
    /// Could not be loaded.
    Failed(String),
}

/// One model.
#[derive(Debug, Clone, Default)]
pub struct Model {
    /// By number.
    pub versions: BTreeMap<i64, Standing>,
    /// Why it could not be loaded as a whole, or not again: what serves, serves on.
    pub why: String,
    /// Its files when it was last loaded, or when that was tried.
    pub stamp: Stamp,
}

impl Model {
    /// What answers requests.
    pub fn ready(&self) -> impl Iterator<Item = &Arc<Backend>> {
        self.versions.values().filter_map(|standing| match standing {
            Standing::Ready(backend) => Some(backend),
            _ => None,
        })
    }

    /// Its versions have been loaded, in whole or in part.
    pub fn is_served(&self) -> bool {
        self.ready().next().is_some()
    }

    /// The newest version takes the requests that name none; each answers those that name it.
    fn endpoint(&self, name: &str) -> Option<Arc<Endpoint>> {
        let ready: Vec<_> = self.ready().cloned().collect();
        let shares: Vec<u32> =
            (1..=ready.len()).map(|place| if place == ready.len() { 100 } else { 0 }).collect();
        let targets = ready.into_iter().zip(&shares);
        let target =
            |(backend, percent): (Arc<Backend>, &u32)| Target { backend, percent: *percent, canary: false };
        let targets: Vec<_> = targets.map(target).collect();
        (!targets.is_empty()).then(|| {
            Arc::new(Endpoint {
                name: name.to_owned(),
                deployment: String::new(),
                staging: false,
                rollout: String::new(),
                targets,
                split: Arc::new(Split::new(shares)),
                breaker: None,
                experiment: None,
                shadow: None,
                by_number: true,
            })
        })
    }

    fn rows(&self, name: &str) -> Vec<ModelIndex> {
        let row = |version: String, state: &str, reason: &str| ModelIndex {
            name: name.to_owned(),
            version,
            state: state.to_owned(),
            reason: reason.to_owned(),
        };
        if self.versions.is_empty() {
            return vec![row(String::new(), "UNAVAILABLE", &self.why)];
        }
        let one = |(number, standing): (&i64, &Standing)| {
            let (state, reason) = match standing {
                Standing::Loading => ("LOADING", ""),
                // What serves is not what lies in the folder, if that could not be loaded.
                Standing::Ready(_) => ("READY", self.why.as_str()),
                Standing::Unloading => ("UNLOADING", ""),
                Standing::Unloaded => ("UNAVAILABLE", "unloaded"),
                Standing::Failed(why) => ("UNAVAILABLE", why.as_str()),
            };
            row(number.to_string(), state, reason)
        };
        self.versions.iter().map(one).collect()
    }
}

/// All models by name.
#[derive(Debug, Default)]
pub struct Catalog(Mutex<BTreeMap<String, Model>>);

impl Catalog {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Model>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A model as it stands.
    pub fn get(&self, name: &str) -> Option<Model> {
        self.lock().get(name).cloned()
    }

    /// Names and stamps of all models.
    pub fn stamps(&self) -> BTreeMap<String, Stamp> {
        self.lock().iter().map(|(name, model)| (name.clone(), model.stamp.clone())).collect()
    }

    /// Changes a model and puts what answers requests in force, in one piece: no request meets half of a change.
    pub fn change(&self, gateway: &Gateway, name: &str, change: impl FnOnce(&mut Model)) {
        let mut models = self.lock();
        let model = models.entry(name.to_owned()).or_default();
        let before: Vec<_> = model.ready().cloned().collect();
        change(model);
        let after: Vec<_> = model.ready().map(Arc::as_ptr).collect();
        for backend in before.iter().filter(|backend| !after.contains(&Arc::as_ptr(backend))) {
            gateway.board().leaves(backend);
        }
        put(gateway, &models);
    }

    /// Puts the models in force as they are.
    pub fn show(&self, gateway: &Gateway) {
        put(gateway, &self.lock());
    }

    /// Forgets a model that is neither served nor in the folder any more.
    pub fn forget(&self, gateway: &Gateway, name: &str) {
        let mut models = self.lock();
        if models.get(name).is_some_and(|model| !model.is_served()) {
            models.remove(name);
        }
        put(gateway, &models);
    }

    /// A row for each version of each model, and one for each of `others` that is not among them.
    pub fn index(&self, others: impl Iterator<Item = String>, ready: bool) -> Vec<ModelIndex> {
        let models = self.lock();
        let mut rows: Vec<_> = models.iter().flat_map(|(name, model)| model.rows(name)).collect();
        for name in others.filter(|name| !models.contains_key(name)) {
            let (state, reason) = ("UNAVAILABLE".to_owned(), "not loaded".to_owned());
            rows.push(ModelIndex { name, version: String::new(), state, reason });
        }
        rows.retain(|row| !ready || row.state == "READY");
        rows.sort_by(|one, other| one.name.cmp(&other.name));
        rows
    }
}

/// Puts the models in force.
fn put(gateway: &Gateway, models: &BTreeMap<String, Model>) {
    let endpoint = |(name, model): (&String, &Model)| Some((name.clone(), model.endpoint(name)?));
    let endpoints = models.iter().filter_map(endpoint).collect();
    gateway.board().put(models.iter().flat_map(|(name, model)| board(name, model)).collect());
    gateway.serve(Live { endpoints, sequence: 0, time: None, known: true, settled: true });
}

/// The rows of a model for operators and metrics.
fn board(name: &str, model: &Model) -> Vec<Shown> {
    let row = |version: String, artifact_digest: String, state: State| Shown {
        endpoint: name.to_owned(),
        version,
        artifact_digest,
        canary: false,
        state,
    };
    if model.versions.is_empty() {
        let state = State::Failed(model.why.clone());
        return vec![row(full_name(name, ""), String::new(), state)];
    }
    let one = |(number, standing): (&i64, &Standing)| {
        let (digest, state) = match standing {
            Standing::Loading => (String::new(), State::Loading),
            Standing::Ready(backend) => (backend.artifact_digest.clone(), State::Ready),
            Standing::Failed(why) => (String::new(), State::Failed(why.clone())),
            Standing::Unloading | Standing::Unloaded => return None,
        };
        Some(row(full_name(name, &number.to_string()), digest, state))
    };
    model.versions.iter().filter_map(one).collect()
}
