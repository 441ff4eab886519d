//! `[transport]`: how connections are held and secured, alike in all services.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::ConfigError;

/// Limits of every listener of a service (gRPC, HTTP and metrics), and what its connections are secured with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Transport {
    /// Connections of one listener at a time; one more is closed at once. Never more than three eighths of the
    /// descriptors that the process may open.
    pub connections: usize,
    /// Of these from one address (of IPv6: from one /64), so that a single host cannot take them all.
    pub connections_per_peer: usize,
    /// Milliseconds for the TLS handshake and, of gRPC, the connection preface.
    pub preface_ms: u64,
    /// Milliseconds without a call after which a gRPC connection is told to go; 0 lets it stay.
    pub idle_ms: u64,
    /// Milliseconds after which a gRPC connection is told to go, a tenth more or less, so that callers spread over
    /// servers that came later; calls under way end first. 0 lets it stay.
    pub age_ms: u64,
    /// Milliseconds of silence after which a gRPC connection is pinged.
    pub keep_alive_ms: u64,
    /// Milliseconds in which the answer to a ping must come; half-sent frames hold it up, too.
    pub keep_alive_timeout_ms: u64,
    /// Calls at a time on one gRPC connection.
    pub streams: u32,
    /// Bytes of the metadata of one call, or of request line and headers of HTTP.
    pub header_bytes: u32,
    /// Calls of one connection that were reset before they were looked at; one more ends the connection.
    pub pending_resets: usize,
    /// Calls of one connection that ended because of broken frames; one more ends the connection.
    pub error_resets: usize,
    /// Milliseconds of the longest pause inside a message (HTTP: inside a body). Between messages of a stream there
    /// may be any.
    pub pause_ms: u64,
    /// Milliseconds from the start of a message (HTTP: from a request's head) to its end.
    pub message_ms: u64,
    /// Milliseconds without progress after which a gRPC connection is closed whose caller does not take its answers.
    pub stall_ms: u64,
    /// Milliseconds that a unary call may take whose caller asks for nothing else.
    pub deadline_ms: u64,
    /// What this service shows to its callers.
    pub tls: ServerTls,
    /// What this service asks of the services that it calls.
    pub client: ClientTls,
}

/// `[transport.tls]`: PEM files; all empty listens in the clear. They are read again while the service runs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ServerTls {
    /// Certificate of the service, followed by those that lead to the root.
    pub cert: String,
    /// Its private key.
    pub key: String,
    /// Roots of callers: who has no certificate of theirs does not get in, on gRPC and HTTP. API keys are asked for all
    /// the same. Probes and scrapers, on the metrics listener, are not asked for one. Empty asks nobody.
    pub client_ca: String,
}

/// `[transport.client]`: PEM files for calls to `https://` peers, read for each connection.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClientTls {
    /// Roots that a called service must have its certificate from. There is no other: the system's are not asked.
    pub ca: String,
    /// Certificate that is shown to the called service; empty shows none.
    pub cert: String,
    /// Its private key.
    pub key: String,
}

impl Default for Transport {
    fn default() -> Self {
        Self {
            connections: 4096,
            connections_per_peer: 1024,
            preface_ms: 5_000,
            idle_ms: 600_000,
            age_ms: 0,
            keep_alive_ms: 20_000,
            keep_alive_timeout_ms: 10_000,
            streams: 128,
            header_bytes: 16 * 1024,
            pending_resets: 20,
            error_resets: 1024,
            pause_ms: 10_000,
            message_ms: 120_000,
            stall_ms: 60_000,
            deadline_ms: 30_000,
            tls: ServerTls::default(),
            client: ClientTls::default(),
        }
    }
}

impl Transport {
    /// Refuses what no service can be served with.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`] with every bad setting.
    pub fn check(&self) -> Result<(), ConfigError> {
        let least = [
            ("connections", self.connections as u64, 1),
            ("connections_per_peer", self.connections_per_peer as u64, 1),
            ("preface_ms", self.preface_ms, 1),
            ("keep_alive_ms", self.keep_alive_ms, 1),
            ("keep_alive_timeout_ms", self.keep_alive_timeout_ms, 1),
            ("streams", u64::from(self.streams), 1),
            // What hyper reads of HTTP/1.1 at a time.
            ("header_bytes", u64::from(self.header_bytes), 8192),
            ("pending_resets", self.pending_resets as u64, 1),
            ("error_resets", self.error_resets as u64, 1),
            ("pause_ms", self.pause_ms, 1),
            ("message_ms", self.message_ms, 1),
            ("stall_ms", self.stall_ms, 1),
            ("deadline_ms", self.deadline_ms, 1),
        ];
        let low = least.iter().filter(|(_, given, least)| given < least);
        let mut wrong: Vec<_> =
            low.map(|(key, given, least)| format!("transport.{key}: {given}, required >= {least}")).collect();
        let mut needs = |one: bool, other: bool, text: &str| {
            if one && !other {
                wrong.push(text.to_owned());
            }
        };
        let (tls, client) = (&self.tls, &self.client);
        let set = |path: &String| !path.is_empty();
        needs(set(&tls.cert), set(&tls.key), "transport.tls.key: missing, since transport.tls.cert is set");
        needs(set(&tls.key), set(&tls.cert), "transport.tls.cert: missing, since transport.tls.key is set");
        needs(
            set(&tls.client_ca),
            set(&tls.cert),
            "transport.tls.cert: missing, since transport.tls.client_ca is set",
        );
        needs(
            set(&client.cert),
            set(&client.key),
            "transport.client.key: missing, since transport.client.cert is set",
        );
        needs(
            set(&client.key),
            set(&client.cert),
            "transport.client.cert: missing, since transport.client.key is set",
        );
        if wrong.is_empty() { Ok(()) } else { Err(ConfigError::Invalid(wrong.join("; "))) }
    }

    /// For the TLS handshake and the preface.
    pub(crate) fn preface(&self) -> Duration {
        Duration::from_millis(self.preface_ms)
    }

    /// Longest pause inside a message.
    pub(crate) fn pause(&self) -> Duration {
        Duration::from_millis(self.pause_ms)
    }

    /// Longest time of one message.
    pub(crate) fn message(&self) -> Duration {
        Duration::from_millis(self.message_ms)
    }

    /// Of a unary call that asks for none.
    pub(crate) fn deadline(&self) -> Duration {
        Duration::from_millis(self.deadline_ms)
    }
}
