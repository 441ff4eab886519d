//! A registry and a monitor of a few lines: they answer by path, sign what they hand out, and can be gone.

use std::collections::HashMap;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use bytes::{BufMut, Bytes, BytesMut};
use contracts::monitor::v1::{
    ReportObservationsRequest, ReportObservationsResponse, ReportResourcesRequest, ReportResourcesResponse,
};
use contracts::registry::v1::*;
use futures::{Stream, StreamExt, stream};
use http_body_util::{BodyExt, StreamBody};
use prost::Message;
use storage::Signer;
use tokio::sync::watch;
use tonic::Status;
use tonic::body::Body;

/// What was told, and what is handed out.
#[derive(Default)]
pub struct Told {
    pub down: bool,
    pub calls: usize,
    pub artifacts: HashMap<String, Bytes>,
    pub datasets: HashMap<String, DatasetVersion>,
    pub rollbacks: Vec<RollBackRequest>,
    /// Rollbacks that are answered with an error before one is taken.
    pub refuse_rollbacks: usize,
    pub reports: Vec<ReportServingRequest>,
    pub observations: Vec<ReportObservationsRequest>,
    pub resources: Vec<ReportResourcesRequest>,
    pub monitor_down: bool,
    /// Text of the policy in force; nobody has one where it is empty.
    pub policy: String,
    /// Downloads begin and bring nothing until this is false again.
    pub hold_artifacts: bool,
    /// Rollouts whose rollback is never taken.
    pub forbidden_rollbacks: Vec<String>,
    pub evaluations: Vec<Evaluation>,
    /// The monitor refuses batches with an observation of that version, for ever.
    pub refused_version: Option<(String, tonic::Code)>,
}

/// Both peers; clones share them.
#[derive(Clone)]
pub struct Peers {
    pub signer: Arc<Signer>,
    pub told: Arc<Mutex<Told>>,
    pub table: watch::Sender<RouteTable>,
}

type Frames = Pin<Box<dyn Stream<Item = Result<Bytes, Status>> + Send>>;

impl Peers {
    pub fn new() -> Self {
        let signer = Arc::new(Signer::generate().unwrap());
        let peers = Self { signer, told: Arc::default(), table: watch::Sender::new(RouteTable::default()) };
        peers.publish(&Routes::default());
        peers
    }

    /// Signs and hands out a table.
    pub fn publish(&self, routes: &Routes) {
        let body = routes.encode_to_vec();
        let signature = self.signer.sign(&body).to_vec();
        self.table.send_replace(RouteTable { body, signature, key_id: "registry".into() });
    }

    pub fn told<T>(&self, read: impl FnOnce(&mut Told) -> T) -> T {
        read(&mut self.told.lock().unwrap())
    }

    pub fn stack(&self) -> runtime::Stack {
        let peers = self.clone();
        runtime::Stack::new(tower::service_fn(move |request: http::Request<Body>| {
            let peers = peers.clone();
            async move { Ok::<_, Infallible>(peers.answer(request).await) }
        }))
    }

    async fn answer(self, request: http::Request<Body>) -> http::Response<Body> {
        let path = request.uri().path().to_owned();
        let bytes = request.into_body().collect().await.unwrap().to_bytes();
        let message = bytes.slice(5..);
        let (down, monitor_down) = self.told(|told| {
            told.calls += 1;
            (told.down, told.monitor_down)
        });
        let gone = if path.contains("monitor") { monitor_down } else { down };
        let answered = if gone { Err(Status::unavailable("gone")) } else { self.handle(&path, message) };
        match answered {
            Err(status) => status.into_http(),
            Ok(frames) => {
                let data = frames.map(|frame| frame.map(http_body::Frame::data));
                let mut trailers = http::HeaderMap::new();
                trailers.insert("grpc-status", "0".parse().unwrap());
                let end = stream::once(async { Ok(http_body::Frame::trailers(trailers)) });
                http::Response::builder()
                    .header("content-type", "application/grpc")
                    .body(Body::new(StreamBody::new(data.chain(end))))
                    .unwrap()
            }
        }
    }

