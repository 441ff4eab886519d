//! Builds and replays: both answer with an operation.

use contracts::longrunning::Operation;
use contracts::pipeline::v1::dataset_build_service_server::DatasetBuildService;
use contracts::pipeline::v1::{BuildDatasetVersionRequest, ReplayDatasetVersionRequest};
use runtime::Caller;
use storage::Digest;
use tonic::{Request, Response, Status};

use crate::parse::{self, Fields, VERSION};
use crate::store::Job;
use crate::{Error, Pipeline, operations};

#[tonic::async_trait]
impl DatasetBuildService for Pipeline {
    async fn build_dataset_version(
        &self,
        request: Request<BuildDatasetVersionRequest>,
    ) -> Result<Response<Operation>, Status> {
        let caller = Caller::of(&request)?;
        Ok(Response::new(self.build(&caller, request.into_inner()).await?))
    }

    async fn replay_dataset_version(
        &self,
        request: Request<ReplayDatasetVersionRequest>,
    ) -> Result<Response<Operation>, Status> {
        let caller = Caller::of(&request)?;
        Ok(Response::new(self.replay(&caller, request.into_inner()).await?))
    }
}

impl Pipeline {
    async fn build(&self, caller: &Caller, request: BuildDatasetVersionRequest) -> Result<Operation, Error> {
        let mut fields = Fields::default();
        parse::build(&mut fields, &request);
        // What lies in a store is fetched by the build.
        for (at, input) in request.inputs.iter().enumerate().filter(|(_, input)| input.uri.is_empty()) {
            if let Ok(digest) = input.digest.parse::<Digest>() {
                let here = self.blobs().exists(&digest).await?;
                fields.require(
                    here,
                    &format!("inputs[{at}].digest"),
                    "no such upload: send the bytes with UploadData first",
                );
            }
        }
        fields.done()?;
        let request_id = request.request_id.clone();
        let subject = match request.version.as_str() {
            "" => request.parent.clone(),
            number => format!("{}/versions/{number}", request.parent),
        };
        let job = Job {
            subject,
            principal: caller.principal.clone(),
            build: Some(BuildDatasetVersionRequest { request_id: String::new(), ..request }),
            ..Job::default()
        };
        let method = "/wlp.pipeline.v1.DatasetBuildService/BuildDatasetVersion";
        operations::wire(&self.submit(caller, method, &request_id, job).await?)
    }

    async fn replay(
        &self,
        caller: &Caller,
        request: ReplayDatasetVersionRequest,
    ) -> Result<Operation, Error> {
        let mut fields = Fields::default();
        fields.name("name", &request.name, VERSION);
        fields.done()?;
        self.build_record(&request.name).await?;
        let (subject, principal) = (request.name.clone(), caller.principal.clone());
        let job = Job { subject, principal, replay: Some(request), ..Job::default() };
        let method = "/wlp.pipeline.v1.DatasetBuildService/ReplayDatasetVersion";
        operations::wire(&self.submit(caller, method, "", job).await?)
    }
}
