//! Rules about hosts: GPU utilisation, out-of-memory events.

use lifecycle::alert::Metric;
use lifecycle::policy::monitoring::AlertRule;

use super::{Back, Span, settle};
use crate::convert::alert::rule_word;
use crate::rules::alerts::{by_window, judged};
use crate::store::alerts::AlertKey;
use crate::store::hosts::{self, Gauges};
use crate::windows::join::Stretch;
use crate::{Error, Monitor};

/// Judges every host that reported.
pub(super) async fn judge(monitor: &Monitor, rule: &AlertRule, back: &Back) -> Result<(), Error> {
    for (host, deployment) in hosts::hosts(monitor.db().connection(), back.from).await? {
        let Some(span) = Span::of(monitor, rule, &[&host, &deployment], back).await? else {
            continue;
        };
        let seen =
            hosts::between(monitor.db().connection(), (&host, &deployment), span.from, span.to).await?;
        let seen = seen.into_iter().map(|gauges| (gauges.start, vec![gauges])).collect();
        let windows = by_window(seen, rule.window.get(), |all, more| {
            all.extend_from_slice(more);
            Ok(())
        })?;
        let one = |window: &Stretch<Vec<Gauges>>| {
            let (value, samples) = measure(rule.metric, &window.seen);
            judged(rule, value, samples, window.end, &format!("host {host}"))
        };
        let said = windows.iter().map(one).collect();
        let key =
            AlertKey { rule: rule_word(rule.metric), deployment, version: String::new(), host: host.clone() };
        settle(monitor, key, said, &span.judged()).await?;
    }
    Ok(())
}

fn measure(metric: Metric, parts: &[Gauges]) -> (Option<f64>, u64) {
    if metric == Metric::OomEvents {
        let events: u64 = parts.iter().map(|part| part.oom_events).sum();
        return (Some(events as f64), parts.iter().map(|part| part.readings).sum());
    }
    let samples: u64 = parts.iter().map(|part| part.gpu_readings).sum();
    let sum: f64 = parts.iter().filter_map(|part| Some(part.gpu? * part.gpu_readings as f64)).sum();
    ((samples > 0).then(|| sum / samples as f64), samples)
}
