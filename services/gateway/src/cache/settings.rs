//! `[cache]`: what is kept of answers.

use anyhow::ensure;
use serde::{Deserialize, Serialize};

/// `[cache]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Endpoints whose answers are kept. A model of a folder says so itself, by `response_cache` in its `config.pbtxt`. Only
    /// for models that answer the same to the same inputs.
    pub endpoints: Vec<String>,
    /// Bytes of answers in this process at most; 0: no answer is kept, here or in the store.
    pub bytes: u64,
    /// Inputs, or outputs, of one request that have more bytes are not looked at.
    pub entry_bytes: usize,
    /// How long an answer is kept, seconds of real time.
    pub ttl_s: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { endpoints: Vec::new(), bytes: 64 << 20, entry_bytes: 1 << 20, ttl_s: 3600 }
    }
}

impl Settings {
    /// # Errors
    /// Names the field that cannot be used.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        ensure!(
            self.ttl_s > 0,
            "cache.ttl_s: 0, required 1 or more; no answers are kept with cache.bytes = 0"
        );
        Ok(())
    }
}
