//! How a caller reaches a service: in this process or over TCP, with the key of a principal.

use std::net::SocketAddr;
use std::str::FromStr;

use anyhow::Context;
use runtime::Peer;
use runtime::config::Peers;

use crate::keys::Keyring;

/// One of the five.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum To {
    /// System of record.
    Registry,
    /// Datasets.
    DataPipeline,
    /// Evaluations.
    Evaluator,
    /// Inference.
    Gateway,
    /// Alerts, drift, feedback, duties.
    Monitor,
}

impl To {
    /// All five, the registry first: each calls only those before it.
    pub const ALL: [Self; 5] =
        [Self::Registry, Self::DataPipeline, Self::Evaluator, Self::Monitor, Self::Gateway];

    /// Its name in configurations and logs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Registry => "registry",
            Self::DataPipeline => "data-pipeline",
            Self::Evaluator => "evaluator",
            Self::Gateway => "gateway",
            Self::Monitor => "monitor",
        }
    }

    /// The service that serves a package of the contracts.
    pub fn serving(package: &str) -> Option<Self> {
        Some(match package {
            "wlp.registry.v1" => Self::Registry,
            "wlp.pipeline.v1" => Self::DataPipeline,
            "wlp.evaluator.v1" => Self::Evaluator,
            "wlp.gateway.v1" | "inference" => Self::Gateway,
            "wlp.monitor.v1" => Self::Monitor,
            _ => return None,
        })
    }
}

/// Gives peers: a story or a command does not see whether the mesh is in its process.
pub trait Reach: Send + Sync {
    /// A service as `principal` calls it.
    ///
    /// # Errors
    /// If the service is unknown here or the principal has no key.
    fn peer(&self, to: To, principal: &str) -> anyhow::Result<Peer>;

    /// The key of a principal, for programs that are started beside.
    ///
    /// # Errors
    /// If the principal has no key.
    fn key(&self, principal: &str) -> anyhow::Result<String>;

    /// Where a service listens; none where it has no socket.
    fn address(&self, to: To) -> Option<SocketAddr>;
}

/// Five services at addresses, with the keys of a keyring.
pub struct Tcp {
    peers: Vec<(To, SocketAddr, Peer)>,
    keys: Keyring,
}

impl Tcp {
    /// Connects with the first call. Must be made inside a tokio runtime.
    ///
    /// # Errors
    /// If an address is not `http://host:port`.
    pub fn new(at: &Peers, keys: Keyring) -> anyhow::Result<Self> {
        let mut peers = Vec::new();
        for to in To::ALL {
            let url = url_of(at, to);
            let host = url.strip_prefix("http://").unwrap_or(url).trim_end_matches('/');
            let address = std::net::ToSocketAddrs::to_socket_addrs(host)
                .with_context(|| format!("{}: {url:?} is no http://host:port", to.name()))?
                .next()
                .with_context(|| format!("{host} has no address"))?;
            peers.push((to, address, Peer::connect(url, "")?.describe(contracts::DESCRIPTORS)?));
        }
        Ok(Self { peers, keys })
    }
}

impl Reach for Tcp {
    fn peer(&self, to: To, principal: &str) -> anyhow::Result<Peer> {
        let found = self.peers.iter().find(|(one, ..)| *one == to).context("every service has an address")?;
        Ok(found.2.clone().with_key(self.keys.key(principal)?)?)
    }

    fn key(&self, principal: &str) -> anyhow::Result<String> {
        Ok(self.keys.key(principal)?.to_owned())
    }

    fn address(&self, to: To) -> Option<SocketAddr> {
        self.peers.iter().find(|(one, ..)| *one == to).map(|(_, address, _)| *address)
    }
}

/// The address of a service in a configuration's `[peers]`.
pub fn url_of(at: &Peers, to: To) -> &str {
    match to {
        To::Registry => &at.registry,
        To::DataPipeline => &at.data_pipeline,
        To::Evaluator => &at.evaluator,
        To::Gateway => &at.gateway,
        To::Monitor => &at.monitor,
    }
}

impl FromStr for To {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        Self::ALL.into_iter().find(|to| to.name() == text).with_context(|| format!("{text:?} is no service"))
    }
}
