//! A deterministic engine for scenarios: the same inspection and checks as the real one, other arithmetic.
//!
//! What a model does is set from the test, by the digest of its bytes; without that it gives zeros of its signature.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use prost::Message;

use crate::inspect::proto::{
    Dimension, DimensionValue, GraphProto, ModelProto, OperatorSetIdProto, TensorProto, TensorShapeProto,
    TensorType, TypeProto, TypeValue, ValueInfoProto,
};
use crate::{
    Answer, Counts, DataType, Dim, Engine, EngineError, LoadOptions, ModelSignature, Provider, RunOptions,
    Session, Tensor, TensorData, TensorSpec, Timings, inspect, session,
};

/// Makes the outputs of a fake model from its inputs.
pub type Outputs = Arc<dyn Fn(&ModelSignature, &[Tensor]) -> Result<Vec<Tensor>, EngineError> + Send + Sync>;

/// What one model does.
#[derive(Clone, Default)]
pub struct Behaviour {
    /// Makes the outputs; zeros of the signature if absent.
    pub outputs: Option<Outputs>,
    /// Share of requests that fail inside the model, 0..=1: request `n` fails when `n * fail_share` passes a whole
    /// number, so that a tenth is exactly every tenth.
    pub fail_share: f64,
    /// Real time that a run takes.
    pub delay: Duration,
}

impl std::fmt::Debug for Behaviour {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Behaviour").field("fail_share", &self.fail_share).field("delay", &self.delay).finish()
    }
}

type Behaviours = Arc<Mutex<HashMap<String, Behaviour>>>;

/// The engine; clones share what was set.
#[derive(Debug, Clone, Default)]
pub struct FakeEngine {
    behaviours: Behaviours,
    devices: Arc<Mutex<Vec<Provider>>>,
}

impl FakeEngine {
    /// An engine whose models give zeros.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets what the model with that digest (`sha256:<hex>`) does, from its next run on.
    pub fn set(&self, digest: impl Into<String>, behaviour: Behaviour) {
        lock(&self.behaviours).insert(digest.into(), behaviour);
    }

    /// Lets models run on another provider than the processors from now on, as if the host had such a device.
    pub fn add_device(&self, provider: Provider) {
        lock(&self.devices).push(provider);
    }

    /// Changes the share of failing requests of that model and nothing else.
    pub fn fail_share(&self, digest: &str, share: f64) {
        lock(&self.behaviours).entry(digest.to_owned()).or_default().fail_share = share;
    }

    /// Changes the time that a run of that model takes and nothing else.
    pub fn delay(&self, digest: &str, delay: Duration) {
        lock(&self.behaviours).entry(digest.to_owned()).or_default().delay = delay;
    }
}

#[async_trait::async_trait]
impl Engine for FakeEngine {
    fn describe(&self) -> String {
        "fake".into()
    }

    fn providers(&self) -> Vec<Provider> {
        lock(&self.devices).iter().copied().chain([Provider::Cpu]).collect()
    }

    async fn load(&self, model: Bytes, options: LoadOptions) -> Result<Arc<dyn Session>, EngineError> {
        let wanted = options.provider.preferred.first().copied().unwrap_or(Provider::Cpu);
        let here = self.providers();
        if !here.contains(&wanted) && !options.provider.allow_fallback {
            return Err(EngineError::Provider { wanted, why: format!("the fake engine has {here:?}") });
        }
        let found = options.provider.preferred.iter().find(|provider| here.contains(provider));
        let inspection =
            inspect(&model, &options.limits).map_err(|error| EngineError::Load(error.to_string()))?;
        Ok(Arc::new(FakeSession {
            signature: inspection.signature,
            digest: inspection.file_digest,
            provider: found.copied().unwrap_or(Provider::Cpu),
            behaviours: self.behaviours.clone(),
            runs: AtomicUsize::new(0),
            rows: AtomicUsize::new(0),
            in_flight: AtomicUsize::new(0),
        }))
    }
}

#[derive(Debug)]
struct FakeSession {
    signature: ModelSignature,
    digest: String,
    provider: Provider,
    behaviours: Behaviours,
    runs: AtomicUsize,
    rows: AtomicUsize,
    in_flight: AtomicUsize,
}

struct Flight<'a>(&'a AtomicUsize);

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[async_trait::async_trait]
impl Session for FakeSession {
    fn signature(&self) -> &ModelSignature {
        &self.signature
    }

    fn digest(&self) -> &str {
        &self.digest
    }

    fn provider(&self) -> Provider {
        self.provider
    }

    fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    fn batches(&self) -> bool {
        false
    }

    fn counts(&self) -> Counts {
        let count = |of: &AtomicUsize| of.load(Ordering::Relaxed) as u64;
        Counts { runs: count(&self.runs), rows: count(&self.rows) }
    }

