//! Background work, one file for each loop. Each `run_once` is a plain function: tests call it by hand. A loop that
//! cannot reach the registry warns and comes again; observations are taken all the same.

pub mod assess_drift;
pub mod follow_plans;
pub mod judge_canaries;
pub mod keep_duties;
pub mod prune_windows;
pub mod raise_alerts;
pub mod record_days;
pub mod refresh_policy;
pub mod watch_clocks;
pub mod watch_production;

use runtime::Tasks;
use std::time::Duration;

use crate::Monitor;

/// Hands every loop to the supervisor; they run from [`Tasks::start`] on. Periods are real time: a faster clock makes no
/// loop come more often.
pub fn start(tasks: &Tasks, monitor: &Monitor) {
    let periods = monitor.config().tasks.clone();
    macro_rules! every {
        ($name:literal, $period:expr, $module:ident) => {
            let (held, real_ms) = (monitor.clone(), $period);
            tasks.every_real($name, Duration::from_millis(real_ms), move || {
                let monitor = held.clone();
                async move {
                    let worker = monitor.clone();
                    monitor
                        .alone($name, real_ms, move || async move { $module::run_once(&worker).await })
                        .await
                }
            });
        };
    }
    // Every monitor keeps its own copy of the policy in mind: this loop is not held by one.
    let (held, period) = (monitor.clone(), Duration::from_millis(periods.refresh_policy_ms));
    tasks.every_real("refresh-policy", period, move || {
        let monitor = held.clone();
        async move { refresh_policy::run_once(&monitor).await }
    });
    every!("raise-alerts", periods.raise_alerts_ms, raise_alerts);
    every!("judge-canaries", periods.judge_canaries_ms, judge_canaries);
    every!("watch-production", periods.judge_canaries_ms, watch_production);
    every!("assess-drift", periods.assess_drift_ms, assess_drift);
    every!("follow-plans", periods.refresh_policy_ms, follow_plans);
    every!("record-days", periods.watch_clocks_ms, record_days);
    every!("watch-clocks", periods.watch_clocks_ms, watch_clocks);
    every!("prune-windows", periods.prune_windows_ms, prune_windows);
}
