//! The two traits that services see: [`Engine`] and [`Session`].

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::{EngineError, ModelSignature, Tensor};

/// Where a model runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Provider {
    /// The host's processors.
    Cpu,
    /// NVIDIA CUDA.
    Cuda,
    /// NVIDIA TensorRT.
    TensorRt,
}

impl Provider {
    /// `cpu`, `cuda`, `tensorrt`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Cuda => "cuda",
            Self::TensorRt => "tensorrt",
        }
    }
}

impl std::fmt::Display for Provider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Which execution provider a model shall run on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ProviderPolicy {
    /// Tried in this order; the first is what is wanted.
    pub preferred: Vec<Provider>,
    /// Whether anything but the first may be used; if not, a missing provider is an error.
    pub allow_fallback: bool,
    /// Number of the device.
    pub device: u32,
}

impl Default for ProviderPolicy {
    fn default() -> Self {
        Self { preferred: vec![Provider::Cpu], allow_fallback: false, device: 0 }
    }
}

/// How much a graph is rewritten at load.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Optimization {
    /// Nothing is folded or fused: a constant that asks for a terabyte is not computed at load.
    Off,
    /// Everything that ONNX Runtime has.
    #[default]
    All,
}

/// How requests that wait for the same model are put together into one run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Batching {
    /// Rows of one run at most; with 1 every request runs alone. A request that has more by itself runs alone.
    pub max_rows: usize,
    /// Rows that a run had better have: the largest of them that the waiting requests fill is taken, and the rest waits
    /// for the next run. Fewer than the smallest of them run as they are.
    pub preferred: Vec<usize>,
    /// Longest time that a request waits for others to come, microseconds; 0: what has come while the last run was at work
    /// runs next, and nothing waits for what may never come.
    pub delay_us: u64,
}

impl Batching {
    /// Every request runs alone.
    pub const ALONE: Self = Self { max_rows: 1, preferred: Vec::new(), delay_us: 0 };

    /// Rows for which nothing more is waited.
    pub(crate) fn full(&self) -> usize {
        self.preferred.iter().copied().max().unwrap_or(self.max_rows).min(self.max_rows)
    }
}

impl Default for Batching {
    fn default() -> Self {
        Self { max_rows: 64, ..Self::ALONE }
    }
}

/// How a model is loaded.
#[derive(Debug, Clone)]
pub struct LoadOptions {
    /// Where it runs.
    pub provider: ProviderPolicy,
    /// Threads inside one operator, per instance; 1 keeps a run on the engine's own thread.
    pub intra_threads: usize,
    /// Copies of the session, each with a thread: runs at the same time.
    pub instances: usize,
    /// Requests that may wait for an instance.
    pub queue_capacity: usize,
    /// How waiting requests are put together. A model whose rows are not independent of each other is found out at load
    /// and runs every request alone.
    pub batching: Batching,
    /// Longest time that loading may take; then it is an error (the thread ends as soon as the runtime lets it).
    pub load_limit: Duration,
    /// How much the graph is rewritten.
    pub optimization: Optimization,
    /// What inspection allows; the engine refuses what inspection refuses.
    pub limits: crate::Limits,
    /// Folder for what a provider builds of a model and takes again at the next load (TensorRT's engines), in it a folder for
    /// each digest of a model's bytes. What stands there is run: nobody but the service may write to it. `None`: it is built
    /// at each load.
    pub cache_dir: Option<PathBuf>,
}

impl Default for LoadOptions {
    fn default() -> Self {
        Self {
            provider: ProviderPolicy::default(),
            intra_threads: 1,
            instances: 1,
            queue_capacity: 256,
            batching: Batching::ALONE,
            load_limit: Duration::from_secs(120),
            optimization: Optimization::All,
            limits: crate::Limits::default(),
            cache_dir: None,
        }
    }
}

/// Until when a run is wanted.
#[derive(Debug, Clone, Default)]
pub struct RunOptions {
    /// Ends the run, queued or running, soon after this instant.
    pub deadline: Option<Instant>,
    /// Ends the run, queued or running, soon after it is cancelled.
    pub cancel: Option<CancellationToken>,
    /// Becomes true when the model begins with it.
    pub started: Option<Arc<AtomicBool>>,
    /// Longest time in the model; more is the model's fault, whatever its caller allows.
    pub limit: Option<Duration>,
    /// Who goes first in the queue: the smaller number, those of one number in their order.
    pub priority: u32,
}

impl RunOptions {
    /// A run that must end within `limit` from now.
    pub fn within(limit: Duration) -> Self {
        Self { deadline: Instant::now().checked_add(limit), ..Self::default() }
    }
}

impl RunOptions {
    pub(crate) fn note_start(&self) {
        if let Some(started) = &self.started {
            started.store(true, Ordering::Release);
        }
    }

    /// Ends when the request is cancelled.
    pub(crate) async fn cancelled(&self) {
        match &self.cancel {
            Some(cancel) => cancel.cancelled().await,
            None => std::future::pending().await,
        }
    }
}

