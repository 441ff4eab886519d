//! Makes sessions: options, execution provider, comparison with what inspection read.

use ort::ep::{CUDA, ExecutionProvider, TensorRT};
use ort::session::Session;
use ort::session::builder::{GraphOptimizationLevel, SessionBuilder};

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

/// Loads `options.instances` sessions on the first provider that works.
pub(super) fn load(
    environment: &ort::environment::Environment,
    model: &[u8],
    signature: &ModelSignature,
    options: &LoadOptions,
) -> Result<(Vec<Session>, Provider), EngineError> {
    let wanted = options.provider.preferred.first().copied().unwrap_or(Provider::Cpu);
    let mut refused = Vec::new();
    for &provider in &options.provider.preferred {
        if provider != wanted && !options.provider.allow_fallback {
            break;
        }
        match builder(environment, provider, options) {
            Ok(builder) => {
                let sessions = sessions(builder, model, signature, options.instances)?;
                if let Some(why) = misplaced(&sessions, provider) {
                    refused.push(format!("{provider}: {why}"));
                    continue;
                }
                if provider != wanted {
                    tracing::warn!(%wanted, %provider, why = refused.join("; "), "execution provider falls back");
                }
                return Ok((sessions, provider));
            }
            Err(why) => refused.push(format!("{provider}: {why}")),
        }
    }
    Err(EngineError::Provider { wanted, why: refused.join("; ") })
}

/// Why a model that was loaded for a provider does not run on it: none of its nodes is there.
fn misplaced(sessions: &[Session], provider: Provider) -> Option<String> {
    let name = match provider {
        Provider::Cpu => return None,
        Provider::Cuda => CUDA::NAME,
        Provider::TensorRt => TensorRT::NAME,
    };
    match placement::nodes_by_provider(sessions.first()?) {
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
    options: &LoadOptions,
) -> Result<SessionBuilder, String> {
    if !built_in(provider) {
        return Err("the installed ONNX Runtime is built without it".into());
    }
    let level = match options.optimization {
        Optimization::Off => GraphOptimizationLevel::Disable,
        Optimization::All => GraphOptimizationLevel::All,
    };
    let device = i32::try_from(options.provider.device).map_err(|error| error.to_string())?;
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
    let dispatch = match provider {
        Provider::Cpu => return Ok(builder),
        Provider::Cuda => CUDA::default().with_device_id(device).build(),
        Provider::TensorRt => TensorRT::default().with_device_id(device).build(),
    };
    builder.with_execution_providers([dispatch.error_on_failure()]).map_err(why)
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
        let (sessions, provider) = load(&environment, &graph, &signature, &options)?;
        assert_eq!(provider, Provider::Cpu);
        let placed = placement::nodes_by_provider(&sessions[0]).expect("a placement");
        assert_eq!(placed, std::iter::once(("CPUExecutionProvider".to_owned(), 1)).collect());
        assert_eq!(misplaced(&sessions, Provider::Cpu), None);
        assert!(misplaced(&sessions, Provider::Cuda).is_some());
        Ok(())
    }
}
