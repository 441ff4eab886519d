//! Configuration of a service: built-in defaults, then `<service>.toml`, then the environment.
//!
//! A service writes one struct that names the shared sections field by field (`telemetry: Telemetry`, `access: Access`,
//! ...). The sections are not flattened into it, because `serde(flatten)` switches `deny_unknown_fields` off and a
//! misspelt key would pass in silence.

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::clock::Clock;

/// Why a configuration was refused. The message names the key and the place it came from.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file or variable holds something that the service's configuration does not allow.
    #[error("configuration of {service} (files in {folder}, environment {prefix}*): {cause}")]
    Refused {
        /// Service whose configuration was read.
        service: String,
        /// Folder searched for `<service>.toml`.
        folder: String,
        /// Prefix of the variables read.
        prefix: String,
        /// What is wrong, with the key.
        cause: String,
    },
    /// A file that a setting points to could not be read.
    #[error("{setting}: cannot read {path}: {cause}")]
    File {
        /// The setting.
        setting: &'static str,
        /// The path it names.
        path: String,
        /// Why it could not be read.
        cause: String,
    },
    /// A file that a setting points to was read and does not hold what it should.
    #[error("{setting}: cannot use {path}: {cause}")]
    Unusable {
        /// The setting.
        setting: &'static str,
        /// The path it names.
        path: String,
        /// What is wrong with it.
        cause: String,
    },
    /// A setting that is needed is missing or contradictory.
    #[error("{0}")]
    Invalid(String),
}

/// Reads the configuration of `service`: defaults of `C` < `$WLP_CONFIG_DIR/<service>.toml` (default `./config`)
/// < `WLP_<SERVICE>__SECTION__KEY`. `C` should carry `#[serde(default, deny_unknown_fields)]`.
///
/// # Errors
/// [`ConfigError::Refused`] for unknown keys, wrong types and files that are not TOML.
pub fn load<C: DeserializeOwned>(service: &str) -> Result<C, ConfigError> {
    let folder = std::env::var_os("WLP_CONFIG_DIR").map_or_else(|| PathBuf::from("config"), PathBuf::from);
    let variables = std::env::vars_os()
        .filter_map(|(key, value)| Some((key.into_string().ok()?, value.into_string().ok()?)))
        .collect::<HashMap<_, _>>();
    load_from(service, &folder, variables)
}

/// [`load`] with the folder and the variables given, for tests and for tools that write configurations.
///
/// # Errors
/// As [`load`].
pub fn load_from<C: DeserializeOwned>(
    service: &str,
    folder: &Path,
    variables: HashMap<String, String, impl BuildHasher>,
) -> Result<C, ConfigError> {
    let prefix = format!("WLP_{}", service.to_uppercase().replace('-', "_"));
    let file = folder.join(format!("{service}.toml"));
    let environment = ::config::Environment::with_prefix(&prefix)
        .prefix_separator("__")
        .separator("__")
        .source(Some(variables.into_iter().collect()));
    ::config::Config::builder()
        .add_source(::config::File::from(file).format(::config::FileFormat::Toml).required(false))
        .add_source(environment)
        .build()
        .and_then(::config::Config::try_deserialize)
        .map_err(|cause| ConfigError::Refused {
            service: service.to_owned(),
            folder: folder.display().to_string(),
            prefix: format!("{prefix}__"),
            cause: cause.to_string(),
        })
}

/// The addresses of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listen {
    /// gRPC. Port 0 asks the system for a free one.
    pub rpc: SocketAddr,
    /// `/metrics`, `/livez`, `/readyz`; none serves no such listener.
    pub metrics: Option<SocketAddr>,
    /// The service's own router ([`crate::Service::with_http`]); none serves no such listener.
    pub http: Option<SocketAddr>,
}

