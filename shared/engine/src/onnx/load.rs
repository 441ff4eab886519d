//! Makes sessions: options, execution provider, comparison with what inspection read.

use std::os::unix::fs::DirBuilderExt;

use ort::ep::cuda::ConvAlgorithmSearch;
use ort::ep::{CUDA, ExecutionProvider, ExecutionProviderDispatch, TensorRT};
use ort::session::Session;
use ort::session::builder::{GraphOptimizationLevel, SessionBuilder};

use super::instance::Instance;
use super::{convert, placement};
use crate::signature::shown;
use crate::{EngineError, LoadOptions, ModelSignature, Optimization, Provider, TensorSpec};

/// Providers that the open library was built with; the host may still lack a device or driver.
pub(super) fn available() -> Vec<Provider> {
    [Provider::TensorRt, Provider::Cuda, Provider::Cpu]
        .into_iter()
        .filter(|provider| built_in(*provider))
        .collect()
}

fn built_in(provider: Provider) -> bool {
    match provider {
        Provider::Cpu => true,
        Provider::Cuda => CUDA::is_available().unwrap_or(false),
        Provider::TensorRt => TensorRT::is_available().unwrap_or(false),
    }
}

/// Loads `options.instances` sessions on the first provider that works; `digest` is that of the model's bytes.
pub(super) fn load(
    environment: &ort::environment::Environment,
    model: &[u8],
    signature: &ModelSignature,
    digest: &str,
    options: &LoadOptions,
) -> Result<(Vec<Instance>, Provider), EngineError> {
    let device = i32::try_from(options.provider.device)
        .map_err(|_| EngineError::Load(format!("there is no device {}", options.provider.device)))?;
    let wanted = options.provider.preferred.first().copied().unwrap_or(Provider::Cpu);
    let mut refused = Vec::new();
    for &provider in &options.provider.preferred {
        if provider != wanted && !options.provider.allow_fallback {
            break;
        }
        match builder(environment, provider, (device, digest), options) {
            Ok(builder) => {
                let sessions = sessions(builder, model, signature, options.instances)?;
                if let Some(why) = sessions.first().and_then(|session| misplaced(session, provider)) {
                    refused.push(format!("{provider}: {why}"));
                    continue;
                }
                if provider != wanted {
                    tracing::warn!(%wanted, %provider, why = refused.join("; "), "execution provider falls back");
                }
                let instance = |session| Instance::new(session, provider, device);
                return Ok((sessions.into_iter().map(instance).collect(), provider));
            }
            Err(why) => refused.push(format!("{provider}: {why}")),
        }
    }
    Err(EngineError::Provider { wanted, why: refused.join("; ") })
}

/// Why a model that was loaded for a provider does not run on it: none of its nodes is there.
fn misplaced(session: &Session, provider: Provider) -> Option<String> {
    let name = match provider {
        Provider::Cpu => return None,
        Provider::Cuda => CUDA::NAME,
        Provider::TensorRt => TensorRT::NAME,
    };
    match placement::nodes_by_provider(session) {
        Ok(placed) if placed.get(name).is_some_and(|nodes| *nodes > 0) => {
            tracing::info!(%provider, ?placed, "nodes are placed");
            None
        }
        Ok(placed) => Some(format!("none of the model's nodes runs on it: {placed:?}")),
        Err(error) => Some(convert::text(error.message())),
    }
}

fn sessions(
    mut builder: SessionBuilder,
    model: &[u8],
    signature: &ModelSignature,
    instances: usize,
) -> Result<Vec<Session>, EngineError> {
    (0..instances.max(1))
        .map(|_| {
            let session = builder
                .commit_from_memory(model)
                .map_err(|error| EngineError::Load(reason(error.message())))?;
            compare(&session, signature)?;
            Ok(session)
        })
        .collect()
}

/// The runtime's message, preceded by what to do about it where that is known.
fn reason(message: &str) -> String {
    let text = convert::text(message);
    let locale =
        text.split_once("Failed to construct locale with name:").and_then(|(_, rest)| rest.split(':').next());
    match locale {
        Some(locale) => format!("it needs the locale {locale}, which this machine does not have ({text})"),
        None => text,
    }
}

fn builder(
    environment: &ort::environment::Environment,
    provider: Provider,
    (device, digest): (i32, &str),
    options: &LoadOptions,
) -> Result<SessionBuilder, String> {
    if !built_in(provider) {
        return Err("the installed ONNX Runtime is built without it".into());
    }
    let level = match options.optimization {
        Optimization::Off => GraphOptimizationLevel::Disable,
        Optimization::All => GraphOptimizationLevel::All,
    };
    let why = |error: ort::Error<SessionBuilder>| convert::text(error.message());
    let builder = SessionBuilder::new(environment)
        .map_err(|error| convert::text(error.message()))?
        .with_optimization_level(level)
        .map_err(why)?
        .with_intra_threads(options.intra_threads.max(1))
        .map_err(why)?
        .with_inter_threads(1)
        .map_err(why)?
        // A spinning thread of an idle session takes a core from one that works.
        .with_intra_op_spinning(false)
        .map_err(why)?
        .with_config_entry(placement::RECORD, "1")
        .map_err(why)?;
    let dispatched = match provider {
        Provider::Cpu => return Ok(builder),
        Provider::Cuda => vec![cuda(device)],
        // What TensorRT does not take stays on the device.
        Provider::TensorRt => vec![tensorrt(device, digest, options)?, cuda(device)],
    };
    builder.with_execution_providers(dispatched).map_err(why)
}

