//! Metric series of training runs: rows of a table of their own, written many at a time, read by keyset pages.

use contracts::page::Page;
use contracts::registry::v1::MetricPoint;
use contracts::time::{from_wire, to_wire};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
};
use std::time::SystemTime;
use storage::time::{from_micros, to_micros};

use super::entity::metric_point::{ActiveModel, Column, Entity, Model};
use crate::Error;

/// Rows of one insert: 6 parameters each, far below the 32,766 that SQLite takes.
const ROWS: usize = 1000;

/// Appends points to a run that has `first` already. Points without a time get `now`.
///
/// # Errors
/// Of the database.
pub async fn append(
    connection: &impl ConnectionTrait,
    run: &str,
    first: u64,
    points: &[MetricPoint],
    now: SystemTime,
) -> Result<(), Error> {
    let rows = points.iter().zip(first..).map(|(point, position)| ActiveModel {
        run: Set(run.to_owned()),
        position: Set(position.cast_signed()),
        metric: Set(point.metric.clone()),
        step: Set(point.step.cast_signed()),
        value: Set(point.value.to_bits().cast_signed()),
        time: Set(to_micros(point.time.as_ref().and_then(from_wire).unwrap_or(now))),
    });
    let rows: Vec<ActiveModel> = rows.collect();
    for chunk in rows.chunks(ROWS) {
        Entity::insert_many(chunk.to_vec()).exec_without_returning(connection).await?;
    }
    Ok(())
}

/// One page of a run's points in the order in which they came; of one series, if `metric` is not empty.
///
/// # Errors
/// INVALID_ARGUMENT for a token of another list.
pub async fn list(
    connection: &impl ConnectionTrait,
    run: &str,
    metric: &str,
    page: &Page,
) -> Result<(Vec<MetricPoint>, String), Error> {
    let mut query = Entity::find().filter(Column::Run.eq(run));
    if !metric.is_empty() {
        query = query.filter(Column::Metric.eq(metric));
    }
    if !page.after.is_empty() {
        let after: i64 = page.after.parse().map_err(|_| Error::field("page_token", "is of another list"))?;
        query = query.filter(Column::Position.gt(after));
    }
    let rows = query.order_by_asc(Column::Position).limit(u64::from(page.size)).all(connection).await?;
    let last: Vec<String> = rows.iter().map(|row| row.position.to_string()).collect();
    let token = page.next_token(last.iter().map(String::as_str));
    Ok((rows.into_iter().map(point).collect(), token))
}

fn point(row: Model) -> MetricPoint {
    let time = Some(to_wire(from_micros(row.time)));
    MetricPoint {
        metric: row.metric,
        step: row.step.cast_unsigned(),
        value: f64::from_bits(row.value.cast_unsigned()),
        time,
    }
}
