//! Models of a folder in place of the registry's: for development, on the same path of a request.
//!
//! - `folder.rs` finds models, `sheet.rs` reads what their files say, `text.rs` reads `config.pbtxt`.
//! - `plan.rs` is what a configuration makes of the engine's options, `unsupported.rs` what is refused or passed over,
//!   `complete.rs` holds it against the loaded file and fills in the rest, `warmup.rs` makes its samples.
//! - `given.rs` reads a configuration that comes with a call in place of the folder's.
//! - `preprocessing.rs` reads what stands before a model. `load.rs` loads a version; `change.rs` loads, swaps and unloads models; `catalog.rs` knows where each stands.
//!
//! There is no registry, no monitor and nobody to authenticate: the service is for loopback, and other addresses are
//! refused when it is served.

mod catalog;
mod change;
mod complete;
pub(crate) mod folder;
mod given;
mod load;
mod plan;
mod preprocessing;
mod sheet;
mod text;
mod unsupported;
mod warmup;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;

use engine::Engine;
use runtime::layers::auth::PUBLIC;
use runtime::{Clock, Credentials, MethodTable, Peer, Service, Tasks};

use crate::gateway::Clients;
use crate::shared_memory::Regions;
use crate::{Config, Error};
use catalog::Catalog;
pub(crate) use complete::datatype;
pub(crate) use given::parse as given_config;
#[cfg(test)]
pub(crate) use text::parsed;

/// The whole repository in [`Repository::load`], as in Triton.
pub const EVERYTHING: &str = "*";

/// Default deadline of a call: longer than one file may take to load. What takes longer goes on when its caller is told so.
const DEADLINE: Duration = Duration::from_secs(150);

/// Roles of a method that asks for no key.
const WITHOUT_KEY: &[&str] = &[PUBLIC];

/// Who says which models of a folder are served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Control {
    /// All that are there at the start, and no change.
    #[default]
    None,
    /// What is in the folder, which is looked at again and again.
    Poll,
    /// Callers, by RepositoryModelLoad and RepositoryModelUnload.
    Explicit,
}

/// A folder of models.
#[derive(Debug, Clone)]
pub struct Repository {
    /// An ONNX file, a folder of them, or a Triton model repository.
    pub path: PathBuf,
    /// Who says what is served.
    pub control: Control,
    /// With [`Control::Explicit`]: models to load at the start; [`EVERYTHING`] is all.
    pub load: Vec<String>,
    /// With [`Control::Poll`]: how often the folder is looked at, real time.
    pub poll: Duration,
    /// Callers may hand tensors over in shared memory of this host.
    pub shared_memory: bool,
}

/// What a gateway of a folder is given.
#[derive(Clone)]
pub struct LocalDeps {
    /// Virtual time.
    pub clock: Clock,
    /// Runs models.
    pub engine: Arc<dyn Engine>,
}

/// The state of a gateway that serves a folder.
#[derive(Debug)]
pub(crate) struct Local {
    repository: Repository,
    /// Shared memory that callers have registered; `None`: none is taken.
    regions: Option<Regions>,
    catalog: Catalog,
    /// One change of a model at a time.
    turns: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
    /// Changes that were begun go on when their caller is gone.
    tasks: Tasks,
}

impl Local {
    fn new(repository: Repository, tasks: Tasks) -> Self {
        let regions = repository.shared_memory.then(Regions::of_host);
        Self { repository, regions, catalog: Catalog::default(), turns: Mutex::default(), tasks }
    }

    /// How often the folder is looked at, if it is.
    pub(crate) fn poll(&self) -> Option<Duration> {
        (self.repository.control == Control::Poll).then_some(self.repository.poll)
    }

    /// Shared memory that callers have registered, if it is taken.
    pub(crate) fn regions(&self) -> Option<&Regions> {
        self.regions.as_ref()
    }

    /// Whose turn it is to change a model.
    fn turn(&self, name: &str) -> Arc<tokio::sync::Mutex<()>> {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        turns.entry(name.to_owned()).or_default().clone()
    }

    /// # Errors
    /// [`Error::Unsupported`] unless callers load and unload models.
    pub(crate) fn takes_orders(&self) -> Result<(), Error> {
        match self.repository.control {
            Control::Explicit => Ok(()),
            Control::None => Err(Error::Unsupported(
                "models are loaded at the start only; `--model-control explicit` lets a client load and unload them",
            )),
            Control::Poll => Err(Error::Unsupported(
                "models follow their folder; `--model-control explicit` lets a client load and unload them",
            )),
        }
    }
}

/// A gateway that serves the models of a folder, without the mesh: the handlers, the path of a request and the metrics of
/// [`crate::build`]; no registry, no monitor, no keys. `config.data_dir` is scratch space. What is to be loaded at the start is
/// loaded or known to fail when this returns.
///
/// # Errors
/// If the repository or the data folder cannot be read.
pub async fn build_local(
    config: &Config,
    deps: LocalDeps,
    repository: Repository,
) -> anyhow::Result<Service> {
    folder::find(&repository.path)
        .map_err(|error| anyhow::anyhow!("{}: {error}", repository.path.display()))?;
    let tasks = Tasks::new("gateway", deps.clock.clone());
    let local = Local::new(repository, tasks.clone());
    // Nobody is called: all that calls a peer is a task of the mesh.
    let clients = Clients::over(nobody()?, nobody()?);
    let parts = crate::Given { clock: deps.clock, engine: deps.engine, clients, local: Some(local) };
    let (gateway, metrics) = parts.gateway(config).await?;
    gateway.load_at_start().await?;
    crate::tasks::start_local(&tasks, &gateway);
    let service =
        crate::mounted(&gateway, metrics, tasks).access(open(), Credentials::none()).deadline(DEADLINE);
    crate::with_rest(service.build()?, config, gateway.admission().incoming())
}

fn nobody() -> anyhow::Result<Peer> {
    Ok(Peer::connect("http://127.0.0.1:9", "")?)
}

/// The methods of this service, without a key.
fn open() -> MethodTable {
    static OPEN: LazyLock<Vec<(&'static str, &'static [&'static str])>> = LazyLock::new(|| {
        let own = ["/inference.", "/wlp.gateway.", "/grpc."];
        let served = |path: &&str| own.iter().any(|prefix| path.starts_with(prefix));
        let paths = contracts::access::TABLE.iter().map(|(path, _)| *path);
        paths.filter(served).map(|path| (path, WITHOUT_KEY)).collect()
    });
    &OPEN
}

/// The name of a version as the mesh would have it.
fn full_name(model: &str, number: &str) -> String {
    format!("models/{model}/versions/{number}")
}
