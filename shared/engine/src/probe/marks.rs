//! Which models passed their trial: in memory, and in a file for each so that a restart does not try them again.

use std::collections::HashSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use super::ProbeOptions;

/// Digests that are kept in memory at most; the others are read from their files again.
const IN_MEMORY: usize = 4096;

/// What passed, under which conditions. Other conditions ask for another trial.
#[derive(Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
struct Mark {
    /// `sha256:<hex>` of the model.
    digest: String,
    /// `onnxruntime 1.32.0`.
    runtime: String,
    memory_mib: u64,
    cpu_s: u64,
    wall_s: u64,
}

impl Mark {
    fn new(digest: &str, runtime: &str, options: &ProbeOptions) -> Self {
        let ProbeOptions { memory_mib, cpu_s, wall_s, .. } = *options;
        Self { digest: digest.to_owned(), runtime: runtime.to_owned(), memory_mib, cpu_s, wall_s }
    }
}

#[derive(Debug)]
pub(super) struct Marks {
    folder: PathBuf,
    /// Digests with the conditions of this process, which do not change.
    known: Mutex<HashSet<String>>,
}

impl Marks {
    pub fn new(folder: PathBuf) -> Self {
        Self { folder, known: Mutex::default() }
    }

    /// Whether this model passed under these conditions.
    pub fn holds(&self, digest: &str, runtime: &str, options: &ProbeOptions) -> bool {
        if self.known.lock().unwrap_or_else(PoisonError::into_inner).contains(digest) {
            return true;
        }
        let kept = std::fs::read(self.file(digest)).ok();
        let mark = kept.and_then(|bytes| serde_json::from_slice::<Mark>(&bytes).ok());
        let holds = mark.is_some_and(|mark| mark == Mark::new(digest, runtime, options));
        if holds {
            self.know(digest);
        }
        holds
    }

    /// Remembers that a model passed. A file that cannot be written costs another trial after a restart, nothing else.
    pub async fn keep(&self, digest: &str, runtime: &str, options: &ProbeOptions) {
        self.know(digest);
        let (file, mark) = (self.file(digest), Mark::new(digest, runtime, options));
        let written = tokio::task::spawn_blocking(move || write(&file, &mark)).await;
        if let Err(error) = written.unwrap_or_else(|error| Err(std::io::Error::other(error))) {
            tracing::warn!(digest, folder = %self.folder.display(), %error, "that the model passed its trial is not kept");
        }
    }

    fn know(&self, digest: &str) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= IN_MEMORY {
            known.clear();
        }
        known.insert(digest.to_owned());
    }

    fn file(&self, digest: &str) -> PathBuf {
        self.folder.join(format!("{}.json", digest.trim_start_matches("sha256:")))
    }
}

/// Writes a draft and renames it: a reader sees a whole mark or none.
fn write(file: &Path, mark: &Mark) -> std::io::Result<()> {
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let draft = file.with_extension(format!("draft-{}", std::process::id()));
    let mut out = std::fs::File::create(&draft)?;
    out.write_all(&serde_json::to_vec(mark)?)?;
    out.sync_all()?;
    std::fs::rename(&draft, file)
}
