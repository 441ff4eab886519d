//! ONNX Runtime with nothing around it: what the floor and the limit run.

use std::fmt::Display;
use std::path::Path;

use anyhow::{Context, anyhow};
use ort::environment::Environment;
use ort::ep::{CUDA, TensorRT};
use ort::session::Session;
use ort::session::builder::GraphOptimizationLevel;
use ort::value::TensorRef;

/// Opens the library that the `wlp` command would open.
///
/// # Errors
/// If there is none, or it cannot be opened.
pub fn environment() -> anyhow::Result<Environment> {
    let library = engine::locate_library()?;
    let open = ort::init_from(&library).map_err(plain)?.with_name("bench").with_telemetry(false);
    open.build().map_err(plain).with_context(|| format!("cannot open {}", library.display()))
}

/// A model with one FP32 input; its first output is FP32 too.
pub struct Model {
    session: Session,
}

impl Model {
    /// Loads a file on `cpu`, `cuda` or `tensorrt` with so many threads in an operator.
    ///
    /// # Errors
    /// If the provider is not there or the file does not load.
    pub fn open(
        environment: &Environment,
        file: &Path,
        provider: &str,
        threads: usize,
    ) -> anyhow::Result<Self> {
        let builder = Session::builder(environment)
            .map_err(plain)?
            .with_optimization_level(GraphOptimizationLevel::All)
            .map_err(plain)?
            .with_intra_threads(threads)
            .map_err(plain)?
            .with_inter_threads(1)
            .map_err(plain)?;
        let mut builder = match provider {
            "cpu" => builder,
            // of the precision of the server beside it
            "cuda" => builder
                .with_execution_providers([CUDA::default().with_tf32(false).build().error_on_failure()])
                .map_err(plain)?,
            "tensorrt" => builder
                .with_execution_providers([TensorRT::default().build().error_on_failure()])
                .map_err(plain)?,
            other => anyhow::bail!("there is no provider {other:?}: cpu, cuda or tensorrt"),
        };
        let session = builder
            .commit_from_file(file)
            .map_err(plain)
            .with_context(|| format!("cannot load {}", file.display()))?;
        Ok(Self { session })
    }

    /// Runs it and lets `read` see shape and values of the first output.
    ///
    /// # Errors
    /// What the runtime says.
    pub fn run<R>(
        &mut self,
        shape: &[i64],
        values: &[f32],
        read: impl FnOnce(&[i64], &[f32]) -> R,
    ) -> anyhow::Result<R> {
        let input = TensorRef::from_array_view((shape, values)).map_err(plain)?;
        let outputs = self.session.run(ort::inputs![input]).map_err(plain)?;
        let (shape, values) = outputs[0].try_extract_tensor::<f32>().map_err(plain)?;
        Ok(read(shape, values))
    }
}

/// Errors of `ort` keep what they were about, which cannot always be sent along.
fn plain(error: impl Display) -> anyhow::Error {
    anyhow!("{error}")
}
