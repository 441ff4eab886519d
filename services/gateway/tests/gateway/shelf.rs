//! A gateway of a folder with a fake engine, on a clock that tests advance.

use std::path::Path;
use std::time::{Duration, SystemTime};

use contracts::inference as wire;
use contracts::inference::grpc_inference_service_client::GrpcInferenceServiceClient;
use engine::fake::FakeEngine;
use gateway::{Control, Repository};
use runtime::{Clock, Peer, Service};
use tonic::Status;

use super::folder::Folder;
use super::stage::{artifact, request};

/// A folder of made-up models and the gateway that serves it.
pub struct Shelf {
    pub folder: Folder,
    pub clock: Clock,
    pub engine: FakeEngine,
    pub service: Option<Service>,
}

/// Writes files below a folder: the bytes of a model of that seed, or text.
pub enum Put<'a> {
    Model(i64),
    Text(&'a str),
}

impl Shelf {
    pub fn new() -> Self {
        Self {
            folder: Folder::new(),
            clock: Clock::manual(SystemTime::now()),
            engine: FakeEngine::new(),
            service: None,
        }
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn put(&self, name: &str, what: Put<'_>) {
        match what {
            Put::Model(seed) => self.folder.put(name, artifact(seed).0),
            Put::Text(text) => self.folder.put(name, text),
        }
    }

    pub async fn start(&mut self, control: Control, load: &[&str]) {
        if let Some(service) = self.service.take() {
            service.stop(Duration::from_secs(5)).await;
        }
        let load = load.iter().map(|name| (*name).to_owned()).collect();
        let repository = Repository { control, load, ..self.folder.repository() };
        let (engine, clock) = (self.engine.clone(), self.clock.clone());
        let service = self.folder.serve(&self.folder.config(), repository, engine, clock).await;
        service.tasks().start();
        self.service = Some(service);
    }

    pub fn peer(&self) -> Peer {
        self.service.as_ref().unwrap().peer("").unwrap()
    }

    pub fn client(&self) -> GrpcInferenceServiceClient<Peer> {
        GrpcInferenceServiceClient::new(self.peer())
    }

    /// The version that answered.
    pub async fn infer(&self, model: &str, version: &str) -> Result<String, Status> {
        let asked =
            wire::ModelInferRequest { model_name: model.into(), model_version: version.into(), ..request() };
        self.client().model_infer(asked).await.map(|answer| answer.into_inner().model_version)
    }

    /// Name, version, state and reason of each row.
    pub async fn index(&self) -> Vec<(String, String, String, String)> {
        let all = wire::RepositoryIndexRequest::default();
        let index = self.client().repository_index(all).await.unwrap().into_inner();
        index.models.into_iter().map(|row| (row.name, row.version, row.state, row.reason)).collect()
    }

    /// The index without reasons: `name/version STATE`.
    pub async fn states(&self) -> Vec<String> {
        let rows = self.index().await.into_iter();
        rows.map(|(name, version, state, _)| format!("{name}/{version} {state}")).collect()
    }

    pub async fn config(&self, model: &str) -> wire::ModelConfig {
        let asked = wire::ModelConfigRequest { name: model.into(), version: String::new() };
        self.client().model_config(asked).await.unwrap().into_inner().config.unwrap()
    }

    pub async fn load(&self, model: &str) -> Result<(), Status> {
        let asked = wire::RepositoryModelLoadRequest { model_name: model.into(), ..Default::default() };
        self.client().repository_model_load(asked).await.map(drop)
    }

    pub async fn unload(&self, model: &str) -> Result<(), Status> {
        let asked = wire::RepositoryModelUnloadRequest { model_name: model.into(), ..Default::default() };
        self.client().repository_model_unload(asked).await.map(drop)
    }
}
