//! `watch-production`: §8.3 does not end with the ladder. A version in production that exceeds a row gets the incident that
//! the row asks for, with the row's action and time; at most one a day for each version and row.
//!
//! What takes a version off traffic without being asked is the sequential test of its rollout (reading 5), which ends with
//! the ladder: here people decide.

use contracts::registry::v1::Deployment;
use lifecycle::Finding;
use lifecycle::alert::Metric;
use lifecycle::policy::Policy;
use lifecycle::policy::rollout::TriggerPolicy;
use std::time::SystemTime;

use crate::monitor::derived_id;
use crate::rules::alerts::production_cursor;
use crate::store::cursors::{self, Moved};
use crate::store::windows as rows;
use crate::tasks::judge_canaries::open_incident;
use crate::tasks::keep_duties;
use crate::windows::health::{by_rule, measure, trigger};
use crate::windows::join::Stretch;
use crate::windows::{Scope, Window};
use crate::{Error, Monitor};

/// Looks at every version in production once. One that fails does not hold up the others.
///
/// # Errors
/// If the registry cannot be asked which deployments there are.
pub async fn run_once(monitor: &Monitor) -> Result<(), Error> {
    for deployment in keep_duties::deployments(monitor).await? {
        if let Err(error) = watch(monitor, &deployment).await {
            tracing::warn!(deployment = %deployment.name, %error, "production could not be judged, will retry");
        }
    }
    Ok(())
}

async fn watch(monitor: &Monitor, deployment: &Deployment) -> Result<(), Error> {
    let scope = Scope { deployment: deployment.name.clone(), version: deployment.stable_version.clone() };
    let (connection, policy) = (monitor.db().connection(), monitor.policy());
    let name = production_cursor(&scope);
    let to = monitor.settled(monitor.window());
    let Some(stood) = cursors::cursor(connection, &name).await? else {
        // From here on: what it did as a canary was judged on the ladder.
        cursors::advance(connection, &Moved { name, stood: None, to }).await?;
        return Ok(());
    };
    if stood >= to {
        return Ok(());
    }
    let windows = rows::between(connection, &scope, stood, to).await?;
    let (seen, rest) = exceeded(&windows, &policy)?;
    for (row, finding, at) in seen {
        let day = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs() / 86_400;
        let id = derived_id(&[
            "production",
            &scope.deployment,
            &scope.version,
            row.trigger.as_str(),
            &day.to_string(),
        ]);
        open_incident(monitor, &row, &scope.version, &id, &finding).await?;
    }
    // What is too little to judge is read again together with what follows it, for as long as alerts do the same.
    let moved = Moved { name, stood: Some(stood), to: rest.unwrap_or(to) };
    if moved.to != stood {
        cursors::advance(connection, &moved).await?;
    }
    Ok(())
}

/// A row that was exceeded, what was seen, and when.
type Seen = (TriggerPolicy, Finding, SystemTime);

/// Rows of §8.3 that joined windows exceed, and where the windows begin that have too few requests yet.
fn exceeded(windows: &[Window], policy: &Policy) -> Result<(Vec<Seen>, Option<SystemTime>), Error> {
    let (mut seen, mut rest) = (Vec::new(), None::<SystemTime>);
    let rules = policy.monitoring.alerts.iter();
    for rule in rules.filter(|rule| matches!(rule.metric, Metric::ErrorRate | Metric::LatencyP95)) {
        let joined = by_rule(rule, windows.iter().map(Stretch::from))?;
        for one in &joined.enough {
            if let Some(row) = trigger(rule.metric, &one.seen, policy) {
                let measured = measure(rule, &one.seen);
                let observed = format!("{} (n={})", measured.value.unwrap_or(f64::NAN), measured.samples);
                let subject = format!("production {}", row.trigger);
                let finding =
                    Finding::new(row.clause.clone(), subject, format!("<= {}", row.above), observed);
                seen.push((row.clone(), finding, one.end));
            }
        }
        if let Some(open) = joined.rest {
            rest = Some(rest.map_or(open.start, |known| known.min(open.start)));
        }
    }
    Ok((seen, rest))
}
