//! What is looked up before something is attested: open alerts, failed requests, the error budget, open incidents.

use contracts::monitor::v1::{Alert, GetErrorBudgetRequest, ListAlertsRequest};
use contracts::registry::v1::{Incident, ListIncidentsRequest, RollbackTrigger, incident};

use super::{Story, names};

/// Every alert of the deployment, or only the open ones.
///
/// # Errors
/// The refusal of the monitor.
pub async fn alerts(story: &Story, open_only: bool) -> anyhow::Result<Vec<Alert>> {
    let mut alerts = story.actors.alerts("ml-ops-engineer")?;
    let (mut all, mut page_token) = (Vec::new(), String::new());
    loop {
        let deployment = names::DEPLOYMENT.into();
        let request = ListAlertsRequest { deployment, open_only, page_size: 100, page_token };
        let page = alerts.list_alerts(request).await?.into_inner();
        all.extend(page.alerts);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return Ok(all);
        }
    }
}

/// The metrics of a version in production: no open alert is about it, none of its requests failed; in words.
///
/// # Errors
/// If an alert is open or requests failed.
pub async fn metrics(story: &Story, version: &str) -> anyhow::Result<String> {
    let open = alerts(story, true).await?;
    let (own, others): (Vec<_>, Vec<_>) = open.iter().partition(|alert| alert.version == version);
    let named = |alerts: &[&Alert]| {
        alerts.iter().map(|one| format!("{} of {}", one.rule, one.version)).collect::<Vec<_>>().join(", ")
    };
    anyhow::ensure!(own.is_empty(), "open alerts: {}", named(&own));
    let load = story.load.total();
    anyhow::ensure!(load.faults() == 0, "{} requests failed: {load}", load.faults());
    let request = GetErrorBudgetRequest { deployment: names::DEPLOYMENT.into() };
    let budget = story.actors.canaries("ml-ops-engineer")?.get_error_budget(request).await?.into_inner();
    let alerts = match others.as_slice() {
        [] => "no alert is open".to_owned(),
        others => format!("no alert of {version} is open (others: {})", named(others)),
    };
    let accuracy = load.accuracy().map_or_else(String::new, |share| {
        format!(", {:.4} of {} compared answers are right", share, load.compared)
    });
    Ok(format!(
        "{alerts}; {} answers, {} failures{accuracy}; availability {:.5}, {:.1} of {:.1} minutes of the error budget spent",
        load.answers(),
        load.faults(),
        budget.availability,
        budget.spent_minutes,
        budget.budget_minutes
    ))
}

/// Open incidents of the security trigger about a version or one of its rollouts.
///
/// # Errors
/// The refusal of the registry.
pub async fn security_incidents(story: &Story, subjects: &[&str]) -> anyhow::Result<usize> {
    let mut incidents = story.actors.incidents("on-call")?;
    let (mut count, mut page_token) = (0, String::new());
    loop {
        let request = ListIncidentsRequest { page_size: 100, page_token, ..Default::default() };
        let page = incidents.list_incidents(request).await?.into_inner();
        let open = |one: &&Incident| {
            one.trigger() == RollbackTrigger::Security
                && !matches!(one.state(), incident::State::Resolved | incident::State::Closed)
                && subjects.contains(&one.subject.as_str())
        };
        count += page.incidents.iter().filter(open).count();
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return Ok(count);
        }
    }
}
