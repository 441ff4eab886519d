//! `raise-alerts`: judges every window that is over by the rules of §9.1 and moves the alerts.

use lifecycle::alert::{Metric, volume_baseline, volume_drop};
use lifecycle::policy::Policy;
use lifecycle::policy::monitoring::AlertRule;
use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use crate::convert::alert::rule_word;
use crate::metrics::RuleLabel;
use crate::rules::alerts::{by_window, judged};
use crate::rules::reference;
use crate::store::alerts::{AlertKey, Judged, apply, open_alerts};
use crate::store::{cursors, hosts, labels, volumes, windows as rows};
use crate::windows::health::{largest_gap, measure};
use crate::windows::{Scope, floor, merge};
use crate::{Error, Monitor};
use contracts::monitor::v1::VersionObservation;

const TASK: &str = "raise-alerts";
const WEEK: Duration = Duration::from_secs(7 * 86_400);

/// Judges what is over and was not judged yet.
///
/// # Errors
/// Of the database.
pub async fn run_once(monitor: &Monitor) -> Result<(), Error> {
    let policy = monitor.policy();
    let back = Back::of(monitor, &policy);
    let observed = rows::scopes(monitor.db().connection(), back.from).await?;
    let labelled = labels::scopes(monitor.db().connection(), back.from).await?;
    let groups: BTreeSet<Scope> = observed.iter().chain(&labelled).cloned().collect();
    for rule in &policy.monitoring.alerts {
        match rule.metric {
            Metric::LatencyP95 | Metric::ErrorRate => {
                for scope in &observed {
                    requests(monitor, rule, scope, &back).await?;
                }
            }
            Metric::Disparity => {
                for scope in &groups {
                    disparity(monitor, rule, scope, &back).await?;
                }
            }
            Metric::Accuracy | Metric::HallucinationRate => {
                for scope in &labelled {
                    quality(monitor, rule, scope, &back).await?;
                }
            }
            Metric::GpuUtilization | Metric::OomEvents => resources(monitor, rule, &back).await?,
            Metric::VolumeDrop => volume(monitor, rule, &back).await?,
        }
    }
    count_open(monitor).await
}

/// How far the loop looks back: to where it stood, at most as long as histograms are kept.
struct Back {
    from: SystemTime,
    now: SystemTime,
    lag: Duration,
}

impl Back {
    fn of(monitor: &Monitor, policy: &Policy) -> Self {
        let now = monitor.now();
        let longest = policy.monitoring.alerts.iter().map(|rule| rule.window.get()).max().unwrap_or_default();
        // A monitor that was down for a day judges that day when it is back.
        let reach = (longest * 2).max(Duration::from_secs(86_400)) + monitor.lag();
        Self { from: now.checked_sub(reach).unwrap_or(SystemTime::UNIX_EPOCH), now, lag: monitor.lag() }
    }

    /// The end of the last window of this length that is over.
    fn through(&self, length: Duration) -> SystemTime {
        floor(self.now.checked_sub(self.lag).unwrap_or(SystemTime::UNIX_EPOCH), length)
    }
}

/// Where a rule stands for a subject, and up to where it may judge now. `None` if nothing new is over.
async fn span(
    monitor: &Monitor,
    rule: &AlertRule,
    subject: &[&str],
    back: &Back,
) -> Result<Option<(String, SystemTime, SystemTime)>, Error> {
    let name = format!("alerts/{}/{}", rule.metric, subject.join("/"));
    let stood = cursors::cursor(monitor.db().connection(), &name).await?;
    let from = stood.unwrap_or(back.from).max(floor(back.from, rule.window.get()));
    let to = back.through(rule.window.get());
    Ok((from < to).then_some((name, from, to)))
}

async fn settle(
    monitor: &Monitor,
    key: AlertKey,
    said: &[Judged],
    (cursor, to): (&str, SystemTime),
) -> Result<(), Error> {
    apply(monitor, TASK, &key, said).await?;
    cursors::move_cursor(monitor.db().connection(), cursor, to).await
}

