//! What commands that call services over TLS trust and show.

use clap::Args;
use runtime::ClientTls;

/// PEM files for `https://` addresses.
#[derive(Debug, Clone, Args)]
pub struct Secured {
    /// PEM file of the roots that `https://` services must have their certificates from.
    #[arg(long, env = "WLP_CA", value_name = "FILE", default_value = "", hide_default_value = true)]
    ca: String,
    /// PEM file of the certificate to show to them, where they ask for one.
    #[arg(long, env = "WLP_CLIENT_CERT", value_name = "FILE", default_value = "", hide_default_value = true)]
    client_cert: String,
    /// PEM file of its private key.
    #[arg(long, env = "WLP_CLIENT_KEY", value_name = "FILE", default_value = "", hide_default_value = true)]
    client_key: String,
}

impl Secured {
    /// As a service's `[transport.client]` says it.
    pub fn tls(&self) -> ClientTls {
        ClientTls { ca: self.ca.clone(), cert: self.client_cert.clone(), key: self.client_key.clone() }
    }
}
