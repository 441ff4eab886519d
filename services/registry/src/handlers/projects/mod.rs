//! Projects: one model line from plan to retirement.

mod evidence;
mod phases;
mod plan;
mod selection;
mod traceability;

use contracts::registry::v1::{project_service_server::ProjectService, *};
use tonic::{Request, Response, Status};

use crate::{Registry, parse::Fields};

#[tonic::async_trait]
impl ProjectService for Registry {
    async fn create_project(
        &self,
        request: Request<CreateProjectRequest>,
    ) -> Result<Response<Project>, Status> {
        self.carry_out(request).await
    }

    async fn get_project(&self, request: Request<GetProjectRequest>) -> Result<Response<Project>, Status> {
        self.get(&request.into_inner().name).await
    }

    async fn list_projects(
        &self,
        request: Request<ListProjectsRequest>,
    ) -> Result<Response<ListProjectsResponse>, Status> {
        let ListProjectsRequest { page_size, page_token } = request.into_inner();
        let (projects, next_page_token) =
            self.page(page_size, &page_token, Fields::default(), |query| query).await?;
        Ok(Response::new(ListProjectsResponse { projects, next_page_token }))
    }

    async fn update_project(
        &self,
        request: Request<UpdateProjectRequest>,
    ) -> Result<Response<Project>, Status> {
        self.carry_out(request).await
    }

    async fn decide_selection(
        &self,
        request: Request<DecideSelectionRequest>,
    ) -> Result<Response<Project>, Status> {
        self.carry_out(request).await
    }

    async fn record_planning_output(
        &self,
        request: Request<RecordPlanningOutputRequest>,
    ) -> Result<Response<Project>, Status> {
        self.carry_out(request).await
    }

    async fn approve_plan(&self, request: Request<ApprovePlanRequest>) -> Result<Response<Project>, Status> {
        self.carry_out(request).await
    }

    async fn record_selection_step(
        &self,
        request: Request<RecordSelectionStepRequest>,
    ) -> Result<Response<Project>, Status> {
        self.carry_out(request).await
    }

    async fn advance_phase(
        &self,
        request: Request<AdvancePhaseRequest>,
    ) -> Result<Response<Project>, Status> {
        self.carry_out(request).await
    }

    async fn get_traceability(
        &self,
        request: Request<GetTraceabilityRequest>,
    ) -> Result<Response<Traceability>, Status> {
        let project = self.get::<Project>(&request.into_inner().name).await?.into_inner();
        Ok(Response::new(self.traceability(&project).await?))
    }
}
