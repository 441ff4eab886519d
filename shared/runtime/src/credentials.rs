//! The credentials file: SHA-256 of each API key, and who holds it. The keys themselves are never stored.
//!
//! ```toml
//! [[key]]
//! sha256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
//! principal = "ml-engineer"
//! kind = "person"                     # person | program | service
//! roles = ["ml-engineer"]
//! expires = "2027-01-01T00:00:00Z"    # optional
//! development = false                 # true: refused on any address but loopback
//! ```

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, TryLockError};
use std::time::{Duration, Instant, SystemTime};

use arc_swap::ArcSwap;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::changes::Stamp;
use crate::layers::auth::{Caller, Kind};

/// Every key starts with this, so that leaked ones can be found.
pub const PREFIX: &str = "wlp_";
/// How often the file is looked at, in real time.
const POLL: Duration = Duration::from_secs(1);
/// Longer keys are not hashed.
const LONGEST_KEY: usize = 256;

/// One row of the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// SHA-256 of the key, 64 hexadecimal digits.
    pub sha256: String,
    /// Who holds the key.
    pub principal: String,
    /// What the holder is.
    pub kind: Kind,
    /// The holder's roles.
    pub roles: Vec<String>,
    /// RFC 3339; the key is refused from then on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
    /// Made by a tool for a machine of its own; never valid where others can reach.
    #[serde(default)]
    pub development: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    key: Vec<Entry>,
}

/// Why a key was not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Nobody holds it.
    #[error("the API key is not known")]
    Unknown,
    /// Its time is over.
    #[error("the API key has expired")]
    Expired,
}

/// Why credentials were refused at start.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// The file cannot be read or a row is wrong.
    #[error("credentials {path}: {cause}")]
    File {
        /// The file.
        path: String,
        /// What is wrong.
        cause: String,
    },
    /// Others can reach the address, so real credentials are needed.
    #[error("refused to listen on {listen}: {cause}; only loopback may go without")]
    Exposed {
        /// The address.
        listen: std::net::SocketAddr,
        /// What is missing.
        cause: &'static str,
    },
}

/// The keys a service accepts; clones share them. A changed file is read again within a second. No call waits for another:
/// one of them reads the file, and the others go by the rows that are known until it is done.
#[derive(Clone, Debug)]
pub struct Credentials(Arc<Keys>);

#[derive(Debug)]
struct Keys {
    held: ArcSwap<Rows>,
    file: Option<Watched>,
}

/// The file that rows come from.
#[derive(Debug)]
struct Watched {
    path: PathBuf,
    began: Instant,
    /// When it is looked at again, milliseconds after `began`.
    due: AtomicU64,
    stamp: Mutex<Option<Stamp>>,
}

/// Rows by the SHA-256 of their key. A look-up takes a time that depends on the digest, and that tells a stranger nothing of
/// use: at most how far the digest of a key that he sent is the digest of a key that is held. Keys are 256 random bits, so
/// no part of a digest helps to guess one, and to send another key with a given digest he must first invert SHA-256.
type Rows = HashMap<[u8; 32], Held>;

#[derive(Debug)]
struct Held {
    caller: Caller,
    expires: Option<SystemTime>,
    development: bool,
}

impl Credentials {
    /// Nobody gets in.
    pub fn none() -> Self {
        Self::keep(Rows::new(), None)
    }

    /// Fixed rows, without a file.
    ///
    /// # Errors
    /// If a row is wrong.
    pub fn from_entries(entries: Vec<Entry>) -> Result<Self, CredentialsError> {
        Ok(Self::keep(held("(given)", entries)?, None))
    }

    /// Reads a credentials file; an empty path is [`Credentials::none`].
    ///
    /// # Errors
    /// [`CredentialsError::File`].
    pub fn load(path: impl AsRef<Path>) -> Result<Self, CredentialsError> {
        let path = path.as_ref();
        if path.as_os_str().is_empty() {
            return Ok(Self::none());
        }
        let file = Watched::new(path);
        Ok(Self::keep(read(path)?, Some(file)))
    }

    fn keep(held: Rows, file: Option<Watched>) -> Self {
        Self(Arc::new(Keys { held: ArcSwap::from_pointee(held), file }))
    }

    /// Who holds a key at a time.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn verify(&self, key: &str, now: SystemTime) -> Result<Caller, KeyError> {
        self.0.refresh();
        if LONGEST_KEY < key.len() {
            return Err(KeyError::Unknown);
        }
        let digest: [u8; 32] = Sha256::digest(key.as_bytes()).into();
        let held = self.0.held.load();
        let found = held.get(&digest).ok_or(KeyError::Unknown)?;
        if found.expires.is_some_and(|end| end <= now) {
            Err(KeyError::Expired)
        } else {
            Ok(found.caller.clone())
        }
    }

    /// Refuses an address that others can reach if there are no credentials, or development ones among them.
    ///
    /// # Errors
    /// [`CredentialsError::Exposed`].
    pub fn fit_for(&self, listen: std::net::SocketAddr) -> Result<(), CredentialsError> {
        if listen.ip().to_canonical().is_loopback() {
            return Ok(());
        }
        let held = self.0.held.load();
        if held.is_empty() {
            return Err(CredentialsError::Exposed {
                listen,
                cause: "there are no credentials ([access] credentials)",
            });
        }
        if held.values().any(|held| held.development) {
            return Err(CredentialsError::Exposed { listen, cause: "the credentials hold development keys" });
        }
        Ok(())
    }
}

