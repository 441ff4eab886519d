//! Background work, one file for each loop.

mod reap_training_runs;

use crate::Registry;
use runtime::Tasks;
use std::time::Duration;

/// How often silent training runs are looked for, in virtual time.
const REAP_PERIOD: Duration = Duration::from_secs(60);

/// Hands every loop to the supervisor; they run from [`Tasks::start`] on.
pub fn start(tasks: &Tasks, registry: &Registry) {
    let reaper = registry.clone();
    tasks.every("reap-training-runs", REAP_PERIOD, move || reap_training_runs::run_once(reaper.clone()));
}
