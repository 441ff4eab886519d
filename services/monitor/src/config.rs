//! Configuration of the monitor. Numbers of the procedure are in the policy; here is only how this service works.

use runtime::config::{Access, ClockConfig, Database, KeyValue, Peers, Telemetry};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The sections that every service has, and the monitor's own.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Address of gRPC.
    pub listen: String,
    /// Address of `/metrics`, `/livez`, `/readyz`; empty for none.
    pub metrics_listen: String,
    /// Folder of the signing key (`audit-key.pem`).
    pub data_dir: String,
    /// Windows, alerts, feedback, duties and their audit log.
    pub database: Database,
    /// Not used by the monitor; there because the sections of all services are alike.
    pub kv: KeyValue,
    /// Logs and traces.
    pub telemetry: Telemetry,
    /// Credentials.
    pub access: Access,
    /// Virtual time.
    pub clock: ClockConfig,
    /// Where the registry is.
    pub peers: Peers,
    /// How connections are held and secured.
    pub transport: runtime::Transport,
    /// What is kept, and how late it may come.
    pub windows: Windows,
    /// How often the loops run.
    pub tasks: Periods,
}

/// `[windows]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Windows {
    /// Milliseconds of real time after its end in which observations of a window still come before it is judged.
    pub lag_ms: u64,
    /// Milliseconds of real time by which a gateway's clock may be ahead.
    pub skew_ms: u64,
    /// Days of virtual time that counters are kept; never shorter than the error budget and the baseline need.
    pub keep_days: u64,
    /// Days of virtual time that feature and prediction histograms are kept; older observations are refused.
    pub keep_profiles_days: u64,
    /// Earlier weeks whose same hour is the baseline of the request volume.
    pub baseline_weeks: u32,
}

impl Default for Windows {
    fn default() -> Self {
        Self { lag_ms: 2_000, skew_ms: 2_000, keep_days: 40, keep_profiles_days: 7, baseline_weeks: 4 }
    }
}

/// `[tasks]`: periods in milliseconds of real time, so that a faster clock does not change how long a decision waits.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Periods {
    /// `judge-canaries`
    pub judge_canaries_ms: u64,
    /// `raise-alerts`
    pub raise_alerts_ms: u64,
    /// `assess-drift`
    pub assess_drift_ms: u64,
    /// `watch-clocks`
    pub watch_clocks_ms: u64,
    /// `refresh-policy`, `follow-plans`
    pub refresh_policy_ms: u64,
    /// `prune-windows`
    pub prune_windows_ms: u64,
}

impl Default for Periods {
    fn default() -> Self {
        Self {
            judge_canaries_ms: 1_000,
            raise_alerts_ms: 1_000,
            assess_drift_ms: 5_000,
            watch_clocks_ms: 2_000,
            refresh_policy_ms: 10_000,
            prune_windows_ms: 600_000,
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:9004".into(),
            metrics_listen: "127.0.0.1:9104".into(),
            data_dir: "data/monitor".into(),
            database: Database::embedded("monitor"),
            kv: KeyValue::default(),
            telemetry: Telemetry::default(),
            access: Access::default(),
            clock: ClockConfig::default(),
            peers: Peers::default(),
            transport: runtime::Transport::default(),
            windows: Windows::default(),
            tasks: Periods::default(),
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

/// Real milliseconds as virtual time of a clock that runs at `speed`. A clock that stands has no lag: whoever moves it
/// has delivered before.
pub fn virtual_time(real_ms: u64, speed: f64) -> Duration {
    Duration::try_from_secs_f64(Duration::from_millis(real_ms).as_secs_f64() * speed.max(0.0))
        .unwrap_or_default()
}
