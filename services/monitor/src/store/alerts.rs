//! Alerts as records: one that is open for each subject and rule, moved by what each window says.

use contracts::common::v1::Measurement;
use contracts::monitor::v1::Alert;
use lifecycle::alert::{self, Alert as Life, Judgement};
use std::time::{SystemTime, UNIX_EPOCH};
use storage::{Query, Records};

use super::{Resource, Stored, all, insert, save};
use crate::convert::alert::{life, set_life};
use crate::monitor::{Monitor, derived_id};
use crate::{Error, convert};

/// What an alert is about: there is at most one open alert for each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlertKey {
    /// `error_rate`
    pub rule: &'static str,
    /// Its deployment; empty for a host that serves none in particular.
    pub deployment: String,
    /// Its version; empty for what concerns the deployment or a host.
    pub version: String,
    /// Of a resource alert.
    pub host: String,
}

/// What one window said.
#[derive(Debug, Clone)]
pub struct Judged {
    /// Fires or not.
    pub judgement: Judgement,
    /// When: the end of the window.
    pub at: SystemTime,
    /// What was required and observed.
    pub finding: lifecycle::Finding,
    /// The numbers.
    pub measurements: Vec<Measurement>,
}

impl AlertKey {
    fn is_of(&self, alert: &Alert) -> bool {
        alert.rule == self.rule
            && alert.deployment == self.deployment
            && alert.version == self.version
            && alert.host == self.host
    }

    /// `alerts/{rule}-{subject}-{seconds}`
    fn name(&self, at: SystemTime) -> String {
        let subject = derived_id(&[&self.deployment, &self.version, &self.host]);
        let seconds = at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        format!("alerts/{}-{}-{seconds}", self.rule.replace('_', "-"), &subject[..10])
    }
}

/// Alerts that nobody has seen quiet yet.
fn open_query() -> Query {
    Query::kind(Alert::KIND).state("OPEN").state("ACKNOWLEDGED")
}

/// Every open alert.
///
/// # Errors
/// Of the database.
pub async fn open_alerts(records: &Records) -> Result<Vec<Alert>, Error> {
    all(records, &open_query()).await
}

/// Takes what the windows of one subject said, in order of time; opens, keeps and closes its alert.
///
/// # Errors
/// Of the database.
pub async fn apply(
    monitor: &Monitor,
    task: &'static str,
    key: &AlertKey,
    said: &[Judged],
) -> Result<(), Error> {
    let fires = said.iter().any(|one| one.judgement == Judgement::Firing);
    let known = open_alerts(monitor.records()).await?.iter().any(|alert| key.is_of(alert));
    if !fires && !known {
        return Ok(());
    }
    let quiet_windows = monitor.policy().monitoring.quiet_windows.value;
    let mut unit = monitor.act(task).await?;
    let mut current: Option<Stored<Alert>> = None;
    let mut query = open_query();
    loop {
        let page = unit.list(&query).await?;
        let Some(last) = page.last() else { break };
        query = query.after(last.name.clone());
        for record in page {
            let alert = Stored::<Alert>::read(record)?;
            if key.is_of(&alert) {
                current = Some(alert);
            }
        }
    }
    for one in said {
        let before = current.as_ref().map(|alert| life(alert));
        let Some(after) = alert::step(before.clone(), one.judgement, one.at, quiet_windows) else { continue };
        if before.as_ref() == Some(&after) {
            continue;
        }
        let (action, fresh) = match (&before, &after) {
            (None | Some(Life::Closed { .. }), _) => ("open", true),
            (_, Life::Closed { .. }) => ("close", false),
            _ => ("watch", false),
        };
        let mut next = if fresh { Alert::default() } else { current.as_deref().cloned().unwrap_or_default() };
        set_life(&mut next, &after);
        if one.judgement == Judgement::Firing {
            next.finding = Some(convert::finding(&one.finding));
            next.measurements.clone_from(&one.measurements);
        }
        if fresh {
            (next.name, next.rule) = (key.name(one.at), key.rule.to_owned());
            next.deployment.clone_from(&key.deployment);
            next.version.clone_from(&key.version);
            next.host.clone_from(&key.host);
            if unit.find(Alert::KIND, &next.name).await?.is_some() {
                continue; // this very window was taken before the loop was interrupted
            }
            insert(&mut unit, &next, action).await?;
            tracing::warn!(alert = %next.name, finding = %one.finding, "alert opened");
        } else if let Some(seen) = &current {
            save(&mut unit, seen, &next, action).await?;
            if action == "close" {
                tracing::info!(alert = %next.name, "alert closed");
            }
        }
        current = Some(Stored::read(unit.get(Alert::KIND, &next.name).await?)?);
    }
    unit.commit(&[]).await?;
    Ok(())
}
