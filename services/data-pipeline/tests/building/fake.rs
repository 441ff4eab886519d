//! A registry of a few lines, and the data-pipeline over it, in one process.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use contracts::longrunning::operations_client::OperationsClient;
use contracts::longrunning::{Operation, WaitOperationRequest, operation};
use contracts::pipeline::v1::dataset_build_service_client::DatasetBuildServiceClient;
use contracts::pipeline::v1::upload_service_client::UploadServiceClient;
use contracts::pipeline::v1::*;
use contracts::registry::v1::artifact_service_server::{ArtifactService, ArtifactServiceServer};
use contracts::registry::v1::data_source_service_server::{DataSourceService, DataSourceServiceServer};
use contracts::registry::v1::dataset_service_server::{DatasetService, DatasetServiceServer};
use contracts::registry::v1::policy_service_server::{PolicyService, PolicyServiceServer};
use contracts::registry::v1::*;
use lifecycle::dataset_number::{Content, Latest, Numbered, number};
use prost::Message;
use runtime::credentials::Entry;
use runtime::{Clock, Credentials, Kind, Peer, Service};
use storage::Digest;
use tonic::{Request, Response, Status, Streaming};

/// What the registry was told. A closed gate keeps whoever asks for a source waiting.
#[derive(Clone, Default)]
pub struct Told {
    pub versions: Arc<Mutex<BTreeMap<String, DatasetVersion>>>,
    pub gate: Arc<tokio::sync::RwLock<()>>,
    pub artifacts: Arc<Mutex<BTreeMap<String, Vec<u8>>>>,
    /// Whether the dataset's notes on privacy and updates were written.
    pub noted: Arc<std::sync::atomic::AtomicBool>,
}

macro_rules! unused {
    ($($method:ident $request:ident -> $answer:ident),+ $(,)?) => {$(
        fn $method<'a, 'b>(
            &'a self,
            _: Request<$request>,
        ) -> std::pin::Pin<Box<dyn Future<Output = Result<Response<$answer>, Status>> + Send + 'b>>
        where
            'a: 'b,
            Self: 'b,
        {
            Box::pin(async { Err(Status::unimplemented("not asked by the data-pipeline")) })
        }
    )+};
}

#[tonic::async_trait]
impl DataSourceService for Told {
    async fn get_data_source(
        &self,
        request: Request<GetDataSourceRequest>,
    ) -> Result<Response<DataSource>, Status> {
        let _open = self.gate.read().await;
        let name = request.into_inner().name;
        let approved = !name.ends_with("proposed");
        let state = if approved { data_source::State::Approved } else { data_source::State::Proposed };
        Ok(Response::new(DataSource {
            name,
            state: state.into(),
            origin: "made here".into(),
            ..Default::default()
        }))
    }

    unused!(
        create_data_source CreateDataSourceRequest -> DataSource,
        list_data_sources ListDataSourcesRequest -> ListDataSourcesResponse,
        approve_data_source ApproveDataSourceRequest -> DataSource,
        revoke_data_source RevokeDataSourceRequest -> DataSource,
        confirm_data_source_current ConfirmDataSourceCurrentRequest -> DataSource,
    );
}

#[tonic::async_trait]
impl DatasetService for Told {
    async fn get_dataset(&self, request: Request<GetDatasetRequest>) -> Result<Response<Dataset>, Status> {
        let name = request.into_inner().name;
        let (description, collection_note) = ("rows | of <numbers>".into(), "made by a test".into());
        let mut dataset = Dataset { name, description, collection_note, ..Default::default() };
        if self.noted.load(std::sync::atomic::Ordering::Relaxed) {
            dataset.privacy_note = "nobody is in it".into();
            dataset.update_frequency = "never".into();
        }
        Ok(Response::new(dataset))
    }

    async fn create_dataset_version(
        &self,
        request: Request<CreateDatasetVersionRequest>,
    ) -> Result<Response<DatasetVersion>, Status> {
        let version = request.into_inner().dataset_version.unwrap_or_default();
        let mut versions = self.versions.lock().unwrap();
        if versions.contains_key(&version.name) {
            return Err(Status::already_exists(version.name));
        }
        versions.insert(version.name.clone(), version.clone());
        Ok(Response::new(version))
    }

