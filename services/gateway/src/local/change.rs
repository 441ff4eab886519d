//! Models come, change and go: loaded and warm first, then moved, then drained.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use contracts::inference::ModelConfig;
use contracts::inference::repository_index_response::ModelIndex;
use futures::StreamExt;
use tokio::sync::oneshot;

use super::catalog::Standing;
use super::folder::{self, Place};
use super::{Control, EVERYTHING, Local, load, sheet};
use crate::Error;
use crate::backends::Backend;
use crate::gateway::Gateway;
use crate::wire::shown;

/// Models that are loaded at a time.
const AT_A_TIME: usize = 4;
/// How long an unloaded model's last requests are waited for.
const DRAIN: Duration = Duration::from_secs(20);
/// How often they are counted meanwhile.
const LOOK: Duration = Duration::from_millis(5);

type Places = BTreeMap<String, Place>;

impl Gateway {
    /// Loads what the repository wants at the start; models that cannot be loaded hold no other up.
    ///
    /// # Errors
    /// If the repository cannot be read.
    pub(super) async fn load_at_start(&self) -> anyhow::Result<()> {
        let Some(local) = self.local() else { return Ok(()) };
        let mut places = local.find().await.map_err(anyhow::Error::msg)?;
        let repository = &local.repository;
        if repository.control == Control::Explicit && !repository.load.iter().any(|name| name == EVERYTHING) {
            for name in repository.load.iter().filter(|name| !places.contains_key(*name)) {
                self.refuse(local, name, "is not in the repository");
            }
            places.retain(|name, _| repository.load.contains(name));
        }
        self.load_all(local, places).await;
        // An empty repository is one too.
        local.catalog.show(self);
        Ok(())
    }

    async fn load_all(&self, local: &Local, places: Places) {
        let one = |(name, place): (String, Place)| async move {
            // The reason stands in the catalog and in the log.
            _ = self.load_place(local, &name, &place, None).await;
        };
        futures::stream::iter(places).map(one).buffer_unordered(AT_A_TIME).collect::<()>().await;
    }

    /// Takes the folder as it is now: new models are loaded, changed ones swapped, those that are gone unloaded.
    ///
    /// # Errors
    /// If the folder cannot be read; what is served stays.
    pub(crate) async fn follow_folder(&self) -> Result<(), String> {
        let Some(local) = self.local() else { return Ok(()) };
        let places = local.find().await?;
        let known = local.catalog.stamps();
        for name in known.keys().filter(|name| !places.contains_key(*name)) {
            self.unload_place(local, name).await;
            local.catalog.forget(self, name);
        }
        let changed = load::blocking(move || {
            let changed = |(name, place): &(String, Place)| known.get(name) != Some(&folder::stamp(place));
            Ok(places.into_iter().filter(changed).collect::<Places>())
        });
        self.load_all(local, changed.await?).await;
        Ok(())
    }

    /// Loads a model by name, or loads it again, with its own configuration or one that is `given`; goes on when the caller is
    /// gone.
    ///
    /// # Errors
    /// [`Error::NotInRepository`], [`Error::NotLoaded`] with the reason: what was served before is served on.
    pub(crate) async fn load_named(
        &self,
        local: &Local,
        name: &str,
        given: Option<ModelConfig>,
    ) -> Result<(), Error> {
        let place = local.find().await.map_err(Error::Files)?.remove(name);
        let place = place.ok_or_else(|| Error::NotInRepository(shown(name)))?;
        let (gateway, own) = (self.clone(), name.to_owned());
        let loaded = local.carry_out("load-model", async move {
            let local = gateway.local().ok_or("there is no repository")?;
            gateway.load_place(local, &own, &place, given).await
        });
        loaded.await.map_err(|why| Error::NotLoaded { model: shown(name), why })
    }

    /// Unloads a model and waits for its last requests; goes on when the caller is gone.
    ///
    /// # Errors
    /// [`Error::NotInRepository`].
    pub(crate) async fn unload_named(&self, local: &Local, name: &str) -> Result<(), Error> {
        if local.catalog.get(name).is_none() {
            let there = local.find().await.map_err(Error::Files)?.contains_key(name);
            return if there { Ok(()) } else { Err(Error::NotInRepository(shown(name))) };
        }
        let (gateway, own) = (self.clone(), name.to_owned());
        let unloaded = local.carry_out("unload-model", async move {
            if let Some(local) = gateway.local() {
                gateway.unload_place(local, &own).await;
            }
            Ok(())
        });
        unloaded.await.map_err(Error::Files)
    }

    /// The rows of the repository index.
    ///
    /// # Errors
    /// [`Error::Files`] if the folder cannot be read.
    pub(crate) async fn index_local(&self, local: &Local, ready: bool) -> Result<Vec<ModelIndex>, Error> {
        let others = match local.repository.control {
            Control::Explicit => local.find().await.map_err(Error::Files)?,
            Control::None | Control::Poll => Places::new(),
        };
        Ok(local.catalog.index(others.into_keys(), ready))
    }

