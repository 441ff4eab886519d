//! Loads and unloads a model over and over, and shows what memory the server keeps.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Parser;
use contracts::inference::grpc_inference_service_client::GrpcInferenceServiceClient;
use contracts::inference::model_infer_request::InferInputTensor;
use contracts::inference::{ModelInferRequest, RepositoryModelLoadRequest, RepositoryModelUnloadRequest};
use serde_json::json;
use serving_bench::{input, process};
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};

/// Prints a line of JSON at the start, after every so many cycles, and at the end.
#[derive(Debug, Parser)]
struct Args {
    /// A server whose models are loaded and unloaded by its callers.
    #[arg(long)]
    addr: SocketAddr,
    /// The model.
    #[arg(long)]
    model: String,
    /// Name of its input.
    #[arg(long, default_value = "X")]
    input: String,
    /// Sizes of one row: `64`.
    #[arg(long)]
    shape: String,
    /// Loads and unloads.
    #[arg(long, default_value_t = 10_000)]
    cycles: u64,
    /// Cycles between two lines.
    #[arg(long, default_value_t = 250, value_parser = clap::value_parser!(u64).range(1..))]
    every: u64,
    /// Process of the server.
    #[arg(long)]
    pid: u32,
    /// API key.
    #[arg(long, env = "WLP_KEY", hide_env_values = true)]
    key: Option<String>,
    /// Seconds that the server may take to be ready.
    #[arg(long, default_value_t = 60)]
    wait: u64,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut model = Model::reach(&args).await?;
        let begin = Instant::now();
        for cycle in 1..=args.cycles {
            model.cycle().await.with_context(|| format!("cycle {cycle}"))?;
            // The first has opened ONNX Runtime: what it keeps is no growth.
            if cycle == 1 || cycle % args.every == 0 || cycle == args.cycles {
                show(&args, cycle, begin)?;
            }
        }
        Ok(())
    })
}

fn show(args: &Args, cycle: u64, begin: Instant) -> anyhow::Result<()> {
    let taken = process::taken(args.pid)?;
    let line = json!({
        "kind": "churn",
        "model": args.model,
        "cycle": cycle,
        "seconds": begin.elapsed().as_secs_f64(),
        "resident_kib": taken.resident_kib,
        "anonymous_kib": taken.anonymous_kib,
        "load_average": process::load_average(),
    });
    println!("{line}");
    Ok(())
}

/// The model at the server.
struct Model {
    client: GrpcInferenceServiceClient<Channel>,
    key: Option<MetadataValue<Ascii>>,
    name: String,
    request: ModelInferRequest,
}

impl Model {
    /// Connects, and waits until the server answers.
    async fn reach(args: &Args) -> anyhow::Result<Self> {
        let shape = input::shape(1, &args.shape)?;
        let tensor = InferInputTensor {
            name: args.input.clone(),
            datatype: "FP32".into(),
            shape: shape.clone(),
            ..InferInputTensor::default()
        };
        let request = ModelInferRequest {
            model_name: args.model.clone(),
            inputs: vec![tensor],
            raw_input_contents: vec![input::raw(&input::values(&shape, 0))],
            ..ModelInferRequest::default()
        };
        let key = args.key.as_ref().map(|key| format!("Bearer {key}").parse()).transpose()?;
        let endpoint = Endpoint::from_shared(format!("http://{}", args.addr))?.tcp_nodelay(true);
        let client = GrpcInferenceServiceClient::new(endpoint.connect_lazy());
        let mut model = Self { client, key, name: args.model.clone(), request };
        let until = Instant::now() + Duration::from_secs(args.wait);
        loop {
            match model.unload().await {
                Err(status) if status.code() == Code::Unavailable && Instant::now() < until => {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
                // Not loaded yet: whatever the server calls that, the cycles begin from there.
                _ => return Ok(model),
            }
        }
    }

    /// One load, one request, one unload.
    async fn cycle(&mut self) -> anyhow::Result<()> {
        let load = RepositoryModelLoadRequest { model_name: self.name.clone(), ..Default::default() };
        let load = self.with_key(load);
        self.client.repository_model_load(load).await.context("load")?;
        let request = self.with_key(self.request.clone());
        self.client.model_infer(request).await.context("infer")?;
        self.unload().await.context("unload")
    }

    async fn unload(&mut self) -> Result<(), Status> {
        let unload = RepositoryModelUnloadRequest { model_name: self.name.clone(), ..Default::default() };
        let unload = self.with_key(unload);
        self.client.repository_model_unload(unload).await.map(drop)
    }

    fn with_key<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        if let Some(key) = &self.key {
            request.metadata_mut().insert("authorization", key.clone());
        }
        request
    }
}
