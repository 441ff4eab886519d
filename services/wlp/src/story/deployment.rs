//! §8.1, §8.2: everything before the canary: staging, tests there, the rehearsed rollback, the checklist.

use contracts::gateway::v1::ListBackendsRequest;
use contracts::registry::v1::{
    CreateDeploymentRequest, CreateRolloutRequest, Deployment, GetRolloutRequest, ModelVersion,
    RecordRolloutItemRequest, RehearseRollbackRequest, Rollout, StageRolloutRequest, StartRolloutRequest,
};

use super::evaluation::short;
use super::plan::ACCURACY;
use super::{Shape, Story, documents, names, watched};

/// Requests of the smoke test and of the load test, through the staging endpoint.
const SMOKE: usize = 20;
const STRESS: usize = 400;
/// Pictures whose answers are compared with the digit that was meant.
const QA: usize = 100;

/// Creates the deployment: the endpoint that clients know.
///
/// # Errors
/// The refusal of the registry.
pub async fn deploy(story: &Story) -> anyhow::Result<()> {
    story
        .step("deployment `digits` created", "§8.2", async {
            let deployment = Deployment { model: names::MODEL.into(), ..Default::default() };
            let request = CreateDeploymentRequest {
                deployment_id: names::ENDPOINT.into(),
                deployment: Some(deployment),
                ..Default::default()
            };
            let made =
                story.actors.deployments("ml-ops-engineer")?.create_deployment(request).await?.into_inner();
            Ok(((), made.name))
        })
        .await
}

/// Prepares a rollout up to its complete pre-deployment checklist; gives its name.
///
/// # Errors
/// The first step that was not accepted.
pub async fn prepare(story: &Story, version: &ModelVersion, evaluation: &str) -> anyhow::Result<String> {
    let who = &story.actors;
    let rollout = open(story, version).await?;
    story
        .refused(
            "canary before staging, rehearsal and checklist",
            "§8.2",
            &["PRE_DEPLOYMENT_INCOMPLETE", "STAGE_INCOMPLETE"],
            async { start(story, &rollout).await },
        )
        .await;
    story
        .step("packaged, scanned, served in staging", "§8.1", async {
            item(
                story,
                &rollout,
                "containerize",
                "ml-ops-engineer",
                "one image of the gateway serves every artifact by its digest",
            )
            .await?;
            item(story, &rollout, "security", "security", &scanned(story, version).await?).await?;
            let request = StageRolloutRequest { name: rollout.clone(), ..Default::default() };
            who.rollouts("ml-ops-engineer")?.stage_rollout(request).await?;
            staged(story, version).await?;
            Ok(((), format!("{}-staging serves {}", names::ENDPOINT, version.model_id)))
        })
        .await?;
    tests_in_staging(story, &rollout).await?;
    rehearse(story, &rollout).await?;
    story
        .step("on-call acknowledged", "§8.2", async {
            let rollout =
                item(story, &rollout, "on-call-notified", "on-call", "the rollout of today is known").await?;
            let done = rollout.pre_deployment.iter().filter(|one| one.done).count();
            Ok((
                (),
                format!(
                    "{done} of {} items attested, the others follow from records",
                    rollout.pre_deployment.len()
                ),
            ))
        })
        .await?;
    documents::of_version(story, version, evaluation).await?;
    Ok(rollout)
}

/// Opens a rollout of a version, named after its number.
///
/// # Errors
/// The refusal of the registry.
pub async fn open_rollout(story: &Story, version: &ModelVersion) -> anyhow::Result<Rollout> {
    let request = CreateRolloutRequest {
        parent: names::DEPLOYMENT.into(),
        rollout_id: format!("to-{}", contracts::name::last(&version.name).replace('.', "-")),
        version: version.name.clone(),
        ..Default::default()
    };
    Ok(story.actors.rollouts("ml-ops-engineer")?.create_rollout(request).await?.into_inner())
}

async fn open(story: &Story, version: &ModelVersion) -> anyhow::Result<String> {
    story
        .step(&format!("rollout of {} opened", version.model_id), "§8.2", async {
            let rollout = open_rollout(story, version).await?;
            Ok((rollout.name.clone(), format!("{} {}", rollout.name, rollout.state().as_str_name())))
        })
        .await
}

/// Starts the canary.
///
/// # Errors
/// Everything that is missing.
pub async fn start(story: &Story, rollout: &str) -> anyhow::Result<Rollout> {
    let request = StartRolloutRequest { name: rollout.into(), ..Default::default() };
    Ok(story.actors.rollouts("ml-ops-engineer")?.start_rollout(request).await?.into_inner())
}

/// A rollout as it stands.
///
/// # Errors
/// If it does not exist.
pub async fn rollout(story: &Story, name: &str) -> anyhow::Result<Rollout> {
    let request = GetRolloutRequest { name: name.into() };
    Ok(story.actors.rollouts("ml-ops-engineer")?.get_rollout(request).await?.into_inner())
}

