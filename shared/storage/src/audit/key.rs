//! The key that signs the heads of the audit log.

use crate::{Error, audit::Hash};
use ed25519_dalek::{
    Signature, Signer as _, SigningKey,
    pkcs8::{
        DecodePrivateKey, DecodePublicKey, EncodePrivateKey, EncodePublicKey, spki::der::pem::LineEnding,
    },
};
use std::{io::Write, path::Path};

pub use ed25519_dalek::VerifyingKey;

/// Signs heads with Ed25519.
pub struct Signer(SigningKey);

impl Signer {
    /// Loads the PKCS#8 PEM at `path`, or makes a new key there (and its folder), readable by the owner only.
    ///
    /// # Errors
    /// [`Error::Setting`] if the file cannot be read or written or is no such key.
    pub fn load_or_create(path: &Path) -> Result<Self, Error> {
        let setting =
            |what: &dyn std::fmt::Display| Error::Setting(format!("signing key {}: {what}", path.display()));
        match std::fs::read_to_string(path) {
            Ok(pem) => return Ok(Self(SigningKey::from_pkcs8_pem(&pem).map_err(|error| setting(&error))?)),
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(setting(&error)),
            Err(_) => {}
        }
        let signer = Self::generate()?;
        let pem = signer.0.to_pkcs8_pem(LineEnding::LF).map_err(|error| setting(&error))?;
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(|error| setting(&error))?;
        }
        // Written whole under another name and then linked: nobody ever reads half a key, not even after a crash.
        let draft = path.with_extension(format!("draft-{}", uuid::Uuid::new_v4().simple()));
        let mut options = std::fs::OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&draft).map_err(|error| setting(&error))?;
        file.write_all(pem.as_bytes()).and_then(|()| file.sync_all()).map_err(|error| setting(&error))?;
        let linked = std::fs::hard_link(&draft, path);
        std::fs::remove_file(&draft).map_err(|error| setting(&error))?;
        match linked {
            Ok(()) => Ok(signer),
            // Another process made it in between: that one counts.
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Self::load_or_create(path),
            Err(error) => Err(setting(&error)),
        }
    }

    /// A new random key that is kept nowhere; for tests and for memory databases.
    pub fn generate() -> Result<Self, Error> {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(|error| Error::Setting(format!("no entropy: {error}")))?;
        Ok(Self(SigningKey::from_bytes(&seed)))
    }

    /// The public key.
    pub fn public_key(&self) -> VerifyingKey {
        self.0.verifying_key()
    }

    /// The public key as SubjectPublicKeyInfo PEM, to be handed to verifiers.
    pub fn public_key_pem(&self) -> Result<String, Error> {
        self.public_key().to_public_key_pem(LineEnding::LF).map_err(|error| Error::Setting(error.to_string()))
    }

    /// Signs any bytes; the caller puts a version line before them.
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.0.sign(message).to_bytes()
    }
}

/// Reads what [`Signer::public_key_pem`] wrote.
///
/// # Errors
/// [`Error::Setting`] if it is no Ed25519 public key.
pub fn public_key_from_pem(pem: &str) -> Result<VerifyingKey, Error> {
    VerifyingKey::from_public_key_pem(pem).map_err(|error| Error::Setting(format!("public key: {error}")))
}

/// What is signed for a head: a version line, the size, the root and the time, one line each.
pub(super) fn head_message(size: u64, root: &Hash, time_micros: i64) -> Vec<u8> {
    format!("wlp-audit-head-v1\n{size}\n{}\n{time_micros}\n", hex::encode(root)).into_bytes()
}

pub(super) fn head_holds(key: &VerifyingKey, message: &[u8], signature: &[u8; 64]) -> bool {
    key.verify_strict(message, &Signature::from_bytes(signature)).is_ok()
}
