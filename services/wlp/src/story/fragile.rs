//! A version that fails in service is off traffic before anyone is asked (§8.3, reading 5).

use std::time::Instant;

use contracts::gateway::v1::ListBackendsRequest;
use contracts::registry::v1::rollout::State;
use contracts::registry::v1::{
    AcknowledgeIncidentRequest, DocumentTemplate, GetIncidentRequest, Incident, ResolveIncidentRequest,
    Rollout,
};

use super::makers::Variant;
use super::{Shape, Story, deployment, documents, ladder, names};

/// The fragile variant passes every gate and starts as a canary; pictures that the data never had make it fail inside ONNX
/// Runtime; the gateway takes it off, the rollout is rolled back, the incident is answered.
///
/// # Errors
/// The first step that was not accepted.
pub async fn fragile(story: &Story, number: &str) -> anyhow::Result<()> {
    let (version, trained) = ladder::register(story, Variant::Fragile, number).await?;
    let release = ladder::release(story, version, Variant::Fragile, &trained).await?;
    let rollout = deployment::prepare(story, &release.version, &release.evaluation).await?;
    story
        .step(&format!("canary of {} started at 5 %", release.version.model_id), "§8.2", async {
            let started = deployment::start(story, &rollout).await?;
            warm(story, &release.version.name).await?;
            Ok(((), format!("{} at {} %", started.state().as_str_name(), started.traffic_percent)))
        })
        .await?;
    let rolled_back = story
        .step(
            "saturated pictures: the gateway takes the canary off, the rollout is rolled back",
            "§8.3",
            async {
                let rolled_back = off(story, &release.version.name, &rollout).await?;
                Ok(rolled_back)
            },
        )
        .await?;
    answer(story, &rolled_back.incident).await?;
    story
        .refused(
            "the rolled back version is rolled out again",
            "§8.3",
            &["VERSION_STATE", "RESOURCE_EXISTS"],
            async { deployment::open_rollout(story, &release.version).await },
        )
        .await;
    Ok(())
}

/// Waits until the gateway gives the canary its share.
async fn warm(story: &Story, version: &str) -> anyhow::Result<()> {
    story
        .until("the canary takes traffic", Shape::Clean, async || {
            let request = ListBackendsRequest { endpoint: names::ENDPOINT.into() };
            let backends =
                story.actors.serving("ml-ops-engineer")?.list_backends(request).await?.into_inner().backends;
            let takes = |one: &&contracts::gateway::v1::ServedBackend| {
                one.version == version && one.traffic_percent > 0
            };
            Ok(backends.iter().find(takes).map(|_| ()))
        })
        .await
}

async fn off(story: &Story, version: &str, rollout_name: &str) -> anyhow::Result<(Rollout, String)> {
    story.load.restart();
    let start = Instant::now();
    let backend = story
        .until("the breaker trips", Shape::Saturated, async || {
            let request = ListBackendsRequest { endpoint: names::ENDPOINT.into() };
            let backends =
                story.actors.serving("ml-ops-engineer")?.list_backends(request).await?.into_inner().backends;
            let gone = |one: &contracts::gateway::v1::ServedBackend| {
                one.version == version && one.state == "tripped"
            };
            // Once the registry knows, the backend is drained and no longer listed.
            let known = deployment::rollout(story, rollout_name).await?.state() == State::RolledBack;
            let tripped = backends.iter().find(|one| gone(one)).cloned();
            Ok(tripped.or_else(|| known.then(contracts::gateway::v1::ServedBackend::default)))
        })
        .await?;
    let (took, load) = (start.elapsed(), story.load.total());
    let rolled_back = story
        .until("the registry knows", Shape::Clean, async || {
            let rollout = deployment::rollout(story, rollout_name).await?;
            Ok((rollout.state() == State::RolledBack).then_some(rollout))
        })
        .await?;
    let said = format!(
        "off traffic after {:.1} s, evidence {:.0}; {load}; {} {}",
        took.as_secs_f64(),
        backend.breaker_evidence,
        rolled_back.state().as_str_name(),
        rolled_back.incident,
    );
    Ok((rolled_back, said))
}

/// On-call answers: acknowledged, cause and action named, report signed.
async fn answer(story: &Story, incident: &str) -> anyhow::Result<()> {
    let who = &story.actors;
    story
        .step("incident acknowledged, resolved and reported by on-call", "§8.3, §11", async {
            let request = AcknowledgeIncidentRequest { name: incident.into(), note: "looked at".into(), ..Default::default() };
            who.incidents("on-call")?.acknowledge_incident(request).await?;
            let request = ResolveIncidentRequest {
                name: incident.into(),
                root_cause: "the version cuts intensities at 255, its lookup table ends at 16: a saturated pixel is out of bounds".into(),
                corrective_action: "cut at the end of the table; saturated pictures become part of the tests".into(),
                ..Default::default()
            };
            who.incidents("on-call")?.resolve_incident(request).await?;
            let report = documents::document(story, DocumentTemplate::IncidentReport, incident, "on-call").await?;
            let closed: Incident = who.incidents("on-call")?.get_incident(GetIncidentRequest { name: incident.into() }).await?.into_inner();
            Ok(((), format!("{}: {}; {} signed by {}", closed.title, closed.state().as_str_name(), report.name, report.signed_by)))
        })
        .await
}
