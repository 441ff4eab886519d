//! Alerts as records: one that is open for each subject and rule, moved by what each window says.

use contracts::common::v1::Measurement;
use contracts::monitor::v1::Alert;
use lifecycle::alert::{self, Alert as Life, Judgement};
use std::time::{SystemTime, UNIX_EPOCH};
use storage::{Query, Records, Unit};

use super::cursors::{self, Moved};
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
        let seconds = at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        format!("{}{seconds}", self.prefix())
    }

    /// What the names of all alerts about the same begin with.
    fn prefix(&self) -> String {
        let subject = derived_id(&[&self.deployment, &self.version, &self.host]);
        format!("alerts/{}-{}-", self.rule.replace('_', "-"), &subject[..10])
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

/// Takes what the windows of each subject said, in order of time: opens, keeps and closes its alert, and moves the cursor in
/// the same transaction. Nothing is written if the cursor was moved meanwhile: the loop comes again.
///
/// # Errors
/// Of the database.
pub async fn apply(
    monitor: &Monitor,
    task: &'static str,
    said: &[(AlertKey, Vec<Judged>)],
    moved: &Moved,
) -> Result<(), Error> {
    let open = open_alerts(monitor.records()).await?;
    let matters = |(key, said): &(AlertKey, Vec<Judged>)| {
        let fires = said.iter().any(|one| one.judgement == Judgement::Firing);
        fires || (!said.is_empty() && open.iter().any(|alert| key.is_of(alert)))
    };
    if !said.iter().any(matters) {
        if moved.stood != Some(moved.to) {
            cursors::advance(monitor.db().connection(), moved).await?;
        }
        return Ok(());
    }
    let quiet_windows = monitor.policy().monitoring.quiet_windows.value;
    let mut unit = monitor.act(task, "").await?;
    let mark = cursors::mark(unit.connection(), &moved.name).await?;
    for (key, said) in said {
        take(&mut unit, key, said, mark, quiet_windows).await?;
    }
    if cursors::advance(unit.connection(), moved).await? {
        unit.commit(&[]).await?;
    } else {
        tracing::debug!(cursor = %moved.name, "observations came meanwhile, will judge again");
    }
    Ok(())
}

async fn take(
    unit: &mut Unit,
    key: &AlertKey,
    said: &[Judged],
    mark: Option<SystemTime>,
    quiet_windows: u32,
) -> Result<(), Error> {
    let mut current = current(unit, key).await?;
    // Windows that are judged again say nothing new of an alert that is open; one that opens now counts those after it.
    let mut counted = mark;
    for one in said {
        let before = current.as_ref().map(|alert| life(alert));
        let running = before.as_ref().is_some_and(|life| !matches!(life, Life::Closed { .. }));
        if running && counted.is_some_and(|mark| one.at <= mark) {
            continue;
        }
        let Some(after) = alert::step(before.clone(), one.judgement, one.at, quiet_windows) else { continue };
        if before.as_ref() == Some(&after) {
            continue;
        }
        let mut next =
            if running { current.as_deref().cloned().unwrap_or_default() } else { Alert::default() };
        set_life(&mut next, &after);
        if one.judgement == Judgement::Firing {
            next.finding = Some(convert::finding(&one.finding));
            next.measurements.clone_from(&one.measurements);
        }
        if !running {
            if was_open(unit, key, one.at).await? {
                continue;
            }
            (next.name, next.rule) = (key.name(one.at), key.rule.to_owned());
            next.deployment.clone_from(&key.deployment);
            next.version.clone_from(&key.version);
            next.host.clone_from(&key.host);
            counted = Some(one.at);
            insert(unit, &next, "open").await?;
            tracing::warn!(alert = %next.name, finding = %one.finding, "alert opened");
        } else if let Some(seen) = &current {
            let closes = matches!(after, Life::Closed { .. });
            save(unit, seen, &next, if closes { "close" } else { "watch" }).await?;
            if closes {
                tracing::info!(alert = %next.name, "alert closed");
            }
        }
        current = Some(Stored::read(unit.get(Alert::KIND, &next.name).await?)?);
    }
    Ok(())
}

/// The open alert of a subject.
async fn current(unit: &Unit, key: &AlertKey) -> Result<Option<Stored<Alert>>, Error> {
    let mut query = open_query();
    loop {
        let page = unit.list(&query).await?;
        let Some(last) = page.last() else { return Ok(None) };
        query = query.after(last.name.clone());
        for record in page {
            let alert = Stored::<Alert>::read(record)?;
            if key.is_of(&alert) {
                return Ok(Some(alert));
            }
        }
    }
}

/// Whether an alert of this subject was open at that time: a window that is judged again opens no second one.
async fn was_open(unit: &Unit, key: &AlertKey, at: SystemTime) -> Result<bool, Error> {
    let prefix = key.prefix();
    let mut query = Query::kind(Alert::KIND).after(prefix.clone());
    loop {
        let page = unit.list(&query).await?;
        let Some(last) = page.last() else { return Ok(false) };
        query = query.after(last.name.clone());
        for record in page {
            if !record.name.starts_with(&prefix) {
                return Ok(false);
            }
            let alert = Stored::<Alert>::read(record)?;
            let since = convert::time(alert.open_time.as_ref());
            let over = match life(&alert) {
                Life::Closed { at, .. } => Some(at),
                Life::Open { .. } | Life::Acknowledged { .. } => None,
            };
            if key.is_of(&alert) && since <= at && over.is_none_or(|over| at <= over) {
                return Ok(true);
            }
        }
    }
}

/// Closes open alerts that no window will ever find quiet, and writes down why.
///
/// # Errors
/// Of the database.
pub async fn close(
    monitor: &Monitor,
    task: &'static str,
    why: &str,
    gone: impl Fn(&Alert) -> bool,
) -> Result<(), Error> {
    let open = open_alerts(monitor.records()).await?;
    for alert in open.into_iter().filter(gone) {
        let mut unit = monitor.act(task, why).await?;
        let seen = super::open::<Alert>(&unit, &alert.name, "").await?;
        let since = match life(&seen) {
            Life::Closed { .. } => continue,
            Life::Open { since, .. } | Life::Acknowledged { since, .. } => since,
        };
        let mut next = (*seen).clone();
        set_life(&mut next, &Life::Closed { since, at: monitor.now() });
        why.clone_into(&mut next.close_reason);
        save(&mut unit, &seen, &next, "close").await?;
        unit.commit(&[]).await?;
        tracing::info!(alert = %alert.name, why, "alert closed");
    }
    Ok(())
}
