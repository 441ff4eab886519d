//! The configurations of the five as one process can follow them: what it cannot follow is refused by its name.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use engine::ProbeOptions;
use runtime::Listen;
use runtime::config::{Access, ClockConfig, Database, Peers, Telemetry, load_from};
use serde::de::DeserializeOwned;

use crate::reach::To;

/// Configurations of the five.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// Of the registry.
    pub registry: registry::Config,
    /// Of the data-pipeline.
    pub data_pipeline: data_pipeline::Config,
    /// Of the evaluator.
    pub evaluator: evaluator::Config,
    /// Of the monitor.
    pub monitor: monitor::Config,
    /// Of the gateway.
    pub gateway: gateway::Config,
}

/// The sections that all five have.
struct Common<'a> {
    to: To,
    listen: &'a str,
    metrics_listen: &'a str,
    /// Of HTTP/REST; empty where a service has none.
    rest_listen: &'a str,
    data_dir: &'a mut String,
    database: &'a mut Database,
    telemetry: &'a Telemetry,
    access: &'a Access,
    clock: &'a ClockConfig,
    peers: &'a Peers,
}

macro_rules! common {
    (@rest $config:ident none) => { "" };
    (@rest $config:ident $key:ident) => { &$config.$key };
    ($settings:expr; $($to:ident $field:ident $rest:ident),+) => {[$({
        let config = &mut $settings.$field;
        Common {
            to: To::$to,
            listen: &config.listen,
            metrics_listen: &config.metrics_listen,
            rest_listen: common!(@rest config $rest),
            data_dir: &mut config.data_dir,
            database: &mut config.database,
            telemetry: &config.telemetry,
            access: &config.access,
            clock: &config.clock,
            peers: &config.peers,
        }
    }),+]};
}

