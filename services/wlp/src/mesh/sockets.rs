//! Where the five listen, and whether they can.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};

use anyhow::Context;

use crate::settings::Settings;

/// Where the five listen.
#[derive(Debug, Clone, Copy)]
pub struct Sockets {
    /// Address of the host.
    pub host: IpAddr,
    /// Ports that the system picks, in place of the usual ones.
    pub free_ports: bool,
}

impl Sockets {
    /// The usual ports on loopback.
    pub const USUAL: Self = Self { host: IpAddr::V4(Ipv4Addr::LOCALHOST), free_ports: false };
    /// Free ports on loopback, for tests.
    pub const FREE: Self = Self { host: IpAddr::V4(Ipv4Addr::LOCALHOST), free_ports: true };

    /// Refuses at once where ports of the five are taken.
    ///
    /// # Errors
    /// Every port that is taken, and whose it is.
    pub fn free(self, settings: &mut Settings) -> anyhow::Result<()> {
        if self.free_ports {
            return Ok(());
        }
        // All are held until the last was tried, so that two of the five on one port are seen too.
        let (mut held, mut taken) = (Vec::new(), Vec::new());
        for (to, listen) in settings.addresses()? {
            let all = [
                Some(("", listen.rpc)),
                listen.metrics.map(|at| (" metrics", at)),
                listen.http.map(|at| (" REST", at)),
            ];
            for (what, address) in all.into_iter().flatten() {
                let address = SocketAddr::new(self.host, address.port());
                match TcpListener::bind(address) {
                    Ok(listener) => held.push(listener),
                    Err(error) => taken.push(format!("{address} ({}{what}): {error}", to.name())),
                }
            }
        }
        anyhow::ensure!(
            taken.is_empty(),
            "cannot listen on {}; stop what is there, or give --free-ports for ports that the system picks",
            taken.join(", ")
        );
        Ok(())
    }

    /// A configured address (`127.0.0.1:9001`) on this host.
    pub(super) fn at(self, configured: &str) -> anyhow::Result<SocketAddr> {
        let given: SocketAddr =
            configured.parse().with_context(|| format!("{configured:?} is no host:port"))?;
        Ok(SocketAddr::new(self.host, if self.free_ports { 0 } else { given.port() }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_port_that_is_taken_is_named_with_the_way_out() {
        let other = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let mut settings = Settings::default();
        settings.monitor.listen = other.local_addr().expect("its address").to_string();
        settings.gateway.metrics_listen = settings.monitor.listen.clone();
        for address in [
            &mut settings.registry.listen,
            &mut settings.registry.metrics_listen,
            &mut settings.data_pipeline.listen,
            &mut settings.data_pipeline.metrics_listen,
            &mut settings.evaluator.listen,
            &mut settings.evaluator.metrics_listen,
            &mut settings.monitor.metrics_listen,
            &mut settings.gateway.listen,
            &mut settings.gateway.rest_listen,
        ] {
            *address = "127.0.0.1:0".into();
        }
        let refused = Sockets::USUAL.free(&mut settings).expect_err("taken").to_string();
        assert!(refused.contains("(monitor)") && refused.contains("(gateway metrics)"), "{refused}");
        assert!(refused.contains("--free-ports") && !refused.contains("(registry"), "{refused}");
        Sockets::FREE.free(&mut settings).expect("the system picks");
    }
}
