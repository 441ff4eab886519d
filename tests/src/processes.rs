//! The mesh as five processes on PostgreSQL and Redis, started with the commands, environment and ports of
//! docker-compose.yml, where only names of hosts and folders are those of this machine.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use sea_orm::ConnectionTrait;
use wlp::keys::Keyring;
use wlp::reach::{Reach, Tcp, To, url_of};
use wlp::story::{FilePace, Pace};

use crate::facts::within;
use crate::mesh::net_of;
use crate::needs;
use crate::net::Net;

/// The ports of docker-compose.yml: gRPC, metrics.
const PORTS: [(To, u16, u16); 5] = [
    (To::Registry, 9001, 9101),
    (To::DataPipeline, 9002, 9102),
    (To::Evaluator, 9003, 9103),
    (To::Monitor, 9004, 9104),
    (To::Gateway, 8001, 8002),
];
/// The gateway's port of HTTP/REST there.
const REST: u16 = 8000;
/// How long a process may take to be ready.
const START: Duration = Duration::from_secs(60);
/// Virtual seconds in a real one while a canary soaks: five minutes of silence are seven seconds then, longer than a service
/// that was killed stays away.
const SPEED: f64 = 45.0;
/// The database of Redis that tests use; it is emptied first.
const REDIS_DATABASE: u32 = 9;

/// Five running processes.
pub struct Processes {
    folder: tempfile::TempDir,
    bin: PathBuf,
    addresses: BTreeMap<To, (SocketAddr, SocketAddr)>,
    rest: SocketAddr,
    environments: BTreeMap<To, BTreeMap<String, String>>,
    children: BTreeMap<To, Child>,
    keys: Keyring,
    pace: Arc<FilePace>,
    postgres: String,
    databases: Vec<String>,
}

/// The folder of the release binaries: told by tests/run, else beside this test's own.
pub fn binaries() -> Option<PathBuf> {
    let told = std::env::var_os("WLP_TEST_BIN_DIR").map(PathBuf::from);
    let own = || Some(std::env::current_exe().ok()?.parent()?.parent()?.to_owned());
    let folder = told.or_else(own)?;
    let missing = To::ALL.iter().find(|to| !folder.join(to.name()).is_file());
    match missing {
        None => Some(folder),
        Some(to) => {
            needs::missing(&format!(
                "no binary {} in {} (cargo build --release --bins)",
                to.name(),
                folder.display()
            ));
            None
        }
    }
}

/// The services of docker-compose.yml with their merge keys resolved.
///
/// # Panics
/// If the file is not what it should be.
pub fn compose() -> serde_norway::Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docker-compose.yml");
    let text = std::fs::read_to_string(path).expect("docker-compose.yml");
    let mut file: serde_norway::Value = serde_norway::from_str(&text).expect("YAML");
    file.apply_merge().expect("merge keys");
    file["services"].clone()
}

/// An address that nobody listens on, each time another. Below the ports that the system itself gives away, so that it stays
/// free until its service comes, and comes again.
fn free_address() -> SocketAddr {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let begin = u16::try_from(std::process::id() % 9_000).unwrap_or_default();
    let ports = std::iter::repeat_with(|| 20_000 + (begin + NEXT.fetch_add(1, Ordering::Relaxed)) % 12_000);
    let mut addresses = ports.take(12_000).map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
    addresses.find(|at| TcpListener::bind(at).is_ok()).expect("a free port")
}

impl Processes {
    /// Starts the five; none, with one line, where servers or binaries are missing. Traces go to `otlp`.
    ///
    /// # Panics
    /// If they do not become ready.
    pub async fn start(otlp: Option<SocketAddr>) -> Option<Self> {
        let bin = binaries()?;
        let postgres = needs::variable("WLP_TEST_POSTGRES_URL")?;
        let redis = needs::variable("WLP_TEST_REDIS_URL")?;
        empty_redis(&redis);
        let redis = format!("{}/{REDIS_DATABASE}", redis.trim_end_matches('/'));
        let folder = tempfile::tempdir().expect("a folder");
        let keys = Keyring::development(folder.path()).expect("keys");
        let pace =
            FilePace::create(folder.path().join("clock.json")).expect("a clock file").running_at(SPEED);
        let pace = Arc::new(pace);
        let addresses = PORTS.iter().map(|(to, ..)| (*to, (free_address(), free_address()))).collect();
        let mut processes = Self {
            folder,
            bin,
            addresses,
            rest: free_address(),
            environments: BTreeMap::new(),
            children: BTreeMap::new(),
            keys,
            pace,
            postgres,
            databases: Vec::new(),
        };
        processes.make_databases().await;
        let services = compose();
        for to in To::ALL {
            let environment = processes.environment(&services[to.name()], to, &redis, otlp);
            processes.environments.insert(to, environment);
        }
        for to in To::ALL {
            processes.spawn(to);
        }
        for to in To::ALL {
            processes.ready(to).await;
        }
        Some(processes)
    }

