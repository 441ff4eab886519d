//! Long-running operations that outlive the process that runs them.

use crate::{
    Database, Error,
    entity::operation::{ActiveModel, Column, Entity, Model},
    time::{from_micros, to_micros},
};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
    sea_query::{Expr, SimpleExpr},
};
use std::time::SystemTime;

/// A piece of work that answers later (`google.longrunning.Operation`).
#[derive(Clone, Debug, PartialEq)]
pub struct Operation {
    /// `operations/{id}`.
    pub name: String,
    /// What it does, for example `evaluate`.
    pub kind: String,
    /// `None` while it runs.
    pub outcome: Option<Outcome>,
    /// 0..=1.
    pub progress: f64,
    /// What it works on, as protobuf bytes; enough to start it again.
    pub metadata: Vec<u8>,
    /// Someone asked for it to stop; whoever runs it does so at its next step.
    pub cancel_requested: bool,
    /// When it was created.
    pub create_time: SystemTime,
    /// When it last moved.
    pub update_time: SystemTime,
}

/// How an operation ended. Final.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The answer as protobuf bytes.
    Succeeded(Vec<u8>),
    /// A gRPC status.
    Failed {
        /// gRPC status code.
        code: i32,
        /// For the caller.
        message: String,
        /// The whole `google.rpc.Status` as protobuf bytes, with its details, as `tonic::Status::details` gives it; empty
        /// where there are no details.
        status: Vec<u8>,
    },
    /// It stopped because it was asked to.
    Cancelled,
}

const RUNNING: &str = "RUNNING";

/// The operations of one database.
#[derive(Clone)]
pub struct Operations(Database);

impl Operations {
    /// Over a migrated database.
    pub fn new(db: Database) -> Self {
        Self(db)
    }

    /// Creates a running operation, within `connection`'s transaction if that is a unit's.
    ///
    /// # Errors
    /// [`Error::AlreadyExists`].
    pub async fn create(
        connection: &impl ConnectionTrait,
        name: &str,
        kind: &str,
        metadata: Vec<u8>,
        time: SystemTime,
    ) -> Result<Operation, Error> {
        let row = ActiveModel {
            name: Set(name.to_owned()),
            kind: Set(kind.to_owned()),
            state: Set(RUNNING.to_owned()),
            progress: Set(0.0),
            metadata: Set(metadata),
            result: Set(None),
            error_code: Set(None),
            error_message: Set(None),
            cancel_requested: Set(false),
            create_time: Set(to_micros(time)),
            update_time: Set(to_micros(time)),
        };
        let inserted = Entity::insert(row)
            .on_conflict_do_nothing_on([Column::Name])
            .exec_without_returning(connection)
            .await?;
        if !matches!(inserted, sea_orm::TryInsertResult::Inserted(1)) {
            return Err(Error::AlreadyExists { kind: "operation".to_owned(), name: name.to_owned() });
        }
        let row = Entity::find_by_id(name).one(connection).await?;
        row.ok_or_else(|| missing(name)).and_then(Operation::try_from)
    }

