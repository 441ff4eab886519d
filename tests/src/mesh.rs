//! The registry alone, for scenarios of its rules.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use engine::fake::FakeEngine;
use runtime::{Clock, Peer, Service};

use crate::line::Line;
use crate::net::Net;
use crate::people::People;

/// When every manual clock starts: a time after the procedure came into force.
pub fn start_of_time() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_772_442_000) // 2026-03-02T09:00:00Z
}

/// The registry in this process, in memory, on a manual clock, with the fake engine; nobody else is there.
pub struct Alone {
    /// The mesh as principals call it; only the registry answers.
    pub net: Net,
    /// Virtual time, which only the test moves.
    pub clock: Clock,
    /// Loads every model.
    pub engine: FakeEngine,
    service: Service,
    folder: tempfile::TempDir,
}

impl Alone {
    /// A registry without records.
    ///
    /// # Panics
    /// If it cannot be built.
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (clock, engine, people) = (Clock::manual(start_of_time()), FakeEngine::new(), Arc::new(People::new()));
        let config = registry::Config {
            data_dir: folder.path().join("registry").display().to_string(),
            database: runtime::config::Database { url: "sqlite::memory:".into() },
            ..registry::Config::default()
        };
        let deps = registry::Deps {
            clock: clock.clone(),
            engine: Arc::new(engine.clone()),
            credentials: people.credentials(),
        };
        let service = registry::build(&config, deps).await.expect("a registry");
        service.tasks().start();
        let nobody = Peer::connect("http://127.0.0.1:1", "").expect("an address");
        let own = service.peer("").expect("a peer");
        let peers = [own, nobody.clone(), nobody.clone(), nobody.clone(), nobody];
        Self { net: Net::new(peers, people), clock, engine, service, folder }
    }

    /// A new line in it.
    pub fn line(&self, id: &str) -> Line {
        Line::new(&self.net, id)
    }

    /// Where its files are.
    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// The service itself.
    pub fn service(&self) -> &Service {
        &self.service
    }
}
