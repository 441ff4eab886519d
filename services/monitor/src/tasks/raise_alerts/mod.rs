//! `raise-alerts`: judges every window that is over by the rules of §9.1 and moves the alerts. A subject that cannot be
//! judged now does not hold up the others.

mod labelled;
mod machines;
mod requests;
mod volume;

use lifecycle::alert::Metric;
use lifecycle::policy::Policy;
use lifecycle::policy::monitoring::AlertRule;
use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use crate::convert::alert::rule_word;
use crate::metrics::RuleLabel;
use crate::rules::alerts::cursor_of;
use crate::store::alerts::{AlertKey, Judged, apply, open_alerts};
use crate::store::cursors::{self, Moved};
use crate::store::{labels, windows as rows};
use crate::windows::join::Joined;
use crate::windows::{Scope, floor};
use crate::{Error, Monitor};

const TASK: &str = "raise-alerts";

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
                for (scope, span) in due(monitor, rule, &observed, &back).await? {
                    go_on(requests::judge(monitor, rule, scope, span).await, rule, &scope.version);
                }
            }
            Metric::Disparity => {
                for (scope, span) in due(monitor, rule, &groups, &back).await? {
                    go_on(requests::disparity(monitor, rule, scope, span).await, rule, &scope.version);
                }
            }
            Metric::Accuracy | Metric::HallucinationRate => {
                for (scope, span) in due(monitor, rule, &labelled, &back).await? {
                    go_on(labelled::quality(monitor, rule, scope, span).await, rule, &scope.version);
                }
            }
            Metric::GpuUtilization | Metric::OomEvents => {
                go_on(machines::judge(monitor, rule, &back).await, rule, "hosts");
            }
            Metric::VolumeDrop => go_on(volume::judge(monitor, rule, &back).await, rule, "deployments"),
        }
    }
    count_open(monitor).await
}

fn go_on(judged: Result<(), Error>, rule: &AlertRule, about: &str) {
    if let Err(error) = judged {
        tracing::warn!(rule = %rule.metric, about, %error, "windows could not be judged, will retry");
    }
}

/// Versions of which something is over that a rule has not judged yet.
async fn due<'a>(
    monitor: &Monitor,
    rule: &AlertRule,
    scopes: impl IntoIterator<Item = &'a Scope>,
    back: &Back,
) -> Result<Vec<(&'a Scope, Span)>, Error> {
    let mut due = Vec::new();
    for scope in scopes {
        let subject = [scope.deployment.as_str(), scope.version.as_str()];
        due.extend(Span::of(monitor, rule, &subject, back).await?.map(|span| (scope, span)));
    }
    Ok(due)
}

/// How far the loop looks back: to where it stood, at most as long as it waits for windows to have enough samples.
struct Back {
    from: SystemTime,
    now: SystemTime,
}

impl Back {
    fn of(monitor: &Monitor, policy: &Policy) -> Self {
        let now = monitor.now();
        let longest = policy.monitoring.alerts.iter().map(|rule| rule.window.get()).max().unwrap_or_default();
        // A monitor that was down for a day judges that day when it is back.
        let reach = (longest * 2).max(Duration::from_hours(24)) + monitor.lag();
        Self { from: now.checked_sub(reach).unwrap_or(SystemTime::UNIX_EPOCH), now }
    }
}

/// What a rule has not judged yet of a subject.
struct Span {
    name: String,
    stood: Option<SystemTime>,
    from: SystemTime,
    to: SystemTime,
}

impl Span {
    /// `None` if nothing new is over.
    async fn of(
        monitor: &Monitor,
        rule: &AlertRule,
        subject: &[&str],
        back: &Back,
    ) -> Result<Option<Self>, Error> {
        let name = cursor_of(rule.metric, subject);
        let stood = cursors::cursor(monitor.db().connection(), &name).await?;
        let from = stood.unwrap_or(back.from).max(floor(back.from, rule.window.get()));
        let to = monitor.settled(rule.window.get());
        Ok((from < to).then_some(Self { name, stood, from, to }))
    }

    /// The cursor after everything in the span was judged.
    fn judged(self) -> Moved {
        Moved { name: self.name, stood: self.stood, to: self.to }
    }

    /// The cursor after windows were joined: what is still too few is read again together with what follows it.
    fn joined<T>(self, joined: &Joined<T>) -> Moved {
        let to = joined.rest.as_ref().map_or(self.to, |rest| rest.start);
        Moved { name: self.name, stood: self.stood, to }
    }
}

async fn settle(monitor: &Monitor, key: AlertKey, said: Vec<Judged>, moved: &Moved) -> Result<(), Error> {
    apply(monitor, TASK, &[(key, said)], moved).await
}

fn key(rule: &AlertRule, scope: &Scope) -> AlertKey {
    AlertKey {
        rule: rule_word(rule.metric),
        deployment: scope.deployment.clone(),
        version: scope.version.clone(),
        host: String::new(),
    }
}

async fn count_open(monitor: &Monitor) -> Result<(), Error> {
    let gauge = &monitor.metrics().alerts_open;
    gauge.clear();
    for alert in open_alerts(monitor.records()).await? {
        gauge.get_or_create(&RuleLabel { rule: alert.rule }).inc();
    }
    Ok(())
}