impl Keys {
    /// Reads the file again if it changed; one that went bad keeps the last good rows.
    fn refresh(&self) {
        let Some(file) = self.file.as_ref().filter(|file| file.is_due()) else { return };
        // Whoever comes while the file is read does not wait for it.
        let mut known = match file.stamp.try_lock() {
            Ok(known) => known,
            Err(TryLockError::Poisoned(known)) => known.into_inner(),
            Err(TryLockError::WouldBlock) => return,
        };
        let stamp = Stamp::of(&file.path);
        if stamp == *known {
            return;
        }
        match read(&file.path) {
            Ok(held) => {
                tracing::info!(path = %file.path.display(), keys = held.len(), "credentials read again");
                self.held.store(Arc::new(held));
                *known = stamp;
            }
            Err(error) => tracing::error!(%error, "credentials are unreadable, keeping the last"),
        }
    }
}

impl Watched {
    /// A file that is read after this.
    fn new(path: &Path) -> Self {
        let stamp = Mutex::new(Stamp::of(path));
        Self { path: path.to_owned(), began: Instant::now(), due: AtomicU64::new(millis(POLL)), stamp }
    }

    /// True for one call in each period.
    fn is_due(&self) -> bool {
        let (now, due) = (millis(self.began.elapsed()), self.due.load(Ordering::Relaxed));
        let next = now.saturating_add(millis(POLL));
        due <= now && self.due.compare_exchange(due, next, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// A new API key of 256 random bits, and the SHA-256 to put in the credentials file.
///
/// # Errors
/// If the system has no randomness to give.
pub fn generate_key() -> std::io::Result<(String, String)> {
    use base64::Engine;
    let mut secret = [0_u8; 32];
    getrandom::fill(&mut secret).map_err(|cause| std::io::Error::other(cause.to_string()))?;
    let key = format!("{PREFIX}{}", base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(secret));
    let digest = digest_of(&key);
    Ok((key, digest))
}

/// SHA-256 of a key as the file holds it.
pub fn digest_of(key: &str) -> String {
    hex::encode(Sha256::digest(key.as_bytes()))
}

/// Writes rows as a credentials file that only its owner reads.
///
/// # Errors
/// Of the file system.
pub fn save(path: impl AsRef<Path>, entries: &[Entry]) -> std::io::Result<()> {
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    let mut lines =
        vec!["# SHA-256 of API keys and who holds them; the keys themselves are nowhere".to_owned()];
    for entry in entries {
        let roles: Vec<_> = entry.roles.iter().map(|role| quoted(role)).collect();
        lines.push("\n[[key]]".into());
        lines.push(format!("sha256 = {}", quoted(&entry.sha256)));
        lines.push(format!("principal = {}", quoted(&entry.principal)));
        lines.push(format!("kind = {}", serde_json::to_string(&entry.kind)?));
        lines.push(format!("roles = [{}]", roles.join(", ")));
        lines.extend(entry.expires.iter().map(|expires| format!("expires = {}", quoted(expires))));
        lines.push(format!("development = {}", entry.development));
    }
    lines.push(String::new());
    let text = lines.join("\n");
    let path = path.as_ref();
    let draft = path.with_extension("draft");
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    std::io::Write::write_all(&mut options.open(&draft)?, text.as_bytes())?;
    std::fs::rename(&draft, path)
}

fn read(path: &Path) -> Result<Rows, CredentialsError> {
    let named = |cause: String| CredentialsError::File { path: path.display().to_string(), cause };
    let text = std::fs::read_to_string(path).map_err(|cause| named(cause.to_string()))?;
    let file: File = ::config::Config::builder()
        .add_source(::config::File::from_str(&text, ::config::FileFormat::Toml))
        .build()
        .and_then(::config::Config::try_deserialize)
        .map_err(|cause| named(cause.to_string()))?;
    held(&path.display().to_string(), file.key)
}

fn held(path: &str, entries: Vec<Entry>) -> Result<Rows, CredentialsError> {
    entries.into_iter().map(|entry| hold(path, entry)).collect()
}

fn hold(path: &str, entry: Entry) -> Result<([u8; 32], Held), CredentialsError> {
    let wrong = |what: String| CredentialsError::File {
        path: path.to_owned(),
        cause: format!("key of {:?}: {what}", entry.principal),
    };
    if entry.principal.is_empty() || !entry.principal.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(wrong("principal must be printable ASCII without spaces".into()));
    }
    let mut digest = [0_u8; 32];
    hex::decode_to_slice(&entry.sha256, &mut digest).map_err(|cause| wrong(format!("sha256: {cause}")))?;
    let expires = match &entry.expires {
        None => None,
        Some(text) => {
            let parsed =
                text.parse::<prost_types::Timestamp>().map_err(|cause| wrong(format!("expires: {cause}")))?;
            Some(SystemTime::try_from(parsed).map_err(|cause| wrong(format!("expires: {cause}")))?)
        }
    };
    let caller = Caller { principal: entry.principal, kind: entry.kind, roles: entry.roles };
    Ok((digest, Held { caller, expires, development: entry.development }))
}
