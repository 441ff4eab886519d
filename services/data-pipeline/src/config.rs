//! Configuration of the data-pipeline.

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
        }
    }
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
