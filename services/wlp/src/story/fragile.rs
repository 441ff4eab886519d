//! A version that fails in service is off traffic before anyone is asked (§8.3, reading 5).

mod storm;

use contracts::gateway::v1::ListBackendsRequest;
use contracts::registry::v1::rollout::State;
use contracts::registry::v1::{
    AcknowledgeIncidentRequest, CloseIncidentRequest, DocumentTemplate, GetIncidentRequest, Incident,
    ListAuditEntriesRequest, ResolveIncidentRequest, Rollout,
};

use super::makers::Variant;
use super::{Shape, Story, deployment, documents, ladder, names};
use storm::Storm;

/// The principal that takes a failing canary off by itself.
const GATEWAY: &str = "gateway";
/// Requests between two looks at the gateway: one turn of a canary at 5 %.
const TURN: u32 = 20;
/// Requests that a canary may stay at most, far more than it should.
const MOST: u32 = 1000;
/// Requests after it is off, its next two turns: none of them may fail.
const CALM: u32 = 40;

/// The fragile variant passes every gate and starts as a canary; pictures that the data never had make it fail inside ONNX
/// Runtime; the gateway takes it off, the rollout is rolled back, the incident is answered.
///
/// # Errors
/// The first step that was not accepted.
pub async fn fragile(story: &Story, number: &str) -> anyhow::Result<()> {
    let (version, trained) = ladder::register(story, Variant::Fragile, number).await?;
    let release = ladder::release(story, version, Variant::Fragile, &trained).await?;
    let rollout = deployment::prepare(story, &release.version, &release.evaluation).await?;
    let percent = story
        .step(&format!("canary of {} started at 5 %", release.version.model_id), "§8.2", async {
            let started = deployment::start(story, &rollout).await?;
            let percent = warm(story, &release.version.name).await?;
            Ok((percent, format!("{} at {percent} %", started.state().as_str_name())))
        })
        .await?;
    let rolled_back = story
        .step(
            "saturated pictures: the gateway takes the canary off, the rollout is rolled back",
            "§8.3",
            async {
                let rolled_back = off(story, &release.version.name, percent, &rollout).await?;
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

/// Waits until the gateway gives the canary its share, and says how much that is.
async fn warm(story: &Story, version: &str) -> anyhow::Result<u32> {
    story
        .until("the canary takes traffic", Shape::Clean, async || {
            let request = ListBackendsRequest { endpoint: names::ENDPOINT.into() };
            let backends =
                story.actors.serving("ml-ops-engineer")?.list_backends(request).await?.into_inner().backends;
            let takes = |one: &&contracts::gateway::v1::ServedBackend| {
                one.version == version && one.traffic_percent > 0
            };
            Ok(backends.iter().find(takes).map(|one| one.traffic_percent))
        })
        .await
}

/// A storm until the gateway has taken the canary off, and a while longer.
async fn off(
    story: &Story,
    version: &str,
    percent: u32,
    rollout_name: &str,
) -> anyhow::Result<(Rollout, String)> {
    let mut storm = Storm::new(story, contracts::name::last(version), percent);
    while !is_off(story, version, rollout_name).await? {
        anyhow::ensure!(storm.sent() < MOST, "the canary takes traffic after {MOST} requests");
        storm.go_on(TURN).await?;
    }
    let failed = storm.failed();
    storm.go_on(CALM).await?;
    anyhow::ensure!(storm.failed() == failed, "requests failed after the canary was off");
    let rolled_back = story
        .until("the registry knows", Shape::Clean, async || {
            let rollout = deployment::rollout(story, rollout_name).await?;
            Ok((rollout.state() == State::RolledBack).then_some(rollout))
        })
        .await?;
    let request = GetIncidentRequest { name: rolled_back.incident.clone() };
    let incident = story.actors.incidents("on-call")?.get_incident(request).await?.into_inner();
    let observed = incident.findings.first().map(|one| one.observed.as_str()).unwrap_or_default();
    let said = format!(
        "by the {}, {}: {observed}; {} {}",
        by_the_gateway(story, rollout_name, &incident).await?,
        storm.judge(&incident)?,
        rolled_back.state().as_str_name(),
        rolled_back.incident,
    );
    Ok((rolled_back, said))
}

/// Whether the gateway took the canary off. Once the registry knows, the backend is drained and no longer listed.
async fn is_off(story: &Story, version: &str, rollout_name: &str) -> anyhow::Result<bool> {
    let request = ListBackendsRequest { endpoint: names::ENDPOINT.into() };
    let backends =
        story.actors.serving("ml-ops-engineer")?.list_backends(request).await?.into_inner().backends;
    let tripped = backends.iter().any(|one| one.version == version && one.state == "tripped");
    Ok(tripped || deployment::rollout(story, rollout_name).await?.state() == State::RolledBack)
}

/// Who took the canary off, by the incident and by the audit log: the gateway.
async fn by_the_gateway(story: &Story, rollout: &str, incident: &Incident) -> anyhow::Result<String> {
    let request = ListAuditEntriesRequest {
        from_start: true,
        page_size: 1000,
        subject: rollout.into(),
        ..Default::default()
    };
    let entries = story.actors.audit("auditor")?.list_audit_entries(request).await?.into_inner().entries;
    let logged =
        entries.iter().find(|one| one.action == "roll-back").map_or("nobody", |one| one.principal.as_str());
    anyhow::ensure!(
        incident.reported_by == GATEWAY && logged == GATEWAY,
        "taken off by {} (audit log: {logged}), required: the gateway",
        incident.reported_by
    );
    Ok(logged.to_owned())
}

/// On-call answers: acknowledged, cause and action named, report signed.
async fn answer(story: &Story, incident: &str) -> anyhow::Result<()> {
    let who = &story.actors;
    story
        .step("incident acknowledged, resolved, reported and closed by on-call", "§8.3, §11", async {
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
            let request = CloseIncidentRequest { name: incident.into(), ..Default::default() };
            let closed = who.incidents("on-call")?.close_incident(request).await?.into_inner();
            Ok(((), format!("{}: {}; {} signed by {}", closed.title, closed.state().as_str_name(), report.name, report.signed_by)))
        })
        .await
}
