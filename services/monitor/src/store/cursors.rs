//! Up to which time a loop has judged a subject, and small things that survive a restart.

use sea_orm::{ActiveValue::Set, ConnectionTrait, EntityTrait, sea_query::OnConflict};
use std::time::SystemTime;
use storage::time::{from_micros, to_micros};

use super::entity::{cursor, kept};
use crate::Error;

/// Where `name` stands, if it ever moved.
///
/// # Errors
/// Of the database.
pub async fn cursor(connection: &impl ConnectionTrait, name: &str) -> Result<Option<SystemTime>, Error> {
    Ok(cursor::Entity::find_by_id(name).one(connection).await?.map(|row| from_micros(row.time)))
}

/// Moves it.
///
/// # Errors
/// Of the database.
pub async fn move_cursor(
    connection: &impl ConnectionTrait,
    name: &str,
    time: SystemTime,
) -> Result<(), Error> {
    let row = cursor::ActiveModel { name: Set(name.to_owned()), time: Set(to_micros(time)) };
    let over = OnConflict::column(cursor::Column::Name).update_column(cursor::Column::Time).to_owned();
    cursor::Entity::insert(row).on_conflict(over).exec_without_returning(connection).await?;
    Ok(())
}

/// Reads what was kept under `name`.
///
/// # Errors
/// Of the database.
pub async fn kept(connection: &impl ConnectionTrait, name: &str) -> Result<Option<Vec<u8>>, Error> {
    Ok(kept::Entity::find_by_id(name).one(connection).await?.map(|row| row.body))
}

/// Keeps bytes under `name`.
///
/// # Errors
/// Of the database.
pub async fn keep(connection: &impl ConnectionTrait, name: &str, body: Vec<u8>) -> Result<(), Error> {
    let row = kept::ActiveModel { name: Set(name.to_owned()), body: Set(body) };
    let over = OnConflict::column(kept::Column::Name).update_column(kept::Column::Body).to_owned();
    kept::Entity::insert(row).on_conflict(over).exec_without_returning(connection).await?;
    Ok(())
}