/// When the stages of a run began and ended; durations are real time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timings {
    /// The request entered the session's queue.
    pub queued_at: Instant,
    /// It left the queue.
    pub batched_at: Instant,
    /// Its inputs were laid out and the model started.
    pub started_at: Instant,
    /// The model ended.
    pub ended_at: Instant,
    /// Rows of the batch that it ran in, its own included.
    pub batch_rows: usize,
    /// It is the first request of its batch: what belongs to a run and not to a request is counted with it.
    pub lead: bool,
}

/// What a session has done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Times that the model ran, warming up included and what was tried at load left out.
    pub runs: u64,
    /// Rows in them, those that nobody waited for any more included.
    pub rows: u64,
}

impl Timings {
    /// Time in the queue.
    pub fn queue(&self) -> Duration {
        self.batched_at - self.queued_at
    }
    /// Time to lay the inputs out.
    pub fn batch(&self) -> Duration {
        self.started_at - self.batched_at
    }
    /// Time in the model.
    pub fn run(&self) -> Duration {
        self.ended_at - self.started_at
    }
}

/// The outputs of a run and how long it took.
#[derive(Debug, Clone)]
pub struct Answer {
    /// In the order asked for; all of them in graph order if none was asked for.
    pub outputs: Vec<Tensor>,
    /// When what happened.
    pub timings: Timings,
}

/// Loads models.
#[async_trait::async_trait]
pub trait Engine: std::fmt::Debug + Send + Sync {
    /// What it is, for metadata and logs: `onnxruntime 1.32.0`.
    fn describe(&self) -> String;

    /// Providers that this host and library can run on.
    fn providers(&self) -> Vec<Provider>;

    /// Inspects and loads a model; its bytes are not kept.
    ///
    /// # Errors
    /// [`EngineError::Load`] with the reason, [`EngineError::Provider`], [`EngineError::NotInstalled`].
    async fn load(&self, model: Bytes, options: LoadOptions) -> Result<Arc<dyn Session>, EngineError>;
}

/// A loaded model. Dropping the last handle lets running requests end and frees it.
#[async_trait::async_trait]
pub trait Session: std::fmt::Debug + Send + Sync {
    /// What the model takes and gives.
    fn signature(&self) -> &ModelSignature;

    /// `sha256:<hex>` of the bytes that were loaded.
    fn digest(&self) -> &str;

    /// Where it really runs.
    fn provider(&self) -> Provider;

    /// Requests that wait or run now.
    fn in_flight(&self) -> usize;

    /// Whether requests are put together: the model's rows are independent, and more than one may run at a time.
    fn batches(&self) -> bool;

    /// What ran so far.
    fn counts(&self) -> Counts;

    /// Runs the model once. `outputs` empty asks for all of them.
    ///
    /// # Errors
    /// [`EngineError::BadInput`] with every wrong field before anything runs; [`EngineError::ModelFault`],
    /// [`EngineError::Deadline`], [`EngineError::Cancelled`], [`EngineError::Busy`].
    async fn run(
        &self,
        inputs: Vec<Tensor>,
        outputs: Vec<String>,
        options: RunOptions,
    ) -> Result<Answer, EngineError>;

    /// Runs every instance once on made-up inputs of the signature (zeros, empty text, 1 for any size), so that the
    /// first real request does not pay for it. A model that refuses such values is warm all the same.
    ///
    /// # Errors
    /// [`EngineError::Deadline`], [`EngineError::Cancelled`], [`EngineError::Closed`].
    async fn warm_up(&self, options: RunOptions) -> Result<(), EngineError>;
}

/// The outputs to give: those asked for, or all in graph order.
pub(crate) fn wanted(signature: &ModelSignature, outputs: Vec<String>) -> Vec<String> {
    if outputs.is_empty() {
        signature.outputs.iter().map(|spec| spec.name.clone()).collect()
    } else {
        outputs
    }
}

/// Ends at the deadline; never without one.
pub(crate) async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}

/// Bytes of made-up values at most.
const MADE_UP_BYTES: usize = 64 << 20;

/// Inputs that fit the signature: zeros and empty text, 1 for any size. Nothing is made of a signature whose fixed sizes
/// ask for more than [`MADE_UP_BYTES`]: a declaration costs the file nothing.
pub(crate) fn made_up(signature: &ModelSignature) -> Option<Vec<Tensor>> {
    let mut room = MADE_UP_BYTES;
    let mut tensor = |spec: &crate::TensorSpec| {
        let shape: Vec<i64> = spec.shape().into_iter().map(|size| if size < 0 { 1 } else { size }).collect();
        let count = crate::tensor::element_count(&shape)?;
        let each = spec.datatype.size().unwrap_or(size_of::<Bytes>());
        let bytes = count.checked_mul(each).ok_or(crate::TensorError::Overflow)?;
        room = room.checked_sub(bytes).ok_or(crate::TensorError::Overflow)?;
        match spec.datatype.size() {
            Some(_) => Tensor::raw(spec.name.clone(), spec.datatype, shape, vec![0; bytes].into()),
            None => Tensor::strings(spec.name.clone(), shape, vec![Bytes::new(); count]),
        }
    };
    signature.inputs.iter().map(|spec| tensor(spec).ok()).collect()
}
