//! How the services of this process are reached.

use std::net::SocketAddr;

use anyhow::Context;
use runtime::Peer;

use crate::keys::Keyring;
use crate::reach::{Reach, To};

/// How the services of this process are reached; lives on beside the mesh.
pub struct Local {
    parts: Vec<Part>,
    keys: Keyring,
}

/// One of the five as others see it.
pub(super) struct Part {
    pub to: To,
    pub peer: Peer,
    pub rpc: Option<SocketAddr>,
    pub metrics: Option<SocketAddr>,
    pub http: Option<SocketAddr>,
}

impl Local {
    pub(super) fn new(parts: Vec<Part>, keys: Keyring) -> Self {
        Self { parts, keys }
    }

    fn part(&self, to: To) -> Option<&Part> {
        self.parts.iter().find(|part| part.to == to)
    }

    /// The keys of everybody.
    pub fn keys(&self) -> &Keyring {
        &self.keys
    }

    /// Where a service shows its metrics.
    pub fn metrics_address(&self, to: To) -> Option<SocketAddr> {
        self.part(to).and_then(|part| part.metrics)
    }

    /// Where a service speaks HTTP beside gRPC.
    pub fn http_address(&self, to: To) -> Option<SocketAddr> {
        self.part(to).and_then(|part| part.http)
    }
}

impl Reach for Local {
    fn peer(&self, to: To, principal: &str) -> anyhow::Result<Peer> {
        let part = self.part(to).with_context(|| format!("the {} is not here", to.name()))?;
        Ok(part.peer.clone().with_key(self.keys.key(principal)?)?)
    }

    fn key(&self, principal: &str) -> anyhow::Result<String> {
        Ok(self.keys.key(principal)?.to_owned())
    }

    fn address(&self, to: To) -> Option<SocketAddr> {
        self.part(to).and_then(|part| part.rpc)
    }
}
