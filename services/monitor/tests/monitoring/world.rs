//! One monitor with its registry, its clock and a client of every kind.

use contracts::common::v1::LatencySketch as WireSketch;
use contracts::monitor::v1::{
    alert_service_client::AlertServiceClient, canary_service_client::CanaryServiceClient,
    duty_service_client::DutyServiceClient, feedback_service_client::FeedbackServiceClient,
    observation_service_client::ObservationServiceClient, *,
};
use contracts::registry::v1::{Deployment, Rollout, RolloutStep, deployment, rollout};
use monitor::{Config, Deps, Monitor, RegistryClients};
use runtime::credentials::{Entry, digest_of};
use runtime::{Clock, Credentials, Kind, Peer, Service};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::DATABASE;
use super::registry::{Registry, VERSION};
use crate::Database;

pub const DEPLOYMENT: &str = "deployments/credit";
/// Monday, 6 January 2025, 00:00 UTC.
pub const START: u64 = 1_736_121_600;

pub struct World {
    pub clock: Clock,
    pub registry: Registry,
    pub monitor: Monitor,
    pub service: Service,
    folder: tempfile::TempDir,
    url: String,
    credentials: Credentials,
    _registry_service: Service,
    batch: AtomicU64,
}

fn credentials() -> Credentials {
    let key = |name: &str, kind, roles: &[&str]| Entry {
        sha256: digest_of(&format!("wlp_{name}")),
        principal: name.into(),
        kind,
        roles: roles.iter().map(ToString::to_string).collect(),
        expires: None,
        development: false,
    };
    let rows = vec![
        key("gateway", Kind::Service, &["gateway"]),
        key("monitor", Kind::Service, &["monitor"]),
        key("client", Kind::Program, &["client"]),
        key("ml-engineer", Kind::Person, &["ml-engineer"]),
        key("ml-ops-engineer", Kind::Person, &["ml-ops-engineer"]),
        key("ml-lead", Kind::Person, &["ml-lead"]),
    ];
    Credentials::from_entries(rows).unwrap()
}

/// A fresh database of the kind that this run is about.
fn fresh(folder: &tempfile::TempDir) -> String {
    let sqlite = format!("sqlite://{}/monitor.db?mode=rwc", folder.path().display());
    if DATABASE == Database::Sqlite {
        return sqlite;
    }
    match std::env::var("WLP_TEST_POSTGRES_URL") {
        Ok(url) => format!("{url}?schema=m{}", uuid::Uuid::new_v4().simple()),
        Err(_) if std::env::var("CI").is_ok_and(|ci| ci == "true") => {
            panic!("WLP_TEST_POSTGRES_URL is not set")
        }
        Err(_) => {
            eprintln!("on SQLite once more: WLP_TEST_POSTGRES_URL is not set");
            sqlite
        }
    }
}

impl World {
    pub async fn new() -> Self {
        let clock = Clock::manual(UNIX_EPOCH + Duration::from_secs(START));
        let (registry, credentials) = (Registry::default(), credentials());
        let registry_service = registry.serve(clock.clone(), credentials.clone());
        let folder = tempfile::tempdir().unwrap();
        let url = fresh(&folder);
        let (service, monitor) =
            start(&folder, &url, &clock, &credentials, &registry_service.peer("wlp_monitor").unwrap()).await;
        let batch = AtomicU64::new(0);
        Self {
            clock,
            registry,
            monitor,
            service,
            folder,
            url,
            credentials,
            _registry_service: registry_service,
            batch,
        }
    }

    /// Throws the monitor away without a goodbye and starts another over the same database.
    pub async fn restart(&mut self) {
        (self.service, self.monitor) = self.second().await;
    }

    /// Another monitor over the same database.
    pub async fn second(&self) -> (Service, Monitor) {
        let peer = self._registry_service.peer("wlp_monitor").unwrap();
        start(&self.folder, &self.url, &self.clock, &self.credentials, &peer).await
    }

    pub fn peer(&self, who: &str) -> Peer {
        self.service.peer(&format!("wlp_{who}")).unwrap()
    }

    pub fn observations(&self) -> ObservationServiceClient<Peer> {
        ObservationServiceClient::new(self.peer("gateway"))
    }

    pub fn alerts(&self) -> AlertServiceClient<Peer> {
        AlertServiceClient::new(self.peer("ml-ops-engineer"))
    }

    pub fn canaries(&self) -> CanaryServiceClient<Peer> {
        CanaryServiceClient::new(self.peer("client"))
    }

    pub fn feedback(&self, who: &str) -> FeedbackServiceClient<Peer> {
        FeedbackServiceClient::new(self.peer(who))
    }

    pub fn duties(&self, who: &str) -> DutyServiceClient<Peer> {
        DutyServiceClient::new(self.peer(who))
    }

