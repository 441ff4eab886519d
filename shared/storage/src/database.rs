//! Opening SQLite and PostgreSQL alike, and moving their schema forward.

use crate::{Error, migration};
use sea_orm::{
    ConnectOptions, ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend,
    SqliteTransactionMode, TransactionOptions, TransactionTrait, sqlx::sqlite,
};
use sea_orm_migration::{MigrationTrait, MigratorTraitSelf};
use std::{path::Path, sync::Arc, time::Duration};
use tokio::sync::{Mutex, OwnedMutexGuard};

/// How long a statement waits for a lock or for a free connection before it gives up.
const PATIENCE: Duration = Duration::from_secs(10);
/// Connections of one service: enough readers for its handlers, few enough for a shared PostgreSQL.
const POOL: u32 = 8;
/// Key of the advisory lock that keeps two starting processes from migrating at once.
const MIGRATION_LOCK: i64 = 0x776c_705f_6d69_6772;

/// An open database. Clones share the pool.
#[derive(Clone, Debug)]
pub struct Database {
    connection: DatabaseConnection,
    /// SQLite has one writer at a time. Waiting here is fair and free; waiting inside SQLite polls.
    writer: Arc<Mutex<()>>,
}

/// A write transaction; rolls back when dropped. Holds the in-process writer's turn on SQLite.
#[derive(Debug)]
pub struct WriteTransaction {
    inner: DatabaseTransaction,
    _turn: Option<OwnedMutexGuard<()>>,
}

impl Database {
    /// For reads outside a unit of work. With `sqlite::memory:` there is one connection, so a read
    /// here while the same task holds an open unit waits in vain: read through the unit there.
    pub fn connection(&self) -> &DatabaseConnection {
        &self.connection
    }

    /// Which of the two databases this is.
    pub fn backend(&self) -> DbBackend {
        self.connection.get_database_backend()
    }

    /// Starts a write transaction: `BEGIN IMMEDIATE` on SQLite, `READ COMMITTED` on PostgreSQL.
    pub async fn begin_write(&self) -> Result<WriteTransaction, Error> {
        let (turn, mode) = match self.backend() {
            DbBackend::Sqlite => {
                (Some(self.writer.clone().lock_owned().await), Some(SqliteTransactionMode::Immediate))
            }
            _ => (None, None),
        };
        let options = TransactionOptions { sqlite_transaction_mode: mode, ..TransactionOptions::default() };
        Ok(WriteTransaction { inner: self.connection.begin_with_options(options).await?, _turn: turn })
    }

    /// Whether the database answers; for readiness.
    pub async fn ping(&self) -> Result<(), Error> {
        Ok(self.connection.ping().await?)
    }

    /// Waits for connections to be given back and closes them.
    pub async fn close(self) -> Result<(), Error> {
        Ok(self.connection.close().await?)
    }
}

impl WriteTransaction {
    /// The transaction, for statements of the caller's own.
    pub fn connection(&self) -> &DatabaseTransaction {
        &self.inner
    }

    /// Makes the writes durable. An error after a lost connection leaves it open whether they are.
    pub async fn commit(self) -> Result<(), Error> {
        Ok(self.inner.commit().await?)
    }
}

/// Opens `sqlite://PATH?mode=rwc` (the parent folder is made), `sqlite::memory:` (one connection,
/// gone with the last clone) or `postgres://...`; for PostgreSQL `?schema=NAME` (made if missing) keeps
/// several databases of tests apart. The schema is brought forward with [`migrate`].
///
/// # Errors
/// [`Error::Setting`] for another address, [`Error::Unavailable`] when nobody answers.
pub async fn connect(url: &str) -> Result<Database, Error> {
    let connection = if url.starts_with("sqlite:") {
        connect_sqlite(url).await?
    } else if url.starts_with("postgres://") || url.starts_with("postgresql://") {
        connect_postgres(url).await?
    } else {
        return Err(Error::Setting("database url must begin with sqlite: or postgres:".to_owned()));
    };
    Ok(Database { connection, writer: Arc::new(Mutex::new(())) })
}

