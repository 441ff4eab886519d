//! What each deployment promises (§4.1): the policy, and the plan behind it where that is stricter, as it was last known.

use contracts::monitor::v1::VersionObservation;
use lifecycle::Policy;
use lifecycle::slo::Objective;
use prost::Message as _;
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel,
    QueryFilter, QueryOrder, QuerySelect,
};
use serde::{Deserialize, Serialize};
use storage::Database;

use super::cursors::{keep_changed, kept};
use super::entity::window;
use crate::Error;
use crate::convert::sketch;
use crate::windows::sketch_of;

/// Windows that are counted again in one transaction.
const AT_ONCE: u64 = 200;

/// A plan's promise as it is kept.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Promise {
    latency_ms: f64,
    availability: f64,
}

/// The stricter of the policy's promise and of that of the plan behind a deployment.
///
/// # Errors
/// Of the database.
pub async fn of(
    connection: &impl ConnectionTrait,
    deployment: &str,
    policy: &Policy,
) -> Result<Objective, Error> {
    let floor = Objective::of(&policy.monitoring.service_levels);
    let Some(bytes) = kept(connection, &format!("promise/{deployment}")).await? else { return Ok(floor) };
    let Promise { latency_ms, availability } = serde_json::from_slice(&bytes)?;
    Ok(floor.stricter(Objective { latency_ms, availability, ..floor }))
}

/// Keeps what the plan behind a deployment promises.
///
/// # Errors
/// Of the database.
pub async fn keep(
    connection: &impl ConnectionTrait,
    deployment: &str,
    planned: &Objective,
) -> Result<(), Error> {
    let promise = Promise { latency_ms: planned.latency_ms, availability: planned.availability };
    keep_changed(connection, &format!("promise/{deployment}"), serde_json::to_vec(&promise)?).await
}

/// Counts the fast answers of a deployment's windows again where they were counted by another promise.
///
/// # Errors
/// Of the database; what is left is counted the next time.
pub async fn recount(db: &Database, deployment: &str, objective: &Objective) -> Result<(), Error> {
    let name = format!("counted-by/{deployment}");
    let by = serde_json::to_vec(&objective.latency_ms)?;
    if kept(db.connection(), &name).await?.as_ref() == Some(&by) {
        return Ok(());
    }
    let mut after = i64::MIN;
    loop {
        let starts: Vec<(i64, String)> = window::Entity::find()
            .select_only()
            .column(window::Column::Start)
            .column(window::Column::Version)
            .filter(window::Column::Deployment.eq(deployment))
            .filter(window::Column::Start.gt(after))
            .order_by_asc(window::Column::Start)
            .limit(AT_ONCE)
            .into_tuple()
            .all(db.connection())
            .await?;
        let Some((newest, _)) = starts.last() else { break };
        // The last start may have more versions than fit: all of them are found by it.
        after = *newest;
        let mut starts: Vec<i64> = starts.into_iter().map(|(start, _)| start).collect();
        starts.dedup();
        let tx = db.begin_write().await?;
        let rows = window::Entity::find()
            .filter(window::Column::Deployment.eq(deployment))
            .filter(window::Column::Start.is_in(starts))
            .order_by_asc(window::Column::Start)
            .order_by_asc(window::Column::Version)
            .lock_exclusive()
            .all(tx.connection())
            .await?;
        for row in rows {
            let seen = VersionObservation::decode(row.body.as_slice())?;
            let fast = sketch_of(&seen).map_or(0, |all| sketch::good(&all, objective)).cast_signed();
            if row.fast != fast {
                let mut row = row.into_active_model();
                row.fast = Set(fast);
                row.update(tx.connection()).await?;
            }
        }
        tx.commit().await?;
    }
    keep_changed(db.connection(), &name, by).await
}
