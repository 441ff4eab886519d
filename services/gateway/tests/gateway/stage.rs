//! A gateway with a fake engine between fake peers.

use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use contracts::gateway::v1::serving_service_client::ServingServiceClient;
use contracts::gateway::v1::{ListBackendsRequest, ListBackendsResponse, ServedBackend};
use contracts::inference::grpc_inference_service_client::GrpcInferenceServiceClient;
use contracts::inference::model_infer_request::InferInputTensor;
use contracts::inference::{
    InferParameter, InferTensorContents, ModelInferRequest, infer_parameter::ParameterChoice,
};
use contracts::registry::v1::{Backend, Gate, GateDecision, Route, Routes};
use engine::fake::{FakeEngine, model};
use engine::{DataType, Dim, ModelSignature, TensorSpec};
use runtime::credentials::{Entry, digest_of};
use runtime::{Clock, Credentials, Kind, Peer, Service};
use storage::{Digest, Signer};

use super::peers::Peers;

pub const KEY: &str = "wlp_test";
pub const ROLLOUT: &str = "deployments/scorer/rollouts/first";

pub struct Stage {
    pub peers: Peers,
    pub engine: FakeEngine,
    pub clock: Clock,
    pub config: gateway::Config,
    /// Who calls.
    pub principal: String,
    pub service: Option<Service>,
    /// Of the service that runs: made once, for each making reads all descriptors.
    peer: Option<Peer>,
    _folder: tempfile::TempDir,
}

pub fn signature() -> ModelSignature {
    let spec = |name: &str, datatype, dims| TensorSpec { name: name.into(), datatype, dims: Some(dims) };
    let rows = || Dim::Symbol("rows".into());
    ModelSignature {
        inputs: vec![spec("x", DataType::Fp32, vec![rows(), Dim::Fixed(2)])],
        outputs: vec![
            spec("label", DataType::Int64, vec![rows()]),
            spec("scores", DataType::Fp32, vec![rows(), Dim::Fixed(3)]),
        ],
        ..ModelSignature::default()
    }
}

/// Bytes and digest of a model.
pub fn artifact(seed: i64) -> (Bytes, String) {
    let bytes = model(&signature(), seed);
    let digest = Digest::of(&bytes).to_string();
    (bytes, digest)
}

pub fn decision(signer: &Signer, version: &str, gate: Gate, digest: &str) -> GateDecision {
    let mut decision = GateDecision {
        name: format!("{version}/gateDecisions/g{}", gate as i32),
        gate: gate.into(),
        passed: true,
        artifact_digest: digest.into(),
        ..GateDecision::default()
    };
    decision.signature = signer.sign(&contracts::signed::gate_decision(&decision)).to_vec();
    decision
}

