//! Deployments bind an endpoint name to versions.

use async_trait::async_trait;
use contracts::registry::v1::{deployment::State, deployment_service_server::DeploymentService, *};
use tonic::{Request, Response, Status};

use super::routes::STAGING;
use crate::store::Resource;
use crate::work::{Verb, Work};
use crate::{Error, Registry, parse::Fields};

#[tonic::async_trait]
impl DeploymentService for Registry {
    async fn create_deployment(
        &self,
        request: Request<CreateDeploymentRequest>,
    ) -> Result<Response<Deployment>, Status> {
        self.carry_out(request).await
    }

    async fn get_deployment(
        &self,
        request: Request<GetDeploymentRequest>,
    ) -> Result<Response<Deployment>, Status> {
        self.get(&request.into_inner().name).await
    }

    async fn list_deployments(
        &self,
        request: Request<ListDeploymentsRequest>,
    ) -> Result<Response<ListDeploymentsResponse>, Status> {
        let ListDeploymentsRequest { page_size, page_token } = request.into_inner();
        let (deployments, next_page_token) =
            self.page(page_size, &page_token, Fields::default(), |query| query).await?;
        Ok(Response::new(ListDeploymentsResponse { deployments, next_page_token }))
    }
}

#[async_trait]
impl Verb for CreateDeploymentRequest {
    type Answer = Deployment;

    fn check(&self, fields: &mut Fields) {
        fields.id("deployment_id", &self.deployment_id);
        let reserved = self.deployment_id.ends_with(STAGING);
        fields.require(
            !reserved,
            "deployment_id",
            "must not end with -staging: that is the endpoint of a rollout",
        );
        let room = self.deployment_id.len() + STAGING.len() <= contracts::name::LONGEST_ID;
        fields.require(room, "deployment_id", "must leave room for -staging within 63 characters");
        fields.message("deployment", self.deployment.as_ref(), |fields, deployment| {
            fields.name("deployment.model", &deployment.model, Model::FORM);
        });
    }

    async fn decide(self, work: &mut Work) -> Result<Deployment, Error> {
        let model = work.read::<Model>(&self.deployment.unwrap_or_default().model).await?;
        let deployment = Deployment {
            name: format!("deployments/{}", self.deployment_id),
            model: model.name.clone(),
            state: State::Active.into(),
            owner: work.principal(),
            ..Deployment::default()
        };
        work.insert(deployment, "create").await
    }
}
