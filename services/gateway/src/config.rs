//! Configuration of the gateway.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use engine::{Engine, OnnxRuntime, ProviderPolicy};
use runtime::config::{Access, ClockConfig, Database, KeyValue, Peers, Telemetry};
use serde::{Deserialize, Serialize};

/// The sections that every service has, with the gateway's defaults, and its own.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Address of gRPC.
    pub listen: String,
    /// Address of `/metrics`, `/livez`, `/readyz`; empty for none.
    pub metrics_listen: String,
    /// Address of the protocol over HTTP/REST; empty for none.
    pub rest_listen: String,
    /// Folder of the last route table, verified artifacts, breakers and the spool of observations.
    pub data_dir: String,
    /// Not used by the gateway, which keeps files; there because the sections of all services are alike.
    pub database: Database,
    /// What several gateways share: the evidence of their breakers, the budgets of callers, answers that are kept.
    pub kv: KeyValue,
    /// Logs and traces.
    pub telemetry: Telemetry,
    /// Credentials.
    pub access: Access,
    /// Virtual time.
    pub clock: ClockConfig,
    /// Registry and monitor are called.
    pub peers: Peers,
    /// How connections are held and secured.
    pub transport: runtime::Transport,
    /// What it takes in.
    pub admission: Admission,
    /// How models run.
    pub infer: Infer,
    /// Where routes come from and who signed them.
    pub routes: Routes,
    /// What is noted of requests.
    pub observe: Observe,
    /// What each caller may ask for.
    pub limits: crate::quota::Limits,
    /// What is kept of answers.
    pub cache: crate::cache::Settings,
    /// Copies of requests for versions in the shadow.
    pub shadow: Shadow,
}

/// `[admission]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Admission {
    /// Requests at a time.
    pub requests: usize,
    /// Bytes of their messages at a time; and once more, of messages that are on their way in.
    pub bytes: u64,
    /// Bytes of one message at most.
    pub message_bytes: usize,
    /// When a refused caller should come back, milliseconds.
    pub retry_ms: u64,
}

/// `[infer]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Infer {
    /// Longest time in the model, milliseconds, whatever a caller allows; running over it is the model's fault.
    pub run_limit_ms: u64,
    /// Rows of one request at most.
    pub max_rows: usize,
    /// Copies of each model.
    pub instances: usize,
    /// Threads inside one operator.
    pub intra_threads: usize,
    /// Requests that may wait for one model.
    pub queue: usize,
    /// How waiting requests are put together.
    pub batching: engine::Batching,
    /// Where models run.
    pub provider: ProviderPolicy,
    /// How a model is tried in a process of its own before its first load.
    pub probe: engine::ProbeOptions,
    /// Bytes of one artifact at most.
    pub max_artifact_bytes: u64,
    /// Whether an answer with infinity is a fault of the model, as one with NaN always is.
    pub infinity_is_fault: bool,
}

/// `[routes]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Routes {
    /// Name of this gateway; empty: one is made at the first start and kept.
    pub gateway: String,
    /// PEM file of the registry's public key; empty: the first key that the registry shows is kept and pinned.
    pub registry_key_file: String,
    /// How often the table is asked for when the watch brings nothing, seconds.
    pub poll_s: u64,
    /// How often the registry is told what is served, seconds.
    pub report_s: u64,
}

/// `[observe]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Observe {
    /// Share of requests whose predictions are kept one by one, 0..=1.
    pub sample_share: f64,
    /// Bytes of observations that wait on disk for the monitor; beyond, the oldest are dropped and counted.
    pub spool_bytes: u64,
    /// Requests whose tensors wait to be looked at; beyond, they count without their features.
    pub queue: usize,
    /// Rows of one request that are looked at.
    pub max_rows: usize,
}

/// `[shadow]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Shadow {
    /// Copies of requests that may wait; beyond, they are dropped and counted.
    pub queue: usize,
    /// Bytes of their tensors at most, likewise.
    pub bytes: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:8001".into(),
            metrics_listen: "127.0.0.1:8002".into(),
            rest_listen: "127.0.0.1:8000".into(),
            data_dir: "data/gateway".into(),
            database: Database::embedded("gateway"),
            kv: KeyValue::default(),
            telemetry: Telemetry::default(),
            access: Access::default(),
            clock: ClockConfig::default(),
            peers: Peers::default(),
            transport: runtime::Transport::default(),
            admission: Admission::default(),
            infer: Infer::default(),
            routes: Routes::default(),
            observe: Observe::default(),
            limits: crate::quota::Limits::default(),
            cache: crate::cache::Settings::default(),
            shadow: Shadow::default(),
        }
    }
}

impl Default for Admission {
    fn default() -> Self {
        Self { requests: 512, bytes: 512 << 20, message_bytes: 64 << 20, retry_ms: 50 }
    }
}

impl Default for Infer {
    fn default() -> Self {
        Self {
            run_limit_ms: 10_000,
            max_rows: 4096,
            instances: 1,
            intra_threads: 1,
            queue: 256,
            batching: engine::Batching::default(),
            provider: ProviderPolicy::default(),
            probe: engine::ProbeOptions::default(),
            max_artifact_bytes: 2 << 30,
            infinity_is_fault: false,
        }
    }
}

impl Default for Routes {
    fn default() -> Self {
        Self { gateway: String::new(), registry_key_file: String::new(), poll_s: 10, report_s: 3 }
    }
}

impl Default for Observe {
    fn default() -> Self {
        Self { sample_share: 0.01, spool_bytes: 256 << 20, queue: 1024, max_rows: 256 }
    }
}

impl Default for Shadow {
    fn default() -> Self {
        Self { queue: 256, bytes: 64 << 20 }
    }
}

impl Config {
    /// ONNX Runtime, which loads no model that was not tried; what passed is noted in the data folder.
    pub fn engine(&self) -> Arc<dyn Engine> {
        self.infer.probe.around(OnnxRuntime::new(), Path::new(&self.data_dir).join("validated"))
    }

    /// How a model is loaded: what a provider builds of it is kept in the data folder.
    pub fn load_options(&self) -> engine::LoadOptions {
        let cache_dir = Some(Path::new(&self.data_dir).join("engines"));
        engine::LoadOptions { cache_dir, ..self.infer.load_options() }
    }

    /// The three addresses.
    ///
    /// # Errors
    /// If one of them is not `host:port`.
    pub fn listen(&self) -> anyhow::Result<runtime::Listen> {
        let parsed = |address: &str| -> anyhow::Result<Option<std::net::SocketAddr>> {
            Ok(if address.is_empty() { None } else { Some(address.parse()?) })
        };
        let (metrics, http) = (parsed(&self.metrics_listen)?, parsed(&self.rest_listen)?);
        Ok(runtime::Listen { rpc: self.listen.parse()?, metrics, http })
    }
}

impl Infer {
    /// The gateway's own limit of a run.
    pub fn run_limit(&self) -> Duration {
        Duration::from_millis(self.run_limit_ms)
    }

    fn load_options(&self) -> engine::LoadOptions {
        engine::LoadOptions {
            provider: self.provider.clone(),
            intra_threads: self.intra_threads.max(1),
            instances: self.instances.max(1),
            queue_capacity: self.queue.max(1),
            batching: self.batching.clone(),
            ..engine::LoadOptions::default()
        }
    }
}