/// Attests an item with a note that is kept as its evidence.
///
/// # Errors
/// The refusal of the registry.
pub async fn item(
    story: &Story,
    rollout: &str,
    item: &str,
    who: &str,
    note: &str,
) -> anyhow::Result<Rollout> {
    let request = RecordRolloutItemRequest {
        name: rollout.into(),
        item: item.into(),
        evidence_digest: story.evidence(&format!("{}-{item}", contracts::name::last(rollout)), note)?,
        note: note.into(),
        ..Default::default()
    };
    Ok(story.actors.rollouts(who)?.record_rollout_item(request).await?.into_inner())
}

/// Waits until a gateway has loaded and warmed the version in staging.
async fn staged(story: &Story, version: &ModelVersion) -> anyhow::Result<()> {
    let endpoint = format!("{}-staging", names::ENDPOINT);
    story
        .until("the gateway serves the staging endpoint", Shape::Silent, async || {
            let request = ListBackendsRequest { endpoint: endpoint.clone() };
            let backends =
                story.actors.serving("ml-ops-engineer")?.list_backends(request).await?.into_inner().backends;
            let ready = |one: &&contracts::gateway::v1::ServedBackend| {
                one.version == version.name && one.state == "ready"
            };
            Ok(backends.iter().find(ready).map(|_| ()))
        })
        .await
}

async fn tests_in_staging(story: &Story, rollout: &str) -> anyhow::Result<()> {
    let endpoint = format!("{}-staging", names::ENDPOINT);
    story
        .step("smoke test, load test and manual QA in staging", "§8.1", async {
            let smoke = story.load.send(&story.actors, "qa-engineer", &endpoint, SMOKE, Shape::Clean).await?;
            anyhow::ensure!(smoke.failures() == 0, "smoke test: {smoke}");
            item(story, rollout, "smoke-tests", "ml-ops-engineer", &format!("smoke test: {smoke}")).await?;
            let start = std::time::Instant::now();
            let stress =
                story.load.send(&story.actors, "qa-engineer", &endpoint, STRESS, Shape::Clean).await?;
            anyhow::ensure!(stress.failures() == 0, "load test: {stress}");
            let rate = stress.answers() as f64 / start.elapsed().as_secs_f64();
            let said =
                format!("{SMOKE} smoke requests, {STRESS} under load at {rate:.0} a second, none failed");
            item(story, rollout, "verify-metrics", "ml-ops-engineer", &said).await?;
            item(story, rollout, "load-tests", "ml-ops-engineer", &said).await?;
            let qa = story.load.send(&story.actors, "qa-engineer", &endpoint, QA, Shape::Clean).await?;
            let accuracy = qa.accuracy().unwrap_or_default();
            let read = format!("{} of {} pictures read as they were meant", qa.right, qa.compared);
            anyhow::ensure!(ACCURACY < accuracy, "{read}, required more than {ACCURACY}");
            item(story, rollout, "manual-qa", "qa-engineer", &read).await?;
            Ok(((), format!("{said}; {read}")))
        })
        .await
}

/// What is known of the artifact's safety: it was inspected and tried when the version was made, and what came up since.
async fn scanned(story: &Story, version: &ModelVersion) -> anyhow::Result<String> {
    let open = watched::security_incidents(story, &[&version.name, &version.artifact_digest]).await?;
    anyhow::ensure!(open == 0, "{open} open security incidents of {}", version.name);
    Ok(format!(
        "the registry inspected {} when it took the version ({}): nothing hostile; {open} open security incidents",
        short(&version.artifact_digest),
        version.state().as_str_name()
    ))
}

async fn rehearse(story: &Story, rollout_name: &str) -> anyhow::Result<()> {
    story
        .step("rollback rehearsed in staging, timed by the gateway", "§8.2", async {
            // A gateway tells what it serves every few seconds: the rehearsal waits for it to have been heard.
            story
                .until("a gateway reports the staging endpoint", Shape::Silent, async || {
                    let request = RehearseRollbackRequest { name: rollout_name.into(), ..Default::default() };
                    match story.actors.rollouts("ml-ops-engineer")?.rehearse_rollback(request).await {
                        Ok(_) => Ok(Some(())),
                        Err(status)
                            if runtime::status::reason(&status).as_deref() == Some("STAGING_NOT_SERVED") =>
                        {
                            Ok(None)
                        }
                        Err(status) => Err(status.into()),
                    }
                })
                .await?;
            let rehearsal = story
                .until("the gateway went back and forth", Shape::Silent, async || {
                    let rehearsal = rollout(story, rollout_name).await?.rehearsal.unwrap_or_default();
                    Ok(rehearsal.restored_time.is_some().then_some(rehearsal))
                })
                .await?;
            let took = rehearsal
                .rollback_duration
                .as_ref()
                .and_then(contracts::time::duration_from_wire)
                .unwrap_or_default();
            Ok((
                (),
                format!(
                    "rolled back in {} ms by {}, restored",
                    took.as_millis(),
                    short(&rehearsal.principal)
                ),
            ))
        })
        .await
}