/// `[telemetry]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Telemetry {
    /// Shape of the log lines on stderr.
    pub log: LogFormat,
    /// Directives as in `RUST_LOG`: `info,sqlx=warn`.
    pub filter: String,
    /// OTLP over gRPC, for example `http://127.0.0.1:4317`. Empty: spans are made (and logged), not exported.
    pub otlp_endpoint: String,
    /// Share of new traces that are recorded, 0..=1. A caller's decision is followed.
    pub sample_ratio: f64,
}

impl Default for Telemetry {
    fn default() -> Self {
        Self { log: LogFormat::Text, filter: "info".into(), otlp_endpoint: String::new(), sample_ratio: 1.0 }
    }
}

/// Shape of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people at a terminal.
    Text,
    /// One object a line, with `trace_id` and `span_id`.
    Json,
}

/// `[access]`
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Access {
    /// The file of [`crate::Credentials`]. Empty: nobody but the public methods' callers gets in, loopback only.
    pub credentials: String,
    /// This service's own API key for calls to its peers.
    pub service_key: String,
    /// A file that holds the key; wins over `service_key`.
    pub service_key_file: String,
}

impl Access {
    /// This service's own API key.
    ///
    /// # Errors
    /// [`ConfigError::File`] if `service_key_file` is set and cannot be read.
    pub fn key(&self) -> Result<String, ConfigError> {
        if self.service_key_file.is_empty() {
            return Ok(self.service_key.clone());
        }
        match std::fs::read_to_string(&self.service_key_file) {
            Ok(text) => Ok(text.trim().to_owned()),
            Err(cause) => Err(ConfigError::File {
                setting: "access.service_key_file",
                path: self.service_key_file.clone(),
                cause: cause.to_string(),
            }),
        }
    }
}

/// `[clock]`: virtual time. See [`Clock`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClockConfig {
    /// Virtual seconds in a real second.
    pub speed: f64,
    /// A clock file shared by several processes; wins over `speed`.
    pub file: String,
}

impl Default for ClockConfig {
    fn default() -> Self {
        Self { speed: 1.0, file: String::new() }
    }
}

impl ClockConfig {
    /// The clock that this section describes.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`] for a speed that is not positive and finite or a clock file that cannot be used.
    pub fn build(&self) -> Result<Clock, ConfigError> {
        if !self.file.is_empty() {
            return Clock::file(&self.file)
                .map_err(|cause| ConfigError::Invalid(format!("clock.file: {cause}")));
        }
        if !self.speed.is_finite() || self.speed <= 0.0 {
            return Err(ConfigError::Invalid(format!("clock.speed: {}, required > 0", self.speed)));
        }
        Ok(if (self.speed - 1.0).abs() < f64::EPSILON { Clock::real() } else { Clock::scaled(self.speed) })
    }
}

/// `[peers]`: where the other services are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Peers {
    /// `http://host:port` of the registry.
    pub registry: String,
    /// `http://host:port` of the data-pipeline.
    pub data_pipeline: String,
    /// `http://host:port` of the evaluator.
    pub evaluator: String,
    /// `http://host:port` of the gateway.
    pub gateway: String,
    /// `http://host:port` of the monitor.
    pub monitor: String,
}

impl Default for Peers {
    fn default() -> Self {
        Self {
            registry: "http://127.0.0.1:9001".into(),
            data_pipeline: "http://127.0.0.1:9002".into(),
            evaluator: "http://127.0.0.1:9003".into(),
            gateway: "http://127.0.0.1:8001".into(),
            monitor: "http://127.0.0.1:9004".into(),
        }
    }
}

/// `[database]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Database {
    /// `sqlite://path?mode=rwc` or `postgres://...`.
    pub url: String,
}

impl Database {
    /// The embedded default of a service: one SQLite file in its data folder.
    pub fn embedded(service: &str) -> Self {
        Self { url: format!("sqlite://data/{service}/{service}.db?mode=rwc") }
    }
}

/// `[kv]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KeyValue {
    /// `memory:` or `redis://...`.
    pub url: String,
}

impl Default for KeyValue {
    fn default() -> Self {
        Self { url: "memory:".into() }
    }
}
