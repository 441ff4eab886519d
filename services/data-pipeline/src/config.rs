//! Configuration of the data-pipeline.

use std::collections::BTreeMap;

use runtime::config::{Access, ClockConfig, Database, KeyValue, Peers, Telemetry};
use serde::{Deserialize, Serialize};

/// The sections that every service has, with the data-pipeline's defaults, and its limits.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Address of gRPC.
    pub listen: String,
    /// Address of `/metrics`, `/livez`, `/readyz`; empty for none.
    pub metrics_listen: String,
    /// Folder of uploads, splits and cards, and of the audit log's key.
    pub data_dir: String,
    /// Operations, build records and audit log.
    pub database: Database,
    /// Not used; there because the sections of all services are alike.
    pub kv: KeyValue,
    /// What is taken at most.
    pub limits: Limits,
    /// How inputs are read.
    pub reader: ReaderOptions,
    /// Where inputs may lie that are not uploaded, by a name of one's own.
    pub stores: BTreeMap<String, StoreOptions>,
    /// Logs and traces.
    pub telemetry: Telemetry,
    /// Credentials.
    pub access: Access,
    /// Virtual time.
    pub clock: ClockConfig,
    /// Only the registry is called.
    pub peers: Peers,
    /// How connections are held and secured.
    pub transport: runtime::Transport,
}

/// Bounds on what one build reads, so that a hostile file costs bounded memory and time.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Bytes of one upload.
    pub upload_bytes: u64,
    /// Rows over all inputs.
    pub rows: u64,
    /// Columns.
    pub columns: usize,
    /// Bytes of one cell.
    pub cell_bytes: usize,
    /// Bytes of the rows in memory.
    pub table_bytes: usize,
    /// Builds at a time; others wait.
    pub builds: usize,
    /// Comparisons of two versions at a time; others wait.
    pub differences: usize,
    /// Bytes of hashes that a comparison holds; beyond it rows are read in several passes.
    pub difference_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            upload_bytes: 2 << 30,
            rows: 20_000_000,
            columns: 4096,
            cell_bytes: 1 << 20,
            table_bytes: 2 << 30,
            builds: 2,
            differences: 1,
            difference_bytes: 512 << 20,
        }
    }
}

/// What the reading of one input may take. It runs in a worker process: the service's program, started once more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReaderOptions {
    /// Whether inputs are read in a process of their own. Without it a hostile file may take the service along.
    pub own_process: bool,
    /// Address space of the worker, MiB. Its program and what its allocator sets aside, some 1500 MiB, are in it: with less it
    /// may break on any file.
    pub memory_mib: u64,
    /// Processor time of the worker, seconds.
    pub cpu_s: u64,
    /// Real time of the worker, seconds.
    pub wall_s: u64,
    /// Bytes at most that a compressed file becomes; from 128 MiB on also no more than 400 times its size.
    pub unfolded_bytes: u64,
}

impl Default for ReaderOptions {
    fn default() -> Self {
        Self { own_process: true, memory_mib: 4096, cpu_s: 600, wall_s: 900, unfolded_bytes: 16 << 30 }
    }
}

/// A store of inputs: a folder of this machine (`file:///…`), or a bucket of an S3-compatible store (`s3://bucket/…`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StoreOptions {
    /// Folder below which inputs may lie; links that lead out of it are refused.
    pub folder: String,
    /// Bucket whose objects may be inputs.
    pub bucket: String,
    /// Address of the store, with the bucket in the path; empty: that of AWS for the region.
    pub endpoint: String,
    /// Region that requests are signed for; empty: `us-east-1`.
    pub region: String,
    /// Name of the environment variable with the access key; empty: requests are not signed.
    pub access_key_env: String,
    /// Name of the environment variable with the secret key.
    pub secret_key_env: String,
    /// Name of the environment variable with a session token, if there is one.
    pub token_env: String,
    /// Whether the endpoint may be `http://`, for a store of this machine.
    pub allow_http: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:9002".into(),
            metrics_listen: "127.0.0.1:9102".into(),
            data_dir: "data/data-pipeline".into(),
            database: Database::embedded("data-pipeline"),
            kv: KeyValue::default(),
            limits: Limits::default(),
            reader: ReaderOptions::default(),
            stores: BTreeMap::new(),
            telemetry: Telemetry::default(),
            access: Access::default(),
            clock: ClockConfig::default(),
            peers: Peers::default(),
            transport: runtime::Transport::default(),
        }
    }
}

impl Config {
    /// The two addresses.
    ///
    /// # Errors
    /// If one of them is not `host:port`.
    pub fn listen(&self) -> anyhow::Result<runtime::Listen> {
        let metrics = match self.metrics_listen.as_str() {
            "" => None,
            address => Some(address.parse()?),
        };
        Ok(runtime::Listen { rpc: self.listen.parse()?, metrics, http: None })
    }
}
