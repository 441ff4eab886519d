//! §9.2: drifted input raises an alert.

use contracts::monitor::v1::{Alert, ListAlertsRequest};

use super::{Shape, Story, finding_line, names};

/// Sends pictures as negatives until the monitor says that the input is not what the model was trained on.
///
/// # Errors
/// If no alert comes.
pub async fn drift(story: &Story) -> anyhow::Result<Alert> {
    story
        .step("inverted pictures raise a drift alert", "§9.2", async {
            story.pace.hurry(true).await?;
            let found = story
                .until("the drift alert", Shape::Inverted, async || {
                    let request = ListAlertsRequest {
                        deployment: names::DEPLOYMENT.into(),
                        page_size: 100,
                        ..Default::default()
                    };
                    let alerts = story
                        .actors
                        .alerts("ml-ops-engineer")?
                        .list_alerts(request)
                        .await?
                        .into_inner()
                        .alerts;
                    Ok(alerts.into_iter().find(|alert| alert.rule == "data_drift"))
                })
                .await;
            story.pace.hurry(false).await?;
            let alert = found?;
            let finding = alert.finding.clone().unwrap_or_default();
            let said = format!("{}: {}", alert.name, finding_line(&finding));
            Ok((alert, said))
        })
        .await
}