impl Settings {
    /// Reads `<service>.toml` of `$WLP_CONFIG_DIR` (default `./config`) and `WLP_<SERVICE>__*` of the environment.
    ///
    /// # Errors
    /// If a file or variable is not what a service takes.
    pub fn read() -> anyhow::Result<Self> {
        let folder =
            std::env::var_os("WLP_CONFIG_DIR").map_or_else(|| PathBuf::from("config"), PathBuf::from);
        let variables = std::env::vars_os()
            .filter_map(|(key, value)| Some((key.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        Self::read_from(&folder, &variables)
    }

    /// [`Settings::read`] with the folder and the variables given.
    ///
    /// # Errors
    /// As [`Settings::read`].
    pub fn read_from(folder: &Path, variables: &HashMap<String, String>) -> anyhow::Result<Self> {
        fn one<C: DeserializeOwned>(
            to: To,
            folder: &Path,
            variables: &HashMap<String, String>,
        ) -> anyhow::Result<C> {
            Ok(load_from(to.name(), folder, variables.clone())?)
        }
        Ok(Self {
            registry: one(To::Registry, folder, variables)?,
            data_pipeline: one(To::DataPipeline, folder, variables)?,
            evaluator: one(To::Evaluator, folder, variables)?,
            monitor: one(To::Monitor, folder, variables)?,
            gateway: one(To::Gateway, folder, variables)?,
        })
    }

    fn common(&mut self) -> [Common<'_>; 5] {
        common!(self;
            Registry registry none, DataPipeline data_pipeline none, Evaluator evaluator none, Monitor monitor none,
            Gateway gateway rest_listen)
    }

    /// Refuses what one process that listens on `host` cannot follow.
    ///
    /// # Errors
    /// The setting, and what to give in its place.
    pub fn check(&mut self, host: Option<IpAddr>) -> anyhow::Result<()> {
        for one in self.common() {
            let name = one.to.name();
            ensure!(
                *one.access == Access::default(),
                "{name}: access is set; one process has one set of keys: give --credentials and --service-keys"
            );
            ensure!(
                *one.clock == ClockConfig::default(),
                "{name}: clock is set; one process has one clock: give --speed"
            );
            ensure!(
                *one.peers == Peers::default(),
                "{name}: peers is set; in one process the five call each other, not what is configured"
            );
            let Some(host) = host else { continue };
            let addresses = [
                ("listen", one.listen),
                ("metrics_listen", one.metrics_listen),
                ("rest_listen", one.rest_listen),
            ];
            for (key, address) in addresses {
                if address.is_empty() {
                    continue;
                }
                let given = parsed(address)?.ip();
                ensure!(
                    given == host || given.is_loopback(),
                    "{name}: {key} = {address:?}; one process listens on one address: give --listen {given}"
                );
            }
        }
        Ok(())
    }

    /// What is not placed elsewhere by configuration goes to one folder with one folder for each service; without a
    /// folder of the caller, databases are in memory.
    ///
    /// # Errors
    /// If a folder cannot be made.
    pub fn place(&mut self, folder: &Path, in_memory: bool) -> anyhow::Result<()> {
        for one in self.common() {
            let name = one.to.name();
            if *one.data_dir == format!("data/{name}") {
                *one.data_dir = folder.join(name).display().to_string();
            }
            std::fs::create_dir_all(&one.data_dir)
                .with_context(|| format!("cannot make {}", one.data_dir))?;
            if *one.database == Database::embedded(name) {
                let file = Path::new(&one.data_dir).join(format!("{name}.db"));
                let url = format!("sqlite://{}?mode=rwc", file.display());
                one.database.url = if in_memory { "sqlite::memory:".to_owned() } else { url };
            }
        }
        Ok(())
    }

    /// Telemetry of the process, where a service has other than the default.
    ///
    /// # Errors
    /// If two services contradict each other.
    pub fn telemetry(&mut self) -> anyhow::Result<Option<Telemetry>> {
        let mut found: Option<(To, Telemetry)> = None;
        for one in self.common() {
            if *one.telemetry == Telemetry::default() {
                continue;
            }
            match &found {
                Some((other, telemetry)) if telemetry != one.telemetry => bail!(
                    "{} and {}: telemetry differs; one process has one: set it alike, or for one of the five only",
                    other.name(),
                    one.to.name()
                ),
                Some(_) => {}
                None => found = Some((one.to, one.telemetry.clone())),
            }
        }
        Ok(found.map(|(_, telemetry)| telemetry))
    }

    /// How models are tried, where a service has other than the default.
    ///
    /// # Errors
    /// If two services contradict each other.
    pub fn probe(&self) -> anyhow::Result<ProbeOptions> {
        let all = [&self.registry.probe, &self.evaluator.limits.probe, &self.gateway.infer.probe];
        let mut set = all.into_iter().filter(|probe| **probe != ProbeOptions::default());
        let Some(first) = set.next() else { return Ok(ProbeOptions::default()) };
        ensure!(
            set.all(|other| other == first),
            "probe differs between registry, evaluator and gateway; one process tries models once: set it alike, or for \
             one of them only"
        );
        Ok(first.clone())
    }

    /// Where each of the five listens by configuration.
    ///
    /// # Errors
    /// If one is no `host:port`.
    pub fn addresses(&mut self) -> anyhow::Result<Vec<(To, Listen)>> {
        let other = |address: &str| -> anyhow::Result<Option<SocketAddr>> {
            if address.is_empty() { Ok(None) } else { parsed(address).map(Some) }
        };
        let one = |one: Common<'_>| -> anyhow::Result<_> {
            let (metrics, http) = (other(one.metrics_listen)?, other(one.rest_listen)?);
            Ok((one.to, Listen { rpc: parsed(one.listen)?, metrics, http }))
        };
        self.common().into_iter().map(one).collect()
    }
}

fn parsed(address: &str) -> anyhow::Result<SocketAddr> {
    address.parse().with_context(|| format!("{address:?} is no host:port"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOOPBACK: Option<IpAddr> = Some(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST));

    fn with(variables: &[(&str, &str)]) -> Settings {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let variables = variables.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        Settings::read_from(folder.path(), &variables.collect()).expect("read")
    }

    #[test]
    fn a_configured_database_and_folder_are_kept_and_the_others_placed() {
        let root = tempfile::tempdir().expect("a temporary folder");
        let elsewhere = root.path().join("elsewhere").display().to_string();
        let mut settings = with(&[
            ("WLP_REGISTRY__DATABASE__URL", "postgres://db/registry"),
            ("WLP_MONITOR__DATA_DIR", &elsewhere),
        ]);
        settings.place(&root.path().join("data"), false).expect("placed");
        assert_eq!(settings.registry.database.url, "postgres://db/registry");
        assert_eq!(settings.monitor.data_dir, elsewhere);
        assert_eq!(settings.monitor.database.url, format!("sqlite://{elsewhere}/monitor.db?mode=rwc"));
        let data = root.path().join("data/gateway");
        assert_eq!(settings.gateway.data_dir, data.display().to_string());
        assert!(data.is_dir());
    }

    #[test]
    fn what_one_process_cannot_follow_is_refused_by_name() {
        for (key, value, named) in [
            ("WLP_EVALUATOR__ACCESS__SERVICE_KEY", "wlp_x", "evaluator: access"),
            ("WLP_MONITOR__CLOCK__SPEED", "60", "monitor: clock"),
            ("WLP_GATEWAY__PEERS__REGISTRY", "http://other:9001", "gateway: peers"),
            ("WLP_REGISTRY__LISTEN", "10.1.2.3:9001", "registry: listen"),
            ("WLP_GATEWAY__REST_LISTEN", "10.1.2.3:8000", "gateway: rest_listen"),
        ] {
            let refused = with(&[(key, value)]).check(LOOPBACK).expect_err(key).to_string();
            assert!(refused.starts_with(named), "{refused}");
        }
        with(&[("WLP_REGISTRY__LISTEN", "127.0.0.1:19001")]).check(LOOPBACK).expect("another port is fine");
    }

    #[test]
    fn telemetry_of_one_service_is_that_of_the_process_and_two_may_not_differ() {
        let mut one = with(&[("WLP_REGISTRY__TELEMETRY__LOG", "json")]);
        let telemetry = one.telemetry().expect("one").expect("set");
        assert_eq!(telemetry.log, runtime::config::LogFormat::Json);
        let mut two = with(&[
            ("WLP_REGISTRY__TELEMETRY__LOG", "json"),
            ("WLP_GATEWAY__TELEMETRY__SAMPLE_RATIO", "0.5"),
        ]);
        let refused = two.telemetry().expect_err("they differ").to_string();
        assert!(refused.contains("registry") && refused.contains("gateway"), "{refused}");
        assert_eq!(with(&[]).telemetry().expect("fine"), None);
    }

    #[test]
    fn the_trial_of_models_of_one_service_is_that_of_the_process_and_two_may_not_differ() {
        assert_eq!(with(&[]).probe().expect("fine"), ProbeOptions::default());
        let one = with(&[("WLP_EVALUATOR__LIMITS__PROBE__CPU_S", "7")]).probe().expect("one");
        assert_eq!(one, ProbeOptions { cpu_s: 7, ..ProbeOptions::default() });
        let off = ("WLP_GATEWAY__INFER__PROBE__ON", "false");
        assert!(!with(&[off]).probe().expect("one").on);
        let two = with(&[off, ("WLP_REGISTRY__PROBE__WALL_S", "7")]);
        assert!(two.probe().expect_err("they differ").to_string().contains("probe differs"));
    }
}
