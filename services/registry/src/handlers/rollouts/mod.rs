//! Rollouts: one change of a deployment's traffic split, with its deployment record (§8.1 to §8.3).

pub mod checks;
mod experiment;
mod items;
mod ladder;
pub mod revocation;
mod roll_back;
mod shadow;
mod staging;

pub use staging::advance_rehearsals;

use async_trait::async_trait;
use contracts::registry::v1::{rollout::State, rollout_service_server::RolloutService, *};
use lifecycle::approval::Approval;
use lifecycle::separation::Action;
use lifecycle::version_state::State as VersionState;
use lifecycle::{Finding, Rejection};
use runtime::Caller;
use tonic::{Request, Response, Status};

use crate::convert::{model, rollout as domain};
use crate::store::{Resource, Stored};
use crate::work::{Verb, Work};
use crate::{Error, Registry, parse::Fields};

#[tonic::async_trait]
impl RolloutService for Registry {
    async fn create_rollout(
        &self,
        request: Request<CreateRolloutRequest>,
    ) -> Result<Response<Rollout>, Status> {
        self.carry_out(request).await
    }

    async fn get_rollout(&self, request: Request<GetRolloutRequest>) -> Result<Response<Rollout>, Status> {
        self.get(&request.into_inner().name).await
    }

    async fn list_rollouts(
        &self,
        request: Request<ListRolloutsRequest>,
    ) -> Result<Response<ListRolloutsResponse>, Status> {
        let ListRolloutsRequest { parent, page_size, page_token, state } = request.into_inner();
        let mut fields = Fields::default();
        let everywhere = parent == "deployments/-";
        if !everywhere {
            fields.name("parent", &parent, Deployment::FORM);
        }
        fields.optional_choice::<State>("state", state);
        let wanted = State::try_from(state).unwrap_or(State::Unspecified);
        let (rollouts, next_page_token) = self
            .page(page_size, &page_token, fields, |query| {
                let query = if everywhere { query } else { query.parent(&parent) };
                if wanted == State::Unspecified {
                    query
                } else {
                    query.state(Rollout { state: wanted.into(), ..Rollout::default() }.state_word())
                }
            })
            .await?;
        Ok(Response::new(ListRolloutsResponse { rollouts, next_page_token }))
    }

    async fn record_rollout_item(
        &self,
        request: Request<RecordRolloutItemRequest>,
    ) -> Result<Response<Rollout>, Status> {
        self.carry_out(request).await
    }

    async fn stage_rollout(
        &self,
        request: Request<StageRolloutRequest>,
    ) -> Result<Response<Rollout>, Status> {
        self.carry_out(request).await
    }

    async fn rehearse_rollback(
        &self,
        request: Request<RehearseRollbackRequest>,
    ) -> Result<Response<Rollout>, Status> {
        self.carry_out(request).await
    }

    async fn start_shadow(&self, request: Request<StartShadowRequest>) -> Result<Response<Rollout>, Status> {
        self.carry_out(request).await
    }

    async fn stop_shadow(&self, request: Request<StopShadowRequest>) -> Result<Response<Rollout>, Status> {
        self.carry_out(request).await
    }

    async fn declare_experiment(
        &self,
        request: Request<DeclareExperimentRequest>,
    ) -> Result<Response<Rollout>, Status> {
        self.carry_out(request).await
    }

    async fn start_rollout(
        &self,
        request: Request<StartRolloutRequest>,
    ) -> Result<Response<Rollout>, Status> {
        Caller::of(&request)?;
        self.scan_canary(request.get_ref()).await?; // slow, so before the unit of work
        self.carry_out(request).await
    }

    async fn advance_rollout(
        &self,
        request: Request<AdvanceRolloutRequest>,
    ) -> Result<Response<Rollout>, Status> {
        self.carry_out(request).await
    }

    async fn pause_rollout(
        &self,
        request: Request<PauseRolloutRequest>,
    ) -> Result<Response<Rollout>, Status> {
        self.carry_out(request).await
    }

    async fn resume_rollout(
        &self,
        request: Request<ResumeRolloutRequest>,
    ) -> Result<Response<Rollout>, Status> {
        self.carry_out(request).await
    }

