//! Breakers on disk, one file for each rollout.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use statistics::CanaryTest;

use super::run::Run;
use super::{Counts, Trip};
use crate::gateway::Gateway;
use crate::store::Files;

const FOLDER: &str = "breakers";

/// A breaker as it is written down. Fields that another version of this program wrote are left out, not refused: a trip
/// must never be lost to them.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Kept {
    pub(super) rollout: String,
    pub(super) version: String,
    pub(super) test: CanaryTest,
    pub(super) own: Counts,
    /// Of all other gateways.
    pub(super) others: Counts,
    /// By gateway, as far as it is known.
    #[serde(default)]
    pub(super) heard: BTreeMap<String, Counts>,
    pub(super) trip: Option<Trip>,
    /// The canary's share of the traffic: the step of the ladder that the test is in.
    #[serde(default)]
    pub(super) percent: u32,
    /// Since when the canary fails.
    #[serde(default)]
    pub(super) run: Run,
}

impl Kept {
    pub(super) fn new(rollout: &str, version: &str, test: CanaryTest) -> Self {
        let (own, others) = (Counts::default(), Counts::default());
        let (rollout, version) = (rollout.to_owned(), version.to_owned());
        let heard = BTreeMap::new();
        Self { rollout, version, test, own, others, heard, trip: None, percent: 0, run: Run::default() }
    }
}

fn file(rollout: &str) -> String {
    format!("{FOLDER}/{}.json", Files::safe(rollout))
}

/// The breaker of a rollout; a damaged file counts as none, aloud.
pub(super) fn read(files: &Files, rollout: &str) -> Option<Kept> {
    let bytes = files.read(&file(rollout)).ok()??;
    match serde_json::from_slice(&bytes) {
        Ok(kept) => Some(kept),
        Err(error) => {
            tracing::error!(%rollout, %error, "the kept breaker is damaged, its evidence starts anew");
            None
        }
    }
}

/// All breakers on disk.
pub(super) fn all(files: &Files) -> Vec<Kept> {
    let Ok(entries) = std::fs::read_dir(files.path(FOLDER)) else { return Vec::new() };
    let json = |path: &std::path::Path| path.extension().is_some_and(|extension| extension == "json");
    let paths = entries.filter_map(Result::ok).map(|entry| entry.path()).filter(|path| json(path));
    paths.filter_map(|path| serde_json::from_slice(&std::fs::read(path).ok()?).ok()).collect()
}

impl Gateway {
    /// Writes down every breaker that has changed.
    ///
    /// # Errors
    /// Of the file system; what was not written is tried again.
    pub async fn keep_breakers(&self) -> std::io::Result<()> {
        // One writer at a time, from the snapshot to the rename: else the older one could be the last.
        let _keeping = self.breakers().keeping.lock().await;
        for breaker in self.breakers().all() {
            let Some(kept) = breaker.changed() else { continue };
            let bytes = serde_json::to_vec(&kept).map_err(std::io::Error::other)?;
            if let Err(error) = self.files().write_later(file(&kept.rollout), bytes).await {
                breaker.not_kept();
                return Err(error);
            }
            self.meters().evidence(&kept.rollout, kept.test.peak_log_e());
        }
        Ok(())
    }
}
