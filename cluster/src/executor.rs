//! An executor: runs tasks, and keeps their results until the next stage or the client has taken them.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result};
use ballista_executor::executor_process::{ExecutorProcessConfig, start_executor_process};

use crate::functions;
use crate::tasks::Counted;

/// Runs the tasks that a scheduler deals out.
#[derive(Debug, Clone, clap::Parser)]
#[command(name = "wlp-executor", version)]
pub struct Executor {
    /// The scheduler, host:port
    #[arg(long, env = "WLP_EXECUTOR_SCHEDULER", default_value = "127.0.0.1:50050", value_parser = host_and_port)]
    pub scheduler: (String, u16),
    /// Address on which it listens
    #[arg(long, env = "WLP_EXECUTOR_LISTEN", default_value = "127.0.0.1")]
    pub listen: IpAddr,
    /// Name under which others reach it, where that is not the address
    #[arg(long, env = "WLP_EXECUTOR_EXTERNAL_HOST")]
    pub external_host: Option<String>,
    /// Port at which results are fetched
    #[arg(long, env = "WLP_EXECUTOR_PORT", default_value_t = 50051)]
    pub port: u16,
    /// Port at which tasks arrive
    #[arg(long, env = "WLP_EXECUTOR_TASK_PORT", default_value_t = 50052)]
    pub task_port: u16,
    /// Tasks at once
    #[arg(long, env = "WLP_EXECUTOR_CORES", default_value_t = default_cores(), value_parser = cores)]
    pub cores: usize,
    /// Bytes that all tasks together may hold; each has an equal share
    #[arg(long, env = "WLP_EXECUTOR_MEMORY", default_value_t = 4 << 30)]
    pub memory: u64,
    /// Folder for results of tasks; a temporary one unless given
    #[arg(long, env = "WLP_EXECUTOR_WORK_DIR")]
    pub work_dir: Option<PathBuf>,
    /// Seconds between heartbeats
    #[arg(long, env = "WLP_EXECUTOR_HEARTBEAT", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..))]
    pub heartbeat: u64,
    /// Seconds to wait for the scheduler at the start
    #[arg(long, env = "WLP_EXECUTOR_CONNECT", default_value_t = 30)]
    pub connect: u16,
}

impl Executor {
    /// Runs until it fails or is told to stop; then its tasks end first.
    pub async fn run(self) -> Result<()> {
        let config = Arc::new(self.config()?);
        tracing::info!(
            executor = config.executor_id,
            port = self.port,
            cores = self.cores,
            "executor starts"
        );
        start_executor_process(config).await.context("the executor stopped")
    }

    fn config(&self) -> Result<ExecutorProcessConfig> {
        let work_dir = match &self.work_dir {
            None => None,
            Some(folder) => {
                std::fs::create_dir_all(folder)
                    .with_context(|| format!("{} cannot be made", folder.display()))?;
                Some(folder.to_str().context("the work folder is not UTF-8")?.to_owned())
            }
        };
        let (scheduler_host, scheduler_port) = self.scheduler.clone();
        Ok(ExecutorProcessConfig {
            bind_host: self.listen.to_string(),
            external_host: Some(self.external_host.clone().unwrap_or_else(|| self.listen.to_string())),
            port: self.port,
            grpc_port: self.task_port,
            scheduler_host,
            scheduler_port,
            scheduler_connect_timeout_seconds: self.connect,
            vcores: self.cores,
            work_dir,
            memory_pool_size: Some(self.memory),
            executor_heartbeat_interval_seconds: self.heartbeat,
            override_function_registry: Some(Arc::new(functions::registry())),
            override_execution_engine: Some(Arc::new(Counted::default())),
            ..ExecutorProcessConfig::default()
        })
    }
}

fn default_cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn cores(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(cores) if cores > 0 => Ok(cores),
        _ => Err("required a number of cores, 1 or more".to_owned()),
    }
}

fn host_and_port(text: &str) -> Result<(String, u16), String> {
    let parsed = text.rsplit_once(':').and_then(|(host, port)| Some((host.to_owned(), port.parse().ok()?)));
    parsed.filter(|(host, _)| !host.is_empty()).ok_or_else(|| "required host:port".to_owned())
}