impl Stage {
    pub async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut config =
            gateway::Config { data_dir: folder.path().display().to_string(), ..Default::default() };
        config.observe.sample_share = 1.0;
        let mut stage = Self {
            peers: Peers::new(),
            engine: FakeEngine::new(),
            clock: Clock::real(),
            config,
            principal: "ml-ops-engineer".into(),
            service: None,
            peer: None,
            _folder: folder,
        };
        stage.start().await;
        stage
    }

    /// (Re)starts the gateway on what is on disk.
    pub async fn start(&mut self) {
        let peer = Peer::local(self.peers.stack(), "").unwrap().describe(contracts::DESCRIPTORS).unwrap();
        let entry = |key: &str, role: &str| Entry {
            sha256: digest_of(key),
            principal: self.principal.clone(),
            kind: Kind::Program,
            roles: vec![role.into(), "client".into()],
            expires: None,
            development: true,
        };
        let deps = gateway::Deps {
            clock: self.clock.clone(),
            engine: std::sync::Arc::new(self.engine.clone()),
            credentials: Credentials::from_entries(vec![entry(KEY, "ml-ops-engineer")]).unwrap(),
            clients: gateway::Clients::over(peer.clone(), peer),
        };
        let service = gateway::build(&self.config, deps).await.unwrap();
        service.tasks().start();
        self.peer = Some(service.peer(KEY).unwrap());
        self.service = Some(service);
    }

    pub async fn stop(&mut self) {
        self.peer = None;
        self.service.take().unwrap().stop(Duration::from_secs(5)).await;
    }

    /// A backend of production with the gates that it needs.
    pub fn backend(&self, version: &str, seed: i64, percent: u32, canary: bool) -> Backend {
        let (bytes, digest) = artifact(seed);
        let size_bytes = bytes.len() as u64;
        self.peers.told(|told| told.artifacts.insert(digest.clone(), bytes));
        let version = format!("models/scorer/versions/{version}");
        let gates = [Gate::G1TestsPass, Gate::G2BenchmarksMet, Gate::G3QaApproved];
        let gate_decisions = gates.map(|gate| decision(&self.peers.signer, &version, gate, &digest)).to_vec();
        Backend {
            version,
            traffic_percent: percent,
            canary,
            artifact_digest: digest,
            size_bytes,
            gate_decisions,
            ..Backend::default()
        }
    }

    /// Hands out one production route.
    pub fn publish(&self, sequence: u64, backends: Vec<Backend>) {
        let rollout = if backends.iter().any(|backend| backend.canary) { ROLLOUT } else { "" };
        let route = Route {
            endpoint: "scorer".into(),
            deployment: "deployments/scorer".into(),
            staging: false,
            backends,
            rollout: rollout.into(),
            ..Route::default()
        };
        self.peers.publish(&Routes { sequence, routes: vec![route], ..Routes::default() });
    }

    /// Stable 1.0.0 and canary 1.1.0 with that share, in force.
    pub async fn canary(&self, sequence: u64, percent: u32) {
        let stable = self.backend("1.0.0", 1, 100 - percent, false);
        self.publish(sequence, vec![stable, self.backend("1.1.0", 2, percent, true)]);
        self.in_force(sequence).await;
    }

    /// Waits until a table is in force as a whole.
    pub async fn in_force(&self, sequence: u64) {
        until(|| async { self.list().await.route_sequence == sequence }).await;
    }

    pub fn peer(&self) -> Peer {
        self.peer.clone().unwrap()
    }

    pub fn client(&self) -> GrpcInferenceServiceClient<Peer> {
        GrpcInferenceServiceClient::new(self.peer())
    }

    pub async fn list(&self) -> ListBackendsResponse {
        let request = ListBackendsRequest::default();
        ServingServiceClient::new(self.peer()).list_backends(request).await.unwrap().into_inner()
    }

    pub async fn served(&self, number: &str) -> ServedBackend {
        let served = self.list().await.backends;
        served.into_iter().find(|backend| backend.version.ends_with(number)).unwrap_or_default()
    }

    /// The version that answered, or the status.
    pub async fn infer(&self, request: ModelInferRequest) -> Result<String, tonic::Status> {
        self.client().model_infer(request).await.map(|answer| answer.into_inner().model_version)
    }
}

/// One good row.
pub fn request() -> ModelInferRequest {
    let contents = InferTensorContents { fp32_contents: vec![0.5, 1.5], ..Default::default() };
    let input = InferInputTensor {
        name: "x".into(),
        datatype: "FP32".into(),
        shape: vec![1, 2],
        contents: Some(contents),
        ..Default::default()
    };
    ModelInferRequest {
        model_name: "scorer".into(),
        id: "r-1".into(),
        inputs: vec![input],
        ..Default::default()
    }
}

pub fn with_key(key: &str) -> ModelInferRequest {
    let mut request = request();
    let key = InferParameter { parameter_choice: Some(ParameterChoice::StringParam(key.into())) };
    request.parameters.insert("key".into(), key);
    request
}

/// Waits for a fact.
pub async fn until<F: Future<Output = bool>>(mut fact: impl FnMut() -> F) {
    let patient = async {
        while !fact().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), patient).await.expect("the fact did not come true");
}
