//! Rules about hosts: GPU utilisation, out-of-memory events.

use lifecycle::policy::monitoring::AlertRule;

use super::{Back, Span, settle};
use crate::convert::alert::rule_word;
use crate::rules::machines;
use crate::store::alerts::AlertKey;
use crate::store::hosts;
use crate::{Error, Monitor};

/// Judges every host that reported.
pub(super) async fn judge(monitor: &Monitor, rule: &AlertRule, back: &Back) -> Result<(), Error> {
    for (host, deployment) in hosts::hosts(monitor.db().connection(), back.from).await? {
        let Some(span) = Span::of(monitor, rule, &[&host, &deployment], back).await? else {
            continue;
        };
        let seen =
            hosts::between(monitor.db().connection(), (&host, &deployment), span.from, span.to).await?;
        let said = machines::judge(rule, &host, &seen)?;
        let key = AlertKey { rule: rule_word(rule.metric), deployment, version: String::new(), host };
        settle(monitor, key, said, &span.judged()).await?;
    }
    Ok(())
}