    /// Loads every version that the model's files want, then puts them in force at once.
    async fn load_place(
        &self,
        local: &Local,
        name: &str,
        place: &Place,
        given: Option<ModelConfig>,
    ) -> Result<(), String> {
        let turn = local.turn(name);
        let _turn = turn.lock().await;
        let (own, of, config) = (name.to_owned(), place.clone(), self.config().clone());
        // The stamp first: what changes while the model is read is seen as a change later.
        let read = load::blocking(move || {
            let stamp = folder::stamp(&of);
            Ok((stamp, sheet::read(&own, &of, &config, given)))
        });
        let (stamp, sheet) = read.await?;
        local.catalog.change(self, name, |model| model.stamp = stamp);
        let sheet = sheet.inspect_err(|why| self.refuse(local, name, why))?;
        local.catalog.change(self, name, |model| {
            if !model.is_served() {
                let first = sheet.versions.iter().map(|(version, _)| (*version, Standing::Loading));
                model.versions = first.collect();
            }
        });
        let mut versions = BTreeMap::new();
        for (version, file) in &sheet.versions {
            let standing = match load::load(self, &sheet, *version, file).await {
                Ok(backend) => Standing::Ready(backend),
                Err(why) => Standing::Failed(why),
            };
            versions.insert(*version, standing);
        }
        self.settle(local, name, versions)
    }

    /// Puts loaded versions in force. Where one of them failed, a model that is served stays as it is, and of one that is not
    /// the others are served.
    fn settle(&self, local: &Local, name: &str, versions: BTreeMap<i64, Standing>) -> Result<(), String> {
        let failed = versions.iter().filter_map(|(version, standing)| match standing {
            Standing::Failed(why) => Some(format!("version {version}: {why}")),
            _ => None,
        });
        let why = failed.collect::<Vec<_>>().join("; ");
        if why.is_empty() {
            local.catalog.change(self, name, |model| (model.versions, model.why) = (versions, String::new()));
            return Ok(());
        }
        tracing::error!(model = %shown(name), why, "model not loaded");
        local.catalog.change(self, name, |model| {
            if model.is_served() {
                model.why = format!("not loaded again: {why}");
            } else {
                (model.versions, model.why) = (versions, String::new());
            }
        });
        Err(why)
    }

    /// Notes why a model cannot be loaded; what is served stays as it is.
    fn refuse(&self, local: &Local, name: &str, why: &str) {
        tracing::error!(model = %shown(name), why, "model not loaded");
        local.catalog.change(self, name, |model| {
            if model.is_served() {
                model.why = format!("not loaded again: {why}");
            } else {
                model.versions.clear();
                why.clone_into(&mut model.why);
            }
        });
    }

    /// Takes a model off and waits for its last requests, for a while.
    async fn unload_place(&self, local: &Local, name: &str) {
        let turn = local.turn(name);
        let _turn = turn.lock().await;
        let Some(model) = local.catalog.get(name).filter(super::catalog::Model::is_served) else {
            local.catalog.change(self, name, unload);
            return;
        };
        let leaving: Vec<Weak<Backend>> = model.ready().map(Arc::downgrade).collect();
        drop(model);
        local.catalog.change(self, name, |model| {
            model.why = String::new();
            for standing in model.versions.values_mut() {
                if let Standing::Ready(_) = standing {
                    *standing = Standing::Unloading;
                }
            }
        });
        let until = Instant::now() + DRAIN;
        while leaving.iter().any(|backend| backend.strong_count() > 0) && Instant::now() < until {
            tokio::time::sleep(LOOK).await;
        }
        local.catalog.change(self, name, unload);
        tracing::info!(model = %shown(name), "model unloaded");
    }
}

/// Nothing of a model is there any more.
fn unload(model: &mut super::catalog::Model) {
    for standing in model.versions.values_mut() {
        *standing = Standing::Unloaded;
    }
    if model.versions.is_empty() {
        model.why = "unloaded".into();
    }
}

impl Local {
    /// What is in the folder.
    async fn find(&self) -> Result<Places, String> {
        let path = self.repository.path.clone();
        load::blocking(move || folder::find(&path).map_err(|error| format!("{}: {error}", path.display())))
            .await
    }

    /// Work that ends whether or not somebody waits for it.
    async fn carry_out(
        &self,
        name: &'static str,
        work: impl Future<Output = Result<(), String>> + Send + 'static,
    ) -> Result<(), String> {
        let (send, receive) = oneshot::channel();
        self.tasks.once(name, async move { _ = send.send(work.await) });
        receive.await.unwrap_or_else(|_| Err("it broke off".into()))
    }
}
