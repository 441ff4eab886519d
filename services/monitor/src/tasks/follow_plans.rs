//! `follow-plans`: what the plan behind each deployment promises (§4.1), from the registry: deployment, model, project. While
//! it is away, what it last said holds; a plan that is not approved promises nothing yet.

use contracts::registry::v1::{Deployment, GetModelRequest, GetProjectRequest, PlanState, Project};
use lifecycle::slo::Objective;

use crate::store::objectives;
use crate::tasks::keep_duties::active_deployments;
use crate::{Error, Monitor};

/// Asks for every plan once. One that cannot be asked for does not hold up the others.
///
/// # Errors
/// If the registry cannot be asked which deployments there are.
pub async fn run_once(monitor: &Monitor) -> Result<(), Error> {
    for deployment in active_deployments(monitor).await? {
        if let Err(error) = follow(monitor, &deployment).await {
            tracing::warn!(deployment = %deployment.name, %error, "its plan could not be asked for, will retry");
        }
    }
    Ok(())
}

async fn follow(monitor: &Monitor, deployment: &Deployment) -> Result<(), Error> {
    let (connection, policy, mut registry) =
        (monitor.db().connection(), monitor.policy(), monitor.registry());
    let floor = Objective::of(&policy.monitoring.service_levels);
    let asked = GetModelRequest { name: deployment.model.clone() };
    let model = registry.models.get_model(asked).await?.into_inner();
    if !model.project.is_empty() {
        let plan =
            registry.projects.get_project(GetProjectRequest { name: model.project }).await?.into_inner();
        if plan.plan_state() == PlanState::Approved {
            objectives::keep(connection, &deployment.name, &promised(&plan, floor)).await?;
        }
    }
    let objective = objectives::of(connection, &deployment.name, &policy).await?;
    objectives::recount(monitor.db(), &deployment.name, &objective).await
}

/// What the performance requirements of a plan and the criteria of its requirements promise.
fn promised(plan: &Project, floor: Objective) -> Objective {
    let inputs = plan.inputs.iter().flat_map(|inputs| &inputs.performance_requirements);
    let required = plan.requirements.iter().filter_map(|one| one.criterion.as_ref());
    let all = inputs.chain(required);
    Objective::stated(all.map(|one| (one.metric.as_str(), one.value, one.unit.as_str())), floor)
}