/// Without TF32, which the runtime would use for FP32 products: it keeps 10 bits of each factor, and answers would differ from
/// those of the processors by more than 1e-4 of their size.
fn cuda(device: i32) -> ExecutionProviderDispatch {
    CUDA::default()
        .with_device_id(device)
        .with_tf32(false)
        // The default tries every algorithm of a convolution for every number of rows that comes along.
        .with_conv_algorithm_search(ConvAlgorithmSearch::Heuristic)
        .build()
        .error_on_failure()
}

/// What it builds of a model is kept under the digest of the model's bytes, if there is a folder for it: building takes minutes.
fn tensorrt(device: i32, digest: &str, options: &LoadOptions) -> Result<ExecutionProviderDispatch, String> {
    let provider = TensorRT::default().with_device_id(device);
    let Some(folder) = &options.cache_dir else { return Ok(provider.build().error_on_failure()) };
    let folder = folder.join(digest.trim_start_matches("sha256:"));
    // Nobody else may write what is run from there.
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder);
    made.map_err(|error| format!("{} cannot be made: {error}", folder.display()))?;
    let Some(path) = folder.to_str() else {
        return Err(format!("{} is not UTF-8", folder.display()));
    };
    let kept = provider.with_engine_cache(true).with_engine_cache_path(path);
    Ok(kept.with_timing_cache(true).with_timing_cache_path(path).build().error_on_failure())
}

/// The runtime must read the same names and types as the inspection did.
fn compare(session: &Session, signature: &ModelSignature) -> Result<(), EngineError> {
    let differs = |what: &str, name: &str| {
        Err(EngineError::Load(format!(
            "the runtime reads {what} {} differently than the inspection",
            shown(name)
        )))
    };
    let fits = |spec: Option<&TensorSpec>, kind: &ort::value::ValueType| {
        spec.is_some_and(|spec| kind.tensor_type().and_then(convert::datatype) == Some(spec.datatype))
    };
    for input in session.inputs() {
        if !fits(signature.input(input.name()), input.dtype()) {
            return differs("input", input.name());
        }
    }
    for spec in &signature.inputs {
        if !session.inputs().iter().any(|input| input.name() == spec.name) {
            return differs("input", &spec.name);
        }
    }
    for spec in &signature.outputs {
        let kind =
            session.outputs().iter().find(|output| output.name() == spec.name).map(|output| output.dtype());
        if !kind.is_some_and(|kind| fits(Some(spec), kind)) {
            return differs("output", &spec.name);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use prost::Message;

    use super::*;
    use crate::inspect::proto::{ModelProto, NodeProto};

    /// Without a GPU this is the only provider whose placement can be read; the calls are the same.
    #[tokio::test]
    async fn placement_is_read_from_the_session() -> Result<(), EngineError> {
        let environment = match super::super::library::environment() {
            Ok((environment, _)) => environment,
            Err(error) => {
                assert!(std::env::var("CI").as_deref() != Ok("true"), "{error}");
                println!("skipped: {error}");
                return Ok(());
            }
        };
        let spec = |name: &str| TensorSpec {
            name: name.into(),
            datatype: crate::DataType::Fp32,
            dims: Some(Vec::new()),
        };
        let signature =
            ModelSignature { inputs: vec![spec("x")], outputs: vec![spec("y")], ..ModelSignature::default() };
        let mut model = ModelProto::decode(crate::fake::model(&signature, 1)).expect("a model");
        let graph = model.graph.as_mut().expect("a graph");
        graph.initializer.clear();
        let (input, output) = (vec!["x".into()], vec!["y".into()]);
        graph.node.push(NodeProto { op_type: "Neg".into(), input, output, ..NodeProto::default() });
        let (graph, options) = (model.encode_to_vec(), LoadOptions::default());
        let (mut instances, provider) = load(&environment, &graph, &signature, "sha256:00", &options)?;
        assert_eq!(provider, Provider::Cpu);
        let session = instances.remove(0).into_session();
        let placed = placement::nodes_by_provider(&session).expect("a placement");
        assert_eq!(placed, std::iter::once(("CPUExecutionProvider".to_owned(), 1)).collect());
        assert_eq!(misplaced(&session, Provider::Cpu), None);
        assert!(misplaced(&session, Provider::Cuda).is_some());
        Ok(())
    }

    /// The folder is that of the model's digest, and its owner's alone.
    #[test]
    fn what_tensorrt_builds_is_kept_by_digest() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().expect("a folder");
        let cache_dir = Some(folder.path().join("engines"));
        let options = LoadOptions { cache_dir, ..LoadOptions::default() };
        for _ in 0..2 {
            tensorrt(0, "sha256:c0ffee", &options).expect("a provider");
        }
        let made = folder.path().join("engines/c0ffee");
        assert_eq!(made.metadata().expect("the folder").permissions().mode() & 0o777, 0o700);
        std::fs::write(folder.path().join("file"), "").expect("a file");
        let blocked = LoadOptions { cache_dir: Some(folder.path().join("file")), ..LoadOptions::default() };
        let refused = tensorrt(0, "sha256:c0ffee", &blocked).err().expect("no folder");
        assert!(refused.contains("cannot be made"), "{refused}");
    }
}