    async fn get_dataset_version(
        &self,
        request: Request<GetDatasetVersionRequest>,
    ) -> Result<Response<DatasetVersion>, Status> {
        let found = self.versions.lock().unwrap().get(&request.into_inner().name).cloned();
        found.map(Response::new).ok_or_else(|| Status::not_found("no such version"))
    }

    async fn number_dataset_version(
        &self,
        request: Request<NumberDatasetVersionRequest>,
    ) -> Result<Response<DatasetNumber>, Status> {
        let content = |version: &DatasetVersion| Content {
            schema: version.schema_digest.clone(),
            rows: version.splits.iter().map(|split| split.digest.as_str()).collect(),
            metadata: version.manifest_digest.clone(),
        };
        let versions = self.versions.lock().unwrap();
        let latest = versions.values().map(|version| Latest {
            number: contracts::name::last(&version.name).parse().unwrap(),
            content: content(version),
            state: lifecycle::dataset::State::Draft,
        });
        let latest = latest.max_by_key(|latest| latest.number);
        let asked = content(&request.into_inner().dataset_version.unwrap_or_default());
        let told = number(latest.as_ref(), &asked, lifecycle::Version::new(1, 0, 0)).unwrap();
        Ok(Response::new(DatasetNumber {
            version: told.version().to_string(),
            unchanged: matches!(told, Numbered::Unchanged(_)),
            ..Default::default()
        }))
    }

    unused!(
        create_dataset CreateDatasetRequest -> Dataset,
        list_datasets ListDatasetsRequest -> ListDatasetsResponse,
        list_dataset_versions ListDatasetVersionsRequest -> ListDatasetVersionsResponse,
        record_dataset_audit RecordDatasetAuditRequest -> DatasetVersion,
        sign_dataset_relevance SignDatasetRelevanceRequest -> DatasetVersion,
        release_dataset_version ReleaseDatasetVersionRequest -> DatasetVersion,
    );
}

#[tonic::async_trait]
impl ArtifactService for Told {
    type DownloadArtifactStream = futures::stream::Empty<Result<DownloadArtifactResponse, Status>>;

    async fn upload_artifact(
        &self,
        request: Request<Streaming<UploadArtifactRequest>>,
    ) -> Result<Response<Upload>, Status> {
        let mut pieces = request.into_inner();
        let first = pieces.message().await?.ok_or_else(|| Status::invalid_argument("empty"))?;
        let mut bytes = first.chunk.to_vec();
        while let Some(piece) = pieces.message().await? {
            bytes.extend_from_slice(&piece.chunk);
        }
        if Digest::of(&bytes).to_string() != first.digest || bytes.len() as u64 != first.size_bytes {
            return Err(Status::invalid_argument("digest or size"));
        }
        self.artifacts.lock().unwrap().insert(first.digest.clone(), bytes);
        let (digest, size_bytes) = (first.digest, first.size_bytes);
        Ok(Response::new(Upload { digest, size_bytes, received_bytes: size_bytes, complete: true }))
    }

    async fn get_upload(&self, request: Request<GetUploadRequest>) -> Result<Response<Upload>, Status> {
        let digest = request.into_inner().digest;
        let complete = self.artifacts.lock().unwrap().contains_key(&digest);
        Ok(Response::new(Upload { digest, complete, ..Default::default() }))
    }

    async fn download_artifact(
        &self,
        _: Request<DownloadArtifactRequest>,
    ) -> Result<Response<Self::DownloadArtifactStream>, Status> {
        Err(Status::unimplemented("not asked by the data-pipeline"))
    }

    unused!(get_artifact GetArtifactRequest -> Artifact);
}

#[tonic::async_trait]
impl PolicyService for Told {
    async fn get_policy(&self, _: Request<GetPolicyRequest>) -> Result<Response<PolicyVersion>, Status> {
        let yaml = lifecycle::policy::BUILTIN.into();
        Ok(Response::new(PolicyVersion { yaml, ..Default::default() }))
    }

    unused!(
        list_policies ListPoliciesRequest -> ListPoliciesResponse,
        propose_policy ProposePolicyRequest -> PolicyVersion,
        sign_policy SignPolicyRequest -> PolicyVersion,
        record_training RecordTrainingRequest -> TrainingRecord,
        list_training_records ListTrainingRecordsRequest -> ListTrainingRecordsResponse,
    );
}

