//! The gateway of a folder on sockets, with real models in ONNX Runtime. Without the library each test says so in one line;
//! with `CI=true` that is a failure.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use bytes::Bytes;
use contracts::inference as wire;
use contracts::inference::grpc_inference_service_client::GrpcInferenceServiceClient;
use engine::inspect::proto::{
    AttributeProto, Dimension, DimensionValue, GraphProto, ModelProto, NodeProto, OperatorSetIdProto,
    TensorProto, TensorShapeProto, TensorType, TypeProto, TypeValue, ValueInfoProto,
};
use engine::{Engine, EngineError, LoadOptions, OnnxRuntime, Provider, Session};
use gateway::{Control, Repository};
use prost::Message;
use runtime::{Clock, Listen, Peer};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::folder::Folder;

/// ONNX Runtime, and the sessions that it gave out.
#[derive(Debug, Clone, Default)]
pub struct Watched {
    runtime: OnnxRuntime,
    sessions: Arc<Mutex<Vec<Weak<dyn Session>>>>,
}

impl Watched {
    /// The session that was loaded last.
    pub fn newest(&self) -> Arc<dyn Session> {
        self.sessions.lock().unwrap().last().unwrap().upgrade().unwrap()
    }

    /// Sessions that were loaded, and those of them that are still there.
    pub fn loaded(&self) -> (usize, usize) {
        let sessions = self.sessions.lock().unwrap();
        (sessions.len(), sessions.iter().filter(|one| one.strong_count() > 0).count())
    }
}

#[async_trait::async_trait]
impl Engine for Watched {
    fn describe(&self) -> String {
        self.runtime.describe()
    }

    fn providers(&self) -> Vec<Provider> {
        self.runtime.providers()
    }

    async fn load(&self, model: Bytes, options: LoadOptions) -> Result<Arc<dyn Session>, EngineError> {
        let session = self.runtime.load(model, options).await?;
        self.sessions.lock().unwrap().push(Arc::downgrade(&session));
        Ok(session)
    }
}

/// A gateway that listens.
pub struct Served {
    pub folder: Folder,
    pub engine: Watched,
    pub rest: SocketAddr,
    grpc: SocketAddr,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<anyhow::Result<()>>,
}

impl Served {
    /// Serves those files, names below the folder; none where there is no ONNX Runtime.
    pub async fn start(control: Control, files: &[(&str, Bytes)]) -> Option<Self> {
        if let Err(error) = OnnxRuntime::open() {
            assert!(std::env::var("CI").as_deref() != Ok("true"), "{error}");
            println!("skipped: {error}");
            return None;
        }
        let folder = Folder::new();
        for (name, bytes) in files {
            folder.put(name, bytes);
        }
        let mut config = folder.config();
        config.admission.requests = 2000;
        config.infer.queue = 2000;
        config.infer.run_limit_ms = 600_000;
        let engine = Watched::default();
        let (load, poll) = (vec!["*".into()], Duration::from_millis(20));
        let repository = Repository { control, load, poll, ..folder.repository() };
        let service = folder.serve(&config, repository, engine.clone(), Clock::real()).await;
        let free = SocketAddr::from(([127, 0, 0, 1], 0));
        let bound = runtime::bind(Listen { rpc: free, metrics: None, http: Some(free) }).await.unwrap();
        let (grpc, rest) = (bound.rpc_address(), bound.http_address().unwrap());
        let (stop, stopped) = oneshot::channel::<()>();
        let until = async move { _ = stopped.await };
        let serving = tokio::spawn(bound.serve(service, until));
        Some(Self { folder, engine, rest, grpc, stop, serving })
    }

    pub fn put(&self, name: &str, bytes: &Bytes) {
        self.folder.put(name, bytes);
    }

    /// A connection of its own.
    pub fn client(&self) -> GrpcInferenceServiceClient<Peer> {
        let peer = Peer::connect(&format!("http://{}", self.grpc), "").unwrap();
        GrpcInferenceServiceClient::new(peer.with_deadline(Duration::from_secs(120)))
    }

    /// Stops it, once every caller is gone.
    pub async fn stop(self) {
        drop(self.stop);
        self.serving.await.unwrap().unwrap();
    }
}

/// Numbers of that shape as an input.
pub fn input(name: &str, datatype: &str, shape: &[i64]) -> wire::model_infer_request::InferInputTensor {
    wire::model_infer_request::InferInputTensor {
        name: name.into(),
        datatype: datatype.into(),
        shape: shape.to_vec(),
        ..Default::default()
    }
}

