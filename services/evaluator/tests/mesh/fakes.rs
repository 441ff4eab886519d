//! Registry and data-pipeline that answer from memory, behind the same peer as the real ones.

use bytes::{BufMut, Bytes, BytesMut};
use contracts::registry::v1::{
    CreateEvaluationRequest, DownloadArtifactRequest, DownloadArtifactResponse, Evaluation,
};
use contracts::{pipeline::v1::ReadSplitResponse, registry::v1};
use http_body_util::{BodyExt, Full};
use prost::Message;
use runtime::{Peer, service::Stack};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use tonic::body::Body;

/// What the fakes know and were told.
#[derive(Clone, Default)]
pub struct Told {
    answers: Arc<BTreeMap<&'static str, Vec<u8>>>,
    /// Artifacts beside the model, by their digest.
    pub artifacts: Arc<Mutex<BTreeMap<String, Bytes>>>,
    pub evaluations: Arc<Mutex<Vec<Evaluation>>>,
}

pub fn told(
    model: &v1::Model,
    version: &v1::ModelVersion,
    dataset: &v1::DatasetVersion,
    policy: &v1::PolicyVersion,
    artifact: Bytes,
    split: Bytes,
) -> Told {
    let answers = [
        ("GetModel", model.encode_to_vec()),
        ("GetModelVersion", version.encode_to_vec()),
        ("GetDatasetVersion", dataset.encode_to_vec()),
        ("GetPolicy", policy.encode_to_vec()),
        ("DownloadArtifact", DownloadArtifactResponse { chunk: artifact }.encode_to_vec()),
        ("ReadSplit", ReadSplitResponse { chunk: split }.encode_to_vec()),
    ];
    Told { answers: Arc::new(answers.into()), ..Told::default() }
}

impl Told {
    fn answer(&self, method: &str, message: &[u8]) -> Option<Vec<u8>> {
        if method == "CreateEvaluation" {
            let request = CreateEvaluationRequest::decode(message).ok()?;
            let evaluation = request.evaluation?;
            self.evaluations.lock().ok()?.push(evaluation.clone());
            return Some(evaluation.encode_to_vec());
        }
        if method == "DownloadArtifact" {
            let digest = DownloadArtifactRequest::decode(message).ok()?.digest;
            if let Some(chunk) = self.artifacts.lock().ok()?.get(&digest).cloned() {
                return Some(DownloadArtifactResponse { chunk }.encode_to_vec());
            }
        }
        self.answers.get(method).cloned()
    }

    /// Both services at once: their methods have different names.
    pub fn peer(&self) -> Peer {
        let told = self.clone();
        let stack = Stack::new(tower::service_fn(move |request: http::Request<Body>| {
            let told = told.clone();
            async move {
                let method = request.uri().path().rsplit('/').next().unwrap_or_default().to_owned();
                let body =
                    request.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
                let response = http::Response::builder().header("content-type", "application/grpc");
                let made = match told.answer(&method, body.get(5..).unwrap_or_default()) {
                    None => response.header("grpc-status", "5").body(Body::empty()),
                    Some(message) => {
                        let mut frame = BytesMut::new();
                        frame.put_u8(0);
                        frame.put_u32(message.len() as u32);
                        frame.put_slice(&message);
                        response.header("grpc-status", "0").body(Body::new(Full::new(frame.freeze())))
                    }
                };
                Ok(made.unwrap_or_default())
            }
        }));
        Peer::local(stack, "").expect("a peer")
    }
}
