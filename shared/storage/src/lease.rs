//! Being the only one to do something for a while, with a fencing token.

use crate::{
    Database, Error,
    entity::lease::{ActiveModel, Column, Entity},
    time::{from_micros, to_micros},
};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, Condition, EntityTrait, ExprTrait, QueryFilter, sea_query::Expr,
};
use std::time::{Duration, SystemTime};

/// The right to act alone until `expire_time`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// What for, for example `judge-canaries`.
    pub name: String,
    /// Who holds it.
    pub owner: String,
    /// Grows with every acquisition; whoever carries a lower one is late.
    pub token: i64,
    /// When it ends unless renewed.
    pub expire_time: SystemTime,
}

/// The leases of one database. `now` must come from clocks that agree among the contenders.
#[derive(Clone)]
pub struct Leases(Database);

impl Leases {
    /// Over a migrated database.
    pub fn new(db: Database) -> Self {
        Self(db)
    }

    /// Takes the lease if it is free, over or already the owner's; `None` while another holds it.
    pub async fn acquire(
        &self,
        name: &str,
        owner: &str,
        ttl: Duration,
        now: SystemTime,
    ) -> Result<Option<Lease>, Error> {
        let first = ActiveModel {
            name: Set(name.to_owned()),
            owner: Set(String::new()),
            token: Set(0),
            expire_time: Set(i64::MIN),
        };
        Entity::insert(first)
            .on_conflict_do_nothing_on([Column::Name])
            .exec_without_returning(self.0.connection())
            .await?;
        let free = Condition::any().add(Column::ExpireTime.lte(to_micros(now))).add(Column::Owner.eq(owner));
        let taken = Entity::update_many()
            .col_expr(Column::Owner, Expr::value(owner))
            .col_expr(Column::Token, Expr::col(Column::Token).add(1))
            .col_expr(Column::ExpireTime, Expr::value(to_micros(now + ttl)))
            .filter(Column::Name.eq(name))
            .filter(free)
            .exec(self.0.connection())
            .await?;
        if taken.rows_affected == 0 {
            return Ok(None);
        }
        let row = Entity::find_by_id(name).one(self.0.connection()).await?;
        Ok(row.filter(|row| row.owner == owner).map(|row| Lease {
            name: row.name,
            owner: row.owner,
            token: row.token,
            expire_time: from_micros(row.expire_time),
        }))
    }

    /// Prolongs it; `None` if it is over or someone else's: stop acting.
    pub async fn renew(&self, lease: &Lease, ttl: Duration, now: SystemTime) -> Result<Option<Lease>, Error> {
        let kept = Entity::update_many()
            .col_expr(Column::ExpireTime, Expr::value(to_micros(now + ttl)))
            .filter(Column::Name.eq(&lease.name))
            .filter(Column::Token.eq(lease.token))
            .filter(Column::ExpireTime.gt(to_micros(now)))
            .exec(self.0.connection())
            .await?;
        Ok((kept.rows_affected == 1)
            .then(|| Lease { expire_time: from_micros(to_micros(now + ttl)), ..lease.clone() }))
    }

    /// Gives it back early; nothing happens if it is no longer held.
    pub async fn release(&self, lease: &Lease) -> Result<(), Error> {
        Entity::update_many()
            .col_expr(Column::ExpireTime, Expr::value(i64::MIN))
            .col_expr(Column::Owner, Expr::value(""))
            .filter(Column::Name.eq(&lease.name))
            .filter(Column::Token.eq(lease.token))
            .exec(self.0.connection())
            .await?;
        Ok(())
    }
}
