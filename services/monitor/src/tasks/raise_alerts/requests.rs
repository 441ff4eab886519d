//! Rules about the requests of a version: latency, errors, disparity.

use contracts::monitor::v1::VersionObservation;
use lifecycle::policy::monitoring::AlertRule;

use super::{Span, key, labelled, settle};
use crate::rules::alerts::{by_window, judged};
use crate::store::windows as rows;
use crate::windows::health::{by_rule, measure};
use crate::windows::join::{Joined, Stretch};
use crate::windows::{Scope, merge};
use crate::{Error, Monitor};

/// Judges a version's windows, joined until the rule has enough samples.
pub(super) async fn judge(
    monitor: &Monitor,
    rule: &AlertRule,
    scope: &Scope,
    span: Span,
) -> Result<(), Error> {
    let joined = by_rule(rule, merged(monitor, rule, scope, &span).await?)?;
    say(monitor, rule, scope, span, &joined).await
}

/// From the groups that the gateway saw; where it sees none, from the groups of labelled rows.
pub(super) async fn disparity(
    monitor: &Monitor,
    rule: &AlertRule,
    scope: &Scope,
    span: Span,
) -> Result<(), Error> {
    let seen = merged(monitor, rule, scope, &span).await?;
    if seen.iter().all(|window| window.seen.groups.is_empty()) {
        return labelled::disparity(monitor, rule, scope, span).await;
    }
    say(monitor, rule, scope, span, &by_rule(rule, seen)?).await
}

async fn say(
    monitor: &Monitor,
    rule: &AlertRule,
    scope: &Scope,
    span: Span,
    joined: &Joined<VersionObservation>,
) -> Result<(), Error> {
    let one = |window: &Stretch<VersionObservation>| {
        let measured = measure(rule, &window.seen);
        judged(rule, measured.value, measured.samples, window.end, &scope.version)
    };
    let said = joined.enough.iter().map(one).collect();
    settle(monitor, key(rule, scope), said, &span.joined(joined)).await
}

/// Windows of a version over the rule's own length, merged.
async fn merged(
    monitor: &Monitor,
    rule: &AlertRule,
    scope: &Scope,
    span: &Span,
) -> Result<Vec<Stretch<VersionObservation>>, Error> {
    let seen = rows::between(monitor.db().connection(), scope, span.from, span.to).await?;
    let seen = seen.into_iter().map(|window| (window.start, window.seen)).collect();
    by_window(seen, rule.window.get(), merge::counters)
}
