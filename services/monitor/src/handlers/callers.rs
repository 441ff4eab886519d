//! Who still calls a version, by identity (§10.3 step 2).

use contracts::monitor::v1::{ListCallersRequest, ListCallersResponse, VersionCaller};
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use crate::parse::version_in;
use crate::store::windows as rows;
use crate::windows::Window;
use crate::{Error, Monitor, convert};

/// How far a request without a time looks back.
const DAY: Duration = Duration::from_hours(24);

impl Monitor {
    /// Callers over the windows since a time, those with the most requests first.
    pub(crate) async fn callers_of(&self, request: ListCallersRequest) -> Result<ListCallersResponse, Error> {
        let (version, deployment) = version_in(&request.version, &request.deployment, |fields| {
            fields.optional_time("after_time", request.after_time.as_ref());
        })?;
        let after = request.after_time.as_ref().and_then(contracts::time::from_wire);
        let after = after.unwrap_or_else(|| self.now().checked_sub(DAY).unwrap_or(SystemTime::UNIX_EPOCH));
        let windows = rows::of_version(self.db().connection(), (&version, &deployment), after).await?;
        Ok(ListCallersResponse {
            callers: callers(&windows),
            requests: windows.iter().map(|window| window.seen.requests).sum(),
            after_time: convert::wire_time(after),
        })
    }
}

fn callers(windows: &[Window]) -> Vec<VersionCaller> {
    let mut sums: BTreeMap<&str, (u64, SystemTime)> = BTreeMap::new();
    for window in windows {
        for one in window.seen.callers.iter().filter(|one| one.requests > 0) {
            let sum = sums.entry(&one.principal).or_insert((0, SystemTime::UNIX_EPOCH));
            *sum = (sum.0.saturating_add(one.requests), sum.1.max(window.end()));
        }
    }
    let mut all: Vec<VersionCaller> = sums
        .into_iter()
        .map(|(principal, (requests, last))| VersionCaller {
            principal: principal.to_owned(),
            requests,
            last_time: convert::wire_time(last),
        })
        .collect();
    all.sort_by(|a, b| b.requests.cmp(&a.requests).then_with(|| a.principal.cmp(&b.principal)));
    all
}
