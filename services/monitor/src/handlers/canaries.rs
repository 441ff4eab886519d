//! What the monitor knows of canaries, budgets and drift; nothing is changed here.

use contracts::monitor::v1::{
    DriftReport, ErrorBudget, GetCanaryHealthRequest, GetCanaryHealthResponse, GetDriftRequest,
    GetErrorBudgetRequest, canary_service_server::CanaryService,
};
use contracts::registry::v1::GetRolloutRequest;
use tonic::{Request, Response, Status};

use crate::parse::{Fields, deployment_name, form, version_in};
use crate::rules::{budget, canary::look};
use crate::store::windows as rows;
use crate::tasks::assess_drift;
use crate::windows::Scope;
use crate::{Error, Monitor, convert};

#[tonic::async_trait]
impl CanaryService for Monitor {
    async fn get_canary_health(
        &self,
        request: Request<GetCanaryHealthRequest>,
    ) -> Result<Response<GetCanaryHealthResponse>, Status> {
        Ok(Response::new(self.health(request.into_inner()).await?))
    }

    async fn get_error_budget(
        &self,
        request: Request<GetErrorBudgetRequest>,
    ) -> Result<Response<ErrorBudget>, Status> {
        let deployment = deployment_name(&request.into_inner().deployment);
        let mut fields = Fields::default();
        fields.name("deployment", &deployment, &[form::DEPLOYMENT]);
        fields.done()?;
        Ok(Response::new(budget::of(self, &deployment).await?))
    }

    async fn get_drift(&self, request: Request<GetDriftRequest>) -> Result<Response<DriftReport>, Status> {
        Ok(Response::new(self.drift(request.into_inner()).await?))
    }
}

impl Monitor {
    async fn health(&self, request: GetCanaryHealthRequest) -> Result<GetCanaryHealthResponse, Error> {
        let mut fields = Fields::default();
        fields.name("rollout", &request.rollout, &[form::ROLLOUT]);
        fields.done()?;
        let asked = GetRolloutRequest { name: request.rollout };
        let rollout = self.registry().rollouts.get_rollout(asked).await?.into_inner();
        let look = look(self, &rollout).await?;
        let findings = look.stands_in_the_way(&self.policy());
        Ok(GetCanaryHealthResponse {
            health: Some(convert::canary::health(&look.health, look.from, look.to)),
            findings: findings.iter().map(convert::finding).collect(),
        })
    }

    async fn drift(&self, request: GetDriftRequest) -> Result<DriftReport, Error> {
        let (version, deployment) = version_in(&request.version, &request.deployment, |_| {})?;
        let deployment = if deployment.is_empty() { self.deployment_of(&version).await? } else { deployment };
        assess_drift::report(self, &Scope { deployment, version }).await
    }

    /// The deployment that saw most of a version, where the caller names none: staging is not meant.
    async fn deployment_of(&self, version: &str) -> Result<String, Error> {
        let known = rows::scopes(self.db().connection(), std::time::SystemTime::UNIX_EPOCH).await?;
        let mut of_it: Vec<String> = known
            .into_iter()
            .filter(|scope| scope.version == version)
            .map(|scope| scope.deployment)
            .collect();
        of_it.sort_by_key(|name| (name.ends_with("-staging"), name.clone()));
        of_it.into_iter().next().ok_or_else(|| Error::Missing(format!("traffic of {version}")))
    }
}