    pub fn pass(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    /// Sends observations as one batch.
    pub async fn send(&self, observations: Vec<VersionObservation>) {
        let batch_id = format!("b{}", self.batch.fetch_add(1, Ordering::SeqCst));
        let request =
            ReportObservationsRequest { gateway: "g1".into(), batch_id, observations, ..Default::default() };
        let answer = self.observations().report_observations(request).await.unwrap();
        assert!(!answer.into_inner().duplicate);
    }

    /// Lets minutes pass, each with so many requests and failures of the canary.
    pub async fn serve(&self, minutes: u64, requests: u64, failed: u64) {
        for _ in 0..minutes {
            self.send(vec![second(self.clock.now(), requests, failed, 20.0)]).await;
            self.pass(60);
        }
    }

    /// Labels of a thousand rows become known, so many of them wrong or hallucinated, and a minute passes.
    pub async fn label(&self, wrong: usize, hallucinated: usize) {
        let label = |row| Label {
            deployment: "credit".into(),
            version: VERSION.into(),
            prediction: "yes".into(),
            label: if row < wrong { "no".into() } else { "yes".into() },
            hallucination: Some(row < hallucinated),
            ..Default::default()
        };
        let labels = (0..1_000).map(label).collect();
        self.send(vec![second(self.clock.now(), 1, 0, 5.0)]).await;
        let mut client = ObservationServiceClient::new(self.peer("client"));
        client.report_labels(ReportLabelsRequest { labels, request_id: String::new() }).await.unwrap();
        self.pass(60);
    }

    pub async fn open(&self) -> Vec<Alert> {
        let request = ListAlertsRequest { open_only: true, page_size: 100, ..Default::default() };
        self.alerts().list_alerts(request).await.unwrap().into_inner().alerts
    }

    pub async fn rules(&self) -> Vec<String> {
        monitor::tasks::raise_alerts::run_once(&self.monitor).await.unwrap();
        self.open().await.into_iter().map(|alert| alert.rule).collect()
    }

    /// A reading of a host.
    pub async fn read(&self, reading: ReportResourcesRequest) {
        self.observations().report_resources(reading).await.unwrap();
    }

    /// The version in production.
    pub fn deployed(&self) {
        let mut one = Deployment {
            name: DEPLOYMENT.into(),
            model: "models/credit".into(),
            stable_version: VERSION.into(),
            create_time: Some(contracts::time::to_wire(self.clock.now())),
            ..Default::default()
        };
        one.set_state(deployment::State::Active);
        self.registry.state.lock().unwrap().deployments.push(one);
    }

    /// A rollout whose canary has just got its 5 %.
    pub fn rollout(&self) -> String {
        let name = format!("{DEPLOYMENT}/rollouts/r1");
        let time = Some(contracts::time::to_wire(self.clock.now()));
        let mut one = Rollout {
            name: name.clone(),
            version: VERSION.into(),
            traffic_percent: 5,
            step_start_time: time,
            history: vec![RolloutStep { traffic_percent: 5, time, ..Default::default() }],
            ..Default::default()
        };
        one.set_state(rollout::State::Running);
        self.registry.state.lock().unwrap().rollouts.push(one);
        name
    }
}

async fn start(
    folder: &tempfile::TempDir,
    url: &str,
    clock: &Clock,
    credentials: &Credentials,
    registry: &Peer,
) -> (Service, Monitor) {
    let mut config = Config { data_dir: folder.path().display().to_string(), ..Config::default() };
    url.clone_into(&mut config.database.url);
    let registry = RegistryClients::over(registry);
    let deps = Deps { clock: clock.clone(), credentials: credentials.clone(), registry };
    monitor::assemble(&config, deps).await.unwrap()
}

/// One second of one version.
pub fn second(at: SystemTime, requests: u64, failed: u64, milliseconds: f64) -> VersionObservation {
    VersionObservation {
        deployment: DEPLOYMENT.into(),
        version: VERSION.into(),
        start_time: Some(contracts::time::to_wire(at)),
        requests,
        rows: requests,
        model_faults: failed,
        latency: Some(latency(requests, milliseconds)),
        ..Default::default()
    }
}

pub fn latency(count: u64, milliseconds: f64) -> WireSketch {
    let mut sketch = statistics::LatencySketch::default();
    for _ in 0..count {
        sketch.add(milliseconds).unwrap();
    }
    let (indexes, counts) = sketch.to_pairs().into_iter().unzip();
    let (min_ms, max_ms) = sketch.range().unwrap_or_default();
    WireSketch { indexes, counts, relative_accuracy: sketch.accuracy(), min_ms, max_ms, sum_ms: 0.0 }
}
