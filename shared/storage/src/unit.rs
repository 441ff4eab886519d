//! One transaction: state changes, one audit entry for each, and the answer kept under the request id.

use crate::{
    AuditEntry, AuditLog, Database, Digest, Draft, Error, Query, Record,
    audit::{Frontier, Pending},
    database::WriteTransaction,
    entity::{idempotency, record},
    etag,
    records::{find, missing},
    time::to_micros,
};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, DatabaseTransaction, EntityTrait, QueryFilter, sea_query::Expr,
};
use std::time::SystemTime;

/// Who does something, by which call, why and when. Goes into every audit entry of the unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// The caller.
    pub principal: String,
    /// The caller's roles at that time.
    pub roles: Vec<String>,
    /// Full method name, `/wlp.registry.v1.Models/CreateModel`, or the name of a background task.
    pub method: String,
    /// The request id of the call; without one, nothing is remembered for a repeat.
    pub request_id: Option<String>,
    /// Digest of the request as sent, without its request id.
    pub request_digest: Digest,
    /// The reason given by the caller; may be empty.
    pub reason: String,
    /// The time of the change, from the service's clock.
    pub time: SystemTime,
    /// W3C trace id; may be empty.
    pub trace_id: String,
}

/// An open unit of work. Nothing is visible outside before [`Unit::commit`]; dropped, it rolls back.
///
/// Units of one database follow each other (SQLite: immediate transaction; PostgreSQL: the audit
/// frontier is locked first), so what a unit has read does not change under it. Keep them short: no
/// calls to other services inside.
pub struct Unit {
    tx: WriteTransaction,
    audit: AuditLog,
    frontier: Frontier,
    cause: Cause,
    pending: Vec<Pending>,
}

impl Unit {
    pub(crate) async fn begin(db: &Database, audit: AuditLog, cause: Cause) -> Result<Self, Error> {
        let tx = db.begin_write().await?;
        let frontier = crate::audit::lock_frontier(tx.connection(), db.backend()).await?;
        Ok(Self { tx, audit, frontier, cause, pending: Vec::new() })
    }

    /// The answer that was given to this request id before, if it was this same request.
    /// Ask first; return it and drop the unit.
    ///
    /// # Errors
    /// [`Error::RequestReused`] if the id stands for another request.
    pub async fn replay(&self) -> Result<Option<Vec<u8>>, Error> {
        let Some(request_id) = &self.cause.request_id else { return Ok(None) };
        let key = (self.cause.principal.clone(), self.cause.method.clone(), request_id.clone());
        match idempotency::Entity::find_by_id(key).one(self.connection()).await? {
            None => Ok(None),
            Some(row) if row.request_digest == self.cause.request_digest.0 => Ok(Some(row.response)),
            Some(_) => Err(Error::RequestReused { request_id: request_id.clone() }),
        }
    }

