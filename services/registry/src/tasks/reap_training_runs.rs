//! `reap-training-runs`: a run of which nothing was heard for too long is failed, and one without a checkpoint for too long
//! raises its alarm (§6.2).

use crate::handlers::{reap, watch_checkpoints};
use crate::store::{Resource, Stored};
use crate::{Error, Registry, wire::TrainingRun};
use storage::Query;

/// Looks at every running run once.
///
/// # Errors
/// Of the database; a run that changed meanwhile is looked at the next time.
pub async fn run_once(registry: Registry) -> Result<(), Error> {
    let running = Query::kind(TrainingRun::KIND).state("RUNNING");
    for record in registry.records().list_all(&running).await? {
        let run = Stored::<TrainingRun>::read(record)?;
        if let Err(error) = reap(&registry, &run).await {
            tracing::warn!(run = %run.name, %error, "a silent run could not be failed");
            continue;
        }
        if let Err(error) = watch_checkpoints(&registry, &run).await {
            tracing::warn!(run = %run.name, %error, "the checkpoints of a run were not watched");
        }
    }
    Ok(())
}
