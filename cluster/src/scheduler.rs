//! The scheduler: cuts plans into stages and tasks, deals the tasks out, and deals them out again where an executor is lost.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, Result};
use ballista_scheduler::cluster::BallistaCluster;
use ballista_scheduler::config::SchedulerConfig;
use ballista_scheduler::scheduler_process::start_server;

use crate::functions;

/// Takes plans from clients and deals their tasks out to executors.
#[derive(Debug, Clone, clap::Parser)]
#[command(name = "wlp-scheduler", version)]
pub struct Scheduler {
    /// Where it listens, for clients and executors; GET /readyz says whether enough executors are there
    #[arg(long, env = "WLP_SCHEDULER_LISTEN", default_value = "127.0.0.1:50050")]
    pub listen: SocketAddr,
    /// Name under which executors reach it, where that is not the address
    #[arg(long, env = "WLP_SCHEDULER_EXTERNAL_HOST")]
    pub external_host: Option<String>,
    /// Seconds of silence after which an executor is lost, and its tasks run on others; several heartbeats
    #[arg(long, env = "WLP_SCHEDULER_EXECUTOR_TIMEOUT", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..))]
    pub executor_timeout: u64,
    /// Executors without which it is not ready
    #[arg(long, env = "WLP_SCHEDULER_MIN_EXECUTORS", default_value_t = 1)]
    pub min_executors: usize,
    /// Attempts at a task, and at a stage, before the job has failed
    #[arg(long, env = "WLP_SCHEDULER_ATTEMPTS", default_value_t = 4)]
    pub attempts: usize,
}

impl Scheduler {
    /// Runs until it fails or is told to stop.
    pub async fn run(self) -> Result<()> {
        let config = Arc::new(self.config());
        let cluster = BallistaCluster::new_from_config(&config).await?;
        tracing::info!(listen = %self.listen, "scheduler starts");
        tokio::select! {
            stopped = start_server(cluster, self.listen, config) => stopped.context("the scheduler stopped"),
            _ = tokio::signal::ctrl_c() => Ok(()),
        }
    }

    fn config(&self) -> SchedulerConfig {
        SchedulerConfig {
            bind_host: self.listen.ip().to_string(),
            bind_port: self.listen.port(),
            external_host: self.external_host.clone().unwrap_or_else(|| self.listen.ip().to_string()),
            executor_timeout_seconds: self.executor_timeout,
            expire_dead_executor_interval_seconds: (self.executor_timeout / 4).max(1),
            no_executors_grace_period_seconds: self.executor_timeout,
            min_ready_executors: self.min_executors,
            task_max_failures: self.attempts,
            stage_max_failures: self.attempts,
            override_session_builder: Some(Arc::new(functions::session)),
            ..SchedulerConfig::default()
        }
    }
}
