//! A scheduler and executors that run a table's plan in parts, and their client: Ballista with the functions of
//! [`aggregates`].
//!
//! The plan is the one that runs in a process. All three sides know the same functions, so partial answers are the same
//! states of sketches, and what is exact in a process is exact here. Ballista asks nobody who they are: whoever reaches a port
//! can run plans, which read what the executors may read. Everything listens on the loopback unless told otherwise; elsewhere
//! it belongs into a network of its own.

pub mod client;
pub mod executor;
pub mod functions;
pub mod scheduler;
mod tasks;

use std::future::Future;

use anyhow::Result;
use tracing_subscriber::EnvFilter;

/// Bytes of a thread's stack: plans are trees that are walked by recursion.
const STACK: usize = 16 << 20;

/// Runs one of the programs: its log goes to standard error, filtered by `RUST_LOG`.
pub fn start(program: impl Future<Output = Result<()>> + Send + 'static) -> Result<()> {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn,cluster=info"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(false).init();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().thread_stack_size(STACK).build()?;
    // On a thread of the runtime: the main thread's stack has the size that the shell gives it.
    runtime.block_on(runtime.spawn(program))?
}