    /// The record as this unit sees it.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn get(&self, kind: &str, name: &str) -> Result<Record, Error> {
        self.find(kind, name).await?.ok_or_else(|| missing(kind, name))
    }

    /// The record as this unit sees it, if there is one.
    pub async fn find(&self, kind: &str, name: &str) -> Result<Option<Record>, Error> {
        find(self.connection(), kind, name).await
    }

    /// One page as this unit sees it.
    pub async fn list(&self, query: &Query) -> Result<Vec<Record>, Error> {
        query.all(self.connection()).await
    }

    /// Inserts a record with revision 1. `action` is the word for the audit log, for example `create`.
    ///
    /// # Errors
    /// [`Error::AlreadyExists`].
    pub async fn insert(&mut self, draft: Draft, action: &str) -> Result<Record, Error> {
        if self.find(&draft.kind, &draft.name).await?.is_some() {
            return Err(Error::AlreadyExists { kind: draft.kind, name: draft.name });
        }
        let time = self.cause.time;
        let Draft { kind, name, parent, state, body } = draft;
        let inserted =
            Record { kind, name, parent, state, revision: 1, create_time: time, update_time: time, body };
        let row = record::ActiveModel {
            kind: Set(inserted.kind.clone()),
            name: Set(inserted.name.clone()),
            parent: Set(inserted.parent.clone()),
            state: Set(inserted.state.clone()),
            revision: Set(1),
            create_time: Set(to_micros(time)),
            update_time: Set(to_micros(time)),
            body: Set(inserted.body.clone()),
        };
        record::Entity::insert(row).exec_without_returning(self.connection()).await?;
        self.pending.push(Pending::change(&inserted, action, String::new()));
        Ok(inserted)
    }

    /// Puts a new state and body over the record that was `seen`.
    ///
    /// # Errors
    /// [`Error::Stale`] if it has changed since, [`Error::NotFound`] if it is gone.
    pub async fn update(
        &mut self,
        seen: &Record,
        state: &str,
        body: Vec<u8>,
        action: &str,
    ) -> Result<Record, Error> {
        let next = Record {
            state: state.to_owned(),
            revision: seen.revision + 1,
            update_time: self.cause.time,
            body,
            ..seen.clone()
        };
        let written = record::Entity::update_many()
            .col_expr(record::Column::State, Expr::value(next.state.clone()))
            .col_expr(record::Column::Revision, Expr::value(next.revision))
            .col_expr(record::Column::UpdateTime, Expr::value(to_micros(next.update_time)))
            .col_expr(record::Column::Body, Expr::value(next.body.clone()))
            .filter(record::Column::Kind.eq(&seen.kind))
            .filter(record::Column::Name.eq(&seen.name))
            .filter(record::Column::Revision.eq(seen.revision))
            .exec(self.connection())
            .await?;
        if written.rows_affected == 0 {
            return Err(self.conflict(seen).await?);
        }
        self.pending.push(Pending::change(&next, action, seen.state.clone()));
        Ok(next)
    }

    /// Deletes the record that was `seen`; the audit log keeps that it was there.
    ///
    /// # Errors
    /// As [`Unit::update`].
    pub async fn delete(&mut self, seen: &Record, action: &str) -> Result<(), Error> {
        let written = record::Entity::delete_many()
            .filter(record::Column::Kind.eq(&seen.kind))
            .filter(record::Column::Name.eq(&seen.name))
            .filter(record::Column::Revision.eq(seen.revision))
            .exec(self.connection())
            .await?;
        if written.rows_affected == 0 {
            return Err(self.conflict(seen).await?);
        }
        self.pending.push(Pending::removal(seen, action));
        Ok(())
    }

    /// Records that something happened to a subject without changing a record, for example a refusal.
    /// `body` is kept beside the entry and covered by its digest.
    pub fn note(&mut self, kind: &str, name: &str, action: &str, body: Vec<u8>) {
        self.pending.push(Pending::note(kind, name, action, body));
    }

    /// The transaction, for constraint tables and the outbox of the same unit.
    pub fn connection(&self) -> &DatabaseTransaction {
        self.tx.connection()
    }

    /// The cause this unit was begun with.
    pub fn cause(&self) -> &Cause {
        &self.cause
    }

    /// Appends the audit entries, keeps `response` under the request id and makes all of it durable.
    /// Returns the entries, in order.
    pub async fn commit(self, response: &[u8]) -> Result<Vec<AuditEntry>, Error> {
        let Self { tx, audit, frontier, cause, pending } = self;
        if let Some(request_id) = &cause.request_id {
            let row = idempotency::ActiveModel {
                principal: Set(cause.principal.clone()),
                method: Set(cause.method.clone()),
                request_id: Set(request_id.clone()),
                request_digest: Set(cause.request_digest.0.to_vec()),
                response: Set(response.to_vec()),
                create_time: Set(to_micros(cause.time)),
            };
            idempotency::Entity::insert(row).exec_without_returning(tx.connection()).await?;
        }
        let entries = audit.append(tx.connection(), frontier, &cause, pending).await?;
        tx.commit().await?;
        audit.announce(&entries);
        Ok(entries)
    }

    async fn conflict(&self, seen: &Record) -> Result<Error, Error> {
        Ok(match self.find(&seen.kind, &seen.name).await? {
            None => missing(&seen.kind, &seen.name),
            Some(current) => {
                Error::Stale { name: seen.name.clone(), seen: etag(seen.revision), current: current.etag() }
            }
        })
    }
}