    /// What compose gives a service, with this machine's names in place of those of the containers.
    fn environment(
        &self,
        service: &serde_norway::Value,
        to: To,
        redis: &str,
        otlp: Option<SocketAddr>,
    ) -> BTreeMap<String, String> {
        let given = service["environment"].as_mapping().expect("an environment");
        let own = |value: &str| self.translate(to, value, redis, otlp);
        let mut environment: BTreeMap<String, String> = given
            .iter()
            .map(|(key, value)| {
                (key.as_str().expect("a name").to_owned(), own(value.as_str().expect("a text")))
            })
            .collect();
        let prefix = format!("WLP_{}", to.name().to_uppercase().replace('-', "_"));
        environment.insert(
            format!("{prefix}__CLOCK__FILE"),
            self.folder.path().join("clock.json").display().to_string(),
        );
        environment
    }

    fn translate(&self, to: To, value: &str, redis: &str, otlp: Option<SocketAddr>) -> String {
        let (rpc, metrics) = self.addresses[&to];
        if value.starts_with("postgres://") {
            return self.database(to);
        }
        if value.starts_with("redis://") {
            return redis.to_owned();
        }
        if value == "http://otel-collector:4317" {
            return otlp.map_or_else(String::new, |at| format!("http://{at}"));
        }
        if value == format!("0.0.0.0:{REST}") {
            return self.rest.to_string();
        }
        for (other, port, metrics_port) in PORTS {
            if value == format!("0.0.0.0:{port}") {
                return rpc.to_string();
            }
            if value == format!("0.0.0.0:{metrics_port}") {
                return metrics.to_string();
            }
            if value == format!("http://{}:{port}", other.name()) {
                return format!("http://{}", self.addresses[&other].0);
            }
        }
        match value {
            "/etc/wlp" => concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/config").to_owned(),
            "/var/lib/wlp" => self.folder.path().join(to.name()).display().to_string(),
            "/run/secrets/credentials.toml" => {
                self.folder.path().join("credentials.toml").display().to_string()
            }
            "/run/secrets/service.key" => {
                let path = self.folder.path().join(format!("{}.key", to.name()));
                std::fs::write(&path, self.keys.key(to.name()).expect("a key")).expect("a key file");
                path.display().to_string()
            }
            other => other.to_owned(),
        }
    }

    fn database(&self, to: To) -> String {
        let name = &self.databases[To::ALL.iter().position(|one| *one == to).expect("one of five")];
        format!(
            "{}/{name}",
            self.postgres.rsplit_once('/').map_or(self.postgres.as_str(), |(server, _)| server)
        )
    }

    async fn make_databases(&mut self) {
        let server = storage::connect(&self.postgres).await.expect("PostgreSQL");
        for to in To::ALL {
            let name = format!("wlp_{}_{}", to.name().replace('-', "_"), uuid::Uuid::new_v4().simple());
            let made = server.connection().execute_unprepared(&format!("CREATE DATABASE {name}")).await;
            made.expect("a database");
            self.databases.push(name);
        }
    }

    /// Starts a service, or starts it again.
    ///
    /// # Panics
    /// If there is no such binary.
    pub fn spawn(&mut self, to: To) {
        std::fs::create_dir_all(self.folder.path().join(to.name())).expect("a folder");
        let log = File::options().create(true).append(true).open(self.log_path(to)).expect("a log");
        let child = Command::new(self.bin.join(to.name()))
            .envs(&self.environments[&to])
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("a process");
        self.children.insert(to, child);
    }

    /// Kills a service with SIGKILL.
    ///
    /// # Panics
    /// If it had ended by itself before.
    pub fn kill(&mut self, to: To) {
        let mut child = self.children.remove(&to).expect("a running service");
        assert!(child.try_wait().expect("a status").is_none(), "{} had ended: {}", to.name(), self.log(to));
        child.kill().expect("killed");
        child.wait().expect("gone");
    }

