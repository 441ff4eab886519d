//! Configuration of the registry.

use std::path::Path;
use std::sync::Arc;

use engine::{Engine, OnnxRuntime};
use runtime::config::{Access, ClockConfig, Database, KeyValue, Peers, Telemetry};
use serde::{Deserialize, Serialize};

/// The sections that every service has, with the registry's defaults.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Address of gRPC.
    pub listen: String,
    /// Address of `/metrics`, `/livez`, `/readyz`; empty for none.
    pub metrics_listen: String,
    /// Folder of artifacts and of the signing key (`audit-key.pem`).
    pub data_dir: String,
    /// Records and audit log.
    pub database: Database,
    /// Bytes of one artifact at most.
    pub max_artifact_bytes: u64,
    /// How a model is tried in a process of its own when its version is registered.
    pub probe: engine::ProbeOptions,
    /// Not used by the registry; there because the sections of all services are alike.
    pub kv: KeyValue,
    /// Logs and traces.
    pub telemetry: Telemetry,
    /// Credentials.
    pub access: Access,
    /// Virtual time.
    pub clock: ClockConfig,
    /// Not used by the registry: it calls nobody.
    pub peers: Peers,
    /// How connections are held and secured.
    pub transport: runtime::Transport,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:9001".into(),
            metrics_listen: "127.0.0.1:9101".into(),
            data_dir: "data/registry".into(),
            database: Database::embedded("registry"),
            max_artifact_bytes: 2 << 30,
            probe: engine::ProbeOptions::default(),
            kv: KeyValue::default(),
            telemetry: Telemetry::default(),
            access: Access::default(),
            clock: ClockConfig::default(),
            peers: Peers::default(),
            transport: runtime::Transport::default(),
        }
    }
}

impl Config {
    /// ONNX Runtime, which loads no model that was not tried; what passed is noted in the data folder.
    pub fn engine(&self) -> Arc<dyn Engine> {
        self.probe.around(OnnxRuntime::new(), Path::new(&self.data_dir).join("validated"))
    }

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