fn key(rule: &AlertRule, scope: &Scope) -> AlertKey {
    AlertKey {
        rule: rule_word(rule.metric),
        deployment: scope.deployment.clone(),
        version: scope.version.clone(),
        host: String::new(),
    }
}

/// Windows of a version over the rule's own length, merged.
async fn merged(
    monitor: &Monitor,
    rule: &AlertRule,
    scope: &Scope,
    (from, to): (SystemTime, SystemTime),
) -> Result<Vec<(SystemTime, VersionObservation)>, Error> {
    let seen = rows::between(monitor.db().connection(), scope, from, to).await?;
    let seen = seen.into_iter().map(|window| (window.start, window.seen)).collect();
    by_window(seen, rule.window.get())
        .into_iter()
        .map(|(start, parts)| {
            let mut all = VersionObservation::default();
            for part in &parts {
                merge::counters(&mut all, part)?;
            }
            Ok((start, all))
        })
        .collect()
}

async fn requests(monitor: &Monitor, rule: &AlertRule, scope: &Scope, back: &Back) -> Result<(), Error> {
    let Some((cursor, from, to)) = span(monitor, rule, &[&scope.deployment, &scope.version], back).await?
    else {
        return Ok(());
    };
    let said: Vec<Judged> = merged(monitor, rule, scope, (from, to))
        .await?
        .into_iter()
        .map(|(start, seen)| {
            let measured = measure(rule.metric, &seen);
            judged(rule, measured.value, measured.samples, start + rule.window.get(), &scope.version)
        })
        .collect();
    settle(monitor, key(rule, scope), &said, (&cursor, to)).await
}

/// From the groups that the gateway saw; where it sees none, from the groups of labelled rows.
async fn disparity(monitor: &Monitor, rule: &AlertRule, scope: &Scope, back: &Back) -> Result<(), Error> {
    let Some((cursor, from, to)) = span(monitor, rule, &[&scope.deployment, &scope.version], back).await?
    else {
        return Ok(());
    };
    let mut said: Vec<Judged> = Vec::new();
    for (start, seen) in merged(monitor, rule, scope, (from, to)).await? {
        if !seen.groups.is_empty() {
            let (value, rows) = crate::windows::health::disparity(&seen);
            said.push(judged(rule, value, rows, start + rule.window.get(), &scope.version));
        }
    }
    if said.is_empty() {
        let known = labels::between(monitor.db().connection(), scope, from, to).await?;
        if known.iter().any(|(_, labels)| !labels.groups.is_empty()) {
            let favourable = reference::fetch(monitor, &scope.version).await?.favourable;
            for (start, parts) in by_window(known, rule.window.get()) {
                let mut all = labels::Labels::default();
                parts.iter().for_each(|part| all.merge(part));
                let groups = all.groups.iter().map(|(group, predictions)| {
                    let good = predictions.iter().filter(|(prediction, _)| favourable.contains(prediction));
                    (group.as_str(), predictions.values().sum(), good.map(|(_, rows)| rows).sum())
                });
                let (value, rows) = largest_gap(groups);
                let value = value.filter(|_| !favourable.is_empty());
                said.push(judged(rule, value, rows, start + rule.window.get(), &scope.version));
            }
        }
    }
    settle(monitor, key(rule, scope), &said, (&cursor, to)).await
}

async fn quality(monitor: &Monitor, rule: &AlertRule, scope: &Scope, back: &Back) -> Result<(), Error> {
    let Some((cursor, from, to)) = span(monitor, rule, &[&scope.deployment, &scope.version], back).await?
    else {
        return Ok(());
    };
    let known = labels::between(monitor.db().connection(), scope, from, to).await?;
    let said: Vec<Judged> = by_window(known, rule.window.get())
        .into_iter()
        .map(|(start, parts)| {
            let mut all = labels::Labels::default();
            parts.iter().for_each(|part| all.merge(part));
            let (value, samples) = match rule.metric {
                Metric::HallucinationRate => (all.hallucination(), all.judged),
                _ => (all.accuracy(), all.labelled),
            };
            judged(rule, value, samples, start + rule.window.get(), &scope.version)
        })
        .collect();
    settle(monitor, key(rule, scope), &said, (&cursor, to)).await
}

