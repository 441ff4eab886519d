//! The mesh in this process: the registry alone, for scenarios of its rules, or all five.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use contracts::registry::v1::{Rollout, rollout::State};
use engine::Engine;
use engine::fake::FakeEngine;
use runtime::{Clock, Peer, Service};
use wlp::keys::Keyring;
use wlp::mesh::{MeshOptions, Sockets};
use wlp::reach::{Reach, To};
use wlp::story::{ManualPace, Quiet, Story};

use crate::digits::Digits;
use crate::facts::eventually;
use crate::line::Line;
use crate::made::classifier;
use crate::net::Net;
use crate::people::{People, SERVICES};

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
    /// Loads every model, unless another engine was given.
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
        let engine = FakeEngine::new();
        Self { engine: engine.clone(), ..Self::with(Arc::new(engine)).await }
    }

    /// A registry that tries models on another engine.
    ///
    /// # Panics
    /// If it cannot be built.
    pub async fn with(engine: Arc<dyn Engine>) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (clock, people) = (Clock::manual(start_of_time()), Arc::new(People::new()));
        let config = registry::Config {
            data_dir: folder.path().join("registry").display().to_string(),
            database: runtime::config::Database { url: "sqlite::memory:".into() },
            ..registry::Config::default()
        };
        let deps = registry::Deps { clock: clock.clone(), engine, credentials: people.credentials() };
        let service = registry::build(&config, deps).await.expect("a registry");
        service.tasks().start();
        let nobody = Peer::connect("http://127.0.0.1:1", "").expect("an address");
        let own = service.peer("").expect("a peer");
        let peers = [own, nobody.clone(), nobody.clone(), nobody.clone(), nobody];
        Self { net: Net::new(peers, people), clock, engine: FakeEngine::new(), service, folder }
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

/// All five in this process, in memory, on a manual clock, with the fake engine, without sockets.
pub struct Mesh {
    /// The mesh as principals call it.
    pub net: Net,
    /// Virtual time, which only the test moves.
    pub clock: Clock,
    /// Runs every model.
    pub engine: FakeEngine,
    whole: wlp::mesh::Mesh,
}

impl Mesh {
    /// A mesh without records.
    ///
    /// # Panics
    /// If it cannot be built.
    pub async fn start() -> Self {
        Self::listening(None, None).await
    }

    /// As [`Mesh::start`], with ONNX Runtime.
    ///
    /// # Panics
    /// If it cannot be built.
    pub async fn real() -> Self {
        Self::listening(None, Some(Arc::new(engine::OnnxRuntime::new()))).await
    }

    /// As [`Mesh::start`], reachable from outside of this process too.
    ///
    /// # Panics
    /// If it cannot be built.
    pub async fn served() -> Self {
        Self::listening(Some(Sockets::FREE), None).await
    }

    async fn listening(sockets: Option<Sockets>, real: Option<Arc<dyn Engine>>) -> Self {
        let (clock, engine) = (Clock::manual(start_of_time()), FakeEngine::new());
        let options = MeshOptions {
            data_dir: None,
            clock: clock.clone(),
            engine: real.unwrap_or_else(|| Arc::new(engine.clone())),
            keys: Keyring::generate().expect("keys"),
            sockets,
            configured: false,
        };
        let whole = wlp::mesh::Mesh::start(options).await.expect("a mesh");
        let mesh = Self { net: net_of(&*whole.reach(), whole.reach().keys()), clock, engine, whole };
        eventually("the gateway has its first route table", || async {
            let request =
                contracts::inference::ModelMetadataRequest { name: "nobody".into(), ..Default::default() };
            let refused = mesh.net.by("client").inference().model_metadata(request).await.err()?;
            (refused.code() == tonic::Code::NotFound).then_some(())
        })
        .await;
        mesh
    }

    /// A new line in it.
    pub fn line(&self, id: &str) -> Line {
        Line::new(&self.net, id)
    }

    /// The parts as they were put together.
    pub fn whole(&self) -> &wlp::mesh::Mesh {
        &self.whole
    }

    /// A story over it, with digits made by a seed.
    ///
    /// # Panics
    /// If there is no folder for its documents.
    pub fn story(&self) -> Story {
        let reach: Arc<dyn Reach> = self.whole.reach();
        let pace = Arc::new(ManualPace::new(self.clock.clone(), Duration::from_secs(20)));
        let makers = Arc::new(Digits::new(&self.net, self.engine.clone()));
        let folder = self.whole.data_dir().join("story");
        Story::new(reach, makers, pace, Arc::new(Quiet), folder)
    }

