//! The scheduler of a cluster.

use clap::Parser;
use cluster::scheduler::Scheduler;

fn main() -> anyhow::Result<()> {
    cluster::start(Scheduler::parse().run())
}
