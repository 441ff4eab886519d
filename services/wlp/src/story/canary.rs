//! §8.2: the canary climbs 5, 25, 50, 100 % under load, judged by the monitor; then the deployment record is closed.

use std::collections::BTreeMap;

use contracts::gateway::v1::{ListBackendsRequest, ServedBackend};
use contracts::monitor::v1::GetCanaryHealthRequest;
use contracts::registry::v1::rollout::State;
use contracts::registry::v1::{CloseRolloutRequest, DocumentTemplate, ModelVersion};

use super::deployment::{item, rollout, start};
use super::{Shape, Story, documents, names, watched};

/// Starts the canary and lets it climb to all traffic; nobody touches it on the way.
///
/// # Errors
/// If it stops on the way.
pub async fn climb(story: &Story, version: &ModelVersion, rollout_name: &str) -> anyhow::Result<()> {
    story
        .step(&format!("canary of {} started at 5 %", version.model_id), "§8.2", async {
            let rollout = start(story, rollout_name).await?;
            // An endpoint without any version fails every request: the load begins when there is one.
            let taken = routed(story, "the gateway has the canary loaded and warm", |routed| {
                routed.iter().find(|one| one.version == version.name && one.state == "ready").map(serving)
            });
            Ok(((), format!("{}; {}", rollout.state().as_str_name(), taken.await?)))
        })
        .await?;
    story
        .step(&format!("{} climbs 5, 25, 50, 100 % under load", version.model_id), "§8.2, §8.1 G4", async {
            story.load.restart();
            story.pace.hurry(true).await?;
            let climbed = up(story, rollout_name).await;
            story.pace.hurry(false).await?;
            climbed.map(|said| ((), said))
        })
        .await
}

async fn up(story: &Story, rollout_name: &str) -> anyhow::Result<String> {
    let mut steps: BTreeMap<u32, String> = BTreeMap::new();
    let begun = story.pace.now();
    let mut before = 0;
    let rollout = story
        .until("the canary climbs", Shape::Clean, async || {
            let rollout = rollout(story, rollout_name).await?;
            if rollout.traffic_percent != before {
                before = rollout.traffic_percent;
                let minutes = story.pace.now().duration_since(begun).unwrap_or_default().as_secs() / 60;
                steps.insert(before, format!("{before} % after {minutes} min"));
            }
            match rollout.state() {
                State::Succeeded => Ok(Some(rollout)),
                State::Running => Ok(None),
                other => anyhow::bail!("{}: {}", other.as_str_name(), rollout.cause),
            }
        })
        .await;
    match rollout {
        Ok(_) => {
            let steps: Vec<_> = steps.into_values().collect();
            Ok(format!("{}; {}", steps.join(", "), story.load.total()))
        }
        Err(error) => {
            let request = GetCanaryHealthRequest { rollout: rollout_name.into() };
            let health = story.actors.canaries("ml-ops-engineer")?.get_canary_health(request).await;
            let why = health.map(|health| super::failures(&health.into_inner().findings)).unwrap_or_default();
            Err(error.context(format!("it stands: {why}")))
        }
    }
}

/// Verifies, tells and closes; the deployment record becomes a document.
///
/// # Errors
/// The first step that was not accepted.
pub async fn close(story: &Story, rollout_name: &str) -> anyhow::Result<()> {
    let close = || CloseRolloutRequest { name: rollout_name.into(), ..Default::default() };
    story
        .refused(
            "record closed before the four items after the deployment",
            "§8.2",
            &["DEPLOYMENT_INCOMPLETE"],
            async { Ok(story.actors.rollouts("ml-ops-engineer")?.close_rollout(close()).await?) },
        )
        .await;
    story
        .step("four items after the deployment, record closed", "§8.2", async {
            let version = rollout(story, rollout_name).await?.version;
            let metrics = watched::metrics(story, &version).await?;
            let items = [
                ("verify-all-metrics", metrics.clone()),
                ("update-status-page", served(story, &version).await?),
                ("notify-stakeholders", format!("the scanning service was told of {version}")),
                ("close-ticket", "the rollout was the ticket; its record is closed next".to_owned()),
            ];
            for (name, note) in items {
                item(story, rollout_name, name, "ml-ops-engineer", &note).await?;
            }
            let closed = story.actors.rollouts("ml-ops-engineer")?.close_rollout(close()).await?.into_inner();
            let document = documents::document(
                story,
                DocumentTemplate::DeploymentRecord,
                rollout_name,
                "ml-ops-engineer",
            )
            .await?;
            Ok(((), format!("{}, {} signed; {metrics}", closed.state().as_str_name(), document.name)))
        })
        .await
}

/// What the endpoint serves, as the gateway says; it has to be this version alone.
async fn served(story: &Story, version: &str) -> anyhow::Result<String> {
    routed(story, "the endpoint serves the new version alone", |routed| match routed {
        [one] if one.version == version && one.state == "ready" => Some(serving(one)),
        _ => None,
    })
    .await
}

fn serving(one: &ServedBackend) -> String {
    format!("{} serves {} at {} %", one.endpoint, one.version, one.traffic_percent)
}

/// Waits until what the gateway sends traffic to is as it has to be.
async fn routed(
    story: &Story,
    what: &str,
    found: impl Fn(&[ServedBackend]) -> Option<String>,
) -> anyhow::Result<String> {
    story
        .until(what, Shape::Silent, async || {
            let request = ListBackendsRequest { endpoint: names::ENDPOINT.into() };
            let asked = story.actors.serving("ml-ops-engineer")?.list_backends(request).await?;
            let mut backends = asked.into_inner().backends;
            backends.retain(|one| 0 < one.traffic_percent);
            Ok(found(&backends))
        })
        .await
}
