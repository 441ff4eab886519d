//! The executor of a cluster.

use clap::Parser;
use cluster::executor::Executor;

fn main() -> anyhow::Result<()> {
    cluster::start(Executor::parse().run())
}
