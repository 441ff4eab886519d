//! Configuration of the evaluator. No number of the procedure is here: those come from the policy in force.

use engine::{Engine, OnnxRuntime, ProviderPolicy};
use runtime::config::{Access, ClockConfig, Database, KeyValue, Peers, Telemetry};
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// The sections that every service has, and what one evaluation may take.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Address of gRPC.
    pub listen: String,
    /// Address of `/metrics`, `/livez`, `/readyz`; empty for none.
    pub metrics_listen: String,
    /// Folder of the signing key (`audit-key.pem`).
    pub data_dir: String,
    /// Operations and audit log.
    pub database: Database,
    /// Not used by the evaluator; there because the sections of all services are alike.
    pub kv: KeyValue,
    /// Logs and traces.
    pub telemetry: Telemetry,
    /// Credentials.
    pub access: Access,
    /// Virtual time.
    pub clock: ClockConfig,
    /// Registry and data-pipeline.
    pub peers: Peers,
    /// How connections are held and secured.
    pub transport: runtime::Transport,
    /// What one evaluation may take.
    pub limits: Limits,
}

/// What one evaluation may take: rows, bytes, time, threads.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Rows of a split at most; a larger split is refused, never cut in silence.
    pub rows: usize,
    /// Bytes of a split's file at most.
    pub split_bytes: usize,
    /// Numbers and texts of all model inputs together at most: what is held in memory.
    pub values: usize,
    /// Bytes of a model at most.
    pub model_bytes: usize,
    /// Rows that are attacked where the plan does not say: drawn by the seed from those that are right.
    pub attack_rows: usize,
    /// Real seconds that attacks may take: of a slow model fewer rows are attacked, each with all its queries.
    pub attack_s: u64,
    /// Single-row requests that are timed where the plan does not say.
    pub latency_requests: usize,
    /// Real seconds that the latency test may take.
    pub latency_s: u64,
    /// Rows of a batch where the plan does not say.
    pub batch_size: usize,
    /// Real seconds that one run of the model may take; a model that is over it three times is given up.
    pub run_s: u64,
    /// Real seconds that one evaluation may take.
    pub evaluation_s: u64,
    /// Threads inside one operator of the model.
    pub threads: usize,
    /// Where models run.
    pub provider: ProviderPolicy,
    /// How a model is tried in a process of its own before its first load.
    pub probe: engine::ProbeOptions,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            rows: 1_000_000,
            split_bytes: 512 << 20,
            values: 100_000_000,
            model_bytes: 2 << 30,
            attack_rows: 1000,
            attack_s: 1200,
            latency_requests: 500,
            latency_s: 120,
            batch_size: 256,
            run_s: 10,
            evaluation_s: 3600,
            threads: 1,
            provider: ProviderPolicy::default(),
            probe: engine::ProbeOptions::default(),
        }
    }
}

impl Limits {
    /// Longest run of the model.
    pub fn run(&self) -> Duration {
        Duration::from_secs(self.run_s)
    }

    /// Longest that attacks take.
    pub fn attack(&self) -> Duration {
        Duration::from_secs(self.attack_s)
    }

    /// Longest evaluation.
    pub fn evaluation(&self) -> Duration {
        Duration::from_secs(self.evaluation_s)
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:9003".into(),
            metrics_listen: "127.0.0.1:9103".into(),
            data_dir: "data/evaluator".into(),
            database: Database::embedded("evaluator"),
            kv: KeyValue::default(),
            telemetry: Telemetry::default(),
            access: Access::default(),
            clock: ClockConfig::default(),
            peers: Peers::default(),
            transport: runtime::Transport::default(),
            limits: Limits::default(),
        }
    }
}

impl Config {
    /// ONNX Runtime, which loads no model that was not tried; what passed is noted in the data folder.
    pub fn engine(&self) -> Arc<dyn Engine> {
        self.limits.probe.around(OnnxRuntime::new(), Path::new(&self.data_dir).join("validated"))
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
