//! `wlp serve`: models of a folder on the gateway's code, without the mesh.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::{Args, ValueEnum};
use contracts::inference as wire;
use contracts::inference::grpc_inference_service_client::GrpcInferenceServiceClient;
use contracts::inference::model_config::SchedulingChoice;
use engine::Provider;
use gateway::{Control, LocalDeps, Repository};
use runtime::config::Telemetry;
use runtime::{Bound, Clock, Credentials, Listen, Peer, Service};
use tokio::sync::Notify;

use super::embedded;

#[derive(Debug, Args)]
pub struct Serve {
    /// An ONNX file, a folder of them, or a Triton model repository.
    path: PathBuf,
    /// Address of gRPC; no key is asked for, so loopback only.
    #[arg(long, default_value = "127.0.0.1:8001")]
    grpc: SocketAddr,
    /// Address of HTTP/REST; loopback only.
    #[arg(long, default_value = "127.0.0.1:8000")]
    rest: SocketAddr,
    /// Address of `/metrics`, `/livez` and `/readyz`; loopback only.
    #[arg(long, default_value = "127.0.0.1:8002")]
    metrics: SocketAddr,
    /// Rows that run together at most, and rows of one request, of models whose configuration does not say.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    max_batch: Option<u32>,
    /// Microseconds that a request waits for others to run with, of models whose configuration does not say.
    #[arg(long, default_value_t = 0)]
    batch_delay_us: u64,
    /// Copies of each model, each with a thread, of models whose configuration has no instance groups.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=256))]
    instances: u32,
    /// Threads inside one operator, of models whose configuration does not say.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1024))]
    threads: u32,
    /// Where models run whose configuration does not say; one that is not there is an error.
    #[arg(long, value_enum, default_value_t = On::Cpu)]
    provider: On,
    /// Who says which models are served.
    #[arg(long, value_enum, default_value_t = ModelControl::None)]
    model_control: ModelControl,
    /// With `--model-control explicit`: a model to load at the start, `*` for all; may be given several times.
    #[arg(long = "load-model", value_name = "NAME")]
    load_models: Vec<String>,
    /// Loads models without having tried them in a process of their own: of files that are trusted, saves a moment each.
    #[arg(long)]
    trust_models: bool,
    /// Takes tensors in shared memory of this host: callers may then name any object below `/dev/shm` that this command's
    /// user may read and write.
    #[arg(long)]
    shared_memory: bool,
    /// Where traces go, by OTLP over gRPC; empty for nowhere.
    #[arg(long, env = "WLP_OTLP_ENDPOINT", default_value = "")]
    otlp_endpoint: String,
    /// Share of requests that are traced, of those whose callers do not say; 0 to 1.
    #[arg(long, default_value_t = 0.01)]
    trace_share: f64,
    /// With `--model-control poll`: seconds between two looks at the folder.
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    poll_seconds: u64,
}

/// Where a model runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum On {
    /// The host's processors.
    Cpu,
    /// NVIDIA CUDA.
    Cuda,
    /// NVIDIA TensorRT.
    #[value(name = "tensorrt")]
    TensorRt,
}

/// As Triton's `--model-control-mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ModelControl {
    /// All that are there at the start; no change.
    None,
    /// What is in the folder, looked at every `--poll-seconds`.
    Poll,
    /// `--load-model` at the start, then RepositoryModelLoad and RepositoryModelUnload.
    Explicit,
}