async fn connect_sqlite(url: &str) -> Result<DatabaseConnection, Error> {
    let in_memory = url.contains(":memory:") || url.contains("mode=memory");
    if !in_memory {
        let path = url.trim_start_matches("sqlite:").trim_start_matches("//");
        let path = path.split('?').next().unwrap_or(path);
        if let Some(parent) = Path::new(path).parent().filter(|parent| !parent.as_os_str().is_empty()) {
            tokio::fs::create_dir_all(parent).await.map_err(|error| {
                Error::Setting(format!("folder {} of the database: {error}", parent.display()))
            })?;
        }
    }
    let mut options = ConnectOptions::new(url);
    options.sqlx_logging(false).acquire_timeout(PATIENCE).max_connections(if in_memory { 1 } else { POOL });
    if in_memory {
        // The database lives as long as its connection: never give that up. A test before each use would: a call that is
        // cancelled while it waits for the test's answer drops the connection.
        options
            .min_connections(1)
            .test_before_acquire(false)
            .idle_timeout(None::<Duration>)
            .max_lifetime(None::<Duration>);
    }
    options.map_sqlx_sqlite_opts(move |sqlite| {
        let sqlite = sqlite
            .foreign_keys(true)
            .busy_timeout(PATIENCE)
            // FULL: an acknowledged write survives a power cut, not only a crash of the process.
            .synchronous(sqlite::SqliteSynchronous::Full);
        if in_memory { sqlite } else { sqlite.journal_mode(sqlite::SqliteJournalMode::Wal) }
    });
    Ok(sea_orm::Database::connect(options).await?)
}

async fn connect_postgres(url: &str) -> Result<DatabaseConnection, Error> {
    let (url, schema) = take_schema(url)?;
    if let Some(schema) = &schema {
        let mut options = ConnectOptions::new(&url);
        options.sqlx_logging(false).acquire_timeout(PATIENCE).max_connections(1);
        let connection = sea_orm::Database::connect(options).await?;
        connection.execute_unprepared(&format!("CREATE SCHEMA IF NOT EXISTS \"{schema}\"")).await?;
        connection.close().await?;
    }
    let mut options = ConnectOptions::new(url);
    options.sqlx_logging(false).acquire_timeout(PATIENCE).max_connections(POOL);
    if let Some(schema) = schema {
        options.set_schema_search_path(schema);
    }
    Ok(sea_orm::Database::connect(options).await?)
}

/// Splits `schema=NAME` off the query of a PostgreSQL address; the driver does not know it.
fn take_schema(url: &str) -> Result<(String, Option<String>), Error> {
    let Some((base, query)) = url.split_once('?') else { return Ok((url.to_owned(), None)) };
    let (schemas, rest): (Vec<&str>, Vec<&str>) =
        query.split('&').partition(|part| part.starts_with("schema="));
    let schema = schemas.first().map(|part| part.trim_start_matches("schema=").to_owned());
    if let Some(name) = &schema {
        let plain =
            name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
        if name.is_empty() || name.len() > 63 || !plain {
            return Err(Error::Setting(format!("schema {name:?} must be 1 to 63 of a-z, 0-9 and _")));
        }
    }
    let url = if rest.is_empty() { base.to_owned() } else { format!("{base}?{}", rest.join("&")) };
    Ok((url, schema))
}

/// Brings the schema forward: ours first, then `own` (a service's constraint tables, dated names).
/// Several processes may start at once on PostgreSQL; one migrates, the others wait.
pub async fn migrate(db: &Database, own: &[fn() -> Box<dyn MigrationTrait>]) -> Result<(), Error> {
    let all = All(own.to_vec());
    if db.backend() != DbBackend::Postgres {
        return Ok(all.up(db.connection(), None).await?);
    }
    let guard = db.connection().begin().await?;
    guard.execute_unprepared(&format!("SELECT pg_advisory_xact_lock({MIGRATION_LOCK})")).await?;
    all.up(db.connection(), None).await?;
    Ok(guard.commit().await?)
}

struct All(Vec<fn() -> Box<dyn MigrationTrait>>);

impl MigratorTraitSelf for All {
    fn migrations(&self) -> Vec<Box<dyn MigrationTrait>> {
        let mut migrations = migration::all();
        migrations.extend(self.0.iter().map(|make| make()));
        migrations
    }
}