    async fn roll_back(&self, request: Request<RollBackRequest>) -> Result<Response<Rollout>, Status> {
        self.carry_out(request).await
    }

    async fn close_rollout(
        &self,
        request: Request<CloseRolloutRequest>,
    ) -> Result<Response<Rollout>, Status> {
        self.carry_out(request).await
    }
}

impl Registry {
    /// Scans the artifact of a rollout that is to start (§8.1 BUILD, §8.2 "security scan completed").
    async fn scan_canary(&self, request: &StartRolloutRequest) -> Result<(), Error> {
        let mut fields = Fields::default();
        request.check(&mut fields);
        fields.done()?;
        let rollout = self.read::<Rollout>(&request.name).await?;
        let version = self.read::<ModelVersion>(&rollout.version).await?;
        self.inspections().scan(&version.artifact_digest).await
    }
}

/// The word that the state column holds.
trait StateWord {
    fn state_word(&self) -> String;
}

impl StateWord for Rollout {
    fn state_word(&self) -> String {
        Resource::state(self)
    }
}

#[async_trait]
impl Verb for CreateRolloutRequest {
    type Answer = Rollout;

    fn check(&self, fields: &mut Fields) {
        fields.name("parent", &self.parent, Deployment::FORM);
        fields.id("rollout_id", &self.rollout_id);
        fields.name("version", &self.version, ModelVersion::FORM);
    }

    async fn decide(self, work: &mut Work) -> Result<Rollout, Error> {
        let deployment = work.read::<Deployment>(&self.parent).await?;
        let version = work.read::<ModelVersion>(&self.version).await?;
        if version.parent() != deployment.model {
            return Err(Error::field("version", format!("{} deploys {}", deployment.name, deployment.model)));
        }
        active(&deployment)?;
        if !deployment.active_rollout.is_empty() {
            let finding =
                Finding::new("§8.2", "rollouts in progress", "none", deployment.active_rollout.clone());
            return Err(Rejection::one("ROLLOUT_IN_PROGRESS", deployment.name.clone(), finding).into());
        }
        model::state(&version).require(VersionState::may_be_prepared, &version.name)?;
        may_roll_out(work, &version).await?;
        let policy = work.policy();
        let lists = &policy.deployment;
        let activities =
            lists.stages.iter().flat_map(|stage| stage.activities.iter().map(|one| one.as_str()));
        let mut rollout = Rollout {
            name: format!("{}/rollouts/{}", deployment.name, self.rollout_id),
            version: version.name.clone(),
            previous_version: deployment.stable_version.clone(),
            state: State::Preparing.into(),
            pre_deployment: domain::open(lists.pre.iter().map(|item| item.as_str())),
            deployment_items: domain::open(lists.deploy.iter().map(|item| item.as_str())),
            post_deployment: domain::open(lists.post.iter().map(|item| item.as_str())),
            activities: domain::open(activities),
            policy_digest: policy.digest().to_owned(),
            ..Rollout::default()
        };
        checks::fill_activities(work, &version, &mut rollout).await?;
        let next = Deployment { active_rollout: rollout.name.clone(), ..(*deployment).clone() };
        work.save(&deployment, next, "open-rollout").await?;
        work.insert(rollout, "create").await
    }
}

/// The caller as the one who rolls out: in a role of the policy, and nobody who contributed (§12).
pub async fn may_roll_out(work: &Work, version: &ModelVersion) -> Result<Approval, Error> {
    work.authorize(Action::RollOut, &work.contributors(&version.name).await?)
}

/// A deleted deployment takes no calls any more.
pub fn active(deployment: &Stored<Deployment>) -> Result<(), Rejection> {
    if deployment.state() == deployment::State::Active {
        return Ok(());
    }
    let finding = Finding::new("§10.3", "deployment", "ACTIVE", Resource::state(&**deployment));
    Err(Rejection::one("DEPLOYMENT_DELETED", deployment.name.clone(), finding))
}

/// The refusal of a call that a rollout's state does not allow.
pub fn wrong_state(rollout: &Stored<Rollout>, required: &str) -> Rejection {
    let finding = Finding::new("§8.2", "rollout", required, Resource::state(&**rollout));
    Rejection::one("ROLLOUT_STATE", rollout.name.clone(), finding)
}
