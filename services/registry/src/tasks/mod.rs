//! Background work, one file for each loop.

mod reap_training_runs;

use crate::{Error, Registry};
use runtime::{Readiness, Tasks};
use std::time::Duration;

/// How often silent training runs are looked for, in virtual time.
const REAP_PERIOD: Duration = Duration::from_mins(1);

/// How often the database is asked whether it is there.
const WATCH_PERIOD: Duration = Duration::from_secs(5);

/// Hands every loop to the supervisor; they run from [`Tasks::start`] on.
pub fn start(tasks: &Tasks, registry: &Registry, readiness: &Readiness) {
    let (watched, told) = (registry.clone(), readiness.clone());
    tasks.every("watch-database", WATCH_PERIOD, move || {
        let (registry, readiness) = (watched.clone(), told.clone());
        async move {
            let answer = registry.records().database().ping().await;
            readiness.set("database", answer.is_ok());
            answer.map_err(Error::from)
        }
    });
    let reaper = registry.clone();
    tasks.every("reap-training-runs", REAP_PERIOD, move || reap_training_runs::run_once(reaper.clone()));
}