async fn resources(monitor: &Monitor, rule: &AlertRule, back: &Back) -> Result<(), Error> {
    for (host, deployment) in hosts::hosts(monitor.db().connection(), back.from).await? {
        let Some((cursor, from, to)) = span(monitor, rule, &[&host, &deployment], back).await? else {
            continue;
        };
        let seen = hosts::between(monitor.db().connection(), (&host, &deployment), from, to).await?;
        let seen = seen.into_iter().map(|gauges| (gauges.start, gauges)).collect();
        let said: Vec<Judged> = by_window(seen, rule.window.get())
            .into_iter()
            .map(|(start, parts)| {
                let (value, samples) = match rule.metric {
                    Metric::OomEvents => {
                        let events: u64 = parts.iter().map(|part| part.oom_events).sum();
                        (Some(events as f64), parts.iter().map(|part| part.readings).sum())
                    }
                    _ => {
                        let samples: u64 = parts.iter().map(|part| part.gpu_readings).sum();
                        let sum: f64 =
                            parts.iter().filter_map(|part| Some(part.gpu? * part.gpu_readings as f64)).sum();
                        ((samples > 0).then(|| sum / samples as f64), samples)
                    }
                };
                judged(rule, value, samples, start + rule.window.get(), &format!("host {host}"))
            })
            .collect();
        let key = AlertKey {
            rule: rule_word(rule.metric),
            deployment: deployment.clone(),
            version: String::new(),
            host: host.clone(),
        };
        settle(monitor, key, &said, (&cursor, to)).await?;
    }
    Ok(())
}

/// Requests of each full window against the same window of earlier weeks. A deployment that fell silent has no windows:
/// those that had some a week ago are looked at as well.
async fn volume(monitor: &Monitor, rule: &AlertRule, back: &Back) -> Result<(), Error> {
    let (length, connection) = (rule.window.get(), monitor.db().connection());
    let weeks = monitor.config().windows.baseline_weeks;
    let oldest = back.from.checked_sub(WEEK * weeks).unwrap_or(SystemTime::UNIX_EPOCH);
    for deployment in volumes::deployments(connection, oldest, back.now).await? {
        let Some((cursor, from, to)) = span(monitor, rule, &[&deployment], back).await? else { continue };
        let (mut said, mut start) = (Vec::new(), floor(from, length));
        while start + length <= to {
            let mut before = Vec::new();
            for week in 1..=weeks {
                let Some(then) = start.checked_sub(WEEK * week) else { break };
                let requests = volumes::requests(connection, &deployment, then, then + length).await?;
                // A week without a single request is a week before the deployment was there.
                if requests > 0 {
                    before.push(requests);
                }
            }
            if !before.is_empty() {
                let now = volumes::requests(connection, &deployment, start, start + length).await?;
                let baseline = volume_baseline(&before).unwrap_or_default() as u64;
                said.push(judged(rule, volume_drop(now, &before), baseline, start + length, &deployment));
            }
            start += length;
        }
        let key = AlertKey {
            rule: rule_word(rule.metric),
            deployment: deployment.clone(),
            version: String::new(),
            host: String::new(),
        };
        settle(monitor, key, &said, (&cursor, to)).await?;
    }
    Ok(())
}

async fn count_open(monitor: &Monitor) -> Result<(), Error> {
    let gauge = &monitor.metrics().alerts_open;
    gauge.clear();
    for alert in open_alerts(monitor.records()).await? {
        gauge.get_or_create(&RuleLabel { rule: alert.rule }).inc();
    }
    Ok(())
}
