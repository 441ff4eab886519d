//! Messages that leave only if their unit commits, and are delivered at least once.

use crate::{
    Database, Error,
    entity::outbox::{ActiveModel, Column, Entity},
    time::to_micros,
};
use bytes::Bytes;
use sea_orm::{
    ActiveValue::{NotSet, Set},
    ColumnTrait, ConnectionTrait, EntityTrait, ExprTrait, QueryFilter, QueryOrder, QuerySelect,
    sea_query::Expr,
};
use std::time::SystemTime;

/// A message that waits for delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Identity for the receiver's deduplication; grows.
    pub id: i64,
    /// What the message is about, for example a resource name.
    pub key: String,
    /// Its bytes.
    pub payload: Bytes,
    /// Failed deliveries so far.
    pub attempts: u32,
}

/// The outbox of one database.
#[derive(Clone)]
pub struct Outbox(Database);

impl Outbox {
    /// Over a migrated database.
    pub fn new(db: Database) -> Self {
        Self(db)
    }

    /// Puts a message into the transaction of a unit: `Outbox::push(unit.connection(), ...)`.
    pub async fn push(
        connection: &impl ConnectionTrait,
        topic: &str,
        key: &str,
        payload: Vec<u8>,
        time: SystemTime,
    ) -> Result<(), Error> {
        let row = ActiveModel {
            id: NotSet,
            topic: Set(topic.to_owned()),
            key: Set(key.to_owned()),
            payload: Set(payload),
            attempts: Set(0),
            create_time: Set(to_micros(time)),
            due_time: Set(to_micros(time)),
            last_error: Set(None),
        };
        Entity::insert(row).exec_without_returning(connection).await?;
        Ok(())
    }

    /// Up to `limit` messages of a topic that are due, oldest first. They stay until [`Outbox::delivered`].
    pub async fn due(&self, topic: &str, now: SystemTime, limit: u64) -> Result<Vec<Message>, Error> {
        let rows = Entity::find()
            .filter(Column::Topic.eq(topic))
            .filter(Column::DueTime.lte(to_micros(now)))
            .order_by_asc(Column::Id)
            .limit(limit)
            .all(self.0.connection())
            .await?;
        let message = |row: crate::entity::outbox::Model| Message {
            id: row.id,
            key: row.key,
            payload: row.payload.into(),
            attempts: row.attempts.unsigned_abs(),
        };
        Ok(rows.into_iter().map(message).collect())
    }

    /// Removes delivered messages.
    pub async fn delivered(&self, ids: &[i64]) -> Result<(), Error> {
        for ids in ids.chunks(1000) {
            let ids = ids.iter().copied();
            Entity::delete_many().filter(Column::Id.is_in(ids)).exec(self.0.connection()).await?;
        }
        Ok(())
    }

    /// Puts a message off until `due` after a failed delivery.
    pub async fn failed(&self, id: i64, error: &str, due: SystemTime) -> Result<(), Error> {
        Entity::update_many()
            .col_expr(Column::Attempts, Expr::col(Column::Attempts).add(1))
            .col_expr(Column::DueTime, Expr::value(to_micros(due)))
            .col_expr(Column::LastError, Expr::value(error))
            .filter(Column::Id.eq(id))
            .exec(self.0.connection())
            .await?;
        Ok(())
    }
}
