//! How many connections a listener holds, in all and from one address, and what is told of them.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;

use crate::layers::metrics::Metrics;
use crate::transport::Transport;

/// Counts the connections of one listener.
pub(crate) struct Gate {
    most: usize,
    per_peer: usize,
    open: Mutex<Open>,
    meters: Meters,
}

#[derive(Default)]
struct Open {
    total: usize,
    from: HashMap<IpAddr, usize>,
}

/// A connection's place; given back when it is dropped.
pub(crate) struct Seat {
    gate: Arc<Gate>,
    network: IpAddr,
}

impl Gate {
    /// With the limits of `transport`, as far as the process has descriptors.
    pub(crate) fn new(transport: &Transport, meters: Meters) -> Arc<Self> {
        Self::within(transport, descriptors(), meters)
    }

    fn within(transport: &Transport, descriptors: Option<usize>, meters: Meters) -> Arc<Self> {
        let (mut most, mut per_peer) = (transport.connections, transport.connections_per_peer);
        if let Some(share) = descriptors.map(|all| (all / 8 * 3).max(1))
            && share < most
        {
            tracing::info!(configured = most, connections = share, "fewer descriptors than connections");
            // One host still leaves room for others.
            (most, per_peer) = (share, per_peer.min((share - share / 8).max(1)));
        }
        Arc::new(Self { most, per_peer, open: Mutex::default(), meters })
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for a connection from `address`; none, and counted, if there is none left.
    pub(crate) fn enter(self: &Arc<Self>, address: IpAddr) -> Option<Seat> {
        let network = network(address);
        let mut open = self.lock();
        if self.most <= open.total {
            drop(open);
            self.closed("connections");
            return None;
        }
        let here = open.from.entry(network).or_default();
        if self.per_peer <= *here {
            drop(open);
            self.closed("connections_per_peer");
            return None;
        }
        *here += 1;
        open.total += 1;
        drop(open);
        self.meters.open(1);
        Some(Seat { gate: self.clone(), network })
    }

    /// Counts a connection that was closed from this side.
    pub(crate) fn closed(&self, why: &'static str) {
        self.meters.closed(why);
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut open = self.gate.lock();
        open.total -= 1;
        if let Some(here) = open.from.get_mut(&self.network) {
            *here -= 1;
            if *here == 0 {
                open.from.remove(&self.network);
            }
        }
        drop(open);
        self.gate.meters.open(-1);
    }
}

/// What belongs to one holder: an IPv4 address, or the /64 that every IPv6 host has for itself.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        v4 @ IpAddr::V4(_) => v4,
    }
}

/// Descriptors that this process may open, where the system says.
fn descriptors() -> Option<usize> {
    soft_limit(&std::fs::read_to_string("/proc/self/limits").ok()?)
}

fn soft_limit(limits: &str) -> Option<usize> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct At {
    service: &'static str,
    listener: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Closed {
    service: &'static str,
    listener: &'static str,
    why: &'static str,
}

/// `wlp_connections{service,listener}` and `wlp_connections_closed_total{service,listener,why}`.
#[derive(Clone)]
pub(crate) struct Meters {
    at: At,
    open: Family<At, Gauge>,
    closed: Family<Closed, Counter>,
}

impl Meters {
    pub(crate) fn new(service: &'static str, metrics: &Metrics) -> Self {
        let (open, closed) = (Family::<At, Gauge>::default(), Family::<Closed, Counter>::default());
        metrics.register(|registry| {
            registry.register("wlp_connections", "Connections held now", open.clone());
            let help = "Connections closed by the service, by the limit that they met";
            registry.register("wlp_connections_closed", help, closed.clone());
        });
        Self { at: At { service, listener: "grpc" }, open, closed }
    }

    /// The same, of another listener.
    pub(crate) fn of(&self, listener: &'static str) -> Self {
        let mut other = self.clone();
        other.at.listener = listener;
        other
    }

    fn open(&self, more: i64) {
        self.open.get_or_create(&self.at).inc_by(more);
    }

    fn closed(&self, why: &'static str) {
        let At { service, listener } = self.at;
        self.closed.get_or_create(&Closed { service, listener, why }).inc();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate(connections: usize, connections_per_peer: usize, descriptors: Option<usize>) -> Arc<Gate> {
        let transport = Transport { connections, connections_per_peer, ..Transport::default() };
        Gate::within(&transport, descriptors, Meters::new("a", &Metrics::new()))
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn one_host_cannot_take_all_places_and_a_place_comes_back() {
        let gate = gate(4, 2, None);
        let [first, second] = [0, 0].map(|_| gate.enter(ip("10.0.0.1")));
        assert!(first.is_some() && second.is_some());
        assert!(gate.enter(ip("::ffff:10.0.0.1")).is_none(), "the same host in another notation");
        let others = [ip("2001:db8::1"), ip("2001:db8::2")].map(|from| gate.enter(from));
        assert!(others.iter().all(Option::is_some));
        assert!(gate.enter(ip("10.0.0.9")).is_none(), "none is left");
        drop(first);
        assert!(gate.enter(ip("2001:db8::ffff:3")).is_none(), "one network of IPv6 is one host");
        let third = gate.enter(ip("10.0.0.1"));
        assert!(third.is_some());
        drop((second, others, third));
        assert!(gate.lock().total == 0 && gate.lock().from.is_empty());
    }

    #[test]
    fn descriptors_bound_what_is_configured() {
        let few = gate(4096, 1024, Some(64));
        assert_eq!((few.most, few.per_peer), (24, 21));
        let many = gate(4096, 1024, Some(1 << 20));
        assert_eq!((many.most, many.per_peer), (4096, 1024));
        let text =
            "Max processes  1  1  processes\nMax open files            1024                 524288  files\n";
        assert_eq!(soft_limit(text), Some(1024));
        assert_eq!(soft_limit("Max open files  unlimited  unlimited  files"), None);
    }
}
