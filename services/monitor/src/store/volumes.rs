//! Sums over many windows, from their counters alone: request volume and the error budget.

use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QuerySelect};
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};
use storage::time::to_micros;

use super::entity::window;
use crate::Error;

/// Requests of a deployment in windows that begin in `[from, to)`.
///
/// # Errors
/// Of the database.
pub async fn requests(
    connection: &impl ConnectionTrait,
    deployment: &str,
    from: SystemTime,
    to: SystemTime,
) -> Result<u64, Error> {
    let rows: Vec<i64> = window::Entity::find()
        .select_only()
        .column(window::Column::Requests)
        .filter(window::Column::Deployment.eq(deployment))
        .filter(window::Column::Start.gte(to_micros(from)))
        .filter(window::Column::Start.lt(to_micros(to)))
        .into_tuple()
        .all(connection)
        .await?;
    Ok(rows.into_iter().map(i64::unsigned_abs).sum())
}

/// Deployments with windows that begin in `[from, to)`.
///
/// # Errors
/// Of the database.
pub async fn deployments(
    connection: &impl ConnectionTrait,
    from: SystemTime,
    to: SystemTime,
) -> Result<Vec<String>, Error> {
    Ok(window::Entity::find()
        .select_only()
        .column(window::Column::Deployment)
        .filter(window::Column::Start.gte(to_micros(from)))
        .filter(window::Column::Start.lt(to_micros(to)))
        .distinct()
        .into_tuple()
        .all(connection)
        .await?)
}

/// What a deployment did with its budget.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Spent {
    /// Requests, without malformed ones.
    pub requests: u64,
    /// Of those, failed by the model or by us.
    pub bad_requests: u64,
    /// Answers faster than the objective.
    pub fast: u64,
    /// Bad time: each window counts as bad by the share of its requests that failed.
    pub bad_time: Duration,
}

/// Adds up the windows of a deployment that begin in `[from, to)`, over all versions.
///
/// # Errors
/// Of the database.
pub async fn spent(
    connection: &impl ConnectionTrait,
    deployment: &str,
    from: SystemTime,
    to: SystemTime,
) -> Result<Spent, Error> {
    let rows: Vec<(i64, i64, i64, i64, i64)> = window::Entity::find()
        .select_only()
        .column(window::Column::Start)
        .column(window::Column::Length)
        .column(window::Column::Counted)
        .column(window::Column::Bad)
        .column(window::Column::Fast)
        .filter(window::Column::Deployment.eq(deployment))
        .filter(window::Column::Start.gte(to_micros(from)))
        .filter(window::Column::Start.lt(to_micros(to)))
        .into_tuple()
        .all(connection)
        .await?;
    let mut total = Spent::default();
    let mut by_window: BTreeMap<(i64, i64), (u64, u64)> = BTreeMap::new();
    for (start, length, counted, bad, fast) in rows {
        let sum = by_window.entry((start, length)).or_default();
        *sum = (sum.0 + counted.unsigned_abs(), sum.1 + bad.unsigned_abs());
        total.requests += counted.unsigned_abs();
        total.bad_requests += bad.unsigned_abs();
        total.fast += fast.unsigned_abs();
    }
    total.bad_time = by_window
        .into_iter()
        .filter(|(_, (counted, _))| *counted > 0)
        .map(|((_, length), (counted, bad))| {
            Duration::from_micros(length.unsigned_abs()).mul_f64(bad as f64 / counted as f64)
        })
        .sum();
    Ok(total)
}
