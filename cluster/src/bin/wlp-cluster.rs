//! The client of a cluster.

use clap::Parser;
use cluster::client::Client;

fn main() -> anyhow::Result<()> {
    cluster::start(Client::parse().run())
}