impl Serve {
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        self.check()?;
        let _telemetry = runtime::telemetry::init("gateway", &self.telemetry())?;
        // Taken before anything is loaded: what cannot listen is known at once.
        let listen = Listen { rpc: self.grpc, metrics: Some(self.metrics), http: Some(self.rest) };
        let bound = runtime::bind(listen).await?;
        let scratch = tempfile::tempdir().context("cannot make a folder for what is being worked on")?;
        let service = tokio::select! {
            service = self.build(scratch.path().display().to_string()) => service?,
            () = runtime::shutdown_signal() => return Ok(embedded::INTERRUPTED.into()),
        };
        show(&service, &bound).await?;
        serve(bound, service).await?;
        Ok(ExitCode::SUCCESS)
    }

    /// What the command line does not say by itself.
    fn check(&self) -> anyhow::Result<()> {
        for address in [self.grpc, self.rest, self.metrics] {
            Credentials::none().fit_for(address).map_err(|_| {
                anyhow::anyhow!("refused to listen on {address}: no key is asked for, so loopback only")
            })?;
        }
        anyhow::ensure!(
            self.load_models.is_empty() || self.model_control == ModelControl::Explicit,
            "--load-model needs --model-control explicit"
        );
        Ok(())
    }

    fn telemetry(&self) -> Telemetry {
        let configured = Telemetry { sample_ratio: self.trace_share, ..Telemetry::default() };
        embedded::telemetry(configured, Some(self.otlp_endpoint.as_str()))
    }

    /// ONNX Runtime, then the models.
    async fn build(&self, scratch: String) -> anyhow::Result<Service> {
        crate::onnxruntime::ensure().await?;
        let repository = Repository {
            path: self.path.clone(),
            control: match self.model_control {
                ModelControl::None => Control::None,
                ModelControl::Poll => Control::Poll,
                ModelControl::Explicit => Control::Explicit,
            },
            load: self.load_models.clone(),
            poll: Duration::from_secs(self.poll_seconds),
            shared_memory: self.shared_memory,
        };
        let config = self.config(scratch);
        let deps = LocalDeps { clock: Clock::real(), engine: config.engine() };
        gateway::build_local(&config, deps, repository).await
    }

    /// What models are served with whose configurations do not say.
    fn config(&self, data_dir: String) -> gateway::Config {
        let mut config = gateway::Config { data_dir, ..gateway::Config::default() };
        let infer = &mut config.infer;
        if let Some(rows) = self.max_batch {
            infer.max_rows = rows as usize;
            infer.batching.max_rows = rows as usize;
        }
        infer.batching.delay_us = self.batch_delay_us;
        infer.probe.on = !self.trust_models;
        infer.instances = self.instances as usize;
        infer.intra_threads = self.threads as usize;
        infer.provider.preferred = vec![match self.provider {
            On::Cpu => Provider::Cpu,
            On::Cuda => Provider::Cuda,
            On::TensorRt => Provider::TensorRt,
        }];
        config
    }
}

/// Serves until the first signal, then drains; whoever asks once more does not wait.
async fn serve(bound: Bound, service: Service) -> anyhow::Result<()> {
    let asked = Arc::new(Notify::new());
    let noted = asked.clone();
    let stop = async move {
        runtime::shutdown_signal().await;
        noted.notify_one();
    };
    let again = async {
        asked.notified().await;
        runtime::shutdown_signal().await;
    };
    tokio::select! {
        served = bound.serve(service, stop) => served,
        () = again => anyhow::bail!("interrupted while stopping"),
    }
}

/// One line for each model, and the addresses.
async fn show(service: &Service, bound: &Bound) -> anyhow::Result<()> {
    let mut client = GrpcInferenceServiceClient::new(service.peer("")?);
    let index = client.repository_index(wire::RepositoryIndexRequest::default()).await?.into_inner();
    let mut models: BTreeMap<String, Vec<_>> = BTreeMap::new();
    for row in index.models {
        models.entry(row.name.clone()).or_default().push(row);
    }
    for (name, rows) in &models {
        println!("{:20} {}", name.escape_debug().to_string(), line(&mut client, name, rows).await?);
    }
    if models.is_empty() {
        println!("no model is loaded");
    }
    let at = |address: Option<SocketAddr>| address.map(|at| at.to_string()).unwrap_or_default();
    println!("grpc    {}", bound.rpc_address());
    println!("rest    http://{}/v2", at(bound.http_address()));
    println!("metrics http://{}/metrics", at(bound.metrics_address()));
    Ok(())
}

