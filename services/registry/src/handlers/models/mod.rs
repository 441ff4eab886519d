//! Models and their versions (§6.4).

mod create_version;
mod export;
mod preprocessing;

use async_trait::async_trait;
use contracts::registry::v1::{model_service_server::ModelService, *};
use lifecycle::separation::Action;
use tonic::{Request, Response, Status};

use super::rollouts::revocation;
use crate::convert::model;
use crate::store::Resource;
use crate::work::{Verb, Work};
use crate::{Error, Registry, parse::Fields};

#[tonic::async_trait]
impl ModelService for Registry {
    async fn create_model(&self, request: Request<CreateModelRequest>) -> Result<Response<Model>, Status> {
        self.carry_out(request).await
    }

    async fn get_model(&self, request: Request<GetModelRequest>) -> Result<Response<Model>, Status> {
        self.get(&request.into_inner().name).await
    }

    async fn list_models(
        &self,
        request: Request<ListModelsRequest>,
    ) -> Result<Response<ListModelsResponse>, Status> {
        let ListModelsRequest { page_size, page_token } = request.into_inner();
        let (models, next_page_token) =
            self.page(page_size, &page_token, Fields::default(), |query| query).await?;
        Ok(Response::new(ListModelsResponse { models, next_page_token }))
    }

    async fn create_model_version(
        &self,
        request: Request<CreateModelVersionRequest>,
    ) -> Result<Response<ModelVersion>, Status> {
        self.try_artifact(request.get_ref()).await?; // slow, so before the unit of work
        self.carry_out(request).await
    }

    async fn get_model_version(
        &self,
        request: Request<GetModelVersionRequest>,
    ) -> Result<Response<ModelVersion>, Status> {
        self.get(&version_name(&request.into_inner().name)).await
    }

    async fn list_model_versions(
        &self,
        request: Request<ListModelVersionsRequest>,
    ) -> Result<Response<ListModelVersionsResponse>, Status> {
        let ListModelVersionsRequest { parent, page_size, page_token } = request.into_inner();
        let (model_versions, next_page_token) =
            self.page_below((&parent, Model::FORM), page_size, &page_token).await?;
        Ok(Response::new(ListModelVersionsResponse { model_versions, next_page_token }))
    }

    async fn submit_model_version(
        &self,
        request: Request<SubmitModelVersionRequest>,
    ) -> Result<Response<ModelVersion>, Status> {
        self.carry_out(request).await
    }

    async fn revoke_model_version(
        &self,
        request: Request<RevokeModelVersionRequest>,
    ) -> Result<Response<ModelVersion>, Status> {
        self.carry_out(request).await
    }

    async fn export_model_version(
        &self,
        request: Request<ExportModelVersionRequest>,
    ) -> Result<Response<ExportModelVersionResponse>, Status> {
        let version = self.get::<ModelVersion>(&version_name(&request.into_inner().name)).await?.into_inner();
        Ok(Response::new(ExportModelVersionResponse { yaml: self.registry_entry(&version).await? }))
    }
}

/// The resource name where the procedure's id `{model}-v1.2.0` is given; what is neither is left as it is.
fn version_name(text: &str) -> String {
    contracts::name::model_version("name", text).unwrap_or_else(|_| text.to_owned())
}

#[async_trait]
impl Verb for CreateModelRequest {
    type Answer = Model;

    fn check(&self, fields: &mut Fields) {
        fields.id("model_id", &self.model_id);
        fields.message("model", self.model.as_ref(), |fields, model| {
            fields.name("model.project", &model.project, Project::FORM);
            fields.choice::<contracts::common::v1::Task>("model.task", model.task);
            fields.text("model.primary_metric", &model.primary_metric);
            let direction = model.primary_metric_direction;
            fields.optional_choice::<MetricDirection>("model.primary_metric_direction", direction);
            fields.optional_text("model.display_name", &model.display_name);
            fields.optional_text("model.description", &model.description);
            fields.texts("model.intended_uses", &model.intended_uses);
            fields.texts("model.limitations", &model.limitations);
        });
    }

    async fn decide(self, work: &mut Work) -> Result<Model, Error> {
        let given = self.model.unwrap_or_default();
        let model = Model { name: format!("models/{}", self.model_id), owner: work.principal(), ..given };
        work.read::<Project>(&model.project).await?;
        // versions are compared by it (§10.2): a direction that nobody declared cannot be told later
        model::primary_direction(&model, &work.policy().acceptance)?;
        work.insert(model, "create").await
    }
}

#[async_trait]
impl Verb for SubmitModelVersionRequest {
    type Answer = ModelVersion;

    fn check(&self, fields: &mut Fields) {
        fields.name("name", &self.name, ModelVersion::FORM);
    }

    async fn decide(self, work: &mut Work) -> Result<ModelVersion, Error> {
        let seen = work.open::<ModelVersion>(&self.name, &self.etag).await?;
        let next = model::in_state(&seen, model::state(&seen).submit()?);
        work.save(&seen, next, "submit").await
    }
}

#[async_trait]
impl Verb for RevokeModelVersionRequest {
    type Answer = ModelVersion;

    fn check(&self, fields: &mut Fields) {
        fields.name("name", &self.name, ModelVersion::FORM);
        fields.text("reason", &self.reason);
    }

    async fn decide(self, work: &mut Work) -> Result<ModelVersion, Error> {
        let seen = work.open::<ModelVersion>(&self.name, &self.etag).await?;
        let gone = model::state(&seen).revoke()?;
        let by = work.authorize(Action::RollBackForSecurity, &[])?;
        revocation::off_traffic(work, &seen, &by.principal, &self.reason).await?;
        let next = ModelVersion { revoke_reason: self.reason, ..model::in_state(&seen, gone) };
        work.save(&seen, next, "revoke").await
    }

    fn reason(&self) -> &str {
        &self.reason
    }
}
