//! Rules about labels that became known: accuracy, hallucination, and disparity where the gateway sees no groups.

use lifecycle::policy::monitoring::AlertRule;

use super::{Span, key, settle};
use crate::rules::alerts::{by_window, judged};
use crate::rules::labelled::measure;
use crate::rules::reference;
use crate::store::labels::{self, Labels};
use crate::windows::Scope;
use crate::windows::join::{Stretch, join};
use crate::{Error, Monitor};

/// Judges a version's labels, joined until the rule has enough of them.
pub(super) async fn quality(
    monitor: &Monitor,
    rule: &AlertRule,
    scope: &Scope,
    span: Span,
) -> Result<(), Error> {
    say(monitor, rule, scope, span, &[]).await
}

/// The groups of labelled rows, by whether their prediction is favourable to the person concerned.
pub(super) async fn disparity(
    monitor: &Monitor,
    rule: &AlertRule,
    scope: &Scope,
    span: Span,
) -> Result<(), Error> {
    let known = labels::between(monitor.db().connection(), scope, span.from, span.to).await?;
    let favourable = if known.iter().any(|(_, labels)| !labels.groups.is_empty()) {
        reference::favourable(monitor, &scope.version).await?
    } else {
        Vec::new()
    };
    say(monitor, rule, scope, span, &favourable).await
}

async fn say(
    monitor: &Monitor,
    rule: &AlertRule,
    scope: &Scope,
    span: Span,
    favourable: &[String],
) -> Result<(), Error> {
    let known = labels::between(monitor.db().connection(), scope, span.from, span.to).await?;
    let windows = by_window(known, rule.window.get(), add)?;
    let joined = join(windows, add, |all| measure(rule, all, favourable).1 >= rule.min_samples)?;
    let one = |window: &Stretch<Labels>| {
        let (value, samples) = measure(rule, &window.seen, favourable);
        judged(rule, value, samples, window.end, &scope.version)
    };
    let said = joined.enough.iter().map(one).collect();
    settle(monitor, key(rule, scope), said, &span.joined(&joined)).await
}

#[allow(clippy::unnecessary_wraps)] // other things that are joined may contradict each other
fn add(all: &mut Labels, later: &Labels) -> Result<(), Error> {
    all.merge(later);
    Ok(())
}