    /// Waits until a service says that it is ready.
    ///
    /// # Panics
    /// With its log, if it does not.
    pub async fn ready(&self, to: To) {
        let at = self.metrics_address(to);
        let log = self.log_path(to);
        let tail = move || std::fs::read_to_string(&log).unwrap_or_default();
        let look = || async move { http_get(at, "/readyz").filter(|(status, _)| *status == 200).map(drop) };
        let waited = tokio::time::timeout(START, within(START * 2, "ready", look)).await;
        assert!(waited.is_ok(), "{} is not ready:\n{}", to.name(), tail());
    }

    /// True while all five run.
    pub fn alive(&mut self) -> bool {
        self.children.len() == To::ALL.len()
            && self.children.values_mut().all(|child| child.try_wait().is_ok_and(|ended| ended.is_none()))
    }

    /// The address of gRPC.
    pub fn address(&self, to: To) -> SocketAddr {
        self.addresses[&to].0
    }

    /// The address of `/metrics`, `/livez`, `/readyz`.
    pub fn metrics_address(&self, to: To) -> SocketAddr {
        self.addresses[&to].1
    }

    /// The gateway's address of HTTP/REST.
    pub fn rest_address(&self) -> SocketAddr {
        self.rest
    }

    /// Writes what the five tell Prometheus into the file that `WLP_TEST_METRICS` names, if it names one: rules and
    /// dashboard are then held against it.
    ///
    /// # Panics
    /// If a service tells nothing, or the file cannot be written.
    pub fn scrape(&self) {
        let Ok(path) = std::env::var("WLP_TEST_METRICS") else { return };
        let told = |to| http_get(self.metrics_address(to), "/metrics").expect("metrics").1;
        std::fs::write(path, To::ALL.map(told).concat()).expect("a file");
    }

    /// How a story reaches them.
    ///
    /// # Panics
    /// Never: the addresses are made here.
    pub fn reach(&self) -> Arc<dyn Reach> {
        let mut at = runtime::config::Peers::default();
        let url = |to| format!("http://{}", self.address(to));
        at.registry = url(To::Registry);
        at.data_pipeline = url(To::DataPipeline);
        at.evaluator = url(To::Evaluator);
        at.monitor = url(To::Monitor);
        at.gateway = url(To::Gateway);
        debug_assert_eq!(url_of(&at, To::Monitor), at.monitor);
        Arc::new(Tcp::new(&at, self.keys.clone()).expect("addresses"))
    }

    /// The mesh as principals call it.
    pub fn net(&self) -> Net {
        net_of(&*self.reach(), &self.keys)
    }

    /// The clock that all five follow.
    pub fn pace(&self) -> Arc<dyn Pace> {
        self.pace.clone()
    }

    /// Where everything is kept.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// What a service has logged.
    pub fn log(&self, to: To) -> String {
        std::fs::read_to_string(self.log_path(to)).unwrap_or_default()
    }

    fn log_path(&self, to: To) -> PathBuf {
        self.folder.path().join(format!("{}.log", to.name()))
    }

    /// Ends them all and drops their databases.
    pub async fn stop(mut self) {
        self.children.values_mut().for_each(end);
        self.children.clear();
        if let Ok(server) = storage::connect(&self.postgres).await {
            for name in &self.databases {
                let _ = server
                    .connection()
                    .execute_unprepared(&format!("DROP DATABASE {name} WITH (FORCE)"))
                    .await;
            }
        }
    }
}

impl Drop for Processes {
    fn drop(&mut self) {
        self.children.values_mut().for_each(end);
        if std::thread::panicking() {
            for to in To::ALL {
                let log = self.log(to);
                let tail: Vec<_> = log.lines().rev().take(15).collect();
                eprintln!("--- {} ends with", to.name());
                tail.iter().rev().for_each(|line| eprintln!("{line}"));
            }
        }
    }
}

fn end(child: &mut Child) {
    let _ = child.kill();
    let _ = child.wait();
}

/// GET over HTTP/1.1: status and body; none while nobody listens.
pub fn http_get(at: SocketAddr, path: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect_timeout(&at, Duration::from_secs(2)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {at}\r\nConnection: close\r\n\r\n").ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    let status = text.split(' ').nth(1)?.parse().ok()?;
    let body = text.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    Some((status, body.to_owned()))
}

/// Empties the tests' own database of Redis.
fn empty_redis(url: &str) {
    let at = url.trim_start_matches("redis://").trim_end_matches('/');
    let mut stream = TcpStream::connect(at).expect("Redis");
    stream.write_all(format!("SELECT {REDIS_DATABASE}\r\nFLUSHDB\r\n").as_bytes()).expect("sent");
    let mut answer = [0; 10];
    stream.read_exact(&mut answer).expect("answered");
    assert_eq!(&answer, b"+OK\r\n+OK\r\n");
}
