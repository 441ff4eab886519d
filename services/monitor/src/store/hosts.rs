//! Gauges of hosts: GPU, memory, out-of-memory events, by window.

use contracts::monitor::v1::ReportResourcesRequest;
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel,
    QueryFilter, QueryOrder, QuerySelect, sea_query::OnConflict,
};
use std::time::SystemTime;
use storage::time::{from_micros, to_micros};
use storage::{Database, Digest};

use super::cursors::{keep, kept};
use super::entity::host;
use super::windows::first_seen;
use crate::Error;

/// One window of one host.
#[derive(Debug, Clone, PartialEq)]
pub struct Gauges {
    /// When the window begins.
    pub start: SystemTime,
    /// Mean share of the GPU in use; `None` where it was not read.
    pub gpu: Option<f64>,
    /// Mean share of the memory in use; `None` where it was not read.
    pub memory: Option<f64>,
    /// Out-of-memory events.
    pub oom_events: u64,
    /// Readings of the GPU.
    pub gpu_readings: u64,
    /// Readings of out-of-memory events.
    pub oom_readings: u64,
}

/// Adds a reading to the window that begins at `start`, once for each request id of a host.
///
/// # Errors
/// [`storage::Error::RequestReused`] if the id stands for another reading; of the database.
pub async fn add(
    db: &Database,
    (start, now): (SystemTime, SystemTime),
    (request_id, digest): (&str, Digest),
    one: &ReportResourcesRequest,
) -> Result<(), Error> {
    let tx = db.begin_write().await?;
    let source = format!("resources/{}", one.host);
    if !request_id.is_empty()
        && !first_seen(tx.connection(), (&source, request_id), digest, true, now).await?
    {
        return Ok(());
    }
    let key = (one.host.clone(), one.deployment.clone(), to_micros(start));
    let empty = host::ActiveModel {
        host: Set(key.0.clone()),
        deployment: Set(key.1.clone()),
        start: Set(key.2),
        gpu_sum: Set(0.0),
        gpu_readings: Set(0),
        memory_sum: Set(0.0),
        memory_readings: Set(0),
        oom_events: Set(0),
        readings: Set(0),
    };
    let nothing = OnConflict::columns([host::Column::Host, host::Column::Deployment, host::Column::Start])
        .do_nothing()
        .to_owned();
    host::Entity::insert(empty).on_conflict(nothing).exec_without_returning(tx.connection()).await?;
    let row = host::Entity::find_by_id(key).lock_exclusive().one(tx.connection()).await?;
    let Some(row) = row else {
        return Err(Error::Damaged("a host window vanished while it was locked".into()));
    };
    let seen = row.clone();
    let mut row = row.into_active_model();
    if let Some(gpu) = one.gpu_utilisation {
        (row.gpu_sum, row.gpu_readings) = (Set(seen.gpu_sum + gpu), Set(seen.gpu_readings + 1));
    }
    if let Some(memory) = one.memory_utilisation {
        (row.memory_sum, row.memory_readings) =
            (Set(seen.memory_sum + memory), Set(seen.memory_readings + 1));
    }
    if let Some(events) = new_events(tx.connection(), one).await? {
        row.oom_events = Set(seen.oom_events.saturating_add_unsigned(events));
        row.readings = Set(seen.readings + 1);
    }
    row.update(tx.connection()).await?;
    Ok(tx.commit().await?)
}

/// Out-of-memory events since the last reading; `None` where nobody could read them. Where the total of a host is told for
/// the first time its count begins, and where it fell the host began anew.
async fn new_events(
    connection: &impl ConnectionTrait,
    one: &ReportResourcesRequest,
) -> Result<Option<u64>, Error> {
    let Some(total) = one.oom_events_total else {
        return Ok((one.oom_events > 0).then_some(one.oom_events)); // of a caller that knows no total
    };
    let name = format!("oom/{}/{}", one.host, one.deployment);
    let known = kept(connection, &name).await?.map(|bytes| serde_json::from_slice(&bytes)).transpose()?;
    if known != Some(total) {
        keep(connection, &name, serde_json::to_vec(&total)?).await?;
    }
    Ok(Some(known.map_or(0, |known: u64| total.checked_sub(known).unwrap_or(total))))
}

/// Hosts (with the deployment that they report for) that reported at or after `from`.
///
/// # Errors
/// Of the database.
pub async fn hosts(
    connection: &impl ConnectionTrait,
    from: SystemTime,
) -> Result<Vec<(String, String)>, Error> {
    Ok(host::Entity::find()
        .select_only()
        .column(host::Column::Host)
        .column(host::Column::Deployment)
        .filter(host::Column::Start.gte(to_micros(from)))
        .distinct()
        .into_tuple()
        .all(connection)
        .await?)
}

/// Windows of a host that begin in `[from, to)`, oldest first.
///
/// # Errors
/// Of the database.
pub async fn between(
    connection: &impl ConnectionTrait,
    (host, deployment): (&str, &str),
    from: SystemTime,
    to: SystemTime,
) -> Result<Vec<Gauges>, Error> {
    let rows = host::Entity::find()
        .filter(host::Column::Host.eq(host))
        .filter(host::Column::Deployment.eq(deployment))
        .filter(host::Column::Start.gte(to_micros(from)))
        .filter(host::Column::Start.lt(to_micros(to)))
        .order_by_asc(host::Column::Start)
        .all(connection)
        .await?;
    let mean = |sum: f64, readings: i64| (readings > 0).then(|| sum / readings as f64);
    Ok(rows
        .into_iter()
        .map(|row| Gauges {
            start: from_micros(row.start),
            gpu: mean(row.gpu_sum, row.gpu_readings),
            memory: mean(row.memory_sum, row.memory_readings),
            oom_events: row.oom_events.unsigned_abs(),
            gpu_readings: row.gpu_readings.unsigned_abs(),
            oom_readings: row.readings.unsigned_abs(),
        })
        .collect())
}

/// Deletes what is older than it is kept.
///
/// # Errors
/// Of the database.
pub async fn prune(connection: &impl ConnectionTrait, before: SystemTime) -> Result<u64, Error> {
    let gone = host::Entity::delete_many()
        .filter(host::Column::Start.lt(to_micros(before)))
        .exec(connection)
        .await?;
    Ok(gone.rows_affected)
}