    /// Moves the clock by `by` in small steps, so that every loop has its turns.
    pub async fn pass(&self, by: Duration) {
        let step = Duration::from_secs(5);
        let mut left = by;
        while !left.is_zero() {
            let next = left.min(step);
            self.clock.advance(next);
            left -= next;
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Lets a little time pass until the fact is there.
    ///
    /// # Panics
    /// If it never is.
    pub async fn until<T, F: Future<Output = Option<T>>>(
        &self,
        what: &str,
        mut look: impl FnMut() -> F,
    ) -> T {
        eventually(what, || {
            self.clock.advance(Duration::from_secs(1));
            look()
        })
        .await
    }

    /// A line whose version stands as a canary at the first step of the ladder, taking traffic. Its model answers rightly.
    pub async fn canary(&self, id: &str, number: &str) -> Line {
        let line = self.line(id);
        line.to_version().await;
        assert_eq!(number, "1.0.0", "a line begins with its first version");
        self.engine.set(line.get(number).await.artifact_digest, classifier(0.0));
        line.approve(number).await;
        line.deploy().await;
        self.stage(&line, "first", number).await;
        line.start(&line.rollout("first")).await;
        self.serves(&line, number).await;
        line
    }

    /// Brings a second version as far as [`Mesh::canary`] brings the first.
    pub async fn next_canary(&self, line: &Line, number: &str, seed: i64, rollout: &str) {
        let run = format!("run-{seed}");
        line.train(&run).await;
        let digest = line.register(number, &run, seed).await;
        self.engine.set(digest, classifier(0.0));
        line.approve(number).await;
        self.stage(line, rollout, number).await;
        line.start(&line.rollout(rollout)).await;
        self.serves(line, number).await;
    }

    /// Prepares a rollout; the gateway serves staging and takes part in the rehearsal.
    pub async fn stage(&self, line: &Line, rollout: &str, number: &str) {
        line.open_rollout(rollout, number).await;
        line.stage(rollout).await;
        let by = line.by("ml-ops-engineer");
        self.until("a rehearsal", || {
            let (by, name) = (by.clone(), line.rollout(rollout));
            async move {
                let request = contracts::registry::v1::RehearseRollbackRequest { name, ..Default::default() };
                by.rollouts().rehearse_rollback(request).await.ok()
            }
        })
        .await;
        self.until("the gateway went back and forth", || async {
            let rehearsal = line.rollout_now(rollout).await.rehearsal.unwrap_or_default();
            rehearsal.restored_time.is_some().then_some(())
        })
        .await;
        line.finish_checks(rollout, number).await;
    }

    /// Waits until the gateway sends traffic to a version.
    pub async fn serves(&self, line: &Line, number: &str) {
        self.until("the version takes traffic", || async {
            let request = contracts::gateway::v1::ListBackendsRequest { endpoint: line.id.clone() };
            let served = line.by("ml-ops-engineer").serving().list_backends(request).await.ok()?.into_inner();
            let version = line.version(number);
            let takes = |one: &contracts::gateway::v1::ServedBackend| {
                one.version == version && one.traffic_percent > 0 && one.state == "ready"
            };
            served.backends.iter().any(takes).then_some(())
        })
        .await;
    }

    /// Waits until the gateway serves the staging endpoint of a line.
    pub async fn staged(&self, line: &Line) {
        self.until("staging is served", || async {
            let request =
                contracts::gateway::v1::ListBackendsRequest { endpoint: format!("{}-staging", line.id) };
            let served = line.by("ml-ops-engineer").serving().list_backends(request).await.ok()?.into_inner();
            served.backends.iter().any(|one| one.state == "ready").then_some(())
        })
        .await;
    }

    /// Drives a healthy canary up the ladder under load, until all traffic is its own.
    pub async fn climb(&self, line: &Line, rollout: &str) -> Rollout {
        self.climb_to(line, rollout, 101).await
    }

    /// As [`Mesh::climb`], until `percent` is reached.
    pub async fn climb_to(&self, line: &Line, rollout: &str, percent: u32) -> Rollout {
        let mut turns = 0;
        loop {
            let now = line.rollout_now(rollout).await;
            match now.state() {
                State::Succeeded => return now,
                State::Running if now.traffic_percent >= percent => return now,
                State::Running => {}
                other => panic!("{other:?}: {}", now.cause),
            }
            turns += 1;
            assert!(turns < 2000, "it does not climb: {now:?}");
            crate::infer::clean(&line.by("client"), &line.id, 40).await;
            self.clock.advance(Duration::from_secs(20));
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

/// A mesh as principals call it, over a reach.
///
/// # Panics
/// If a service is not there.
pub fn net_of(reach: &dyn Reach, keys: &Keyring) -> Net {
    let people = Arc::new(People::with_keys(keys.all()));
    let peers = SERVICES.map(|name| {
        let to: To = name.parse().expect("a service");
        reach.peer(to, "client").expect("a peer")
    });
    Net::new(peers, people)
}
