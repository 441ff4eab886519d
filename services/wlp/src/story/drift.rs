//! §9.2: drifted input raises an alert.

use std::time::SystemTime;

use contracts::common::v1::Finding;
use contracts::monitor::v1::Alert;
use contracts::time::from_wire;

use super::{Shape, Story, finding_line, watched};

const RULE: &str = "data_drift";

/// Waits until no drift of `version` is seen, then sends pictures as negatives until the monitor says that the input is
/// not what the model was trained on.
///
/// # Errors
/// If no alert comes that was opened after the first negative.
pub async fn drift(story: &Story, version: &str) -> anyhow::Result<Alert> {
    story
        .step("inverted pictures raise a drift alert", "§9.2", async {
            story.pace.hurry(true).await?;
            let found = raised(story, version).await;
            story.pace.hurry(false).await?;
            let (alert, begun) = found?;
            let finding = alert.finding.clone().unwrap_or_default();
            let after = opened(&alert).and_then(|at| at.duration_since(begun).ok()).unwrap_or_default();
            let (minutes, columns) = (after.as_secs_f64() / 60.0, finding.observed.split("; "));
            let (count, first) = (columns.clone().count(), columns.take(3).collect::<Vec<_>>().join("; "));
            let finding = Finding { observed: format!("{first} (of {count})"), ..finding };
            Ok((alert.clone(), format!("{} after {minutes:.1} min: {}", alert.name, finding_line(&finding))))
        })
        .await
}

async fn raised(story: &Story, version: &str) -> anyhow::Result<(Alert, SystemTime)> {
    let about = |alert: &Alert| alert.rule == RULE && alert.version == version;
    story
        .until("no drift is seen before", Shape::Clean, async || {
            let open = watched::alerts(story, true).await?;
            Ok((!open.iter().any(about)).then_some(()))
        })
        .await?;
    let begun = story.pace.now();
    let alert = story
        .until("the drift alert", Shape::Inverted, async || {
            let alerts = watched::alerts(story, false).await?;
            let new = |alert: &Alert| about(alert) && opened(alert).is_some_and(|at| begun < at);
            Ok(alerts.into_iter().find(new))
        })
        .await?;
    Ok((alert, begun))
}

fn opened(alert: &Alert) -> Option<SystemTime> {
    alert.open_time.as_ref().and_then(from_wire)
}