    /// The operation.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn get(&self, name: &str) -> Result<Operation, Error> {
        let row = Entity::find_by_id(name).one(self.0.connection()).await?;
        row.ok_or_else(|| missing(name))?.try_into()
    }

    /// One page by name, after `after` (empty: from the start).
    pub async fn list(&self, after: &str, limit: u64) -> Result<Vec<Operation>, Error> {
        let rows = Entity::find()
            .filter(Column::Name.gt(after))
            .order_by_asc(Column::Name)
            .limit(limit)
            .all(self.0.connection())
            .await?;
        rows.into_iter().map(Operation::try_from).collect()
    }

    /// All of a kind that have not ended: what to take up again after a restart.
    pub async fn unfinished(&self, kind: &str) -> Result<Vec<Operation>, Error> {
        let rows = Entity::find()
            .filter(Column::State.eq(RUNNING))
            .filter(Column::Kind.eq(kind))
            .order_by_asc(Column::Name)
            .all(self.0.connection())
            .await?;
        rows.into_iter().map(Operation::try_from).collect()
    }

    /// Notes progress (0..=1); true if the operation was asked to stop.
    ///
    /// # Errors
    /// [`Error::OperationOver`], [`Error::NotFound`].
    pub async fn progress(&self, name: &str, progress: f64, time: SystemTime) -> Result<bool, Error> {
        let share = if progress.is_finite() { progress.clamp(0.0, 1.0) } else { 0.0 };
        self.set(name, vec![(Column::Progress, Expr::value(share))], time).await?;
        Ok(self.get(name).await?.cancel_requested)
    }

    /// Replaces the metadata of a running operation.
    ///
    /// # Errors
    /// As [`Operations::progress`].
    pub async fn describe(&self, name: &str, metadata: Vec<u8>, time: SystemTime) -> Result<(), Error> {
        self.set(name, vec![(Column::Metadata, Expr::value(metadata))], time).await
    }

    /// Asks a running operation to stop. Asking one that is over changes nothing.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn cancel(&self, name: &str, time: SystemTime) -> Result<Operation, Error> {
        match self.set(name, vec![(Column::CancelRequested, Expr::value(true))], time).await {
            Ok(()) | Err(Error::OperationOver { .. }) => self.get(name).await,
            Err(error) => Err(error),
        }
    }

    /// Ends it.
    ///
    /// # Errors
    /// [`Error::OperationOver`] if it has ended before, [`Error::NotFound`].
    pub async fn finish(&self, name: &str, outcome: Outcome, time: SystemTime) -> Result<(), Error> {
        let columns = match outcome {
            Outcome::Succeeded(result) => vec![
                (Column::State, Expr::value("SUCCEEDED")),
                (Column::Result, Expr::value(result)),
                (Column::Progress, Expr::value(1.0)),
            ],
            Outcome::Failed { code, message, status } => vec![
                (Column::State, Expr::value("FAILED")),
                (Column::Result, Expr::value(status)),
                (Column::ErrorCode, Expr::value(code)),
                (Column::ErrorMessage, Expr::value(message)),
            ],
            Outcome::Cancelled => vec![(Column::State, Expr::value("CANCELLED"))],
        };
        self.set(name, columns, time).await
    }

    async fn set(
        &self,
        name: &str,
        columns: Vec<(Column, SimpleExpr)>,
        time: SystemTime,
    ) -> Result<(), Error> {
        let mut update = Entity::update_many().col_expr(Column::UpdateTime, Expr::value(to_micros(time)));
        for (column, value) in columns {
            update = update.col_expr(column, value);
        }
        let written = update
            .filter(Column::Name.eq(name))
            .filter(Column::State.eq(RUNNING))
            .exec(self.0.connection())
            .await?;
        if written.rows_affected == 0 {
            self.get(name).await?;
            return Err(Error::OperationOver { name: name.to_owned() });
        }
        Ok(())
    }
}

impl TryFrom<Model> for Operation {
    type Error = Error;

    fn try_from(row: Model) -> Result<Self, Error> {
        let outcome = match row.state.as_str() {
            RUNNING => None,
            "SUCCEEDED" => Some(Outcome::Succeeded(row.result.unwrap_or_default())),
            "FAILED" => Some(Outcome::Failed {
                code: row.error_code.unwrap_or_default(),
                message: row.error_message.unwrap_or_default(),
                status: row.result.unwrap_or_default(),
            }),
            "CANCELLED" => Some(Outcome::Cancelled),
            other => return Err(Error::Damaged(format!("{} has state {other:?}", row.name))),
        };
        Ok(Self {
            name: row.name,
            kind: row.kind,
            outcome,
            progress: row.progress,
            metadata: row.metadata,
            cancel_requested: row.cancel_requested,
            create_time: from_micros(row.create_time),
            update_time: from_micros(row.update_time),
        })
    }
}

fn missing(name: &str) -> Error {
    Error::NotFound { kind: "operation".to_owned(), name: name.to_owned() }
}
