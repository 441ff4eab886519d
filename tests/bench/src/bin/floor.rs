//! The floor: tonic and ONNX Runtime with nothing between them. No validation, no metrics, no queue, no batching.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Context;
use clap::Parser;
use contracts::inference::model_infer_response::InferOutputTensor;
use contracts::inference::{ModelInferRequest, ModelInferResponse};
use serving_bench::model::{Model, environment};
use serving_bench::{input, server};
use tonic::Status;

/// What the answer of `--noop` has in a row.
const NOOP_ROW: i64 = 10;

/// Answers `ModelInfer` for ONNX files, one FP32 input and one FP32 output each.
#[derive(Debug, Parser)]
struct Args {
    /// Files; each is served under the name before `.onnx`.
    models: Vec<PathBuf>,
    /// Where to listen; port 0 is a free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Answer zeros without a model: the floor of gRPC alone.
    #[arg(long, conflicts_with = "models")]
    noop: bool,
    /// Threads that read, run and write.
    #[arg(long, default_value_t = 2)]
    workers: usize,
    /// Copies of each model: runs at the same time.
    #[arg(long, default_value_t = 1)]
    sessions: usize,
    /// Threads inside one operator.
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// `cpu`, `cuda` or `tensorrt`.
    #[arg(long, default_value = "cpu")]
    provider: String,
}

#[derive(Clone)]
enum Floor {
    Zeros,
    Models(Arc<HashMap<String, Vec<Mutex<Model>>>>),
}

impl server::Method for Floor {
    const SERVICE: &'static str = "inference.GRPCInferenceService";
    const NAME: &'static str = "ModelInfer";
    type Request = ModelInferRequest;
    type Answer = ModelInferResponse;

    fn answer(&self, request: ModelInferRequest) -> Result<ModelInferResponse, Status> {
        let (Some(tensor), Some(raw)) = (request.inputs.first(), request.raw_input_contents.first()) else {
            return Err(Status::invalid_argument("one input in the raw form is taken"));
        };
        let (shape, raw) = match self {
            Self::Zeros => {
                let rows = tensor.shape.first().copied().unwrap_or(1).clamp(1, 1 << 20);
                (vec![rows, NOOP_ROW], input::raw(&vec![0.0; (rows * NOOP_ROW) as usize]))
            }
            Self::Models(models) => {
                let copies = models.get(&request.model_name).filter(|copies| !copies.is_empty());
                let copies = copies.ok_or_else(|| Status::not_found("there is no such model"))?;
                let values = input::values_of(raw);
                let ran = free(copies)
                    .run(&tensor.shape, &values, |shape, values| (shape.to_vec(), input::raw(values)));
                ran.map_err(|error| Status::internal(error.to_string()))?
            }
        };
        let output =
            InferOutputTensor { name: "Y".into(), datatype: "FP32".into(), shape, ..Default::default() };
        Ok(ModelInferResponse {
            model_name: request.model_name,
            id: request.id,
            outputs: vec![output],
            raw_output_contents: vec![raw],
            ..ModelInferResponse::default()
        })
    }
}

/// A copy that nobody uses; where all are used, the first as soon as it is free.
fn free(copies: &[Mutex<Model>]) -> MutexGuard<'_, Model> {
    let idle = copies.iter().find_map(|copy| copy.try_lock().ok());
    idle.unwrap_or_else(|| copies[0].lock().unwrap_or_else(PoisonError::into_inner))
}

fn load(args: &Args) -> anyhow::Result<Floor> {
    if args.noop {
        return Ok(Floor::Zeros);
    }
    anyhow::ensure!(!args.models.is_empty(), "give ONNX files, or --noop");
    let environment = environment()?;
    let mut models = HashMap::new();
    for file in &args.models {
        let name = file.file_stem().and_then(|name| name.to_str()).context("a file without a name")?;
        let copy = |_| Model::open(&environment, file, &args.provider, args.threads).map(Mutex::new);
        let copies = (0..args.sessions.max(1)).map(copy).collect::<anyhow::Result<Vec<_>>>()?;
        models.insert(name.to_owned(), copies);
    }
    Ok(Floor::Models(Arc::new(models)))
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let floor = load(&args)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(args.workers.max(1))
        .enable_all()
        .build()?;
    runtime.block_on(server::serve(args.listen, floor))
}
