//! `inference.GRPCInferenceService` as Triton speaks it.

use contracts::inference as wire;
use contracts::inference::grpc_inference_service_server::GrpcInferenceService;
use tonic::{Request, Response, Status, Streaming};

use super::{call_of, stream};
use crate::Error;
use crate::gateway::Gateway;
use crate::shared_memory::Regions;

const SHARED_MEMORY: &str =
    "shared memory is not taken here: `wlp serve --shared-memory` takes it from callers on its own host";
const CUDA_MEMORY: &str =
    "CUDA shared memory is not supported; system shared memory is, by `wlp serve --shared-memory`";

impl Gateway {
    /// The regions of shared memory, if they are taken.
    fn shared(&self) -> Result<&Regions, Error> {
        self.regions().ok_or(Error::Unsupported(SHARED_MEMORY))
    }

    /// Whether what a client forgets of CUDA's memory is forgotten already: clients of shared memory begin with it.
    fn has_no_cuda_regions(&self) -> bool {
        self.regions().is_some()
    }
}

fn unsupported<T>(why: &'static str) -> Result<Response<T>, Status> {
    Err(Error::Unsupported(why).into())
}

#[tonic::async_trait]
impl GrpcInferenceService for Gateway {
    async fn server_live(
        &self,
        _: Request<wire::ServerLiveRequest>,
    ) -> Result<Response<wire::ServerLiveResponse>, Status> {
        Ok(Response::new(wire::ServerLiveResponse { live: true }))
    }

    async fn server_ready(
        &self,
        _: Request<wire::ServerReadyRequest>,
    ) -> Result<Response<wire::ServerReadyResponse>, Status> {
        Ok(Response::new(wire::ServerReadyResponse { ready: self.readiness().is_ready() }))
    }

    async fn model_ready(
        &self,
        request: Request<wire::ModelReadyRequest>,
    ) -> Result<Response<wire::ModelReadyResponse>, Status> {
        Ok(Response::new(self.ready(&request.into_inner())))
    }

    async fn server_metadata(
        &self,
        _: Request<wire::ServerMetadataRequest>,
    ) -> Result<Response<wire::ServerMetadataResponse>, Status> {
        Ok(Response::new(self.server_stated()))
    }

    async fn model_metadata(
        &self,
        request: Request<wire::ModelMetadataRequest>,
    ) -> Result<Response<wire::ModelMetadataResponse>, Status> {
        Ok(Response::new(self.metadata(&request.into_inner())?))
    }

    async fn model_infer(
        &self,
        request: Request<wire::ModelInferRequest>,
    ) -> Result<Response<wire::ModelInferResponse>, Status> {
        let call = call_of(&request);
        Ok(Response::new(self.infer(request.into_inner(), call).await?))
    }

    type ModelStreamInferStream = stream::Answers;

    async fn model_stream_infer(
        &self,
        request: Request<Streaming<wire::ModelInferRequest>>,
    ) -> Result<Response<Self::ModelStreamInferStream>, Status> {
        let call = call_of(&request);
        Ok(Response::new(stream::answers(self.clone(), request.into_inner(), call)))
    }

    async fn model_config(
        &self,
        request: Request<wire::ModelConfigRequest>,
    ) -> Result<Response<wire::ModelConfigResponse>, Status> {
        Ok(Response::new(self.model_stated(&request.into_inner())?))
    }

    async fn model_statistics(
        &self,
        request: Request<wire::ModelStatisticsRequest>,
    ) -> Result<Response<wire::ModelStatisticsResponse>, Status> {
        Ok(Response::new(self.statistics(&request.into_inner())?))
    }

    async fn repository_index(
        &self,
        request: Request<wire::RepositoryIndexRequest>,
    ) -> Result<Response<wire::RepositoryIndexResponse>, Status> {
        Ok(Response::new(self.index(&request.into_inner()).await?))
    }

    async fn repository_model_load(
        &self,
        request: Request<wire::RepositoryModelLoadRequest>,
    ) -> Result<Response<wire::RepositoryModelLoadResponse>, Status> {
        self.load_model(&request.into_inner()).await?;
        Ok(Response::new(wire::RepositoryModelLoadResponse {}))
    }

    async fn repository_model_unload(
        &self,
        request: Request<wire::RepositoryModelUnloadRequest>,
    ) -> Result<Response<wire::RepositoryModelUnloadResponse>, Status> {
        self.unload_model(&request.into_inner()).await?;
        Ok(Response::new(wire::RepositoryModelUnloadResponse {}))
    }

    async fn system_shared_memory_status(
        &self,
        request: Request<wire::SystemSharedMemoryStatusRequest>,
    ) -> Result<Response<wire::SystemSharedMemoryStatusResponse>, Status> {
        Ok(Response::new(self.shared()?.status(&request.into_inner().name)?))
    }

    async fn system_shared_memory_register(
        &self,
        request: Request<wire::SystemSharedMemoryRegisterRequest>,
    ) -> Result<Response<wire::SystemSharedMemoryRegisterResponse>, Status> {
        self.shared()?.register(&request.into_inner())?;
        Ok(Response::new(wire::SystemSharedMemoryRegisterResponse {}))
    }

    async fn system_shared_memory_unregister(
        &self,
        request: Request<wire::SystemSharedMemoryUnregisterRequest>,
    ) -> Result<Response<wire::SystemSharedMemoryUnregisterResponse>, Status> {
        self.shared()?.unregister(&request.into_inner().name);
        Ok(Response::new(wire::SystemSharedMemoryUnregisterResponse {}))
    }

    async fn cuda_shared_memory_status(
        &self,
        request: Request<wire::CudaSharedMemoryStatusRequest>,
    ) -> Result<Response<wire::CudaSharedMemoryStatusResponse>, Status> {
        let all = request.into_inner().name.is_empty();
        if all && self.has_no_cuda_regions() {
            Ok(Response::new(Default::default()))
        } else {
            unsupported(CUDA_MEMORY)
        }
    }

    async fn cuda_shared_memory_register(
        &self,
        _: Request<wire::CudaSharedMemoryRegisterRequest>,
    ) -> Result<Response<wire::CudaSharedMemoryRegisterResponse>, Status> {
        unsupported(CUDA_MEMORY)
    }

    async fn cuda_shared_memory_unregister(
        &self,
        _: Request<wire::CudaSharedMemoryUnregisterRequest>,
    ) -> Result<Response<wire::CudaSharedMemoryUnregisterResponse>, Status> {
        if self.has_no_cuda_regions() {
            Ok(Response::new(Default::default()))
        } else {
            unsupported(CUDA_MEMORY)
        }
    }

    async fn trace_setting(
        &self,
        request: Request<wire::TraceSettingRequest>,
    ) -> Result<Response<wire::TraceSettingResponse>, Status> {
        Ok(Response::new(self.traces(&request.into_inner())?))
    }

    async fn log_settings(
        &self,
        request: Request<wire::LogSettingsRequest>,
    ) -> Result<Response<wire::LogSettingsResponse>, Status> {
        Ok(Response::new(self.logs(&request.into_inner())?))
    }
}