/// The data-pipeline over a fake registry.
pub struct Bench {
    pub service: Service,
    pub told: Told,
    key: String,
    _registry: Service,
}

impl Bench {
    /// In memory, but for the files.
    pub async fn start(folder: &Path) -> Self {
        Self::over(folder, "sqlite::memory:", Told::default(), |_| {}).await
    }

    pub async fn over(
        folder: &Path,
        database: &str,
        told: Told,
        change: impl FnOnce(&mut data_pipeline::Config),
    ) -> Self {
        let (key, sha256) = runtime::generate_key().unwrap();
        let roles =
            ["data-engineer", "qa-engineer", "ml-engineer", "data-pipeline"].map(String::from).to_vec();
        let entry = Entry {
            sha256,
            principal: "data-engineer".into(),
            kind: Kind::Person,
            roles,
            expires: None,
            development: false,
        };
        let credentials = Credentials::from_entries(vec![entry]).unwrap();
        let registry = Service::builder("registry")
            .add(DataSourceServiceServer::new(told.clone()))
            .add(DatasetServiceServer::new(told.clone()))
            .add(ArtifactServiceServer::new(told.clone()))
            .add(PolicyServiceServer::new(told.clone()))
            .descriptors(contracts::DESCRIPTORS)
            .access(contracts::access::TABLE, credentials.clone())
            .build()
            .unwrap();
        let mut config = data_pipeline::Config {
            data_dir: folder.to_string_lossy().into_owned(),
            database: runtime::config::Database { url: database.into() },
            ..Default::default()
        };
        change(&mut config);
        let mut deps = data_pipeline::Deps::new(&registry.peer(&key).unwrap(), Clock::real(), credentials);
        // The program of these tests is no reader.
        deps.reader = Some(env!("CARGO_BIN_EXE_data-pipeline").into());
        let service = data_pipeline::build(&config, deps).await.unwrap();
        service.tasks().start();
        Self { service, told, key, _registry: registry }
    }

    pub fn peer(&self) -> Peer {
        self.service.peer(&self.key).unwrap()
    }

    pub async fn upload(&self, bytes: &[u8]) -> String {
        let digest = Digest::of(bytes).to_string();
        let (size_bytes, chunk) = (bytes.len() as u64, bytes.to_vec());
        let one = UploadDataRequest { digest, size_bytes, offset: 0, chunk: chunk.into() };
        let done =
            UploadServiceClient::new(self.peer()).upload_data(futures::stream::iter([one])).await.unwrap();
        assert!(done.get_ref().complete);
        done.into_inner().digest
    }

    /// Uploads and asks for `datasets/d/versions/{version}`.
    pub async fn ask(
        &self,
        version: &str,
        bytes: &[u8],
        format: DataFormat,
        plan: BuildPlan,
    ) -> Result<Operation, Status> {
        let input = DataInput {
            data_source: "dataSources/s".into(),
            digest: self.upload(bytes).await,
            format: format.into(),
            ..Default::default()
        };
        self.ask_for(version, vec![input], plan).await
    }

    pub async fn ask_for(
        &self,
        version: &str,
        inputs: Vec<DataInput>,
        plan: BuildPlan,
    ) -> Result<Operation, Status> {
        let request = BuildDatasetVersionRequest {
            parent: "datasets/d".into(),
            version: version.into(),
            inputs,
            plan: Some(plan),
            request_id: format!("request-{version}"),
        };
        Ok(DatasetBuildServiceClient::new(self.peer()).build_dataset_version(request).await?.into_inner())
    }

    /// What an operation came to.
    pub async fn end<M: Message + Default>(&self, name: &str) -> Result<M, contracts::rpc::Status> {
        loop {
            let request = WaitOperationRequest { name: name.into(), timeout: None };
            let seen = OperationsClient::new(self.peer()).wait_operation(request).await.unwrap().into_inner();
            match seen.result {
                Some(operation::Result::Response(any)) => return Ok(M::decode(any.value.as_slice()).unwrap()),
                Some(operation::Result::Error(status)) => return Err(status),
                None => {}
            }
        }
    }

    pub async fn build(
        &self,
        version: &str,
        bytes: &[u8],
        format: DataFormat,
        plan: BuildPlan,
    ) -> Result<DatasetVersion, contracts::rpc::Status> {
        let operation = self.ask(version, bytes, format, plan).await.unwrap();
        self.end(&operation.name).await
    }
}