    async fn run(
        &self,
        inputs: Vec<Tensor>,
        outputs: Vec<String>,
        options: RunOptions,
    ) -> Result<Answer, EngineError> {
        self.signature.check(&inputs, &outputs).map_err(EngineError::BadInput)?;
        let started_at = Instant::now();
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        let _flight = Flight(&self.in_flight);
        options.note_start();
        let behaviour = lock(&self.behaviours).get(&self.digest).cloned().unwrap_or_default();
        if !behaviour.delay.is_zero() {
            tokio::select! {
                () = tokio::time::sleep(behaviour.delay) => {}
                () = options.cancelled() => return Err(EngineError::Cancelled),
                () = session::until(options.deadline) => return Err(EngineError::Deadline { running: true }),
                () = session::until(options.limit.and_then(|limit| started_at.checked_add(limit))) => {
                    return Err(EngineError::TooLong { limit: options.limit.unwrap_or_default() });
                }
            }
        }
        let run = self.runs.fetch_add(1, Ordering::Relaxed) as f64;
        if ((run + 1.0) * behaviour.fail_share).floor() > (run * behaviour.fail_share).floor() {
            return Err(EngineError::ModelFault("the fake model fails as it was told".into()));
        }
        let made = match &behaviour.outputs {
            Some(outputs) => outputs(&self.signature, &inputs)?,
            None => zeros(&self.signature, &inputs)?,
        };
        let outputs = session::wanted(&self.signature, outputs)
            .iter()
            .map(|name| made.iter().find(|tensor| tensor.name() == name).cloned())
            .collect::<Option<Vec<_>>>()
            .ok_or_else(|| EngineError::ModelFault("the fake model gives not every output".into()))?;
        let batch_rows = inputs.first().map_or(1, Tensor::rows);
        self.rows.fetch_add(batch_rows, Ordering::Relaxed);
        let (queued_at, batched_at, ended_at) = (started_at, started_at, Instant::now());
        Ok(Answer {
            outputs,
            timings: Timings { queued_at, batched_at, started_at, ended_at, batch_rows, lead: true },
        })
    }

    async fn warm_up(&self, _: RunOptions) -> Result<(), EngineError> {
        Ok(())
    }
}

/// The bytes of a small ONNX model with that signature, for scenarios that need one; another seed gives other weights,
/// so another digest. ONNX Runtime loads it too; its outputs are constants.
pub fn model(signature: &ModelSignature, seed: i64) -> Bytes {
    let specs = |specs: &[TensorSpec]| specs.iter().map(value_info).collect();
    let constants =
        session::made_up(&ModelSignature { inputs: signature.outputs.clone(), ..ModelSignature::default() });
    let mut initializer: Vec<TensorProto> = constants.iter().flatten().map(constant).collect();
    initializer.push(TensorProto {
        name: "fake-seed".into(),
        data_type: DataType::Int64.to_onnx(),
        int64_data: vec![seed],
        ..TensorProto::default()
    });
    let (input, output) = (specs(&signature.inputs), specs(&signature.outputs));
    let graph = GraphProto { name: "fake".into(), initializer, input, output, ..GraphProto::default() };
    let opset = OperatorSetIdProto { domain: String::new(), version: 17 };
    let model =
        ModelProto { ir_version: 8, graph: Some(graph), opset_import: vec![opset], ..ModelProto::default() };
    model.encode_to_vec().into()
}

fn value_info(spec: &TensorSpec) -> ValueInfoProto {
    let dim = |dim: &Dim| Dimension {
        value: match dim {
            Dim::Fixed(size) => Some(DimensionValue::Value(*size)),
            Dim::Symbol(name) => Some(DimensionValue::Param(name.clone())),
            Dim::Any(()) => None,
        },
    };
    let shape = spec.dims.as_ref().map(|dims| TensorShapeProto { dim: dims.iter().map(dim).collect() });
    let kind = TypeValue::Tensor(TensorType { elem_type: spec.datatype.to_onnx(), shape });
    ValueInfoProto { name: spec.name.clone(), r#type: Some(TypeProto { value: Some(kind) }) }
}

fn constant(tensor: &Tensor) -> TensorProto {
    let (raw_data, string_data) = match tensor.data() {
        TensorData::Raw(raw) => (Some(raw.clone()), Vec::new()),
        TensorData::Strings(elements) => (None, elements.clone()),
    };
    TensorProto {
        name: tensor.name().to_owned(),
        data_type: tensor.datatype().to_onnx(),
        dims: tensor.shape().to_vec(),
        raw_data,
        string_data,
        ..TensorProto::default()
    }
}

/// Zeros of every output; the first size, where it may be any, is that of the first input.
fn zeros(signature: &ModelSignature, inputs: &[Tensor]) -> Result<Vec<Tensor>, EngineError> {
    let rows = inputs.first().map_or(1, Tensor::rows) as i64;
    let sized = signature.outputs.iter().cloned().map(|mut spec| {
        if let Some(first @ (crate::Dim::Any(()) | crate::Dim::Symbol(_))) =
            spec.dims.as_mut().and_then(|dims| dims.first_mut())
        {
            *first = crate::Dim::Fixed(rows);
        }
        spec
    });
    let shaped = ModelSignature { inputs: sized.collect(), ..ModelSignature::default() };
    let too_large = || EngineError::ModelFault("an output is too large to be made".into());
    session::made_up(&shaped).ok_or_else(too_large)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
