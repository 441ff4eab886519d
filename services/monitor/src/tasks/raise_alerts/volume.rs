//! The rule about request volume: each full window against the same one of earlier weeks.

use lifecycle::alert::{volume_baseline, volume_drop};
use lifecycle::policy::monitoring::AlertRule;
use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use super::{Back, Span, TASK, settle};
use crate::convert::alert::rule_word;
use crate::rules::alerts::judged;
use crate::store::alerts::{self, AlertKey, Judged};
use crate::store::{cursors, volumes};
use crate::tasks::keep_duties;
use crate::windows::floor;
use crate::{Error, Monitor};

const WEEK: Duration = Duration::from_hours(7 * 24);
/// Where the deployments are kept that served when the registry was last asked.
const SERVING: &str = "serving-deployments";

/// Judges every deployment that serves. One that fell silent has no windows: those that had some in earlier weeks are
/// looked at as well. One that is gone, or whose last version was retired, has no volume to lose.
pub(super) async fn judge(monitor: &Monitor, rule: &AlertRule, back: &Back) -> Result<(), Error> {
    let connection = monitor.db().connection();
    let oldest = back.from.checked_sub(WEEK * weeks(monitor)).unwrap_or(SystemTime::UNIX_EPOCH);
    let mut due = Vec::new();
    for deployment in volumes::deployments(connection, oldest, back.now).await? {
        if let Some(span) = Span::of(monitor, rule, &[&deployment], back).await? {
            due.push((deployment, span));
        }
    }
    if due.is_empty() {
        return Ok(());
    }
    let serving = serving(monitor).await?;
    for (deployment, span) in due.into_iter().filter(|(name, _)| serves(serving.as_ref(), name)) {
        let said = said(monitor, rule, &deployment, &span).await?;
        let key = AlertKey {
            rule: rule_word(rule.metric),
            deployment,
            version: String::new(),
            host: String::new(),
        };
        settle(monitor, key, said, &span.judged()).await?;
    }
    alerts::close(monitor, TASK, "the deployment serves no version any more", |alert| {
        alert.rule == rule_word(rule.metric) && !serves(serving.as_ref(), &alert.deployment)
    })
    .await
}

fn weeks(monitor: &Monitor) -> u32 {
    monitor.config().windows.baseline_weeks
}

fn serves(serving: Option<&BTreeSet<String>>, deployment: &str) -> bool {
    serving.is_none_or(|serving| serving.contains(deployment))
}

async fn said(
    monitor: &Monitor,
    rule: &AlertRule,
    deployment: &str,
    span: &Span,
) -> Result<Vec<Judged>, Error> {
    let (length, connection) = (rule.window.get(), monitor.db().connection());
    let (mut said, mut start) = (Vec::new(), floor(span.from, length));
    while start + length <= span.to {
        let mut before = Vec::new();
        for week in 1..=weeks(monitor) {
            let Some(then) = start.checked_sub(WEEK * week) else { break };
            let requests = volumes::requests(connection, deployment, then, then + length).await?;
            // A week without a single request is a week before the deployment was there.
            if requests > 0 {
                before.push(requests);
            }
        }
        if !before.is_empty() {
            let now = volumes::requests(connection, deployment, start, start + length).await?;
            let baseline = volume_baseline(&before).unwrap_or_default() as u64;
            said.push(judged(rule, volume_drop(now, &before), baseline, start + length, deployment));
        }
        start += length;
    }
    Ok(said)
}

/// Deployments that serve a version, as the registry says; as it last said while it is away. `None` where it never said.
async fn serving(monitor: &Monitor) -> Result<Option<BTreeSet<String>>, Error> {
    let connection = monitor.db().connection();
    match keep_duties::deployments(monitor).await {
        Ok(all) => {
            let names: BTreeSet<String> = all.into_iter().map(|one| one.name).collect();
            cursors::keep(connection, SERVING, serde_json::to_vec(&names)?).await?;
            Ok(Some(names))
        }
        Err(error) => {
            tracing::debug!(%error, "deployments as they were last known");
            let kept = cursors::kept(connection, SERVING).await?;
            kept.map(|bytes| serde_json::from_slice(&bytes)).transpose().map_err(Error::from)
        }
    }
}