    fn handle(&self, path: &str, message: Bytes) -> Result<Frames, Status> {
        let table = || self.table.borrow().clone();
        match path.rsplit('/').next().unwrap() {
            "GetRouteTable" => Ok(one(&table())),
            "WatchRouteTable" => Ok(self.watch()),
            "ReportServing" => {
                let report = ReportServingRequest::decode(message).unwrap();
                self.told(|told| told.reports.push(report));
                Ok(one(&ReportServingResponse::default()))
            }
            "GetTreeHead" => {
                let public_key_pem = self.signer.public_key_pem().unwrap();
                Ok(one(&TreeHead { public_key_pem, ..TreeHead::default() }))
            }
            "GetArtifact" => {
                let digest = GetArtifactRequest::decode(message).unwrap().digest;
                let found = self.told(|told| told.artifacts.get(&digest).map(Bytes::len));
                let size_bytes = found.ok_or_else(|| Status::not_found("no such artifact"))? as u64;
                Ok(one(&Artifact { digest, size_bytes, ..Artifact::default() }))
            }
            "DownloadArtifact" => {
                let request = DownloadArtifactRequest::decode(message).unwrap();
                let found = self.told(|told| told.artifacts.get(&request.digest).cloned());
                let bytes = found.ok_or_else(|| Status::not_found("no such artifact"))?;
                let chunk = bytes.slice(request.offset as usize..);
                let message = frame(&DownloadArtifactResponse { chunk });
                let told = self.told.clone();
                Ok(Box::pin(stream::once(async move {
                    while told.lock().unwrap().hold_artifacts {
                        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
                    }
                    Ok(message)
                })))
            }
            "RollBack" => {
                let request = RollBackRequest::decode(message).unwrap();
                self.told(|told| {
                    if told.forbidden_rollbacks.contains(&request.name) {
                        return Err(Status::permission_denied("never"));
                    }
                    if told.refuse_rollbacks > 0 {
                        told.refuse_rollbacks -= 1;
                        return Err(Status::unavailable("not now"));
                    }
                    told.rollbacks.push(request);
                    Ok(one(&Rollout::default()))
                })
            }
            "GetDatasetVersion" => {
                let name = GetDatasetVersionRequest::decode(message).unwrap().name;
                let found = self.told(|told| told.datasets.get(&name).cloned());
                Ok(one(&found.ok_or_else(|| Status::not_found("no such dataset version"))?))
            }
            "ListEvaluations" => {
                let evaluations = self.told(|told| told.evaluations.clone());
                Ok(one(&ListEvaluationsResponse { evaluations, ..Default::default() }))
            }
            "GetPolicy" => {
                let yaml = self.told(|told| told.policy.clone());
                if yaml.is_empty() {
                    return Err(Status::not_found("no such policy"));
                }
                Ok(one(&PolicyVersion { yaml, ..Default::default() }))
            }
            "GetModelVersion" => Ok(one(&ModelVersion::default())),
            "ReportResources" => {
                let report = ReportResourcesRequest::decode(message).unwrap();
                self.told(|told| told.resources.push(report));
                Ok(one(&ReportResourcesResponse::default()))
            }
            "ReportObservations" => {
                let batch = ReportObservationsRequest::decode(message).unwrap();
                self.told(|told| {
                    if let Some((version, code)) = &told.refused_version
                        && batch.observations.iter().any(|seen| seen.version.ends_with(version))
                    {
                        return Err(Status::new(*code, "this version is refused"));
                    }
                    told.observations.push(batch);
                    Ok(one(&ReportObservationsResponse::default()))
                })
            }
            other => Err(Status::unimplemented(other.to_owned())),
        }
    }

    fn watch(&self) -> Frames {
        let told = self.told.clone();
        let tables = tokio_stream::wrappers::WatchStream::new(self.table.subscribe());
        Box::pin(tables.map(move |table| {
            if told.lock().unwrap().down { Err(Status::unavailable("gone")) } else { Ok(frame(&table)) }
        }))
    }
}

fn one(message: &impl Message) -> Frames {
    Box::pin(stream::iter([Ok(frame(message))]))
}

fn frame(message: &impl Message) -> Bytes {
    let bytes = message.encode_to_vec();
    let mut frame = BytesMut::with_capacity(bytes.len() + 5);
    frame.put_u8(0);
    frame.put_u32(bytes.len() as u32);
    frame.put_slice(&bytes);
    frame.freeze()
}
