//! A folder of models and what a gateway of it is made of, without the mesh and without keys.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use engine::Engine;
use gateway::{Control, LocalDeps, Repository};
use runtime::{Clock, Service};

pub const POLL: Duration = Duration::from_secs(15);

/// Models, and beside them the folder that a gateway works in.
pub struct Folder {
    models: tempfile::TempDir,
    scratch: tempfile::TempDir,
}

impl Folder {
    pub fn new() -> Self {
        Self { models: tempfile::tempdir().unwrap(), scratch: tempfile::tempdir().unwrap() }
    }

    pub fn path(&self) -> &Path {
        self.models.path()
    }

    /// Writes a file; its name may have folders.
    pub fn put(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    pub fn config(&self) -> gateway::Config {
        gateway::Config { data_dir: self.scratch.path().display().to_string(), ..Default::default() }
    }

    /// All of it, and no change.
    pub fn repository(&self) -> Repository {
        let (path, control, load) = (self.path().to_owned(), Control::None, Vec::new());
        Repository { path, control, load, poll: POLL, shared_memory: false }
    }

    /// A gateway of it.
    pub async fn serve(
        &self,
        config: &gateway::Config,
        repository: Repository,
        engine: impl Engine + 'static,
        clock: Clock,
    ) -> Service {
        let deps = LocalDeps { clock, engine: Arc::new(engine) };
        gateway::build_local(config, deps, repository).await.unwrap()
    }
}
