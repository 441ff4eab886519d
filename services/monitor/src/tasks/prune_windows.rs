//! `prune-windows`: deletes what is older than it is kept, and forgets answers to old requests.

use std::time::{Duration, SystemTime};

use crate::store::{hosts, labels, windows};
use crate::{Error, Monitor};

const DAY: Duration = Duration::from_hours(24);
const WEEK: Duration = Duration::from_hours(7 * 24);

/// Prunes once. Counters stay for as long as the error budget and the volume baseline look back.
///
/// # Errors
/// Of the database.
pub async fn run_once(monitor: &Monitor) -> Result<(), Error> {
    let (now, policy, keep) = (monitor.now(), monitor.policy(), &monitor.config().windows);
    let budget = policy.monitoring.service_levels.period.value.get();
    let baseline = WEEK * (keep.baseline_weeks + 1);
    let counters =
        (DAY * u32::try_from(keep.keep_days).unwrap_or(u32::MAX / 86_400)).max(budget + DAY).max(baseline);
    let profiles = profiles_kept(monitor);
    let before = |age: Duration| now.checked_sub(age).unwrap_or(SystemTime::UNIX_EPOCH);
    let connection = monitor.db().connection();
    let gone = windows::prune(connection, before(counters), before(profiles)).await?
        + labels::prune(connection, before(counters)).await?
        + hosts::prune(connection, before(profiles)).await?;
    monitor.records().forget_answers(before(counters)).await?;
    if gone > 0 {
        tracing::info!(gone, "old windows were deleted");
    }
    monitor.metrics().windows.set(windows::count(connection).await?.cast_signed());
    Ok(())
}

/// How long histograms are kept; observations older than this are refused.
pub fn profiles_kept(monitor: &Monitor) -> Duration {
    DAY * u32::try_from(monitor.config().windows.keep_profiles_days).unwrap_or(u32::MAX / 86_400)
}