/// The first number of an answer's only output.
pub fn first(answer: &wire::ModelInferResponse) -> f32 {
    f32::from_le_bytes(answer.raw_output_contents[0][..4].try_into().unwrap())
}

const FLOAT: i32 = 1;
const INT64: i32 = 7;
const BOOL: i32 = 9;

fn value(name: &str, elem_type: i32, dims: &[&str]) -> ValueInfoProto {
    let dim = |size: &&str| Dimension {
        value: Some(match size.parse() {
            Ok(size) => DimensionValue::Value(size),
            Err(_) => DimensionValue::Param((*size).into()),
        }),
    };
    let shape = Some(TensorShapeProto { dim: dims.iter().map(dim).collect() });
    let kind = TypeProto { value: Some(TypeValue::Tensor(TensorType { elem_type, shape })) };
    ValueInfoProto { name: name.into(), r#type: Some(kind) }
}

fn node(op: &str, inputs: &[&str], outputs: &[&str]) -> NodeProto {
    let owned = |names: &[&str]| names.iter().map(ToString::to_string).collect();
    NodeProto { op_type: op.into(), input: owned(inputs), output: owned(outputs), ..NodeProto::default() }
}

fn number(name: &str, value: f32) -> TensorProto {
    TensorProto {
        name: name.into(),
        dims: vec![1],
        data_type: FLOAT,
        raw_data: Some(value.to_le_bytes().to_vec().into()),
        ..TensorProto::default()
    }
}

fn file(graph: GraphProto) -> Bytes {
    let model = ModelProto {
        ir_version: 8,
        graph: Some(GraphProto { name: "g".into(), ..graph }),
        opset_import: vec![OperatorSetIdProto { domain: String::new(), version: 17 }],
        ..ModelProto::default()
    };
    model.encode_to_vec().into()
}

/// y = x + `by`, x and y `[n, 2]`.
pub fn shift(by: f32) -> Bytes {
    file(GraphProto {
        node: vec![node("Add", &["x", "w"], &["y"])],
        initializer: vec![number("w", by)],
        input: vec![value("x", FLOAT, &["n", "2"])],
        output: vec![value("y", FLOAT, &["n", "2"])],
        ..GraphProto::default()
    })
}

/// y = x + `by` `[n, m]`, after as many turns of a loop as the largest k `[n, 1]` of the batch says. Requests of different m
/// never run together.
pub fn slow(by: f32) -> Bytes {
    let body = GraphProto {
        name: "body".into(),
        node: vec![node("Identity", &["go"], &["go_on"]), node("Mul", &["v", "one"], &["v_next"])],
        initializer: vec![number("one", 1.0)],
        input: vec![value("turn", INT64, &[]), value("go", BOOL, &[]), value("v", FLOAT, &["n", "m"])],
        output: vec![value("go_on", BOOL, &[]), value("v_next", FLOAT, &["n", "m"])],
        ..GraphProto::default()
    };
    let attribute = |name: &str, r#type| AttributeProto { name: name.into(), r#type, ..Default::default() };
    let mut largest = node("ReduceMax", &["k"], &["turns"]);
    largest.attribute.push(attribute("keepdims", 2));
    let mut turns = node("Loop", &["turns", "yes", "x"], &["looped"]);
    turns.attribute.push(AttributeProto { g: Some(Box::new(body)), ..attribute("body", 5) });
    let yes =
        TensorProto { name: "yes".into(), data_type: BOOL, int32_data: vec![1], ..TensorProto::default() };
    file(GraphProto {
        node: vec![largest, turns, node("Add", &["looped", "w"], &["y"])],
        initializer: vec![yes, number("w", by)],
        input: vec![value("x", FLOAT, &["n", "m"]), value("k", INT64, &["n", "1"])],
        output: vec![value("y", FLOAT, &["n", "m"])],
        ..GraphProto::default()
    })
}

/// One row for [`slow`], `width` equal numbers.
pub fn turns(model: &str, x: f32, width: usize, turns: i64) -> wire::ModelInferRequest {
    let numbers: Vec<u8> = (0..width).flat_map(|_| x.to_le_bytes()).collect();
    wire::ModelInferRequest {
        model_name: model.into(),
        inputs: vec![input("x", "FP32", &[1, width as i64]), input("k", "INT64", &[1, 1])],
        raw_input_contents: vec![numbers.into(), turns.to_le_bytes().to_vec().into()],
        ..Default::default()
    }
}
