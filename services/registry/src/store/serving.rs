//! What gateways serve, when rehearsals began, archives that were rehearsed, and the route table as it was last signed.
//! None of it is a record: it is not audited, and all but the route table's sequence can be told again.

use contracts::registry::v1::ReportServingRequest;
use prost::Message as _;
use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, sea_query::OnConflict,
};
use std::time::{Duration, SystemTime};
use storage::time::{from_micros, to_micros};

use super::entity::{archive, rehearsal, route_table, serving};
use crate::Error;

/// A gateway that was not heard of for so long is gone (real time, as heartbeats are).
pub const FRESH: Duration = Duration::from_secs(20);

/// Keeps what a gateway reports, in the place of what it reported before.
///
/// # Errors
/// Of the database.
pub async fn keep(
    db: &impl ConnectionTrait,
    report: &ReportServingRequest,
    real_now: SystemTime,
) -> Result<(), Error> {
    let row = serving::ActiveModel {
        gateway: Set(report.gateway.clone()),
        time: Set(to_micros(real_now)),
        body: Set(report.encode_to_vec()),
    };
    let again = OnConflict::column(serving::Column::Gateway)
        .update_columns([serving::Column::Time, serving::Column::Body])
        .to_owned();
    serving::Entity::insert(row).on_conflict(again).exec_without_returning(db).await?;
    Ok(())
}

/// What the gateways serve that were heard of lately.
///
/// # Errors
/// Of the database.
pub async fn fresh(
    db: &impl ConnectionTrait,
    real_now: SystemTime,
) -> Result<Vec<ReportServingRequest>, Error> {
    let since = to_micros(real_now - FRESH);
    let rows = serving::Entity::find().filter(serving::Column::Time.gte(since)).all(db).await?;
    rows.into_iter().map(|row| Ok(ReportServingRequest::decode(row.body.as_slice())?)).collect()
}

/// Notes when a rehearsal began, in real time: a clock that stands still measures nothing.
///
/// # Errors
/// Of the database.
pub async fn rehearsal_began(
    db: &impl ConnectionTrait,
    rollout: &str,
    real_now: SystemTime,
) -> Result<(), Error> {
    let row = rehearsal::ActiveModel { rollout: Set(rollout.to_owned()), time: Set(to_micros(real_now)) };
    let again =
        OnConflict::column(rehearsal::Column::Rollout).update_columns([rehearsal::Column::Time]).to_owned();
    rehearsal::Entity::insert(row).on_conflict(again).exec_without_returning(db).await?;
    Ok(())
}

/// Real time since a rehearsal began.
///
/// # Errors
/// Of the database.
pub async fn rehearsed_for(
    db: &impl ConnectionTrait,
    rollout: &str,
    real_now: SystemTime,
) -> Result<Duration, Error> {
    let row = rehearsal::Entity::find_by_id(rollout.to_owned()).one(db).await?;
    Ok(row.and_then(|row| real_now.duration_since(from_micros(row.time)).ok()).unwrap_or_default())
}

/// Notes the archive of a retirement that was restored in a rehearsal.
///
/// # Errors
/// Of the database.
pub async fn archived(db: &impl ConnectionTrait, retirement: &str, digest: &str) -> Result<(), Error> {
    let row = archive::ActiveModel { retirement: Set(retirement.to_owned()), digest: Set(digest.to_owned()) };
    let again =
        OnConflict::column(archive::Column::Retirement).update_columns([archive::Column::Digest]).to_owned();
    archive::Entity::insert(row).on_conflict(again).exec_without_returning(db).await?;
    Ok(())
}

/// The archive of a retirement, if one was rehearsed.
///
/// # Errors
/// Of the database.
pub async fn archive_of(db: &impl ConnectionTrait, retirement: &str) -> Result<Option<String>, Error> {
    Ok(archive::Entity::find_by_id(retirement.to_owned()).one(db).await?.map(|row| row.digest))
}

/// The route table as it was last signed.
#[derive(Debug, Clone, PartialEq)]
pub struct Signed {
    /// Digest of its content, without sequence and time.
    pub digest: String,
    /// Its sequence.
    pub sequence: u64,
    /// A serialised `RouteTable`.
    pub table: Vec<u8>,
}

/// Reads the route table.
///
/// # Errors
/// Of the database.
pub async fn route_table(db: &impl ConnectionTrait) -> Result<Option<Signed>, Error> {
    let row = route_table::Entity::find_by_id(1).one(db).await?;
    Ok(row.map(|row| Signed { digest: row.digest, sequence: row.sequence.unsigned_abs(), table: row.body }))
}

/// Keeps the route table.
///
/// # Errors
/// Of the database.
pub async fn keep_route_table(db: &impl ConnectionTrait, signed: &Signed) -> Result<(), Error> {
    let row = route_table::ActiveModel {
        id: Set(1),
        digest: Set(signed.digest.clone()),
        sequence: Set(signed.sequence as i64),
        body: Set(signed.table.clone()),
    };
    let all = [route_table::Column::Digest, route_table::Column::Sequence, route_table::Column::Body];
    let again = OnConflict::column(route_table::Column::Id).update_columns(all).to_owned();
    route_table::Entity::insert(row).on_conflict(again).exec_without_returning(db).await?;
    Ok(())
}

/// Entries of the audit log so far, as this connection sees them: the sequence that the next one will have.
///
/// # Errors
/// [`Error::Damaged`] without a frontier.
pub async fn next_sequence(db: &impl ConnectionTrait) -> Result<u64, Error> {
    let row = storage::entity::audit_frontier::Entity::find().one(db).await?;
    let row = row.ok_or_else(|| Error::Damaged("the audit log has no frontier".into()))?;
    Ok(row.size.unsigned_abs())
}