type Client = GrpcInferenceServiceClient<Peer>;

/// The versions of a model, those that are not there with the reason, and whether requests run together.
async fn line(
    client: &mut Client,
    name: &str,
    rows: &[wire::repository_index_response::ModelIndex],
) -> anyhow::Result<String> {
    let versions: Vec<_> = rows.iter().map(version).collect();
    let ready = rows.iter().any(|row| row.state == "READY");
    let batching = if ready {
        let request = wire::ModelConfigRequest { name: name.to_owned(), version: String::new() };
        let config = client.model_config(request).await?.into_inner().config.unwrap_or_default();
        format!("  {}", batching(&config))
    } else {
        String::new()
    };
    Ok(format!("{}{batching}", versions.join(", ")))
}

fn version(row: &wire::repository_index_response::ModelIndex) -> String {
    let version =
        if row.version.is_empty() { "no version".to_owned() } else { format!("version {}", row.version) };
    match row.state.as_str() {
        "READY" => version,
        state => format!("{version} {state}: {}", row.reason),
    }
}

/// Whether requests run together, in words.
fn batching(config: &wire::ModelConfig) -> String {
    match &config.scheduling_choice {
        Some(SchedulingChoice::DynamicBatching(dynamic)) if config.max_batch_size > 0 => {
            let delay = match dynamic.max_queue_delay_microseconds {
                0 => String::new(),
                micros => format!(", waits {micros} us"),
            };
            format!("requests run together, at most {} rows each{delay}", config.max_batch_size)
        }
        Some(SchedulingChoice::SequenceBatching(_)) => {
            "requests belong to sequences, those of different ones run together".to_owned()
        }
        _ if config.max_batch_size > 0 => {
            format!("requests run alone, at most {} rows each", config.max_batch_size)
        }
        _ => "requests run alone".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        serve: Serve,
    }

    fn parsed(more: &[&str]) -> Serve {
        Line::try_parse_from(["serve", "models"].iter().chain(more)).expect("a command line").serve
    }

    #[test]
    fn without_keys_it_listens_on_loopback_only() {
        parsed(&[]).check().expect("the usual addresses");
        parsed(&["--grpc", "[::1]:0"]).check().expect("loopback");
        for option in ["--grpc", "--rest", "--metrics"] {
            for address in ["0.0.0.0:0", "192.168.0.1:9000", "[::]:0"] {
                let error = parsed(&[option, address]).check().expect_err("refused").to_string();
                assert!(error.contains("loopback only"), "{error}");
            }
        }
    }

    #[test]
    fn options_are_what_configurations_do_not_say() {
        let usual = parsed(&[]).config(String::new());
        assert_eq!(usual.infer.max_rows, gateway::Config::default().infer.max_rows);
        let line = [
            "--max-batch",
            "8",
            "--batch-delay-us",
            "50",
            "--instances",
            "2",
            "--threads",
            "3",
            "--provider",
            "cuda",
        ];
        let infer = parsed(&line).config(String::new()).infer;
        assert_eq!((infer.max_rows, infer.batching.max_rows, infer.batching.delay_us), (8, 8, 50));
        assert_eq!((infer.instances, infer.intra_threads), (2, 3));
        assert_eq!((infer.provider.preferred, infer.provider.allow_fallback), (vec![Provider::Cuda], false));
        let traced =
            parsed(&["--otlp-endpoint", "http://127.0.0.1:4317", "--trace-share", "0.5"]).telemetry();
        assert_eq!((traced.otlp_endpoint.as_str(), traced.sample_ratio), ("http://127.0.0.1:4317", 0.5));
        assert!(Line::try_parse_from(["serve", "models", "--max-batch", "0"]).is_err());
        assert!(parsed(&["--load-model", "a"]).check().is_err());
        let explicit = parsed(&["--model-control", "explicit", "--load-model", "a", "--load-model", "b"]);
        explicit.check().expect("two models");
        assert_eq!(explicit.load_models, ["a", "b"]);
    }
}
