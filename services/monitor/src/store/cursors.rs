//! Up to which time a loop has judged a subject, and small things that survive a restart.

use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter,
    sea_query::{Expr, OnConflict},
};
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

/// A step of a cursor: from where it stood when its windows were read to where they end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    /// Which.
    pub name: String,
    /// Where it stood; `None` before its first step.
    pub stood: Option<SystemTime>,
    /// Where it goes.
    pub to: SystemTime,
}

/// The latest time up to which `name` was ever judged: late observations move a cursor back, not this.
///
/// # Errors
/// Of the database.
pub async fn mark(connection: &impl ConnectionTrait, name: &str) -> Result<Option<SystemTime>, Error> {
    cursor(connection, &mark_of(name)).await
}

fn mark_of(name: &str) -> String {
    format!("mark/{name}")
}

/// Moves a cursor, unless it was moved by somebody else since it was read (late observations, another monitor): false
/// then, and whatever was judged in between must be thrown away.
///
/// # Errors
/// Of the database.
pub async fn advance(connection: &impl ConnectionTrait, moved: &Moved) -> Result<bool, Error> {
    let ours = match moved.stood {
        None => insert(connection, &moved.name, moved.to).await?,
        Some(stood) => {
            let moved = cursor::Entity::update_many()
                .col_expr(cursor::Column::Time, Expr::value(to_micros(moved.to)))
                .filter(cursor::Column::Name.eq(&moved.name))
                .filter(cursor::Column::Time.eq(to_micros(stood)))
                .exec(connection)
                .await?;
            moved.rows_affected == 1
        }
    };
    if ours {
        let mark = mark_of(&moved.name);
        insert(connection, &mark, moved.to).await?;
        cursor::Entity::update_many()
            .col_expr(cursor::Column::Time, Expr::value(to_micros(moved.to)))
            .filter(cursor::Column::Name.eq(mark))
            .filter(cursor::Column::Time.lt(to_micros(moved.to)))
            .exec(connection)
            .await?;
    }
    Ok(ours)
}

/// Moves a cursor back to `time`, if it is there and further on.
///
/// # Errors
/// Of the database.
pub async fn pull_back(connection: &impl ConnectionTrait, name: &str, time: SystemTime) -> Result<(), Error> {
    cursor::Entity::update_many()
        .col_expr(cursor::Column::Time, Expr::value(to_micros(time)))
        .filter(cursor::Column::Name.eq(name))
        .filter(cursor::Column::Time.gt(to_micros(time)))
        .exec(connection)
        .await?;
    Ok(())
}

async fn insert(connection: &impl ConnectionTrait, name: &str, time: SystemTime) -> Result<bool, Error> {
    let row = cursor::ActiveModel { name: Set(name.to_owned()), time: Set(to_micros(time)) };
    let nothing = OnConflict::column(cursor::Column::Name).do_nothing().to_owned();
    Ok(cursor::Entity::insert(row).on_conflict(nothing).exec_without_returning(connection).await? == 1)
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

/// [`keep`], where it is not kept already: what is asked for often is not written as often.
///
/// # Errors
/// Of the database.
pub async fn keep_changed(connection: &impl ConnectionTrait, name: &str, body: Vec<u8>) -> Result<(), Error> {
    if kept(connection, name).await?.as_ref() != Some(&body) {
        keep(connection, name, body).await?;
    }
    Ok(())
}
