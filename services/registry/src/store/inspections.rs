//! What uploaded model files turned out to be: inspected and loaded once, remembered by their digest.

use bytes::Bytes;
use engine::{Engine, Inspection, Limits, TrialError, TrialOptions, inspect, trial};
use sea_orm::{ActiveValue::Set, ConnectionTrait, EntityTrait, sea_query::OnConflict};
use std::collections::HashMap;
use std::sync::Arc;
use storage::{Blobs, Database};
use tokio::sync::{Mutex, OnceCell};

use super::entity::inspection;
use crate::Error;

/// The inspection of one artifact, made once by whoever is first.
type Once = Arc<OnceCell<Arc<Inspection>>>;

/// Inspections of artifacts. Clones share the memory.
#[derive(Clone)]
pub struct Inspections {
    engine: Arc<dyn Engine>,
    blobs: Blobs,
    db: Database,
    seen: Arc<Mutex<HashMap<String, Once>>>,
    scanned: Arc<std::sync::Mutex<HashMap<String, usize>>>,
}

impl Inspections {
    /// Tries models with `engine`.
    pub fn new(engine: Arc<dyn Engine>, blobs: Blobs, db: Database) -> Self {
        Self { engine, blobs, db, seen: Arc::default(), scanned: Arc::default() }
    }

    /// Inspects a complete artifact and loads it once; the second call for the same bytes is a look-up. Not inside a
    /// unit of work: a large model takes seconds.
    ///
    /// # Errors
    /// [`Error::ModelRefused`] with every reason, [`Error::Missing`] for bytes that are not there.
    pub async fn of(&self, digest: &str) -> Result<Arc<Inspection>, Error> {
        let cell = self.seen.lock().await.entry(digest.to_owned()).or_default().clone();
        let found = cell.get_or_try_init(|| self.load_or_try(digest)).await.cloned();
        if found.is_err() {
            self.seen.lock().await.remove(digest);
        }
        found
    }

    /// Scans the bytes of an artifact as they are now, by today's rules, and remembers how much there is against them
    /// (§8.1 BUILD). Not inside a unit of work.
    ///
    /// # Errors
    /// [`Error::Missing`] for bytes that are not there.
    pub async fn scan(&self, digest: &str) -> Result<(), Error> {
        let file = self.bytes(digest).await?;
        let scan = tokio::task::spawn_blocking(move || {
            inspect(&file, &Limits::default()).map_or_else(|found| found.findings().len(), |_| 0)
        });
        let open = scan.await.map_err(|error| Error::Damaged(format!("scan of {digest}: {error}")))?;
        self.scans().insert(digest.to_owned(), open);
        Ok(())
    }

    /// Findings of the last scan; none if these bytes were not scanned by this process.
    pub fn scanned(&self, digest: &str) -> Option<usize> {
        self.scans().get(digest).copied()
    }

    fn scans(&self) -> std::sync::MutexGuard<'_, HashMap<String, usize>> {
        self.scanned.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    async fn load_or_try(&self, digest: &str) -> Result<Arc<Inspection>, Error> {
        if let Some(known) = stored(self.db.connection(), digest).await? {
            return Ok(Arc::new(known));
        }
        let inspection = self.try_model(self.bytes(digest).await?).await?;
        let body = serde_json::to_string(&inspection).map_err(|error| Error::Damaged(error.to_string()))?;
        let row = inspection::ActiveModel { digest: Set(digest.to_owned()), body: Set(body) };
        let turn = self.db.begin_write().await?;
        let once = OnConflict::column(inspection::Column::Digest).do_nothing().to_owned();
        inspection::Entity::insert(row).on_conflict(once).exec_without_returning(turn.connection()).await?;
        turn.commit().await?;
        Ok(Arc::new(inspection))
    }

    async fn bytes(&self, digest: &str) -> Result<Bytes, Error> {
        let parsed: storage::Digest = digest.parse().map_err(|_| Error::Missing(digest.to_owned()))?;
        Ok(self.blobs.read(&parsed).await?)
    }

    async fn try_model(&self, model: Bytes) -> Result<Inspection, Error> {
        let refused = |reason: &str, why: String| {
            Error::ModelRefused(vec![engine::inspect::Finding {
                reason: reason.into(),
                at: "file".into(),
                why,
            }])
        };
        match trial(self.engine.as_ref(), model, TrialOptions::default()).await {
            Ok(trial) => Ok(trial.inspection),
            Err(TrialError::Inspect(error)) => Err(Error::ModelRefused(error.findings())),
            Err(TrialError::Load(error)) => Err(refused("RUNTIME_REFUSES", error.to_string())),
            Err(error @ TrialError::Signature(_)) => Err(refused("SIGNATURE_DIFFERS", error.to_string())),
            Err(TrialError::Engine(error)) => Err(Error::Engine(error.to_string())),
        }
    }
}

/// What was found before, read through a unit of work.
///
/// # Errors
/// [`Error::Damaged`].
pub async fn stored(connection: &impl ConnectionTrait, digest: &str) -> Result<Option<Inspection>, Error> {
    let row = inspection::Entity::find_by_id(digest.to_owned()).one(connection).await?;
    row.map(|row| serde_json::from_str(&row.body).map_err(|error| Error::Damaged(error.to_string())))
        .transpose()
}
